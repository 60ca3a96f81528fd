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


def read_tags(prompts: Iterable[str], default_weight: float = 1.0) -> dict[str, float]:
    """Name to weight over all prompts; the first mention of a name counts. `unet=` names the weight as well."""
    found: dict[str, float] = {}
    for prompt in prompts:
        for inner in LORA.findall(prompt):
            name, *parts = inner.split(":")
            named = dict(part.split("=", 1) for part in parts if "=" in part)
            positional = [part for part in parts if "=" not in part]
            text = named.get("unet") or (positional[0] if positional else named.get("te", ""))
            try:
                weight = float(text.split("@")[0])
            except ValueError:
                weight = default_weight
            found.setdefault(name.strip(), weight)
    return found
