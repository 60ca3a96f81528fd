"""Reads `<lora:…>` tags out of a prompt, as far as a record needs them: names and weights. Composing is the sidecar's."""

from __future__ import annotations

import re
from collections.abc import Iterable

TAG = re.compile(r"<(?:lora|lyco):([^>]+)>", re.IGNORECASE)


def read_tags(prompts: Iterable[str], default_weight: float = 1.0) -> dict[str, float]:
    """Name to weight over all prompts; the first mention of a name counts. `unet=` names the weight as well."""
    found: dict[str, float] = {}
    for prompt in prompts:
        for inner in TAG.findall(prompt):
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
