"""The nearest neighbours of every row of a matrix, exactly, block by block; and the matrix with fewer columns before."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sidecar.recommend.postings import Floats

Places = npt.NDArray[np.int64]

BLOCK_NUMBERS = 8_000_000
"""Similarities that are held at once."""


class Nearest(NamedTuple):
    """Row i: the places (count × k) of those nearest to row i, nearest first and never itself, and their `cosines`."""

    places: Places
    cosines: Floats


def to_unit(vectors: Floats) -> Floats:
    """Each row of length 1; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)


def squeeze(vectors: Floats, columns: int) -> Floats:
    """The rows along their `columns` main directions (PCA of what differs from their mean), if they have more columns."""
    centred = vectors - vectors.mean(axis=0)
    if vectors.shape[1] <= columns or len(vectors) < 2:
        return np.asarray(centred, np.float32)
    spread, directions = np.linalg.eigh(np.asarray(centred.T @ centred, np.float64))
    main = directions[:, np.argsort(spread)[::-1][:columns]]
    main *= np.where(main.sum(axis=0) < 0, -1, 1)  # a direction's sign is chance
    return np.asarray(centred @ main.astype(np.float32), np.float32)


def find_nearest(vectors: Floats, k: int, among: Floats | None = None) -> Nearest:
    """The `k` rows of highest cosine for each row of `vectors` (of unit length): of the same matrix, itself left out, or of
    `among`. Fewer than k when there are no more.
    """
    others = vectors if among is None else among
    k = max(0, min(k, len(others) - (among is None)))
    places = np.zeros((len(vectors), k), np.int64)
    cosines = np.zeros((len(vectors), k), np.float32)
    step = max(1, BLOCK_NUMBERS // max(1, len(others)))
    for start in range(0, len(vectors) if k else 0, step):
        block = vectors[start : start + step] @ others.T
        if among is None:
            block[np.arange(len(block)), np.arange(start, start + len(block))] = -np.inf
        part = np.argpartition(-block, k - 1, axis=1)[:, :k]
        found = np.take_along_axis(block, part, axis=1)
        order = np.argsort(-found, axis=1, kind="stable")
        places[start : start + step] = np.take_along_axis(part, order, axis=1)
        cosines[start : start + step] = np.take_along_axis(found, order, axis=1)
    return Nearest(places, cosines)
