"""The words of a LoRA in groups: as the user arranged them, else as its trigger words and negative text say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

_TAGS = re.compile(r"<\w+:[^>]*>")


@dataclass(frozen=True)
class Group:
    """Words that are used together. `negative` ones belong into the negative prompt; outfits exclude each other, and the
    one that the prompt speaks of counts."""

    words: tuple[str, ...]
    name: str | None = None
    mode: str = "always"
    place: str = "end"
    negative: bool = False
    outfit: bool = False

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "words": list(self.words)}


def groups_of(
    trigger_words: Sequence[str], negative: str, said: Sequence[dict[str, Any]] | None
) -> list[Group]:
    """The groups of a LoRA: as the user `said`, else one made of its trigger words.

    Several trigger words that are lists themselves ("miku, red dress", "miku, armour") are outfits: the first is used
    unless the prompt speaks of another.
    """
    if said is not None:
        return [_as_said(one) for one in said]
    lists = [split_words(word) for word in trigger_words]
    outfits = [words for words in lists if len(words) > 1]
    groups = []
    if len(outfits) > 1:
        single = tuple(words[0] for words in lists if len(words) == 1)
        groups = [Group(single)] if single else []
        groups += [
            Group(tuple(words), None, "ask" if at else "always", outfit=True)
            for at, words in enumerate(outfits)
        ]
    elif any(lists):
        groups = [Group(tuple(dict.fromkeys(word for words in lists for word in words)))]
    negatives = split_words(negative)
    return [*groups, Group(tuple(negatives), negative=True)] if negatives else groups


def _as_said(one: dict[str, Any]) -> Group:
    """A group as it is kept; what was not said is as in a new one."""
    return Group(
        words=tuple(one["words"]),
        name=one.get("name"),
        mode=one.get("mode", "always"),
        place=one.get("place", "end"),
        negative=one.get("negative", False),
        outfit=one.get("outfit", False),
    )


def split_words(text: str) -> list[str]:
    """The parts between commas, without tags (authors put `<lora:…>` among their trigger words); brackets hold together."""
    parts, depth, part = [], 0, ""
    end = text.rfind(">") + 1  # no tag ends behind it: so the time grows with the length alone
    for character in _TAGS.sub(" ", text[:end]) + text[end:]:
        depth = max(0, depth + (character in "([{") - (character in ")]}"))
        if character in ",\n" and not depth:
            parts.append(part)
            part = ""
        else:
            part += character
    return [word for word in (" ".join(one.split()) for one in (*parts, part)) if word]
