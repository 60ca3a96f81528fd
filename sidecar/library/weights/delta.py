"""A layer's change ΔW in factors, and what can be told of it without multiplying them out.

ΔW = scale · K ⊗ (L·R), where K is 1 but for LoKr, and R is missing where L is ΔW itself. The forms, as LyCORIS has them
(lycoris/functional/*.py; kohya and the hosts agree):

    LoRA   (α/r)·B·A; with a middle tensor M (convolutions): A'[i, (q,k,l)] = Σ_j M[i,j,k,l]·A[j,q]
    LoHa   (α/r)·(B₁A₁ ∘ B₂A₂) = (α/r)·(B₁ ⊙ B₂)(A₁ ⊙ A₂): row-wise Khatri-Rao products, of rank r₁·r₂
    LoKr   (α/r)·W₁ ⊗ W₂, each whole or a product of two; scale 1 when both are whole
    full   ΔW itself

Without an alpha the scale is 1, as in the hosts. DoRA rescales the sum of ΔW and the checkpoint's weights, which are
not here: what is measured of it is ΔW before that.

With G_L = LᵀL and G_R = RRᵀ, both r×r:  ‖L·R‖² = Σ G_L ∘ G_R,  and for two of them
⟨L₁R₁, L₂R₂⟩ = tr((L₁ᵀL₂)(R₂R₁ᵀ)) = Σ (L₁ᵀL₂) ∘ (R₁R₂ᵀ);  ‖K ⊗ M‖ = ‖K‖·‖M‖.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sidecar.library.weights.modules import Module
from sidecar.library.weights.tensors import Array, BrokenTensor, Tensors

ROWS = 512  # of a whole matrix, worked on at once
LARGEST = 2**30
"""Numbers in a layer, at most: those of the largest models have a tenth of it. Products may have to be multiplied out."""


@dataclass(frozen=True)
class Delta:
    """ΔW = scale · outer ⊗ (left · right); `outer` None is 1, `right` None the identity."""

    scale: float
    left: Array
    right: Array | None = None
    outer: Array | None = None

    @property
    def finite(self) -> bool:
        """Whether every number in it is one."""
        parts = (self.left, self.right, self.outer)
        return np.isfinite(self.scale).item() and all(
            bool(np.isfinite(part).all()) for part in parts if part is not None
        )


def read_delta(
    tensors: Tensors, module: Module, convert: Callable[[Array], Array] = lambda values: values
) -> Delta:
    """Read a measurable module; `convert` is applied to each weight as it was read (not to alpha).

    Raises:
        BrokenTensor: a tensor is not what its header says.
        OSError: the file cannot be read.
    """

    def read(role: str) -> Array:
        return convert(tensors.read(module.tensors[role]))

    def matrix(role: str) -> Array:
        values = read(role)
        return values.reshape(values.shape[0], -1)

    if module.kind in ("loha", "lokr") and module.out * module.inner > LARGEST:
        raise BrokenTensor(
            f"The layer {module.name[:80]} is said to have {module.out} x {module.inner} numbers."
        )
    has = module.tensors.__contains__
    scale = 1.0
    if has("alpha") and module.rank:
        alpha = tensors.read(module.tensors["alpha"])
        if alpha.size != 1:
            raise BrokenTensor(f"The alpha of {module.name} is not one number.")
        scale = float(alpha.reshape(())) / module.rank
    if module.kind == "lora":
        if has("mid"):
            return Delta(scale, matrix("up"), _through_middle(read("mid"), matrix("down")))
        return Delta(scale, matrix("up"), matrix("down"))
    if module.kind == "loha":
        return _hadamard(scale, *_half(read, has, "hada_", "1"), *_half(read, has, "hada_", "2"))
    if module.kind == "lokr":
        outer = _whole_or_product(read, has, "1")
        if has("lokr_w2"):
            return Delta(scale, matrix("lokr_w2"), None, outer)
        return Delta(scale, *_half(read, has, "lokr_", "2"), outer)
    return Delta(1.0, matrix("diff"))


def _half(
    read: Callable[[str], Array], has: Callable[[object], bool], family: str, half: str
) -> tuple[Array, Array]:
    """(left, right) of one of the two products; with a Tucker core t: Σ_ij t[i,j,…]·a[i,p]·b[j,q]."""
    a, b = read(f"{family}w{half}_a"), read(f"{family}w{half}_b")
    b = b.reshape(b.shape[0], -1)
    if has(f"{family}t{half}"):
        return a.T, _through_middle(read(f"{family}t{half}"), b)
    return a, b


def _whole_or_product(read: Callable[[str], Array], has: Callable[[object], bool], half: str) -> Array:
    if has(f"lokr_w{half}"):
        whole = read(f"lokr_w{half}")
        return whole.reshape(whole.shape[0], -1)
    left, right = _half(read, has, "lokr_", half)
    product: Array = left @ right
    return product


def _through_middle(middle: Array, down: Array) -> Array:
    """Σ_j M[i,j,…]·A[j,q] as a matrix of i × (q,…)."""
    flat = middle.reshape(*middle.shape[:2], -1)
    product: Array = np.einsum("ijk,jq->iqk", flat, down, optimize=True).reshape(middle.shape[0], -1)
    return product


def _hadamard(scale: float, left1: Array, right1: Array, left2: Array, right2: Array) -> Delta:
    """(L₁R₁) ∘ (L₂R₂), as Khatri-Rao products where these are smaller than the matrix itself."""
    rank = left1.shape[1] * left2.shape[1]
    if 2 * rank > min(left1.shape[0], right1.shape[1]):
        return Delta(scale, (left1 @ right1) * (left2 @ right2))
    left = (left1[:, :, None] * left2[:, None, :]).reshape(-1, rank)
    right = (right1[:, None, :] * right2[None, :, :]).reshape(rank, -1)
    return Delta(scale, left, right)


def norm(delta: Delta) -> float:
    """The Frobenius norm of ΔW."""
    squared = max(inner_product(delta, delta) or 0.0, 0.0)
    return float(np.sqrt(squared))


def inner_product(one: Delta, other: Delta) -> float | None:
    """⟨ΔW₁, ΔW₂⟩; None when they are Kronecker products of other shapes and so not to be compared in factors."""
    outer = 1.0
    if one.outer is not None or other.outer is not None:
        if one.outer is None or other.outer is None or one.outer.shape != other.outer.shape:
            return None
        outer = _dot(one.outer, other.outer)
    return one.scale * other.scale * outer * _inner_of_products(one, other)


def _inner_of_products(one: Delta, other: Delta) -> float:
    if one.right is None and other.right is None:
        return _dot(one.left, other.left)
    if one.right is None:
        return _inner_of_products(other, one)
    left, right = one.left.astype(np.float64), one.right.astype(np.float64)
    if other.right is None:
        return sum(
            _dot(other.left[start : start + ROWS] @ right.T, left[start : start + ROWS])
            for start in range(0, len(left), ROWS)
        )
    return float(np.sum((left.T @ other.left) * (right @ other.right.T)))


def _dot(one: Array, other: Array) -> float:
    """The sum of products, in double precision, without a whole copy in it."""
    return sum(
        float(
            np.vdot(
                one[start : start + ROWS].astype(np.float64), other[start : start + ROWS].astype(np.float64)
            )
        )
        for start in range(0, len(one), ROWS)
    )


def project(delta: Delta, left: Array, right: Array) -> Array:
    """uᵀ·ΔW·v for every pair of rows of `left` (n × out) and `right` (n × in).

    With K: Σ K ∘ (U·(L·R)·Vᵀ), where u and v are folded into matrices of K's height and width.
    """
    if delta.outer is None:
        projected = _project_product(delta, left, right)
    else:
        height, width = delta.outer.shape
        folded_left = left.reshape(len(left), height, -1)
        folded_right = right.reshape(len(right), width, -1)
        through = folded_left @ delta.left
        middle = through if delta.right is None else through @ delta.right
        projected = np.einsum("nap,nbp,ab->n", middle, folded_right, delta.outer, optimize=True)
    result: Array = delta.scale * projected
    return result


def _project_product(delta: Delta, left: Array, right: Array) -> Array:
    through: Array = left @ delta.left
    other: Array = right if delta.right is None else right @ delta.right.T
    product: Array = np.einsum("nr,nr->n", through, other)
    return product
