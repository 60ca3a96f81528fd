"""Finds tags in prompts, as far as hooks and records need them. What they mean is the sidecar's business."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

LORA = re.compile(r"<(?:lora|lyco):([^>]+)>", re.IGNORECASE)
TAG = re.compile(r"<(?:lora|lyco|set):", re.IGNORECASE)
DRAW = re.compile(r"<(?:lora|lyco):\s*\?", re.IGNORECASE)
ALTERNATIVES = re.compile(r"\{[^{}]*\|[^{}]*\}")
MAY_DRAW = re.compile(r"<(?:(?:lora|lyco):\s*\?|set:)", re.IGNORECASE)  # a set's text can hold a draw


def is_prompt(value: Any) -> bool:
    """Whether a host's field holds one prompt, or one for each image."""
    return isinstance(value, str) or (
        isinstance(value, list) and all(isinstance(each, str) for each in value)
    )


def holds(pattern: re.Pattern[str], *fields: Any) -> bool:
    """Whether one of the prompts in some fields of `p` matches."""
    texts = [
        text for each in fields if is_prompt(each) for text in ([each] if isinstance(each, str) else each)
    ]
    return any(pattern.search(text) for text in texts)


def named_in(prompts: Iterable[str]) -> set[str]:
    """The names of LoRAs in prompts."""
    return {inner.split(":")[0].strip() for prompt in prompts for inner in LORA.findall(prompt)}


def read_tags(prompt: str, *, sdnext: bool, default_weight: float = 1.0) -> list[tuple[str, float]]:
    """Each LoRA and the weight that shows most, as its host reads them: SDNext's of the first blocks, else the unet's.

    Empty where the A1111 line finds no number, since it then loads none.
    """
    found = []
    for inner in LORA.findall(prompt):
        name, *parts = inner.split(":")
        named = dict(part.split("=", 1) for part in parts if part.count("=") == 1)
        positional = [part for part in parts if part.count("=") != 1]
        order = [named.get("in") if sdnext else None, named.get("unet")]
        order += [] if sdnext else positional[1:2]
        order += [named.get("te"), *positional[:1]]
        text = next((each for each in order if each is not None), None)
        weight = default_weight if text is None else _number(text.split("@")[0] if sdnext else text)
        if weight is None and not sdnext:
            return []
        found.append((name, default_weight if weight is None else weight))
    return found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
