"""What the parts of the map are called: words and tags that are frequent in a part and seldom elsewhere."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np

from sidecar.recommend.documents import LoraText
from sidecar.recommend.map.neighbours import Places
from sidecar.recommend.postings import Floats
from sidecar.recommend.tokens import words_of, words_of_name

LEVELS = ((600, 4, 10), (120, 10, 60), (28, 30, 400))
"""For each level, from afar to near: LoRAs of a part, about; and the fewest and the most parts."""
LEAST = 4
"""LoRAs of a part that must share a word."""
SHARE = 0.1
"""The part of a part's LoRAs that must share a word."""
ROUNDS = 12
TAG = 1.5
"""A tag counts so many times what a word of a title does."""
_EMPTY = frozenset(
    words_of(
        """the and for with from style lora loras locon lycoris lyco model concept character characters version epoch final
        sdxl pony illustrious noob noobai flux sd15 v10 safetensors test new old type not all one you your this
        base woman man girl boy female male person tool other celebrity poses clothing object action background buildings vehicle
        animal assets styles"""
    )
)


def name_regions(loras: Iterable[LoraText], ids: Places, points: Floats) -> list[dict[str, Any]]:
    """{"text", "x", "y", "level", "count"} for the parts of one island that have something in common; level 0 is to be seen from
    afar, 2 from near. `ids` are those of the rows of `points`."""
    place_of = {int(lora): place for place, lora in enumerate(ids)}
    terms: list[set[tuple[str, bool]]] = [set() for _ in range(len(ids))]
    for lora in loras:
        place = place_of.get(lora.id)
        if place is not None:
            terms[place] = _terms_of(lora)
    overall = Counter(term for some in terms for term in some)
    found: list[dict[str, Any]] = []
    for level, (size, fewest, most) in enumerate(LEVELS):
        parts = max(1, min(most, max(fewest, len(ids) // size)))
        if len(ids) < 2 * LEAST or parts * LEAST > len(ids):
            continue
        members = _part(points, parts)
        named: dict[str, dict[str, Any]] = {}
        for one in range(parts):
            region = _name(np.flatnonzero(members == one), terms, overall, points)
            if region and named.get(region["text"], {"count": 0})["count"] < region["count"]:
                named[region["text"]] = {**region, "level": level}
        found += named.values()
    return found


def _terms_of(lora: LoraText) -> set[tuple[str, bool]]:
    """(word, is it a tag) that may name a part."""
    found = {(tag.lower().strip(), True) for tag in lora.tags if tag.lower().strip() not in _EMPTY}
    words = words_of_name(lora.title or lora.stem)
    tags = {tag for tag, _ in found}
    found |= {
        (word, False)
        for word in words
        if len(word) > 2 and not any(letter.isdigit() for letter in word) and word not in _EMPTY | tags
    }
    return {(term, tag) for term, tag in found if 2 < len(term) <= 28 and not term.isdigit()}


def _name(
    members: Places, terms: list[set[tuple[str, bool]]], overall: Counter[tuple[str, bool]], points: Floats
) -> dict[str, Any] | None:
    size = len(members)
    if size < LEAST:
        return None
    here = Counter(term for place in members for term in terms[place])
    scores: defaultdict[str, float] = defaultdict(float)
    for (term, tag), many in here.items():
        if many >= max(LEAST - 1, SHARE * size):
            lift = (many / size) / (overall[term, tag] / len(terms))
            if lift > 1.25:
                scores[term] += (TAG if tag else 1) * many / size * math.log(lift) ** 2
    if not scores:
        return None
    best = sorted(scores, key=lambda term: (-scores[term], term))[:3]
    words = [best[0]]
    for term in best[1:]:
        apart = not any(_like(term, word) for word in words)
        if apart and scores[term] > 0.5 * scores[best[0]] and len(" · ".join([*words, term])) <= 26:
            words.append(term)
            break
    holders = [place for place in members if any((words[0], tag) in terms[place] for tag in (True, False))]
    x, y = np.median(points[holders], axis=0)
    return {
        "text": " · ".join(word.replace("_", " ") for word in words),
        "x": float(x),
        "y": float(y),
        "count": size,
    }


def _like(one: str, other: str) -> bool:
    """Whether they say the same: "art style" and "artstyle", "pokemon" and "pokemon character"."""
    one, other = ("".join(words_of(word)) for word in (one, other))
    return one in other or other in one


def _part(points: Floats, parts: int) -> Places:
    """Which of `parts` parts of the plane each point is in (k-means from places that are spread evenly over the points)."""
    order = np.lexsort((points[:, 1], np.floor(points[:, 0] / max(1e-9, float(np.ptp(points[:, 0]))) * 8)))
    middles = points[order[np.linspace(0, len(points) - 1, parts).astype(np.int64)]].astype(np.float32)
    members = np.zeros(len(points), np.int64)
    for _ in range(ROUNDS):
        lengths = (middles * middles).sum(axis=1)
        for start in range(0, len(points), 8_192):
            block = points[start : start + 8_192]
            members[start : start + 8_192] = np.argmin(lengths - 2 * block @ middles.T, axis=1)
        counts = np.maximum(1, np.bincount(members, minlength=parts))
        for axis in (0, 1):
            middles[:, axis] = np.bincount(members, points[:, axis], parts) / counts
    return members
