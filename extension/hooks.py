"""Ties generations to the host's hooks, and puts the accordion "LoRA Manager" into the prompt.

SDNext calls back for every generation, Control included. The A1111 line knows only AlwaysVisible scripts. On SDNext the
script is there too, but only to carry what the accordion says; API calls without script arguments get its defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import host
from .generation import CHOICE, Choice, Generations
from .log import log
from .settings import Settings

TITLE = "LoRA Manager"


def register(generations: Generations) -> None:
    callbacks = host.script_callbacks()
    callbacks.on_image_saved(lambda params: generations.image_saved(params.p, params.filename))
    if host.has_process_callbacks():
        callbacks.on_before_process(generations.before)
        callbacks.on_after_process(generations.after)


def make_script(generations: Generations, settings: Callable[[], Settings]) -> type:
    """The script class for the host. Made at run time, since its base class is the host's."""
    base, always_visible = host.script_base()
    by_callback = host.has_process_callbacks()

    def ui(_self: Any, is_img2img: bool) -> list[Any]:
        return make_accordion("img2img" if is_img2img else "txt2img", settings())

    def before_process(_self: Any, p: Any, *arguments: Any) -> None:
        choice = read_choice(arguments, settings())
        if by_callback:
            setattr(p, CHOICE, choice)
        else:
            generations.before(p, choice)

    def before_process_batch(_self: Any, p: Any, *_arguments: Any, **_batch: Any) -> None:
        generations.batch(p)

    def postprocess(_self: Any, p: Any, _processed: Any, *_arguments: Any) -> None:
        if not by_callback:
            generations.after(p)

    members = {
        "title": lambda _self: TITLE,
        "show": lambda _self, _is_img2img: always_visible,
        "ui": ui,
        "before_process": before_process,
        "before_process_batch": before_process_batch,
        "postprocess": postprocess,
    }
    return type("LoraManagerScript", (base,), members)


def make_accordion(tab: str, settings: Settings) -> list[Any]:
    gradio = host.module("gradio")
    with gradio.Accordion(TITLE, open=False, elem_id=f"lora_manager_{tab}"), gradio.Row():
        enabled = gradio.Checkbox(label="Enable", value=True, elem_id=f"lora_manager_{tab}_enable")
        words = gradio.Checkbox(
            label="Add trigger words",
            value=settings.trigger_words,
            elem_id=f"lora_manager_{tab}_trigger_words",
        )
    return [enabled, words]


def read_choice(arguments: tuple[Any, ...], settings: Settings) -> Choice:
    """The accordion's values; what is missing or of a wrong type (API) is taken from the settings."""
    defaults = (True, settings.trigger_words)
    values = [given if isinstance(given, bool) else None for given in (*arguments, None, None)[:2]]
    if len(arguments) > 2:
        log.warning("more script arguments than the two known ones were given; the rest is ignored")
    enabled, words = (
        default if value is None else value for value, default in zip(values, defaults, strict=True)
    )
    return Choice(enabled, words)
