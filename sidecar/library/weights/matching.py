"""Which fingerprints look alike: new ones against all known ones of the same layers, as products of matrices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from sidecar.database import Database
from sidecar.library.weights.fingerprint import LENGTH, OTHER_RANKS, SAME_RANKS, Fingerprint
from sidecar.library.weights.tensors import Array

MOST = 50  # pairs for one new content


@dataclass
class _Group:
    """Contents of one signature; the first `len(hashes)` rows of `vectors` are theirs."""

    hashes: list[str] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    coarse: list[bool] = field(default_factory=list)
    vectors: Array = field(default_factory=lambda: np.zeros((16, LENGTH), np.float32))

    def append(self, body_hash: str, ranks: int, dtype: str, vector: Array) -> None:
        count = len(self.hashes)
        if count == len(self.vectors):
            self.vectors = np.concatenate([self.vectors, np.zeros_like(self.vectors)])
        self.vectors[count] = vector
        self.hashes.append(body_hash)
        self.ranks.append(ranks)
        self.coarse.append(dtype.startswith("F8"))

    def like(self, vector: Array) -> Iterator[tuple[int, float]]:
        """Places of those that may be the same, with the estimated cosine, the most alike first."""
        cosines = self.vectors[: len(self.hashes)] @ vector
        places = np.flatnonzero(cosines >= OTHER_RANKS)
        for place in places[np.argsort(-cosines[places])]:
            yield int(place), float(cosines[place])


class Matcher:
    """Known fingerprints, read from the database group by group as they are needed; keep it only while in use."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._groups: dict[str, _Group] = {}

    def match(self, taken: dict[str, Fingerprint]) -> list[tuple[str, str, float]]:
        """(a, b, estimated cosine) with a < b, of new contents with known ones and with each other."""
        pairs = []
        met: dict[str, _Group] = {}
        for body_hash, one in taken.items():
            if one.signature is None or one.vector is None:
                continue
            found = 0
            for group in (self._group(one.signature), met.setdefault(one.signature, _Group())):
                for place, cosine in group.like(one.vector):
                    other = group.hashes[place]
                    finely = not (group.coarse[place] or one.dtype.startswith("F8"))
                    if finely and group.ranks[place] == one.ranks and cosine < SAME_RANKS:
                        continue
                    if other == body_hash or found >= MOST:
                        continue
                    pairs.append((min(body_hash, other), max(body_hash, other), cosine))
                    found += 1
            met[one.signature].append(body_hash, one.ranks, one.dtype, one.vector)
        return pairs

    def add(self, taken: dict[str, Fingerprint]) -> None:
        """They are stored now and known from here on."""
        for body_hash, one in taken.items():
            if one.signature in self._groups and one.vector is not None:
                self._groups[one.signature].append(body_hash, one.ranks, one.dtype, one.vector)

    def _group(self, signature: str) -> _Group:
        if signature not in self._groups:
            group = self._groups[signature] = _Group()
            for row in self._database.reader().execute(
                "SELECT body_hash, ranks, dtype, vector FROM fingerprints WHERE signature = ?", (signature,)
            ):
                vector = np.frombuffer(row["vector"], "<f4")
                if len(vector) == LENGTH:
                    group.append(row["body_hash"], row["ranks"], row["dtype"], vector)
        return self._groups[signature]
