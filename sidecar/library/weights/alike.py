"""Whether two files hold the same weights, saved otherwise: compared in full, module by module. docs/duplicates.md has
how the limits were chosen.

With the same rank, the finer file is rounded to the coarser one's number format; then hardly any distance ‖ΔW₁ − ΔW₂‖
over all modules may be left. With a lower rank, the smaller file S must be what a truncated SVD leaves of the larger
one B: S = P·B, where P projects on the columns of S. Unlike the cosine alone, both tell a file that was saved again from
the next epoch of its training.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from sidecar.library.header import Header
from sidecar.library.weights.delta import Delta, inner_product, read_delta
from sidecar.library.weights.modules import Module, find_modules, signature
from sidecar.library.weights.tensor_formats import FLOATS
from sidecar.library.weights.tensors import Array, Tensors, round_to

# The largest distance, as a part of the norm, that saving in a number format explains, a change of scale included.
ROUNDING = {"F64": 0.002, "F32": 0.002, "F16": 0.002, "BF16": 0.006, "F8_E4M3": 0.006, "F8_E5M2": 0.006}
LEAST_COSINE = 0.8
_EARLY_MODULES, _EARLY_FACTOR = 24, 30.0


class Likeness(NamedTuple):
    """`same` is the verdict, `cosine` of all ΔW together the similarity to show."""

    same: bool
    cosine: float


def compare_files(first: str, second: str, stopped: Callable[[], bool] = lambda: False) -> Likeness | None:
    """Compare two files in full; None when they do not change the same layers, or hold what cannot be compared.

    Raises:
        BrokenHeader, BrokenTensor: one of them is damaged.
        OSError: one of them cannot be read. InterruptedError: `stopped` said so.
    """
    with Tensors(first) as one, Tensors(second) as other:
        small, big = sorted((_File(one), _File(other)), key=lambda file: file.ranks)
        if not small.modules or signature(small.modules) != signature(big.modules):
            return None
        coarse = max(small.dtype, big.dtype, key=FLOATS.index)
        limit = ROUNDING[coarse]
        for file in (small, big):
            file.rounded_to = coarse if small.ranks == big.ranks and file.dtype != coarse else None
        sums = np.zeros(4)
        for done, (of_small, of_big) in enumerate(zip(small.modules, big.modules), start=1):
            if stopped():
                raise InterruptedError(f"{first} and {second} were not compared to the end")
            try:
                found = _compare(small.read(of_small), big.read(of_big), of_small, of_big)
            except _Incomparable:
                return None
            sums += found
            if done == _EARLY_MODULES and _distance(sums) > _EARLY_FACTOR * limit:
                break
    residual, of_small_squared, of_big_squared, product = sums
    if not of_small_squared > 0 or not of_big_squared > 0 or not math.isfinite(residual):
        return None
    cosine = float(product / math.sqrt(of_small_squared * of_big_squared))
    return Likeness(_distance(sums) <= limit and cosine >= LEAST_COSINE, max(-1.0, min(1.0, cosine)))


class _Incomparable(Exception):
    """The two modules are not of one form."""


class _File:
    """An open file's measurable modules, its total rank and its weights' number format."""

    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors
        self.modules = [module for module in find_modules(tensors.header)[0] if module.measurable]
        self.ranks = sum(module.rank for module in self.modules)
        self.dtype = main_dtype(tensors.header, self.modules)
        self.rounded_to: str | None = None

    def read(self, module: Module) -> Delta:
        if self.rounded_to:
            return read_delta(self._tensors, module, partial(round_to, dtype=self.rounded_to))
        return read_delta(self._tensors, module)


def main_dtype(header: Header, modules: list[Module]) -> str:
    """The number format that most of the weights have."""
    counted = Counter(
        header.tensors[tensor][0]
        for module in modules
        for role, tensor in module.tensors.items()
        if role not in ("alpha", "dora_scale")
    )
    known = [dtype for dtype, _ in counted.most_common() if dtype in FLOATS]
    return known[0] if known else "F32"


def _distance(sums: Array) -> float:
    return math.sqrt(max(sums[0], 0.0) / sums[1]) if sums[1] > 0 else math.inf


def _compare(small: Delta, big: Delta, of_small: Module, of_big: Module) -> Array:
    """[‖S − what of B it should be‖², ‖S‖², ‖B‖², ⟨S, B⟩].

    Raises:
        _Incomparable: they are Kronecker products of other shapes.
    """
    own, others, product = (inner_product(*pair) for pair in ((small, small), (big, big), (small, big)))
    if own is None or others is None or product is None:
        raise _Incomparable
    target = others
    if of_small.kind == of_big.kind == "lora" and of_small.rank < of_big.rank:
        target = _projected(small, big)
    return np.array([own + target - 2 * product, own, others, product])


def _projected(small: Delta, big: Delta) -> float:
    """‖P·B‖² = Σ (XᵀG⁺X) ∘ (R_B·R_Bᵀ), with X = L_SᵀL_B and G = L_SᵀL_S; and ⟨P·B, S⟩ is ⟨B, S⟩."""
    assert small.right is not None and big.right is not None
    left, wide = small.left.astype(np.float64), big.left.astype(np.float64)
    right = big.right.astype(np.float64)
    crossed = left.T @ wide
    within = crossed.T @ (np.linalg.pinv(left.T @ left, rcond=1e-12, hermitian=True) @ crossed)
    return float(big.scale**2 * np.sum(within * (right @ right.T)))
