"""The LoRAs that a node of ComfyUI loads, whichever extension it is of.

LoraLoader(ModelOnly); rgthree's Power Lora Loader and Lora Loader Stack; Efficiency's Loader and LoRA Stacker; Comfyroll's
LoRA Stack; Easy-Use's stack; LoRA-Manager's loader and stacker; texts with tags in nodes that are made for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sidecar.library.foreign import as_list, as_number, as_object
from sidecar.prompts.grammar import find_tags
from sidecar.prompts.images.comfy_graph import Node
from sidecar.prompts.images.infotext import NamedLora, stem_of, weight_of

# lora_name, lora, lora_name_1, lora_01 and lora_1_name
_NAME = re.compile(r"lora(?:_name)?(?:_(\d{1,3}))?|lora_(\d{1,3})_name")
_SIMPLE = ("lora_wt", "strength", "weight", "lora_strength")
_FULL = ("strength_model", "model_weight", "model_str", "lora_model_strength", "model_strength")
_OFF = ("Off", "off", False)


def loras_of(node: Node) -> Iterator[NamedLora]:
    """What it loads, in its order; what is switched off or has no weight is not loaded."""
    listed = node.inputs.get("loras")
    entries = as_list(as_object(listed).get("__value__")) or as_list(listed)
    for one in map(as_object, entries[:1_000]):
        if one.get("active") not in _OFF:
            yield from _lora(one.get("name"), one.get("strength"))
    count = as_number(node.inputs.get("lora_count", node.inputs.get("num_loras")))
    for key, value in node.inputs.items():
        if isinstance(value, dict) and "lora" in value:
            if value.get("on") not in _OFF:
                yield from _lora(value["lora"], value.get("strength"))
        elif isinstance(value, str) and (name := _NAME.fullmatch(key)):
            number = name[1] or name[2] or ""
            if not (number and count is not None and int(number) > count) and not _is_off(node, number):
                yield from _lora(value, _strength(node, number))
        elif isinstance(value, str) and not entries and _reads_tags(node.kind, key):
            for tag in find_tags(value[:100_000])[:1_000]:
                if tag.is_lora:
                    yield from _lora(tag.name, tag.weight)


def _lora(name: Any, strength: Any) -> Iterator[NamedLora]:
    weight = weight_of(strength) or 0.0
    stem = stem_of(name) if isinstance(name, str) else ""
    if stem and stem.lower() != "none" and weight:
        yield NamedLora(stem, weight)


def _is_off(node: Node, number: str) -> bool:
    ending = f"_{number}" if number else ""
    switches = (f"switch{ending}", f"enabled{ending}", f"lora_{number}_enabled", "toggle")
    return any(node.inputs.get(name) in _OFF for name in switches)


def _strength(node: Node, number: str) -> float:
    """The weight in the model; of a stacker that knows both, the simple one when it is in that mode."""
    ending = f"_{number}" if number else ""
    simple = node.inputs.get("input_mode", node.inputs.get("mode")) == "simple"
    for name in (*_SIMPLE, *_FULL) if simple else (*_FULL, *_SIMPLE):
        for key in (f"{name}{ending}", f"lora_{number}_{name}"):
            found = as_number(node.inputs.get(key))
            if found is not None:
                return found
    return 1.0


def _reads_tags(kind: str, key: str) -> bool:
    """Whether a text's `<lora:…>` are loaded there: everywhere else in ComfyUI they are only words."""
    kind = kind.lower()
    if key == "populated_text":
        return True
    return key in ("text", "prompt", "lora_syntax") and ("lora" in kind or "power prompt" in kind)
