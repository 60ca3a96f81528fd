"""Registration and calling of callbacks. `on_<name>` registers for the script that is being imported."""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

from modules.cmd_args import FLAVOUR

BOTH = ("before_ui", "ui_settings", "ui_tabs", "app_started", "script_unloaded", "before_reload")
BOTH += ("before_image_saved", "image_saved", "model_loaded", "before_component", "after_component")
ONLY = {
    "sdnext": ("before_process", "after_process", "after_ui"),
    "a1111": ("ui_train_tabs", "list_optimizers"),
}


class Registered(NamedTuple):
    script: str
    callback: Callable[..., Any]


class ImageSaveParams:
    def __init__(self, image: Any, p: Any, filename: str, pnginfo: dict[str, str]) -> None:
        self.image, self.p, self.filename, self.pnginfo = image, p, filename, pnginfo


callbacks: dict[str, list[Registered]] = {name: [] for name in BOTH + ONLY[FLAVOUR]}


def _registers(name: str) -> Callable[..., None]:
    def register(callback: Callable[..., Any], *, name: str = name) -> None:
        caller = next((f.filename for f in inspect.stack()[1:] if f.filename != __file__), "unknown")
        callbacks[name].append(Registered(caller, callback))

    return lambda callback, **_ignored: register(callback)


for _name in callbacks:
    globals()[f"on_{_name}"] = _registers(_name)


def call(name: str, *arguments: Any) -> list[Any]:
    """Call all callbacks of a name in order; an error of one is printed and stops no other."""
    results = []
    for registered in callbacks.get(name, []):
        try:
            results.append(registered.callback(*arguments))
        except Exception:
            print(f"*** Error in {os.path.basename(registered.script)}, {name}", file=sys.stderr)
            traceback.print_exc()
    return results


def clear() -> None:
    for registered in callbacks.values():
        registered.clear()
