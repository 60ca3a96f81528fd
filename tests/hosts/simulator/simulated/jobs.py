"""Starts a generation for the page or the API, one at a time, under the host's lock."""

from __future__ import annotations

from typing import Any

from modules import shared
from modules.call_queue import queue_lock

from simulated import processing
from simulated.scripts_runner import Runner

KINDS: dict[str, type[processing.StableDiffusionProcessing]] = {
    "txt2img": processing.StableDiffusionProcessingTxt2Img,
    "img2img": processing.StableDiffusionProcessingImg2Img,
    "control": processing.StableDiffusionProcessingControl,
}


def generate(kind: str, runner: Runner | None, script_args: list[Any], **values: Any) -> processing.Processed:
    """Make `p`, run it, return what it made. An image is not asked for on img2img and Control."""
    with queue_lock:
        p = KINDS[kind](**values, scripts=runner, script_args=script_args)
        shared.state.begin(kind)
        try:
            return processing.process_images(p)
        finally:
            shared.state.end()
