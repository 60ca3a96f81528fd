"""A sketch of a LoRA's weights: `LENGTH` numbers whose cosine estimates that of two whole ΔW, all layers together.

Every element (i, j) of a layer's ΔW is added, with the sign s(i)·t(j), to the number at (h(i) + g(j)) mod LENGTH; h, g, s and t
are fixed by the layer's canonical name and shape. (TensorSketch: Pham and Pagh, 2013.) It is linear, so rank, alpha,
number format and names do not matter, and is unbiased: E⟨sketch₁, sketch₂⟩ = ⟨ΔW₁, ΔW₂⟩. For a product L·R it is Σ over the
rank of the circular convolutions of the sketched columns of L with the sketched rows of R, which Fourier transforms
turn into products: ΔW is not multiplied out. The cosine's standard error is about (1 − c²)/√LENGTH.

DoRA: ΔW before its rescaling, which takes the checkpoint's own weights.
"""

from __future__ import annotations

import hashlib
import math
from typing import NamedTuple

import numpy as np

from sidecar.library.weights.delta import Delta, norm, read_delta
from sidecar.library.weights.modules import Module, find_modules
from sidecar.library.weights.tensors import Array, BrokenTensor, Tensors
from sidecar.recommend.weightspace.architecture import architecture_of
from sidecar.recommend.weightspace.factors import without_outer

VERSION = 1  # rises when the numbers mean something else
LENGTH = 2048  # see benchmarks/sketch.py for the error of it
_ROWS = 256  # of a whole matrix, worked on at once


class Sketch(NamedTuple):
    """`vector` (float32, `LENGTH` of them, of length 1) is None when there is nothing to compare; `reason` says why.

    `norm` is ‖ΔW‖ (Frobenius) over all layers.
    """

    architecture: str | None
    norm: float | None
    vector: Array | None
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
        waves = np.zeros(LENGTH // 2 + 1, np.complex128)
        squares = 0.0
        try:
            with np.errstate(all="ignore"):  # what is not a number is found below
                for module in modules:
                    delta = read_delta(tensors, module)
                    squares += norm(delta) ** 2
                    waves += _waves(delta, module)
        except BrokenTensor as error:
            return _nothing(str(error), architecture)
    vector = np.fft.irfft(waves, LENGTH)
    length = float(np.linalg.norm(vector))
    if not math.isfinite(length) or not math.isfinite(squares):
        return _nothing("Its weights hold infinity or no numbers (NaN).", architecture)
    if length == 0 or squares == 0:
        return _nothing("Its weights are all zero.", architecture)
    return Sketch(architecture, math.sqrt(squares), (vector / length).astype(np.float32))


def _nothing(reason: str, architecture: str | None = None) -> Sketch:
    return Sketch(architecture, None, None, reason)


def _waves(delta: Delta, module: Module) -> Array:
    """The Fourier transform of one layer's sketch."""
    delta = without_outer(delta)
    codes = hashlib.shake_128(
        f"lora-manager sketch {VERSION} {module.name} {module.out} {module.inner}".encode()
    )
    code = np.frombuffer(codes.digest(2 * (module.out + module.inner)), "<u2")
    places = (code & (LENGTH - 1)).astype(np.intp)
    signs = np.where(code & 0x8000, np.float32(1), np.float32(-1))
    if delta.right is None:
        return np.asarray(np.fft.rfft(_of_whole(delta.left, places, signs)) * delta.scale)
    of_left = np.fft.rfft(_fold(delta.left, places[: module.out], signs[: module.out]))
    of_right = np.fft.rfft(_fold(delta.right.T, places[module.out :], signs[module.out :]))
    return np.asarray(np.einsum("rk,rk->k", of_left, of_right) * delta.scale)


def _fold(columns: Array, places: Array, signs: Array) -> Array:
    """(rank × LENGTH): each column's values, signed, added up at their places; `columns` is (size × rank)."""
    order = np.argsort(places, kind="stable")
    sorted_places = places[order]
    starts = np.flatnonzero(np.r_[True, sorted_places[1:] != sorted_places[:-1]])
    folded = np.zeros((columns.shape[1], LENGTH), columns.dtype)
    summed = np.add.reduceat(columns[order] * signs[order, None], starts, axis=0)
    folded[:, sorted_places[starts]] = summed.T
    return folded


def _of_whole(matrix: Array, places: Array, signs: Array) -> Array:
    """The sketch of a matrix that is not a product."""
    out = matrix.shape[0]
    sketch = np.zeros(LENGTH)
    for start in range(0, out, _ROWS):
        rows = slice(start, min(start + _ROWS, out))
        where = (places[:out][rows, None] + places[out:]) & (LENGTH - 1)
        values = matrix[rows] * signs[:out][rows, None] * signs[out:]
        sketch += np.bincount(where.ravel(), values.ravel(), LENGTH)
    return sketch
