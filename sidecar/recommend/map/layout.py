"""Lays points of a space with many dimensions out in the plane, so that neighbours stay neighbours: t-SNE on a graph of
nearest neighbours (van der Maaten and Hinton, 2008), from a start that is the same each time (Kobak and Berens, 2019)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sidecar.recommend.map.neighbours import Nearest, Places, find_nearest, squeeze, to_unit
from sidecar.recommend.map.repulsion import Repulsion
from sidecar.recommend.postings import Floats

NEIGHBOURS = 20
PERPLEXITY = 12.0
"""How many of the neighbours count, about."""
COLUMNS = 128
"""For finding neighbours, when there are more than `EXACT` points."""
EXACT = 12_000
EARLY = 200
"""Steps with the attraction of `EARLY_PULL`, that gather what belongs together; then `LATE` with `LATE_PULL`."""
LATE = 450
EARLY_PULL = 12.0
LATE_PULL = 1.6
AGAIN = 250
"""Steps from positions that are known already."""


class Graph(NamedTuple):
    """Pairs (both ways, in the order of `heads`) and how strongly each attracts; the weights add up to 1."""

    heads: Places
    tails: Places
    weights: Floats
    starts: Places
    """Where in `heads` the pairs of each point begin that has any."""


def lay_out(
    vectors: Floats,
    *,
    seed: int = 0,
    start: Floats | None = None,
    nearest: Nearest | None = None,
    tell: Callable[[float], None] = lambda part: None,
) -> Floats:
    """Positions (count × 2) of the rows of `vectors`, around (0, 0).

    Args:
        start: positions to begin with, so that the map stays like the one before.
        nearest: `find_nearest` of these, if it is known.
        tell: is told now and then which part of the work is done.
    """
    count = len(vectors)
    if count < 2:
        return np.zeros((count, 2), np.float32)
    if nearest is None:
        nearest = nearest_of(vectors)
    tell(0.2)
    graph = connect(nearest)
    chance = np.random.default_rng(seed)
    if start is None:
        first = _spread(squeeze(vectors, 2)[:, :2], 1e-2) + chance.normal(0, 1e-4, (count, 2))
        early, late = EARLY, LATE
    else:
        first = start + chance.normal(0, 1e-2, (count, 2))
        early, late = 0, AGAIN
    return _descend(first.astype(np.float32), graph, early, late, lambda part: tell(0.2 + 0.8 * part))


def nearest_of(vectors: Floats, k: int = NEIGHBOURS) -> Nearest:
    """The neighbours that a layout is made from."""
    return find_nearest(to_unit(squeeze(vectors, COLUMNS) if len(vectors) > EXACT else vectors), k)


def connect(nearest: Nearest) -> Graph:
    """The graph: a neighbour's weight falls with its distance, so that about `PERPLEXITY` of them count."""
    count, k = nearest.places.shape
    if k == 0:
        nothing = np.zeros(0, np.int64)
        return Graph(nothing, nothing, np.zeros(0, np.float32), nothing)
    weights = _weigh(np.maximum(0, 2 - 2 * nearest.cosines.astype(np.float64)), min(PERPLEXITY, 0.6 * k))
    heads = np.repeat(np.arange(count), k)
    tails = nearest.places.ravel()
    pairs = np.concatenate([heads * count + tails, tails * count + heads])
    both = np.concatenate([weights.ravel(), weights.ravel()])
    found, first = np.unique(pairs, return_inverse=True)
    summed = np.bincount(first, both)
    heads, tails = found // count, found % count
    starts = np.flatnonzero(np.r_[True, heads[1:] != heads[:-1]])
    return Graph(heads, tails, (summed / summed.sum()).astype(np.float32), starts)


def _weigh(distances: Floats, perplexity: float) -> Floats:
    """Rows of weights that add up to 1: Gaussians, each as wide as gives them this perplexity (bisection)."""
    far = distances - distances[:, :1]
    low, high = np.zeros(len(far)), np.full(len(far), np.inf)
    sharp = 1 / np.maximum(far.mean(axis=1), 1e-9)
    wanted = np.log(perplexity)
    for _ in range(40):
        weights = np.exp(-far * sharp[:, None])
        total = weights.sum(axis=1)
        entropy = np.log(total) + sharp * (far * weights).sum(axis=1) / total
        wide = entropy > wanted
        low, high = np.where(wide, sharp, low), np.where(wide, high, sharp)
        sharp = np.where(np.isinf(high), sharp * 2, (low + high) / 2)
        sharp = np.minimum(sharp, 1e12)
    weights = np.exp(-far * sharp[:, None])
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _descend(points: Floats, graph: Graph, early: int, late: int, tell: Callable[[float], None]) -> Floats:
    """Follow the forces, with momentum and a pace of its own for each coordinate (Jacobs, 1988)."""
    count = len(points)
    repulsion = Repulsion()
    speed = np.zeros_like(points)
    gains = np.ones_like(points)
    for step in range(early + late):
        pull = EARLY_PULL if step < early else LATE_PULL
        rate = max(count / pull, 20.0)
        push = repulsion.push(points)
        force = _attract(points, graph)
        force *= pull
        force -= push.forces / push.total
        against = (force > 0) == (speed > 0)
        gains = np.maximum(np.where(against, gains * 0.8, gains + 0.2), 0.01)
        momentum = 0.5 if step < early else 0.8
        speed = momentum * speed - rate * 4 * gains * force
        longest = np.linalg.norm(speed, axis=1, keepdims=True)
        speed *= np.minimum(1, 5 / np.maximum(longest, 1e-9))
        points = points + speed
        points -= points.mean(axis=0)
        if step % 10 == 0:
            tell(step / (early + late))
    return np.asarray(points, np.float32)


def _attract(points: Floats, graph: Graph) -> Floats:
    """Σ weight · (yᵢ − yⱼ) / (1 + |yᵢ − yⱼ|²) over the neighbours j of each i."""
    apart = points[graph.heads] - points[graph.tails]
    apart *= (graph.weights / (1 + np.einsum("ij,ij->i", apart, apart)))[:, None]
    forces = np.zeros_like(points)
    if len(graph.starts):
        forces[graph.heads[graph.starts]] = np.add.reduceat(apart, graph.starts, axis=0)
    return forces


def _spread(points: Floats, width: float) -> Floats:
    """Two columns, centred and scaled so that the first one's standard deviation is `width`."""
    if points.shape[1] < 2:
        points = np.hstack([points, np.zeros((len(points), 2 - points.shape[1]), np.float32)])
    return np.asarray((points - points.mean(axis=0)) * (width / max(float(points[:, 0].std()), 1e-12)))
