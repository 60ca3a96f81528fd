"""What a picture tells of its making, whatever program wrote it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class NamedLora:
    """A LoRA as a picture names it. `weight` is None when it only stands in the prompt; `hash` is of any kind, lower case."""

    name: str
    weight: float | None = None
    hash: str | None = None


@dataclass
class Infotext:
    """The texts of one picture. `loras` are those that its metadata names besides the prompt; `text` is what was read."""

    software: str
    prompt: str = ""
    negative_prompt: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    loras: list[NamedLora] = field(default_factory=list)
    sets: list[str] = field(default_factory=list)
    text: str = ""
