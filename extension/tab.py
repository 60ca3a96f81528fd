"""The tab: one frame, which javascript/lora_manager.js gives its address and size once it is first seen."""

from __future__ import annotations

from typing import Any

from . import host

ID = "lora_manager"
FRAME = (
    '<div id="lora_manager_box" style="min-height:400px">'
    '<iframe id="lora_manager_frame" title="LoRA Manager" allow="clipboard-write" '
    'style="display:block;width:100%;height:80vh;border:0;background:transparent"></iframe></div>'
)


def make() -> list[tuple[Any, str, str]]:
    gradio = host.module("gradio")
    with gradio.Blocks(analytics_enabled=False) as blocks:
        gradio.HTML(FRAME, elem_id="lora_manager_html")
    return [(blocks, "LoRA Manager", ID)]
