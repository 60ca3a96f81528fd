"""Co-use in arrays: how often each LoRA stands together with others, answered for one LoRA at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sidecar.recommend.use.baskets import EXAMPLE, OWN, SET, Basket

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]

EVIDENCE = {OWN: 6.0, SET: 6.0, EXAMPLE: 1.0}
"""What a basket of each source counts."""
DAMPED = 0.5
"""A basket that occurs n times counts n to this power: a hundred images of one idea are not a hundred ideas."""


class Counts:
    """Baskets by LoRA and LoRAs by basket, `count` LoRAs in all.

    `used[p]` is the evidence of all baskets that the LoRA at p is in, `paired[p]` of those with another one in them,
    `total` that of all baskets.
    """

    def __init__(self, count: int, baskets: Sequence[Basket]) -> None:
        self.count = count
        lengths = np.fromiter((len(one.loras) for one in baskets), np.int64, len(baskets))
        self._start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self._members = np.fromiter(
            (place for one in baskets for place in one.loras), np.int64, int(lengths.sum())
        )
        self._source = np.fromiter((one.source for one in baskets), np.int8, len(baskets))
        self.images = np.fromiter((one.images for one in baskets), np.int64, len(baskets))
        batches = np.fromiter((one.batches for one in baskets), np.float32, len(baskets))
        weights = np.array([EVIDENCE[source] for source in (OWN, SET, EXAMPLE)], np.float32)
        self.evidence: Floats = (batches**DAMPED * weights[self._source]).astype(np.float32)
        owners = np.repeat(np.arange(len(baskets)), lengths)
        order = np.argsort(self._members, kind="stable")
        self._of_lora = owners[order]
        self._lora_start = np.searchsorted(self._members[order], np.arange(count + 1)).astype(np.int64)
        self.used = self._summed(np.arange(len(baskets)))
        self.paired = self._summed(np.flatnonzero(lengths > 1))
        self.total = float(self.evidence.sum())
        self.together_at_all = bool((lengths > 1).any())

    def baskets_of(self, place: int) -> Places:
        """The baskets that the LoRA at `place` is in."""
        found: Places = self._of_lora[self._lora_start[place] : self._lora_start[place + 1]]
        return found

    def together(self, place: int) -> Floats:
        """The evidence of baskets that each LoRA shares with the one at `place`, which has 0 itself."""
        found = self._summed(self.baskets_of(place))
        found[place] = 0
        return found

    def companions(self, place: int) -> tuple[Places, Floats]:
        """(places, evidence) of the LoRAs that were ever with the one at `place`: `together` without its zeros."""
        members, weights = self._members_of(self.baskets_of(place))
        places, inverse = np.unique(members, return_inverse=True)
        evidence = np.bincount(inverse, weights, len(places)).astype(np.float32)
        others = places != place
        return places[others], evidence[others]

    def images_with(self, places: Sequence[int], other: int) -> dict[int, int]:
        """By source, in how many images (or sets) `other` stands with any of these."""
        baskets = np.unique(np.concatenate([self.baskets_of(place) for place in places]))
        shared = np.intersect1d(baskets, self.baskets_of(other), assume_unique=True)
        return {
            source: int(self.images[shared[self._source[shared] == source]].sum())
            for source in (OWN, SET, EXAMPLE)
        }

    def lift(self, place: int, other: int) -> float:
        """How much more often the two stand in one basket than two that have nothing to do with each other; 1: as often.
        Counted in evidence and shrunk: one basket in common, of evidence 1, is never more than 2."""
        shared = np.intersect1d(self.baskets_of(place), self.baskets_of(other))
        expected = float(self.used[place]) * float(self.used[other]) / max(self.total, 1e-9)
        return (float(self.evidence[shared].sum()) + 1) / (expected + 1)

    def _summed(self, baskets: Places) -> Floats:
        members, weights = self._members_of(baskets)
        return np.bincount(members, weights, self.count).astype(np.float32)

    def _members_of(self, baskets: Places) -> tuple[Places, Floats]:
        """(members, evidence of the basket) of all of these baskets, one after the other."""
        lengths = self._start[baskets + 1] - self._start[baskets]
        offset = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return self._members[np.repeat(self._start[baskets], lengths) + offset], np.repeat(
            self.evidence[baskets], lengths
        )
