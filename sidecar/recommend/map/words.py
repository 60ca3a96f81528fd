"""What is said of LoRAs as vectors, without a text model: counted words, made few by a truncated SVD (latent semantic
analysis; Halko, Martinsson and Tropp, 2011, for the randomised way to it)."""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

import numpy as np
import numpy.typing as npt

from sidecar.recommend.documents import LoraText
from sidecar.recommend.map.neighbours import to_unit
from sidecar.recommend.postings import Floats
from sidecar.recommend.tokens import words_of, words_of_name

Ints = npt.NDArray[np.int64]

COLUMNS = 96
SPARE = 12
ROUNDS = 2
ABOUT = 600
"""Characters of a description that are looked at."""
BLOCK = 100_000
"""Words that are multiplied at once."""


class Counts:
    """Words by LoRA as a sparse matrix: `values[i]` stands in row `rows[i]` and column `columns[i]`, in the order of rows."""

    def __init__(self, rows: Ints, columns: Ints, values: Floats, shape: tuple[int, int]) -> None:
        self.shape = shape
        self._by_row = (rows, columns, values)
        order = np.argsort(columns, kind="stable")
        self._by_column = (columns[order], rows[order], values[order])

    def times(self, right: Floats) -> Floats:
        """This matrix times a dense one (columns × n)."""
        return _multiply(self._by_row, right, self.shape[0])

    def turned_times(self, right: Floats) -> Floats:
        """This matrix, transposed, times a dense one (rows × n)."""
        return _multiply(self._by_column, right, self.shape[1])


def _multiply(entries: tuple[Ints, Ints, Floats], right: Floats, size: int) -> Floats:
    into, out_of, values = entries
    product = np.zeros((size, right.shape[1]), np.float32)
    for start in range(0, len(into), BLOCK):
        part = slice(start, start + BLOCK)
        to = into[part]
        starts = np.flatnonzero(np.r_[True, to[1:] != to[:-1]])
        product[to[starts]] += np.add.reduceat(right[out_of[part]] * values[part, None], starts, axis=0)
    return product


def word_vectors(loras: Iterable[LoraText], seed: int = 0) -> Floats:
    """A row of unit length for each LoRA, zeros where none of its words says anything (count × at most `COLUMNS`)."""
    return reduce(count_words(loras), seed)


def count_words(loras: Iterable[LoraText]) -> Counts:
    """TF-IDF of names, titles, tags, trigger words and descriptions, each row of length 1."""
    rows: list[int] = []
    hashes: list[int] = []
    weights: list[float] = []
    count = 0
    for row, lora in enumerate(loras):
        count = row + 1
        found = weigh_words(lora)
        rows += [row] * len(found)
        hashes += found.keys()
        weights += found.values()
    known, columns = np.unique(np.array(hashes, np.int64), return_inverse=True)
    spread = np.bincount(columns, minlength=len(known))
    telling = (spread >= 2) & (spread < count)
    kept = telling[columns]
    renumbered = np.cumsum(telling) - 1
    place, column = np.array(rows, np.int64)[kept], renumbered[columns[kept]]
    values = np.array(weights)[kept] * np.log(count / np.maximum(1, spread))[columns[kept]]
    lengths = np.sqrt(np.bincount(place, values * values, minlength=count))
    values = values / np.maximum(lengths[place], 1e-9)
    return Counts(place, column, values.astype(np.float32), (count, int(telling.sum())))


def weigh_words(lora: LoraText) -> dict[int, float]:
    """How much each word (by its hash) counts for a LoRA: tags and titles most, descriptions least."""
    found: dict[int, float] = {}

    def add(words: Iterable[str], weight: float) -> None:
        for word in words:
            if word.isdigit() or (len(word) == 1 and word.isascii()):
                continue  # a version's number
            key = crc32(word.encode("utf-8", "replace"))
            found[key] = max(found.get(key, 0.0), weight)

    add(words_of(lora.about[:ABOUT]), 0.4)
    add((word for tag in lora.trained_on for word in words_of(tag)), 0.6)
    add(words_of_name(lora.stem), 0.8)
    add((word for phrase in lora.trigger_words[:20] for word in words_of(phrase)), 0.8)
    add(words_of_name(lora.title), 1.0)
    add((word for tag in lora.tags for word in words_of(tag)), 1.0)
    add((f"tag {tag.lower()}" for tag in lora.tags), 1.4)
    return found


def reduce(counts: Counts, seed: int = 0) -> Floats:
    """The rows along the main directions of the matrix, each of length 1."""
    rows, columns = counts.shape
    wanted = min(COLUMNS, rows, columns)
    if wanted == 0:
        return np.zeros((rows, 1), np.float32)
    chance = np.random.default_rng(seed)
    wide = min(wanted + SPARE, rows, columns)
    basis = _orthogonal(counts.times(chance.standard_normal((columns, wide)).astype(np.float32)))
    for _ in range(ROUNDS):
        basis = _orthogonal(counts.times(_orthogonal(counts.turned_times(basis))))
    left, strengths, _ = np.linalg.svd(counts.turned_times(basis).T, full_matrices=False)
    return to_unit(basis @ (left[:, :wanted] * np.sqrt(strengths[:wanted])))


def _orthogonal(matrix: Floats) -> Floats:
    return np.asarray(np.linalg.qr(matrix)[0], np.float32)
