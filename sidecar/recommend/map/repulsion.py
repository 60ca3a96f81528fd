"""How points in the plane push each other apart, all at once: on a grid, by Fourier transforms.

The forces of t-SNE (van der Maaten and Hinton, 2008) with the sums over all pairs as convolutions (Linderman and others, "Fast
interpolation-based t-SNE", 2019): the points are spread onto a grid, the grid is convolved with the kernels, and the field is
read at the points. Time grows with the points and the grid, not with the pairs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sidecar.recommend.postings import Floats

Waves = npt.NDArray[np.complexfloating]

SPACING = 0.5
"""Between nodes of the grid; the kernel is about 1 wide."""
NODES = 448
"""On a side, at most: for more the grid is coarser."""
FEW = 400
"""Up to so many points all pairs are looked at."""
GROWTH = 1.2
"""The grid grows in such steps, so that the kernels are seldom transformed anew."""

SHARPEST = 30.0
"""More than so many times nothing is raised: it would be noise."""
_NODE = (0.125, 0.75, 0.125)
"""How a point on a node is spread."""


class Push(NamedTuple):
    """`forces` (count × 2): Σ (yᵢ − yⱼ) / (1 + |yᵢ − yⱼ|²)² over all j; `total`: Σ 1 / (1 + |yᵢ − yⱼ|²) over all i ≠ j."""

    forces: Floats
    total: float


class Repulsion:
    """`push(points)`; keeps the kernels between calls."""

    def __init__(self) -> None:
        self._half = 0.0
        self._spacing = 0.0
        self._nodes = 0
        self._own = 1.0
        self._kernels: tuple[Waves, Waves, Waves] | None = None

    def push(self, points: Floats) -> Push:
        """What each of `points` (count × 2) gets from all others."""
        if len(points) <= FEW:
            return push_all(points)
        self._fit(float(np.abs(points).max(initial=1.0)))
        nodes, size = self._nodes, 2 * self._nodes
        assert self._kernels is not None
        place = (points + self._half) / self._spacing + 1.5
        nearest = np.rint(place).astype(np.int64)
        shares = _shares(place - nearest)
        flat = nearest[:, 0] * nodes + nearest[:, 1]
        where = [flat + dx * nodes + dy for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
        weights = [shares[0][:, dx] * shares[1][:, dy] for dx in range(3) for dy in range(3)]
        grid = np.zeros(nodes * nodes)
        for at, weight in zip(where, weights):
            grid += np.bincount(at, weight, nodes * nodes)
        waves = np.fft.rfft2(grid.reshape(nodes, nodes).astype(np.float32), (size, size))
        fields = []
        for kernel in self._kernels:
            field = np.fft.irfft2(waves * kernel, (size, size))[:nodes, :nodes].ravel()
            fields.append(sum(field[at] * weight for at, weight in zip(where, weights)))
        forces = np.stack(fields[1:], axis=1).astype(np.float32)
        return Push(forces, max(float(np.sum(fields[0])) - self._own * len(points), 1e-3 * len(points)))

    def _fit(self, half: float) -> None:
        """A grid from −half to half with some to spare, and its kernels."""
        if self._half / GROWTH**3 < half < self._half:
            return
        self._half = half * GROWTH + 2 * SPACING
        nodes = min(NODES, _round_up(int(np.ceil(2 * self._half / SPACING)) + 4))
        self._nodes = nodes
        self._spacing = 2 * self._half / (nodes - 4)  # two nodes to spare at each edge
        steps = np.fft.fftfreq(2 * nodes, 1 / (2 * nodes)) * self._spacing
        x, y = np.meshgrid(steps, steps, indexing="ij")
        near = 1 / (1 + x * x + y * y)
        sharp = _sharpen(2 * nodes)
        self._kernels = (
            np.fft.rfft2(near.astype(np.float32)) * sharp,
            np.fft.rfft2((near * near * x).astype(np.float32)) * sharp,
            np.fft.rfft2((near * near * y).astype(np.float32)) * sharp,
        )
        field = np.fft.irfft2(self._kernels[0], (2 * nodes, 2 * nodes))
        spread = np.outer(_NODE, _NODE).ravel()
        down, along = np.arange(9) // 3, np.arange(9) % 3
        apart = field[down[:, None] - down[None], along[:, None] - along[None]]
        self._own = float(spread @ apart @ spread)  # what a point, spread out, has of itself


def push_all(points: Floats) -> Push:
    """The same from all pairs, exactly."""
    apart = points[:, None] - points[None]
    near = 1 / (1 + np.einsum("ijk,ijk->ij", apart, apart))
    forces = np.einsum("ijk,ij->ik", apart, near * near)
    return Push(forces.astype(np.float32), max(float(near.sum()) - len(points), 1e-9))


def _sharpen(size: int) -> Floats:
    """What undoes, in the transform, that points are spread over three nodes when they are put on the grid and read off it."""
    one = np.sinc(np.fft.fftfreq(size)) ** -6
    other = np.sinc(np.fft.rfftfreq(size)) ** -6
    return np.minimum(np.outer(one, other), SHARPEST).astype(np.float32)


def _shares(offsets: Floats) -> list[Floats]:
    """For both coordinates: how much of a point the three nodes around it get (a quadratic spline)."""
    found = []
    for one in offsets.T:
        found.append(np.stack([0.5 * (0.5 - one) ** 2, 0.75 - one * one, 0.5 * (0.5 + one) ** 2], axis=1))
    return found


def _round_up(nodes: int) -> int:
    """To a multiple of 32: such transforms are fast."""
    return max(32, (nodes + 31) // 32 * 32)
