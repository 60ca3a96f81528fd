"""What is counted of every LoRA, as arrays in memory, so that counts over 50,000 take milliseconds.

Derived from the database alone: read whole once, then only the rows that changed (`Database.changes_since`).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import orjson

from sidecar.database import Database

Ids = npt.NDArray[np.int64]

CATEGORIES = ("base_model", "place", "state", "label", "rating", "network", "nsfw", "favorite", "hidden")
KEPT = (*CATEGORIES, "used")
_ROWS = """
SELECT l.id, l.base_model, l.root_id || '/' || l.folder AS place, CASE WHEN l.present THEN l.state ELSE 'missing' END AS state,
       l.label, l.rating, l.network, l.nsfw, l.favorite, l.hidden, l.used FROM loras l"""
_GONE = -1


class Columns:
    """One small number a LoRA and category, in arrays indexed by LoRA id; tags as pairs of (LoRA id, tag id)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._revision = -1
        self._codes: dict[str, dict[Any, int]] = {}
        self._arrays: dict[str, npt.NDArray[np.int32]] = {}
        self._pair_loras: npt.NDArray[np.int32] = np.empty(0, np.int32)
        self._pair_tags: npt.NDArray[np.int32] = np.empty(0, np.int32)

    def count(self, ids: Ids | None, most_tags: int) -> dict[str, list[tuple[Any, int]]]:
        """(value, how many) by category, and for "tag" the most frequent (tag id, how many), over `ids` or over all."""
        with self._lock:
            self._refresh()
            present = self._arrays["base_model"] != _GONE
            if ids is not None:
                wanted = np.zeros(len(present), bool)
                wanted[ids[ids < len(present)]] = True
                present &= wanted
            found = np.flatnonzero(present)
            counts: dict[str, list[tuple[Any, int]]] = {}
            for name in CATEGORIES:
                numbers = np.bincount(self._arrays[name][found], minlength=len(self._codes[name])).tolist()
                counts[name] = [
                    (value, number) for value, number in zip(self._codes[name], numbers) if number
                ]
            tags = np.bincount(self._pair_tags, weights=present[self._pair_loras])
            most = np.argsort(-tags, kind="stable")[:most_tags]
            counts["tag"] = [(tag, int(tags[tag])) for tag in most.tolist() if tags[tag]]
            return counts

    def rank(self, category: str, ids: Ids, rank: Callable[[Any], int]) -> npt.NDArray[np.int32]:
        """For each of `ids` the number that `rank` gives to its value in one of `KEPT`; -1 for LoRAs that are gone."""
        with self._lock:
            self._refresh()
            array = self._arrays[category]
            ranks = np.array(
                [*map(rank, self._codes[category]), _GONE], np.int32
            )  # the last is that of code -1
            found = np.full(len(ids), _GONE, np.int32)
            known = ids < len(array)
            found[known] = ranks[array[ids[known]]]
            return found

    def _refresh(self) -> None:
        revision = self._database.revision
        if revision == self._revision:
            return
        changed = self._database.changes_since(self._revision)
        reader = self._database.reader()
        if changed is None:
            self._read_all(reader)
        elif changed:
            self._read_some(reader, sorted(changed))
        self._revision = revision

    def _read_all(self, reader: sqlite3.Connection) -> None:
        rows = reader.execute(_ROWS).fetchall()
        size = max((row[0] for row in rows), default=0) + 1
        self._codes = {name: {} for name in KEPT}
        self._arrays = {name: np.full(size, _GONE, np.int32) for name in KEPT}
        self._fill(rows)
        self._pair_loras, self._pair_tags = _pairs(reader.execute("SELECT lora_id, tag_id FROM lora_tags"))

    def _read_some(self, reader: sqlite3.Connection, changed: list[int]) -> None:
        self._grow(changed[-1] + 1)
        stale = np.zeros(len(self._arrays["base_model"]), bool)
        stale[changed] = True
        for array in self._arrays.values():
            array[stale] = _GONE
        wanted = (orjson.dumps(changed).decode(),)
        self._fill(
            reader.execute(f"{_ROWS} JOIN json_each(?) wanted ON l.id = wanted.value", wanted).fetchall()
        )
        loras, tags = _pairs(
            reader.execute(
                "SELECT lt.lora_id, lt.tag_id FROM json_each(?) wanted JOIN lora_tags lt ON lt.lora_id = wanted.value",
                wanted,
            )
        )
        kept = ~stale[self._pair_loras]
        self._pair_loras = np.concatenate([self._pair_loras[kept], loras])
        self._pair_tags = np.concatenate([self._pair_tags[kept], tags])

    def _grow(self, size: int) -> None:
        have = len(self._arrays["base_model"])
        if size > have:
            more = np.full(size + size // 4 - have, _GONE, np.int32)
            self._arrays = {name: np.concatenate([array, more]) for name, array in self._arrays.items()}

    def _fill(self, rows: list[sqlite3.Row]) -> None:
        ids = [row[0] for row in rows]
        for at, name in enumerate(KEPT, start=1):
            codes = self._codes[name]
            self._arrays[name][ids] = [codes.setdefault(row[at], len(codes)) for row in rows]


def _pairs(rows: Iterable[sqlite3.Row]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    pairs = np.array([tuple(row) for row in rows], np.int32).reshape(-1, 2)
    return pairs[:, 0].copy(), pairs[:, 1].copy()


_columns: WeakKeyDictionary[Database, Columns] = WeakKeyDictionary()


def columns_of(database: Database) -> Columns:
    """The one set of columns of a database."""
    return _columns.setdefault(database, Columns(database))
