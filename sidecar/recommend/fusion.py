"""Weighs the signals: a small network whose numbers (fusion.json) were fitted by benchmarks/fit_recommend.py, on prompts
whose LoRAs are known. See docs/recommend.md for how, and for what each signal is worth."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import orjson

from sidecar.recommend.postings import Floats
from sidecar.recommend.signals import Signals

FILE = Path(__file__).with_name("fusion.json")


class Fusion:
    """score = tanh(x · first + shift) · second, where x are the normalised `inputs_of` the signals."""

    def __init__(self, numbers: dict[str, list[float] | list[list[float]]]) -> None:
        self._mean, self._spread, self._first, self._shift, self._second = (
            np.array(numbers[name], np.float32) for name in ("mean", "spread", "first", "shift", "second")
        )

    def score(self, values: Floats) -> Floats:
        """One score a row; only their order and differences mean something."""
        inputs = (inputs_of(values) - self._mean) / self._spread
        scores: Floats = np.tanh(inputs @ self._first + self._shift) @ self._second
        return scores


def inputs_of(values: Floats) -> Floats:
    """Each signal thrice: as it is, as a part of its highest, and 1 divided by its rank (0 for none, ties have the best)."""
    parts = values / np.maximum(values.max(axis=0, initial=0), 1e-6)
    count = len(values)
    ranks = np.empty_like(values)
    for column, ascending in zip(range(values.shape[1]), np.sort(values, axis=0).T):
        ranks[:, column] = 1 + count - np.searchsorted(ascending, values[:, column], side="right")
    return np.concatenate([values, parts, (values > 0) / ranks], axis=1, dtype=np.float32)


@lru_cache(maxsize=2)
def fusion_for(names: tuple[str, ...]) -> Fusion:
    """The fusion for these signals: there is one with and one without embeddings."""
    kept = orjson.loads(FILE.read_bytes())
    for numbers in kept["fusions"]:
        if tuple(numbers["signals"]) == names:
            return Fusion(numbers)
    raise ValueError(f"{FILE.name} has no numbers for the signals {', '.join(names)}")


def fuse(signals: Signals) -> Floats:
    """A score for each LoRA of the signals."""
    return fusion_for(signals.names).score(signals.values)
