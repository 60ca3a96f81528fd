"""ΔW as one product of two matrices, Kronecker products included, so that any two forms can be compared."""

from __future__ import annotations

import numpy as np

from sidecar.library.weights.delta import Delta, inner_product


def without_outer(delta: Delta) -> Delta:
    """The same ΔW without `outer`: K ⊗ (L·R) = (K ⊗ L)(I ⊗ R) = (I ⊗ L)(K ⊗ R), by whichever has the smaller rank; multiplied
    out where that is no larger than its factors."""
    outer = delta.outer
    if outer is None:
        return delta
    height, width = outer.shape
    if delta.right is None:
        return Delta(delta.scale, np.kron(outer, delta.left))
    rank = min(height, width) * delta.right.shape[0]
    if 2 * rank > min(height * delta.left.shape[0], width * delta.right.shape[1]):
        return Delta(delta.scale, np.kron(outer, delta.left @ delta.right))
    if width <= height:
        return Delta(
            delta.scale, np.kron(outer, delta.left), np.kron(np.eye(width, dtype=np.float32), delta.right)
        )
    return Delta(
        delta.scale, np.kron(np.eye(height, dtype=np.float32), delta.left), np.kron(outer, delta.right)
    )


def exact_inner(one: Delta, other: Delta) -> float:
    """⟨ΔW₁, ΔW₂⟩ of two of the same shape, whatever their forms."""
    found = inner_product(one, other)
    if found is None:
        found = inner_product(without_outer(one), without_outer(other))
    assert found is not None  # neither has an outer factor now
    return found
