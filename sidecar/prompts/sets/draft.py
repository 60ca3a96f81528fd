"""A set made of a prompt: its LoRAs with their weights and the words that are used of them, and the rest as text."""

from __future__ import annotations

from typing import Any

from sidecar.database import Database
from sidecar.library.word_groups import split_words
from sidecar.prompts.grammar import Tag, find_tags, replace_tags, to_number
from sidecar.prompts.resolve import Resolved, resolve_all
from sidecar.prompts.sets.reading import base_of
from sidecar.prompts.words import Said

_NUMBERS = ("te", "unet", "in", "mid", "out")


def draft_set(database: Database, prompt: str, negative: str) -> dict[str, Any]:
    """What a set of this prompt would hold; a LoRA that the library does not have is kept by its name."""
    tags = [tag for tag in find_tags(prompt) if tag.is_lora and not tag.is_draw]
    found = resolve_all(database.reader(), [tag.name for tag in tags])
    said, said_negative = Said(prompt), Said(negative)
    loras, used, bases = list[dict[str, Any]](), set[str](), list[str]()
    negative_used = set[str]()
    for tag in tags:
        lora = found[tag.name]
        words = _used_words(lora, said, negative=False)
        used.update(words)
        negative_used.update(_used_words(lora, said_negative, negative=True))
        bases += [lora.base_model] if lora else []
        loras.append(
            {
                **_said(tag),
                "lora_id": lora and lora.id,
                "name": lora.name if lora else tag.name.strip(),
                "words": words or None,
            }
        )
    text = replace_tags(prompt, tags, [None] * len(tags))
    return {
        "loras": loras,
        "prompt": _without(text, used),
        "negative_prompt": _without(negative, negative_used),
        "detected_base_model": base_of(bases),
    }


def _used_words(lora: Resolved | None, said: Said, *, negative: bool) -> list[str]:
    groups = lora.groups if lora else []
    words = (word for group in groups if group.negative == negative for word in group.words if said.has(word))
    return list(dict.fromkeys(words))


def _said(tag: Tag) -> dict[str, Any]:
    """The tag's numbers, by the names that a set keeps them under."""
    weight = tag.weight
    said: dict[str, Any] = {"weight": weight if weight is None or abs(weight) <= 100 else None}
    for key in _NUMBERS:
        number = to_number(tag.named(key) or "")
        if number is not None and abs(number) <= 100:
            said[key] = number
    dyn = tag.named("dyn")
    if dyn and dyn.isdecimal() and 1 <= int(dyn[:9]) <= 100_000:
        said["dyn"] = int(dyn[:9])
    return said


def _without(text: str, words: set[str]) -> str:
    """The text without those of its parts that are one of these words and nothing else."""
    if not words:
        return text.strip().strip(",").strip()
    plain = {word.casefold() for word in words}
    kept = [part for part in split_words(text) if part.casefold() not in plain] if "<" not in text else None
    if kept is None:  # with tags in it, part by part as it stands
        kept = [
            part.strip() for part in text.split(",") if part.strip() and part.strip().casefold() not in plain
        ]
    return ", ".join(kept)
