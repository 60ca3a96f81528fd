"""LoRAs that are versions of one another: what one of them is used for, the others are good for, too."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from sidecar.recommend.documents import LoraText
from sidecar.recommend.ranges import Places, ranges
from sidecar.recommend.tokens import words_of, words_of_name

MOST = 20
"""Of a larger family the name says nothing."""
_NUMBER = re.compile(r"v?\d+")


class Kin:
    """Families of 2 to `MOST` LoRAs that have one title; without a title, one file name but for numbers and versions.

    `family[i]` is the family of the LoRA at position i, -1 for none; there are `count`.
    """

    def __init__(self, loras: Sequence[LoraText]) -> None:
        named: dict[str, list[int]] = {}
        for place, lora in enumerate(loras):
            words = words_of(lora.title) or [
                one for one in words_of_name(lora.stem) if not _NUMBER.fullmatch(one)
            ]
            if words:
                named.setdefault(" ".join(words), []).append(place)
        families = [places for places in named.values() if 1 < len(places) <= MOST]
        sizes = [len(places) for places in families]
        self.count = len(families)
        self.family = np.full(len(loras), -1, np.int64)
        self._members = np.array([place for places in families for place in places], np.int64)
        self._starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.family[self._members] = np.repeat(np.arange(self.count), sizes)

    def of(self, loras: Places) -> Places:
        """All members of the families of these LoRAs, themselves included, family by family."""
        families = np.unique(self.family[loras])
        found: Places = self._members[ranges(self._starts, families[families >= 0])[0]]
        return found
