"""Groups of LoRAs that cannot be compared with each other, each a round island of its own on the map."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sidecar.recommend.map.neighbours import Nearest, Places
from sidecar.recommend.postings import Floats

GAP = 0.06
"""Between islands, as a part of the map's radius."""
EDGE = 0.95
"""The part of the points that lie where the layout has put them; what is farther out is drawn in."""
TURN = 2.399963  # radians: the golden angle
LEAST = 0.62
"""Two points are at least so far apart, where 1 is how far they are on average."""


class Circle(NamedTuple):
    """Where an island lies, in units of the mean distance of points; `scale` is what its layout was multiplied with, and
    `laid_out` of how many it was made."""

    x: float
    y: float
    radius: float
    scale: float
    laid_out: int


def to_disc(points: Floats) -> tuple[Floats, float]:
    """Positions of a layout in a disc around (0, 0) with room for each, and the factor that they were multiplied with."""
    room = max(1.0, float(np.sqrt(len(points))))
    far = np.linalg.norm(points, axis=1)
    edge = float(np.quantile(far, EDGE)) if len(far) else 0.0
    if edge <= 0:
        return points.copy(), 1.0
    scale = 0.85 * room / edge
    over = np.maximum(far / edge - 1, 0)
    drawn_in = np.where(over > 0, (1 + 0.18 * np.tanh(over / 0.5)) / np.maximum(far / edge, 1e-9), 1)
    return part(np.asarray(points * (drawn_in * scale)[:, None], np.float32)), scale


def sunflower(count: int, start: int = 0) -> Floats:
    """`count` places in the plane, evenly around (0, 0), from the `start`th on."""
    number = np.arange(start, start + count)
    far, turn = 0.6 * np.sqrt(number), number * TURN
    return np.stack([far * np.cos(turn), far * np.sin(turn)], axis=1).astype(np.float32)


def beside(points: Floats, nearest: Nearest, ids: Places) -> Floats:
    """A place close to the nearest of each; which side of it is told by its id, so that it is the same each time."""
    turn = ids * TURN
    step = np.stack([np.cos(turn), np.sin(turn)], axis=1) * LEAST * 1.5
    return np.asarray(points[nearest.places[:, 0]] + step, np.float32)


def part(points: Floats, rounds: int = 40) -> Floats:
    """Move those apart that lie upon each other, a little in each round."""
    points = points.copy()
    turn = np.arange(len(points)) * TURN
    away = np.stack([np.cos(turn), np.sin(turn)], axis=1).astype(np.float32)
    for number in range(rounds):
        cells = np.floor(points / LEAST + 0.5 * (number % 2)).astype(np.int64)
        key = cells[:, 0] * 4_000_037 + cells[:, 1]
        order = np.argsort(key, kind="stable")
        same = np.flatnonzero(key[order][1:] == key[order][:-1])
        if not len(same):
            continue
        one, other = order[same], order[same + 1]
        apart = points[other] - points[one]
        length = np.linalg.norm(apart, axis=1, keepdims=True)
        way = np.where(length > 1e-6, apart / np.maximum(length, 1e-6), away[other])
        step = way * np.maximum(0, LEAST - length) / 2
        np.add.at(points, other, step)
        np.add.at(points, one, -step)
    return points


def pack(radii: list[float], known: list[tuple[float, float] | None]) -> list[tuple[float, float]]:
    """Where the middles of circles go so that none touch: those that are `known` stay, the others as near to (0, 0) as there
    is room, the largest first."""
    placed: dict[int, tuple[float, float]] = {at: spot for at, spot in enumerate(known) if spot is not None}
    gap = GAP * max(radii, default=1.0) + 1
    for at in sorted((at for at in range(len(radii)) if at not in placed), key=lambda at: -radii[at]):
        step = max(gap, radii[at] / 4)
        for number in range(100_000):
            far = step * np.sqrt(number)
            spot = (float(far * np.cos(number * TURN)), float(far * np.sin(number * TURN)))
            if all(
                np.hypot(spot[0] - x, spot[1] - y) >= radii[at] + radii[one] + gap
                for one, (x, y) in placed.items()
            ):
                placed[at] = spot
                break
    return [placed[at] for at in range(len(radii))]
