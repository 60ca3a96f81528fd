"""The map as the page takes it: numbers packed, so that 50,000 LoRAs are some hundred kilobytes."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from sidecar.database import Database
from sidecar.library.filters import Filter
from sidecar.library.queries import matching_ids, read_items
from sidecar.memo import remember
from sidecar.prompts.resolve import USABLE
from sidecar.recommend.map.store import Map

SIDE = 65_535
"""Coordinates are whole numbers from 0 to this."""
MARGIN = 0.03
"""Left free around all islands, as a part of the map."""


def answer_map(database: Database, found: Map | None, hidden: bool) -> dict[str, Any]:
    """{"count", "side", "ids" (uint32), "x", "y" (uint16), "base_model" {"values", "codes" (uint16)}, "regions"}, the arrays in
    little-endian base64. Only LoRAs that are still there; without the hidden ones unless they are asked for.
    """
    if found is None:
        return _pack(np.zeros(0, np.int64), np.zeros((0, 2), np.float32), {}, [])
    key = ("map", found.by, id(found), hidden)
    return remember(database, key, lambda: _answer(database, found, hidden))


def _answer(database: Database, found: Map, hidden: bool) -> dict[str, Any]:
    rows = database.reader().execute(
        f"""SELECT l.id, l.base_model FROM loras l JOIN roots r ON r.id = l.root_id
            WHERE {USABLE} AND (? OR NOT l.hidden)""",
        (hidden,),
    )
    bases: dict[int, str] = {row[0]: row[1] for row in rows}
    kept = np.fromiter((one in bases for one in found.ids.tolist()), bool, len(found.ids))
    return _pack(
        found.ids[kept], _to_whole(found)[kept], bases, [_region(found, one) for one in found.regions]
    )


def _pack(
    ids: npt.NDArray[np.int64], points: npt.NDArray[Any], bases: dict[int, str], regions: list[Any]
) -> dict[str, Any]:
    own = [bases[one] for one in ids.tolist()]
    values = sorted(set(own))
    code = {base: number for number, base in enumerate(values)}
    return {
        "count": len(ids),
        "side": SIDE,
        "ids": _base64(ids, "<u4"),
        "x": _base64(points[:, 0], "<u2"),
        "y": _base64(points[:, 1], "<u2"),
        "base_model": {"values": values, "codes": _base64([code[base] for base in own], "<u2")},
        "regions": regions,
    }


def _base64(numbers: Iterable[int] | npt.NDArray[Any], kind: str) -> str:
    return b64encode(np.asarray(numbers).astype(kind).tobytes()).decode()


def _frame(found: Map) -> tuple[float, float, float]:
    """Left, top and side of the square that holds all islands."""
    circles = np.array([(one.x, one.y, one.radius) for one in found.islands.values()] or [(0, 0, 1)])
    low, high = ((circles[:, :2] + sign * circles[:, 2:]) for sign in (-1, 1))
    low, high = low.min(axis=0), high.max(axis=0)
    side = float((high - low).max()) * (1 + 2 * MARGIN)
    middle = (low + high) / 2
    return float(middle[0]) - side / 2, float(middle[1]) - side / 2, side


def _to_whole(found: Map) -> npt.NDArray[Any]:
    left, top, side = _frame(found)
    return np.asarray(np.clip(np.rint((found.points - np.array([left, top])) / side * SIDE), 0, SIDE))


def _region(found: Map, region: dict[str, Any]) -> dict[str, Any]:
    left, top, side = _frame(found)
    x, y = (region["x"] - left) / side * SIDE, (region["y"] - top) / side * SIDE
    return {**region, "x": round(x), "y": round(y)}


def matching(database: Database, narrowed: Filter) -> str:
    """Ids of the LoRAs of a list, as uint32 in base64.

    Raises:
        BadRequest: the search cannot be read.
    """
    return _base64(matching_ids(database, narrowed), "<u4")


def items_of(database: Database, ids: list[int]) -> list[dict[str, Any]]:
    """Some of the map's LoRAs as lists have them, in this order; those that are gone are left out."""
    return read_items(database.reader(), ids)
