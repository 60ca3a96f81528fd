"""Makes the map: laid out as a whole when much is new, else what is new is put beside what it is like and the rest stays."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sidecar.recommend.map.islands import Circle, beside, pack, part, sunflower, to_disc
from sidecar.recommend.map.layout import lay_out
from sidecar.recommend.map.neighbours import Places, find_nearest, to_unit
from sidecar.recommend.map.spaces import Space, Spaces
from sidecar.recommend.map.store import Keys, Map
from sidecar.recommend.postings import Floats

MUCH = 0.2
"""The part of an island that must be new, changed or gone before it is laid out anew."""
FEW = 50
"""Fewer than so many new ones are always put beside the others, once there are as many there."""
KNOWN = 0.5
"""The part of an island whose places must be known for the next layout to begin with them."""
ALIKE = 0.25
"""Cosine of words from which on one is put beside another when the text model has not read it."""

SPARE = 1.05
"""An island is so many times larger than what is on it, so that a new one at its shore moves nothing."""

Tell = Callable[[float], None]


class Shape(NamedTuple):
    """How an island was laid out: see Circle; `fresh` when it was done anew."""

    scale: float = 1.0
    laid_out: int = 0
    fresh: bool = False


class Island(NamedTuple):
    """A finished part: positions around its own (0, 0)."""

    name: str
    ids: Places
    keys: Keys
    points: Floats
    laid: npt.NDArray[np.bool_]
    shape: Shape


def make_map(
    by: str, found: Spaces, before: Map | None, tell: Tell = lambda part: None, seed: int = 0
) -> Map:
    """The map of these spaces, as like the one before as can be."""
    if before is not None and before.source != found.source:
        before = None
    total = max(1, sum(len(space.ids) for space in found.spaces))
    islands: list[Island] = []
    rest = [(found.rest.ids, found.rest.keys)]
    done = 0
    for space in found.spaces:
        first, share = done / total, len(space.ids) / total

        def step(part_of_it: float, first: float = first, share: float = share) -> None:
            tell(first + share * part_of_it)

        island, left = _make_island(space, before, step, seed)
        if len(island.ids):
            islands.append(island)
        rest.append((space.ids[left], space.keys[left]))
        done += len(space.ids)
    silent = _of_silent(found.rest.name, rest)
    if len(silent.ids):
        islands.append(silent)
    return _together(by, found.source, islands, before)


def _make_island(
    space: Space, before: Map | None, tell: Tell, seed: int
) -> tuple[Island, npt.NDArray[np.bool_]]:
    """The island, and which of the space's rows have nothing to be placed by."""
    count = len(space.ids)
    has = np.abs(space.vectors).sum(axis=1) > 0
    old = _places_before(space, before)
    points = np.zeros((count, 2), np.float32)
    laid = np.zeros(count, bool)
    known = old.there & has
    if old.circle is not None and _is_little(old, known, has):
        points[known], laid[known] = old.points[known], old.laid[known]
        scale, fresh = old.circle.scale, False
        _put_beside(space.vectors, points, known, has & ~known, space.ids)
    else:
        start = None
        if old.circle is not None and known.sum() >= KNOWN * has.sum():
            points[known] = old.points[known]
            _put_beside(space.vectors, points, known, has & ~known, space.ids)
            start = points[has] / old.circle.scale
        points[has], scale = to_disc(lay_out(space.vectors[has], seed=seed, start=start, tell=tell))
        laid[has], fresh = True, True
    placed = has.copy()
    waiting = ~has
    stays = waiting & old.there & (old.circle is not None) & (not fresh)
    points[stays] = old.points[stays]
    placed |= stays
    waiting &= ~stays
    if waiting.any() and has.any() and space.fallback is not None:
        placed |= _put_by_other(space.fallback(), points, has, waiting, space.ids)
    if not fresh and (placed & ~known).any():
        points[placed] = _part_new(points[placed], known[placed])
    keys = space.keys if fresh else np.where(old.there, old.keys, space.keys)
    laid_out = int(laid.sum()) if fresh or old.circle is None else old.circle.laid_out
    shape = Shape(scale, laid_out, fresh)
    return Island(space.name, space.ids[placed], keys[placed], points[placed], laid[placed], shape), ~placed


class _Before(NamedTuple):
    """What the map before says of a space's rows."""

    circle: Circle | None
    there: npt.NDArray[np.bool_]
    points: Floats
    keys: Keys
    laid: npt.NDArray[np.bool_]
    changed: npt.NDArray[np.bool_]
    """They were placed by something else than is said of them now."""


def _places_before(space: Space, before: Map | None) -> _Before:
    count = len(space.ids)
    there, laid = np.zeros(count, bool), np.zeros(count, bool)
    points, keys = np.zeros((count, 2), np.float32), np.zeros(count, np.uint64)
    circle = before.islands.get(space.name) if before else None
    if before is None or circle is None:
        return _Before(None, there, points, keys, laid, there)
    mine = np.flatnonzero(before.groups == list(before.islands).index(space.name))
    order = mine[np.argsort(before.ids[mine], kind="stable")]
    spots = np.searchsorted(before.ids[order], space.ids)
    spots = np.minimum(spots, max(0, len(order) - 1))
    if len(order):
        there = before.ids[order][spots] == space.ids
        rows = order[spots[there]]
        points[there] = before.points[rows] - np.array([circle.x, circle.y], np.float32)
        keys[there], laid[there] = before.keys[rows], before.laid[rows]
    return _Before(circle, there, points, keys, laid, there & (keys != space.keys))


def _is_little(old: _Before, known: npt.NDArray[np.bool_], has: npt.NDArray[np.bool_]) -> bool:
    """Whether so little is new since the last whole layout that the rest may stay."""
    if not known.any() or old.circle is None:
        return False
    same = int((known & old.laid & ~old.changed).sum())
    new, gone = int(has.sum()) - same, old.circle.laid_out - same
    drift, stay = max(new, gone), int(known.sum())
    return drift <= MUCH * stay or (drift <= FEW and stay >= FEW)


def _put_beside(
    vectors: Floats, points: Floats, known: npt.NDArray[np.bool_], new: npt.NDArray[np.bool_], ids: Places
) -> None:
    if new.any():
        nearest = find_nearest(to_unit(vectors[new]), 1, to_unit(vectors[known]))
        points[new] = beside(points[known], nearest, ids[new])


def _put_by_other(
    vectors: Floats, points: Floats, known: npt.NDArray[np.bool_], new: npt.NDArray[np.bool_], ids: Places
) -> npt.NDArray[np.bool_]:
    """Put those beside others that are alike enough by these vectors; returns which."""
    nearest = find_nearest(vectors[new], 1, vectors[known])
    spots = beside(points[known], nearest, ids[new])
    good = nearest.cosines[:, 0] >= ALIKE
    rows = np.flatnonzero(new)[good]
    points[rows] = spots[good]
    placed = np.zeros(len(points), bool)
    placed[rows] = True
    return placed


def _part_new(points: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    """Move new ones off others; those that were there stay."""
    moved = part(points)
    moved[known] = points[known]
    return moved


def _of_silent(name: str, parts: list[tuple[Places, Keys]]) -> Island:
    ids = np.concatenate([one for one, _ in parts])
    keys = np.concatenate([one for _, one in parts])
    order = np.argsort(ids, kind="stable")
    count = len(ids)
    return Island(name, ids[order], keys[order], sunflower(count), np.ones(count, bool), Shape())


def _together(by: str, source: str, islands: list[Island], before: Map | None) -> Map:
    """All islands on one map; those that were there stay where they were while there is room for them."""
    radii = [SPARE * float(np.linalg.norm(one.points, axis=1).max(initial=0.0)) + 1 for one in islands]
    fresh = before is None or any(one.shape.fresh for one in islands)
    spots: list[tuple[float, float] | None] = [None] * len(islands)
    for at, one in enumerate(islands):
        old = before.islands.get(one.name) if before and not fresh else None
        if old is not None and radii[at] <= old.radius * SPARE:
            spots[at], radii[at] = (old.x, old.y), old.radius
    middles = pack(radii, spots)
    circles = {
        one.name: Circle(x, y, radius, one.shape.scale, one.shape.laid_out)
        for one, (x, y), radius in zip(islands, middles, radii)
    }
    made = time.time() if fresh or before is None else before.made
    if not islands:
        empty = np.zeros(0, bool)
        return Map(by, source, made, np.zeros(0, np.int64), np.zeros(0, np.uint64),
                   np.zeros((0, 2), np.float32), np.zeros(0, np.int16), empty, {})  # fmt: skip
    points = np.concatenate([one.points + np.array(spot) for one, spot in zip(islands, middles)])
    groups = np.concatenate([np.full(len(one.ids), at, np.int16) for at, one in enumerate(islands)])
    return Map(
        by, source, made, np.concatenate([one.ids for one in islands]), np.concatenate([one.keys for one in islands]),
        points.astype(np.float32), groups, np.concatenate([one.laid for one in islands]), circles,
    )  # fmt: skip
