"""A fingerprint of a file's weights: few numbers, from a small part of the file, that stay the same (or nearly) however
the weights were saved: other number format, other order, other names of one layer, smaller rank.

Of up to 16 modules, evenly spread over the sorted list, ΔW is projected by 4 pairs of ±1 vectors: uᵀ·ΔW·v, divided by
‖ΔW‖. For two files whose ΔW have the cosine c, each pair of such numbers is correlated by c; so the cosine of the 64
numbers estimates c, with an error of about (1 − c²)/8. (Random projections: Johnson-Lindenstrauss.)
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from sidecar.library.weights.alike import main_dtype
from sidecar.library.weights.delta import norm, project, read_delta
from sidecar.library.weights.modules import Module, find_modules, signature
from sidecar.library.weights.tensors import Array, BrokenTensor, Tensors

MODULES, PAIRS = 16, 4
LENGTH = MODULES * PAIRS
# From which estimated cosine on two files are compared in full.
SAME_RANKS, OTHER_RANKS = 0.98, 0.65


class Fingerprint(NamedTuple):
    """`vector` (float32, `LENGTH` of them, of length 1) is None when there is nothing to compare; `reason` says why.

    Only vectors of the same `signature` can be compared. `rank` is the most frequent one, `ranks` the sum of all.
    """

    signature: str | None
    dtype: str
    rank: int
    ranks: int
    vector: Array | None
    reason: str | None = None


def take_fingerprint(path: str) -> Fingerprint:
    """Read what it takes of one file.

    Raises:
        BrokenHeader: it is no .safetensors file, or one that is cut off.
        OSError: it cannot be read.
    """
    with Tensors(path) as tensors:
        modules = [module for module in find_modules(tensors.header)[0] if module.measurable]
        dtype = main_dtype(tensors.header, modules)
        ranks = [module.rank for module in modules]
        rank = max(ranks, key=ranks.count) if len(set(ranks)) < 64 and ranks else max(ranks, default=0)
        nothing = Fingerprint(None, dtype, rank, sum(ranks), None)
        if not modules:
            return nothing._replace(reason="It has no weights that can be compared.")
        vector = np.zeros((MODULES, PAIRS), np.float32)
        try:
            with np.errstate(all="ignore"):  # what is not a number is found below
                for row, module in zip(vector, _spread_out(modules)):
                    row[:] = _numbers(tensors, module)
        except BrokenTensor as error:
            return nothing._replace(reason=str(error))
    length = np.linalg.norm(vector)
    if not np.isfinite(length) or length == 0:
        return nothing._replace(reason="Its weights are all zero, or not numbers.")
    return Fingerprint(signature(modules), dtype, rank, sum(ranks), (vector / length).reshape(-1))


def _spread_out(modules: list[Module]) -> list[Module]:
    count = min(MODULES, len(modules))
    return [modules[(2 * place + 1) * len(modules) // (2 * count)] for place in range(count)]


def _numbers(tensors: Tensors, module: Module) -> Array:
    delta = read_delta(tensors, module)
    size = norm(delta)
    if size == 0:
        return np.zeros(PAIRS, np.float32)
    projected = project(delta, _signs("left", module.out), _signs("right", module.inner))
    numbers: Array = (projected / size).astype(np.float32)
    return numbers


@lru_cache(maxsize=256)
def _signs(side: str, length: int) -> Array:
    """±1 vectors, the same in every version of everything: from SHAKE, since numpy's generators may change."""
    count = PAIRS * length
    blob = hashlib.shake_128(f"lora-manager fingerprint {side} {length}".encode()).digest((count + 7) // 8)
    bits = np.unpackbits(np.frombuffer(blob, np.uint8))[:count]
    signs: Array = (bits.astype(np.float32) * 2 - 1).reshape(PAIRS, length)
    return signs


def forget_signs() -> None:
    """Give the memory back that taking fingerprints keeps."""
    _signs.cache_clear()
