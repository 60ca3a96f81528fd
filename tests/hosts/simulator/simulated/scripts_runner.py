"""Finds and imports the scripts of extensions, and calls their hooks for a tab, as both lines of hosts do it."""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import gradio as gr
from modules import paths, script_callbacks, scripts

classes: list[tuple[type, str]] = []


def extensions() -> list[Path]:
    """The extensions' folders, not resolved: a link in extensions/ is an extension."""
    folder = Path(paths.extensions_dir)
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def files_of(kind: str, ending: str) -> list[Path]:
    return [path for extension in extensions() for path in sorted((extension / kind).glob(f"*{ending}"))]


def load_scripts() -> None:
    """Import every script; its extension's folder is on sys.path only meanwhile. Classes must be in the module itself."""
    classes.clear()
    script_callbacks.clear()
    before = list(sys.path)
    for path in files_of("scripts", ".py"):
        scripts.current_basedir = str(path.parent.parent)
        sys.path = [scripts.current_basedir, *before]
        try:
            # both lines import by file name, so modules of one name replace each other
            spec = importlib.util.spec_from_file_location(path.stem, path)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            found = [each for each in vars(module).values() if isinstance(each, type)]
            classes.extend((each, str(path)) for each in found if issubclass(each, scripts.Script))
        except Exception:
            print(f"*** Error loading script: {path.name}", file=sys.stderr)
            traceback.print_exc()
        finally:
            sys.path = list(before)
            scripts.current_basedir = ""


class Runner:
    """The AlwaysVisible scripts of one tab. Selectable ones are not modelled."""

    def __init__(self, is_img2img: bool) -> None:
        self.is_img2img = is_img2img
        self.scripts: list[Any] = []
        self.inputs: list[Any] = [None]  # the first argument is the selected script's number
        for script_class, path in classes:
            script = script_class()
            script.filename, script.is_img2img, script.is_txt2img = path, is_img2img, not is_img2img
            if script.show(is_img2img) is scripts.AlwaysVisible:
                self.scripts.append(script)

    def setup_ui(self) -> list[Any]:
        """Build each script's controls, inside a Blocks; returns them."""
        for script in self.scripts:
            script.args_from = len(self.inputs)
            with gr.Group():
                self.inputs += script.ui(self.is_img2img) or []
            script.args_to = len(self.inputs)
        return self.inputs[1:]

    def defaults(self) -> list[Any]:
        """The arguments of an API call that gives none: the values the controls begin with."""
        return [0, *(getattr(control, "value", None) for control in self.inputs[1:])]

    def call(self, hook: str, p: Any, *extra: Any, **named: Any) -> None:
        for script in self.scripts:
            arguments = p.script_args[script.args_from : script.args_to]
            try:
                getattr(script, hook)(p, *extra, *arguments, **named)
            except Exception:
                print(f"*** Error running {hook}: {os.path.basename(script.filename)}", file=sys.stderr)
                traceback.print_exc()
