"""TF-IDF cosines between documents of hashed tokens: which of tens of thousands are like a given one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sidecar.recommend.tokens import Tokens

Floats = npt.NDArray[np.float32]

KEPT = 48
"""Tokens of a document that are kept: its most telling ones. The rest costs time and changes little."""
COMMON = 0.3
"""Tokens that more of the documents have than this tell nothing."""


class Cosines:
    """Documents as unit vectors. `weights` says how often (or how strongly) each token stands in its document.

    A token weighs log(1 + weight) × log(n / documents with it).
    """

    def __init__(self, documents: Sequence[tuple[Tokens, Floats]]) -> None:
        self.count = len(documents)
        lengths = np.fromiter((len(tokens) for tokens, _ in documents), np.int64, self.count)
        tokens = np.concatenate([one for one, _ in documents]) if documents else np.empty(0, np.uint32)
        weights = np.concatenate([one for _, one in documents]) if documents else np.empty(0, np.float32)
        owners = np.repeat(np.arange(self.count), lengths)
        vocabulary, ids, frequency = np.unique(tokens, return_inverse=True, return_counts=True)
        idf = np.log(max(self.count, 1) / frequency)
        idf[frequency > max(COMMON * self.count, 20)] = 0
        values = (np.log1p(weights) * idf[ids]).astype(np.float32)
        order = np.lexsort((-values, owners))
        ids, values, owners = ids[order], values[order], owners[order]
        rank = np.arange(len(owners)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        kept = (rank < KEPT) & (values > 0)
        ids, values, owners = ids[kept], values[kept], owners[kept]
        length = np.sqrt(np.bincount(owners, values**2, self.count))
        values = (values / length[owners]).astype(np.float32)
        self._start = np.searchsorted(owners, np.arange(self.count + 1)).astype(np.int64)
        self._tokens, self._values = ids.astype(np.int32), values
        order = np.argsort(ids, kind="stable")
        self._owners, self._weights = owners[order].astype(np.int32), values[order]
        self._runs = np.searchsorted(ids[order], np.arange(len(vocabulary) + 1)).astype(np.int64)
        self.vocabulary = vocabulary

    def row(self, document: int) -> tuple[Tokens, Floats]:
        """(tokens, values) of one document, the most telling token first."""
        run = slice(self._start[document], self._start[document + 1])
        return self.vocabulary[self._tokens[run]], self._values[run]

    def like(self, document: int) -> Floats:
        """The cosine of one document with each, 0 to 1; with itself 0."""
        found = np.zeros(self.count, np.float32)
        run = slice(self._start[document], self._start[document + 1])
        for token, value in zip(self._tokens[run], self._values[run]):
            others = slice(self._runs[token], self._runs[token + 1])
            found[self._owners[others]] += value * self._weights[others]
        found[document] = 0
        return found

    def like_one(self, document: int, other: int) -> float:
        """The cosine of two documents."""
        run = slice(self._start[document], self._start[document + 1])
        others = slice(self._start[other], self._start[other + 1])
        _, mine, theirs = np.intersect1d(
            self._tokens[run], self._tokens[others], assume_unique=True, return_indices=True
        )
        return float(self._values[run][mine] @ self._values[others][theirs])
