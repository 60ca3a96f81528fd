"""The class that scripts derive from. What runs them is simulated/scripts_runner.py."""

from __future__ import annotations

import os
from typing import Any

AlwaysVisible = object()
current_basedir = ""


def basedir() -> str:
    """The folder of the extension whose script is being imported; valid only then."""
    return current_basedir or os.getcwd()


class Script:
    """Every hook does nothing until a script has its own."""

    filename = ""
    args_from = args_to = 0
    is_txt2img = is_img2img = False

    def title(self) -> str:
        raise NotImplementedError

    def ui(self, is_img2img: bool) -> Any:
        return None

    def show(self, is_img2img: bool) -> Any:
        return True

    def run(self, p: Any, *args: Any) -> Any:
        return None

    def elem_id(self, item_id: str) -> str:
        return f"script_{'img2img' if self.is_img2img else 'txt2img'}_{item_id}"


HOOKS = ("setup", "before_process", "process", "before_process_batch", "after_extra_networks_activate")
HOOKS += ("process_batch", "process_before_every_sampling", "post_sample", "postprocess_batch")
HOOKS += ("postprocess_batch_list", "postprocess_image", "postprocess_maskoverlay")
HOOKS += ("postprocess_image_after_composite", "postprocess")
for _hook in HOOKS:
    setattr(Script, _hook, lambda self, p, *args, **kwargs: None)
