"""A sketch of a LoRA's weights: `BITS` bits that tell the cosine of the angle between two whole ΔW, all layers together.

Each bit is the side of a random hyperplane that ΔW is on, so that two of them differ in a part of their bits that is, on average,
the angle between them over π (SimHash: Charikar 2002, "Similarity estimation techniques from rounding algorithms"). The cosine's
standard error is π·sin θ·√(θ/π·(1 − θ/π)/BITS): 0.009 for LoRAs that have nothing in common, less the more they are alike.

The hyperplanes are never written down. Each layer's ΔW is folded to `FOLD` × `FOLD` from both sides: rows and columns are added
up, with random signs fixed by the layer's canonical name and shape (CountSketch), which for a product L·R is the product of the
folded L and the folded R, so that ΔW is not multiplied out. The sum over the layers is folded once more, to `BITS` numbers, and
turned by three rounds of random signs and a Walsh-Hadamard transform, as good as a random rotation (Andoni et al. 2015,
"Practical and optimal LSH for angular distance"). Up to the signs all of it is linear: rank, alpha, number format and names do
not matter.

DoRA: ΔW before its rescaling, which takes the checkpoint's own weights.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from sidecar.library.weights.delta import Delta, norm, read_delta
from sidecar.library.weights.modules import Module, find_modules
from sidecar.library.weights.tensors import Array, BrokenTensor, Tensors
from sidecar.recommend.weightspace.architecture import architecture_of
from sidecar.recommend.weightspace.factors import without_outer

VERSION = 3  # rises when the bits mean something else
BITS = 32_768  # see benchmarks/sketch.py for the error of it
BYTES = BITS // 8
FOLD = 512  # a layer's height and width
_ROWS = 2048  # sketches compared at once


class Sketch(NamedTuple):
    """`bits` (`BYTES` of them, eight a byte) is None when there is nothing to compare; `reason` says why.

    `norm` is ‖ΔW‖ (Frobenius) over all layers.
    """

    architecture: str | None
    norm: float | None
    bits: bytes | None
    reason: str | None = None


def take_sketch(path: str) -> Sketch:
    """Read one file and sketch it.

    Raises:
        BrokenHeader: it is no .safetensors file, or one that is cut off.
        OSError: it cannot be read.
    """
    with Tensors(path) as tensors:
        modules = find_modules(tensors.header)[0]
        if not modules:
            return _nothing("It holds no kind of network that is known here.")
        unknown = [module for module in modules if not module.measurable]
        if unknown:
            kinds = ", ".join(sorted({module.kind for module in unknown}))
            return _nothing(
                f"What {len(unknown):,} of its {len(modules):,} layers change cannot be told from the file ({kinds})."
            )
        architecture = architecture_of(tensors.header, modules)
        folded = np.zeros((FOLD, FOLD), np.float32)
        squares = 0.0
        try:
            with np.errstate(all="ignore"):  # what is not a number is found below
                for module in modules:
                    delta = read_delta(tensors, module)
                    squares += norm(delta) ** 2
                    folded += _fold(delta, module)
        except BrokenTensor as error:
            return _nothing(str(error), architecture)
    if not math.isfinite(squares) or not np.isfinite(folded).all():
        return _nothing("Its weights hold infinity or no numbers (NaN).", architecture)
    if squares == 0 or not folded.any():
        return _nothing("Its weights are all zero.", architecture)
    return Sketch(architecture, math.sqrt(squares), np.packbits(_rotate(folded) > 0).tobytes())


def cosines(sketches: Array, one: Array) -> Array:
    """(count, float32): what `one` sketch (BITS / 64, uint64) tells of its cosine with each of (count × BITS / 64)."""
    found = np.empty(len(sketches), np.float32)
    for start in range(0, len(sketches), _ROWS):
        rows = slice(start, start + _ROWS)
        differing = np.bitwise_count(sketches[rows] ^ one).sum(axis=1, dtype=np.int32)
        found[rows] = np.cos(differing * (math.pi / BITS))
    return found


def _nothing(reason: str, architecture: str | None = None) -> Sketch:
    return Sketch(architecture, None, None, reason)


def _fold(delta: Delta, module: Module) -> Array:
    """One layer's part of what all layers add up to (FOLD × FOLD, float32)."""
    delta = without_outer(delta)
    signs = _signs(f"{module.name} {module.out} {module.inner}", module.out + module.inner)
    left, right = signs[: module.out], signs[module.out :]
    rows = _fold_rows(delta.left, left) * np.float32(delta.scale)
    if delta.right is None:
        return np.asarray(_fold_rows(rows.T, right).T)
    return np.asarray(rows @ _fold_rows(delta.right.T, right).T)


def _fold_rows(matrix: Array, signs: Array) -> Array:
    """(FOLD × width): rows, signed, at random places; those at the same place are added up. No two in FOLD in a row share one."""
    folded = np.zeros((FOLD, matrix.shape[1]), np.float32)
    places = _places(len(matrix))
    for start in range(0, len(matrix), FOLD):
        rows = slice(start, start + FOLD)
        folded[places[rows]] += matrix[rows] * signs[rows, None]
    return folded


@lru_cache(maxsize=64)
def _places(size: int) -> Array:
    """A place below FOLD for each of `size` rows."""
    turns = -(-size // FOLD)
    codes = hashlib.shake_128(f"lora-manager places {VERSION} {size}".encode()).digest(4 * turns * FOLD)
    places = np.argsort(np.frombuffer(codes, "<u4").reshape(turns, FOLD), axis=1, kind="stable")
    return np.asarray(places.ravel()[:size])


def _signs(name: str, size: int) -> Array:
    """±1 (float32), `size` of them, the same for a name everywhere."""
    digest = hashlib.shake_128(f"lora-manager sketch {VERSION} {name}".encode()).digest((size + 7) // 8)
    bits = np.unpackbits(np.frombuffer(digest, np.uint8), count=size)
    return np.asarray(np.where(bits, np.float32(1), np.float32(-1)))


def _rotate(folded: Array) -> Array:
    """(BITS): what all layers add up to, scaled to what float32 can hold, folded and turned."""
    turned = folded.ravel() / np.abs(folded).max() * _signs("all layers", folded.size)
    turned = np.sum(turned.reshape(-1, BITS), axis=0)
    for turn in range(3):
        turned = _hadamard(turned * _signs(f"turn {turn}", BITS))
    return np.asarray(turned)


def _hadamard(values: Array) -> Array:
    """The Walsh-Hadamard transform of 2ᵏ values, of the same length (norm) as they."""
    half = 1
    while half < len(values):
        pairs = values.reshape(-1, 2, half)
        values = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1).ravel()
        half *= 2
    return np.asarray(values * np.float32(len(values) ** -0.5))
