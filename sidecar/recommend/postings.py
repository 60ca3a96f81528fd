"""An inverted index over hashed tokens: which documents share tokens with a query, and how rare those are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sidecar.recommend.tokens import Tokens

Floats = npt.NDArray[np.float32]

K1, B = 1.2, 0.75
"""BM25's usual constants: how soon a word counts no more, and how much a long text is held against it."""
COMMON = 0.5
"""Tokens that more of the documents have than this say nothing and cost much; they are passed over."""
FREQUENT = 0.1
"""Of a token that more of the documents have than this it is noted for each document whether it has it: faster to add up. Not
where a token counts more in one document than in another."""


class Postings:
    """Documents by token. A token counts once a document, with its inverse document frequency (idf).

    `shared(query)` is Σ idf of the tokens that a document shares with the query, for all documents at once; with
    `bm25` (one factor a document) it becomes BM25, with `total` (Σ idf of all its tokens) the part that is covered.
    With `counts`, how often each document has each of its tokens, `shared` is BM25 already, and `bm25` is 1.
    """

    def __init__(self, documents: Sequence[Tokens], counts: Sequence[Tokens] | None = None) -> None:
        self.count = len(documents)
        lengths = np.fromiter((len(one) for one in documents), np.int32, self.count)
        tokens = np.concatenate(documents) if self.count else np.empty(0, np.uint32)
        owners = np.repeat(np.arange(self.count, dtype=np.int32), lengths)
        order = np.argsort(tokens, kind="stable")
        self._vocabulary, starts = np.unique(tokens[order], return_index=True)
        self._starts = np.append(starts, len(tokens)).astype(np.int64)
        self._owners = owners[order]
        frequency = np.diff(self._starts)
        self._idf = np.log1p((self.count - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)
        self._useful = frequency <= max(COMMON * self.count, 20)
        often = self._useful & (frequency > FREQUENT * self.count) & (counts is None)
        self._frequent = {place: self._mask(place) for place in np.flatnonzero(often).tolist()}
        self._unknown = float(np.log1p((self.count + 0.5) / 0.5))
        self.total = self._totals(tokens, owners)
        average = float(lengths.mean()) if self.count else 1.0
        length = K1 * (1 - B + B * lengths / max(average, 1.0))
        self._impact: npt.NDArray[np.float16] | None = None
        if counts is not None and self.count:
            times = np.concatenate(counts)[order]
            self._impact = (times * (K1 + 1) / (times + length[self._owners])).astype(np.float16)
            length = np.full(self.count, K1)
        self.bm25: Floats = ((K1 + 1) / (1 + length)).astype(np.float32)

    def _totals(self, tokens: Tokens, owners: npt.NDArray[np.int32]) -> Floats:
        weights = (
            self._idf[np.searchsorted(self._vocabulary, tokens)] if len(tokens) else np.empty(0, np.float32)
        )
        return np.maximum(np.bincount(owners, weights, self.count), 1e-3).astype(np.float32)

    def shared(self, query: Tokens) -> Floats:
        """Σ idf of the shared tokens, float32, one a document."""
        scores = np.zeros(self.count, np.float32)
        for place in self._known(query).tolist():
            mask = self._frequent.get(place)
            if mask is not None:
                scores += self._idf[place] * mask
            elif self._useful[place]:
                run = slice(self._starts[place], self._starts[place + 1])
                impact = 1 if self._impact is None else self._impact[run]
                scores[self._owners[run]] += self._idf[place] * impact
        return scores

    def _mask(self, place: int) -> npt.NDArray[np.bool_]:
        """Which documents have the token at a place of the vocabulary."""
        mask = np.zeros(self.count, bool)
        mask[self._owners[self._starts[place] : self._starts[place + 1]]] = True
        return mask

    def weight_of(self, query: Tokens) -> float:
        """Σ idf of a query's tokens, those that no document has included: the most that can be shared; at least 1."""
        known = self._known(query)
        return max(1.0, float(self._idf[known].sum()) + self._unknown * (len(query) - len(known)))

    def rarity(self, query: Tokens) -> Floats:
        """The idf of each token of a query."""
        places = np.searchsorted(self._vocabulary, query)
        known = places < len(self._vocabulary)
        known[known] = self._vocabulary[places[known]] == query[known]
        found = np.full(len(query), self._unknown, np.float32)
        found[known] = self._idf[places[known]]
        return found

    def owners_of(self, query: Tokens) -> list[tuple[int, npt.NDArray[np.int32]]]:
        """(place in the query, documents) for every token of it that any document has."""
        places = np.searchsorted(self._vocabulary, query)
        return [
            (at, self._owners[self._starts[place] : self._starts[place + 1]])
            for at, place in enumerate(places)
            if place < len(self._vocabulary) and self._vocabulary[place] == query[at]
        ]

    def _known(self, query: Tokens) -> npt.NDArray[np.int64]:
        if not len(self._vocabulary):
            return np.empty(0, np.int64)
        places = np.minimum(np.searchsorted(self._vocabulary, query), len(self._vocabulary) - 1)
        found: npt.NDArray[np.int64] = places[self._vocabulary[places] == query]
        return found
