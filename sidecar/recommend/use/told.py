"""Why LoRAs go together or are alike, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zlib import crc32

from sidecar.recommend.tokens import words_of
from sidecar.recommend.use.baskets import EXAMPLE, OWN, SET
from sidecar.recommend.use.index import UseIndex

SHOWN = 4
"""Shared words that are named."""
TELLING_LIFT = 1.5
"""From here on a lift is worth telling."""
ALIKE = 0.15
"""From which cosine on texts are said to be alike."""

Reason = dict[str, Any]


def together(index: UseIndex, given: Sequence[int], place: int) -> list[Reason]:
    """In what they stand together, with support (images and sets) and lift."""
    counts = index.counts
    shared = counts.images_with(given, place)
    if not any(shared.values()):
        return []
    lift = max(counts.lift(one, place) for one in given)
    said = [
        text
        for text in (
            _number(shared[OWN], "in one of your images", "in {} of your images"),
            _number(shared[SET], "in one of your sets", "in {} of your sets"),
            _number(shared[EXAMPLE], "in an author's example", "in {} authors' examples"),
        )
        if text
    ]
    text = f"Together {', '.join(said)}" + (
        f"; {lift:.1f} times as often as by chance" if lift >= TELLING_LIFT else ""
    )
    return [
        {
            "kind": "use",
            "text": text,
            "support": sum(shared.values()),
            "own": shared[OWN],
            "sets": shared[SET],
            "examples": shared[EXAMPLE],
            "lift": round(lift, 2),
        }
    ]


def popular(index: UseIndex, place: int) -> list[Reason]:
    """How many other LoRAs it is used with."""
    others, _ = index.counts.companions(place)
    if not len(others):
        return []
    text = (
        "Used together with another LoRA"
        if len(others) == 1
        else f"Used together with {len(others)} other LoRAs"
    )
    return [{"kind": "use", "text": text, "support": 0, "lift": 0.0}]


def alike(index: UseIndex, one: int, other: int, cosine: float, least: float = ALIKE) -> list[Reason]:
    """Which words both have in what is said of them."""
    if cosine < least:
        return []
    words = shared_words(index, one, other)
    text = f"Both are about {', '.join(words)}" if words else "What is said of both is alike"
    return [{"kind": "text", "text": text, "score": round(cosine, 4), "detail": words}]


def shared_words(index: UseIndex, one: int, other: int) -> list[str]:
    """The most telling words of the first that the second has as well."""
    mine, values = index.about.row(one)
    theirs = set(index.about.row(other)[0].tolist())
    strength = {int(token): float(value) for token, value in zip(mine, values) if int(token) in theirs}
    lora = index.loras[one]
    said = (lora.stem, lora.title, *lora.trigger_words, *lora.tags, lora.about)
    words = dict.fromkeys(word for text in said for word in words_of(text))
    tokens = {word: crc32(word.encode("utf-8", "replace")) for word in words}
    known = [word for word in words if tokens[word] in strength]
    return sorted(known, key=lambda word: -strength[tokens[word]])[:SHOWN]


def opinion(shift: float) -> list[Reason]:
    """What the user's feedback had to do with it."""
    if abs(shift) < 0.05:
        return []
    text = "Your feedback speaks for it" if shift > 0 else "Your feedback speaks against it"
    return [{"kind": "feedback", "text": text, "score": round(shift, 2)}]


def _number(count: int, one: str, many: str) -> str:
    return "" if not count else one if count == 1 else many.format(count)


def shared_company(index: UseIndex, one: int, other: int) -> list[str]:
    """The titles of the LoRAs that both are used with, those of most evidence first."""
    mine, theirs = dict(zip(*index.counts.companions(one))), dict(zip(*index.counts.companions(other)))
    both = sorted(set(mine) & set(theirs), key=lambda place: -min(mine[place], theirs[place]))
    return [index.loras[place].title or index.loras[place].stem for place in both[:SHOWN]]
