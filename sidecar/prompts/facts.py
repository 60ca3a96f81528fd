"""What a host tells of itself: which checkpoint it has loaded, its options, its extensions. Everything may be missing."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sidecar.library.base_model import UNKNOWN
from sidecar.library.foreign import as_number, as_object, as_string
from sidecar.prompts.grammar import find_comments, find_first_comment, find_hash_comments

A1111_LINE = ("a1111", "reforge", "forge")

# Base models of one architecture: a LoRA of one loads on a checkpoint of another.
_ARCHITECTURES = (
    ("SDXL", "Pony", "Illustrious", "NoobAI"),
    ("SD 1.x",),
    ("SD 2.x",),
    ("SD 3",),
    ("Flux", "Chroma"),
)
_ARCHITECTURE_OF = {name: group[0] for group in _ARCHITECTURES for name in group}
# What a checkpoint's file name tells, when its host has not said what it has loaded.
_NAMES = (
    (re.compile(r"noob", re.I), "NoobAI"),
    (re.compile(r"illustrious|(?<![a-z])ilxl|(?<![a-z])wai(?![a-z])", re.I), "Illustrious"),
    (re.compile(r"pony|(?<![a-z])pdxl", re.I), "Pony"),
    (re.compile(r"sd_?xl|(?<![a-z])xl(?![a-z])|xl_?v?\d|xl$", re.I), "SDXL"),
    (re.compile(r"flux", re.I), "Flux"),
    (re.compile(r"sd_?v?3", re.I), "SD 3"),
    (re.compile(r"v2-1|sd_?v?2(?!\d)", re.I), "SD 2.x"),
    (re.compile(r"v1-[45]|sd_?v?1[._-]?[45]?(?!\d)", re.I), "SD 1.x"),
)


@dataclass(frozen=True)
class Facts:
    """One host as it is now."""

    host: str | None = None
    checkpoint: str | None = None
    checkpoint_base: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    extensions: tuple[str, ...] | None = None
    comments: bool = False
    lora_dir: str | None = None
    batch_size: int = 1

    @property
    def is_sdnext(self) -> bool:
        return self.host == "sdnext"

    @property
    def is_a1111_line(self) -> bool:
        return self.host in A1111_LINE

    @property
    def drops_all(self) -> bool:
        """Whether one unknown name costs the image every LoRA: Forge and reForge raise, A1111 itself leaves that one out."""
        return self.host in ("reforge", "forge")

    @property
    def counts_last_twice(self) -> bool:
        """Whether one object in memory stands for every mention of a LoRA, so that the last one's weights count for each."""
        return self.host in ("sdnext", "a1111")

    @property
    def default_weight(self) -> float:
        """What the host takes for a tag without a weight."""
        number = as_number(self.options.get("extra_networks_default_multiplier"))
        return number if self.is_sdnext and number is not None else 1.0

    def option(self, name: str) -> Any:
        """An option of the host, None when it has not told."""
        return self.options.get(name)

    def lacks_extension(self, *parts: str) -> bool:
        """Whether the host has told its extensions, and none has one of `parts` in its name."""
        return self.extensions is not None and not any(
            part in name for name in self.extensions for part in parts
        )


def read_facts(host: str | None, checkpoint: str | None, told: Any) -> Facts:
    """Facts as a host sent them; what is of a wrong type counts as not told."""
    values = as_object(told)
    extensions = values.get("extensions")
    return Facts(
        host=host,
        checkpoint=checkpoint,
        checkpoint_base=_writable(values.get("checkpoint_base")) or base_by_name(checkpoint),
        options=as_object(values.get("options")),
        extensions=tuple(str(name).lower() for name in extensions) if isinstance(extensions, list) else None,
        comments=values.get("comments") is True,
        lora_dir=as_string(values.get("lora_dir")),
        batch_size=int(as_number(values.get("batch_size")) or 1),
    )


def _writable(value: Any) -> str | None:
    """A text that can be said back: one with half a character in it (a lone surrogate) counts as not told."""
    text = as_string(value)
    return text if text and text.encode("utf-8", "ignore").decode() == text else None


def comments_in(prompt: str, facts: Facts) -> list[tuple[int, int]]:
    """Places of a prompt that the host takes out before it reads the tags."""
    if facts.is_sdnext:
        return find_first_comment(prompt)
    if not facts.comments:
        return []
    return find_comments(prompt) if facts.host == "reforge" else find_hash_comments(prompt)


def base_by_name(checkpoint: str | None) -> str | None:
    """The base model that a checkpoint's file name speaks of, if it does."""
    return next((base for pattern, base in _NAMES if checkpoint and pattern.search(checkpoint)), None)


def fits(base_model: str, checkpoint_base: str | None) -> bool | None:
    """Whether a LoRA for `base_model` loads on a checkpoint; None when that cannot be told."""
    if base_model == checkpoint_base:
        return True
    if checkpoint_base is None or UNKNOWN in (base_model, checkpoint_base):
        return None
    own, other = _ARCHITECTURE_OF.get(base_model), _ARCHITECTURE_OF.get(checkpoint_base)
    return own == other if own or other else None


class Hosts:
    """What the host that spoke last has told; kept in memory, since it is told anew whenever a host starts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: tuple[str | None, str | None, dict[str, Any], float | None] = (None, None, {}, None)

    def tell(self, host: str | None, checkpoint: str | None, facts: dict[str, Any]) -> None:
        with self._lock:
            self._told = (host, checkpoint, facts, time.time())

    def told(self) -> dict[str, Any]:
        """{"host", "checkpoint", "facts", "seen"}; `seen` is None when no host has spoken yet."""
        host, checkpoint, facts, seen = self._told
        return {"host": host, "checkpoint": checkpoint, "facts": facts, "seen": seen}

    def facts(self, host: str | None, checkpoint: str | None, facts: dict[str, Any] | None) -> Facts:
        """The facts to judge a prompt by: those given, else those last told."""
        told = self.told()
        if facts is None and host in (None, told["host"]):
            facts = (
                told["facts"]
                if checkpoint in (None, told["checkpoint"])
                else {**told["facts"], "checkpoint_base": None}
            )
        return read_facts(host or told["host"], checkpoint or told["checkpoint"], facts or {})
