"""Finds pairs of contents with nearly the same weights, by their sketches: new ones against all of their architecture."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable

import numpy as np

from sidecar.database import Database
from sidecar.library.weights.tensors import Array
from sidecar.recommend.weightspace.sketch import BYTES, VERSION, cosines
from sidecar.recommend.weightspace.store import Sketches, read_sketches

LEAST = 0.8
"""Pairs with a lower cosine are not kept."""
MOST = 200  # pairs of one content, the most alike
_AT_ONCE = 256  # new ones
_ROWS = 2048  # of all, compared with them at once
_FIRST = 2048  # bits that are looked at of all
_AMISS = 0.1  # 6 standard errors of the cosine that those tell, at LEAST

_UNPAIRED = "paired = 0 AND vector IS NOT NULL AND version = ? AND length(vector) = ?"


def count_unpaired(database: Database) -> int:
    """How many sketches are not compared with the others yet."""
    row = database.reader().execute(
        f"SELECT count(*) FROM sketches WHERE {_UNPAIRED}", (VERSION, BYTES)
    )  # fmt: skip
    return int(row.fetchone()[0])


def pair_all(database: Database, go_on: Callable[[], bool]) -> int:
    """Compare every new sketch with all of its architecture; returns how many are done. What was found is stored as it goes.

    Raises:
        Unavailable: the database does not take what was found.
    """
    rows = database.reader().execute(
        f"SELECT architecture, body_hash FROM sketches WHERE {_UNPAIRED} ORDER BY architecture", (VERSION, BYTES)
    )  # fmt: skip
    new: dict[str, list[str]] = {}
    for row in rows:
        new.setdefault(row["architecture"], []).append(row["body_hash"])
    done = 0
    for architecture, contents in new.items():
        sketches = read_sketches(database, architecture, keep=False)
        places = {content: place for place, content in enumerate(sketches.hashes)}
        known = [content for content in contents if content in places]
        for start in range(0, len(known), _AT_ONCE):
            if not go_on():
                return done
            part = known[start : start + _AT_ONCE]
            pairs = _pairs(sketches, [places[content] for content in part])
            database.write(lambda connection, part=part, pairs=pairs: _save(connection, part, pairs))  # type: ignore[misc]
            done += len(part)
    return done


def _pairs(sketches: Sketches, places: list[int]) -> list[tuple[str, str, float]]:
    found = []
    for place, others in zip(places, _candidates(sketches, places)):
        likeness = cosines(sketches.packed[others], sketches.packed[place])
        best = np.argsort(-likeness, kind="stable")[:MOST]
        for at in best[likeness[best] >= LEAST].tolist():
            one, two = sorted((sketches.hashes[place], sketches.hashes[others[at]]))
            found.append((one, two, float(likeness[at])))
    return found


def _candidates(sketches: Sketches, places: list[int]) -> list[Array]:
    """For each of `places` the rows of others that may be alike enough, told by their first bits; the best of them."""
    new = sketches.sides(np.array(places), _FIRST)
    products = np.empty((len(places), len(sketches.hashes)), np.float32)
    for start in range(0, len(sketches.hashes), _ROWS):
        rows = slice(start, start + _ROWS)
        np.matmul(new, sketches.sides(rows, _FIRST).T, out=products[:, rows])
    products[range(len(places)), places] = -1  # with itself
    least = 1 - 2 * math.acos(LEAST - _AMISS) / math.pi
    found = []
    for row in products:
        enough = np.flatnonzero(row >= least)
        found.append(enough[np.argsort(-row[enough], kind="stable")[: 2 * MOST]])
    return found


def _save(connection: sqlite3.Connection, contents: list[str], pairs: list[tuple[str, str, float]]) -> None:
    connection.executemany("INSERT OR REPLACE INTO near (one, other, cosine) VALUES (?, ?, ?)", pairs)
    connection.executemany(
        "UPDATE sketches SET paired = 1 WHERE body_hash = ?", [(content,) for content in contents]
    )
