"""Sketches in the database, and all of one architecture as one matrix in memory."""

from __future__ import annotations

import sqlite3
import threading
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from sidecar.database import Database
from sidecar.library.weights.fingerprinting import READABLE
from sidecar.library.weights.tensors import Array
from sidecar.recommend.weightspace.sketch import BITS, BYTES, VERSION, Sketch

DUE = f"l.body_hash IS NOT NULL AND l.body_hash NOT IN (SELECT body_hash FROM sketches WHERE version = {VERSION})"


class Sketches(NamedTuple):
    """All sketches of one architecture: row i of `packed` (count × BITS / 64, uint64) is `hashes[i]`'s."""

    hashes: list[str]
    packed: Array

    def sides(self, rows: Array | slice, length: int) -> Array:
        """(rows × length, float32, of unit length): the first bits as ±; products of two rows grow with the LoRAs' cosine."""
        first = np.ascontiguousarray(self.packed[rows, : length // 64]).view(np.uint8)
        of_bytes = _SIDES * np.float32(length**-0.5)
        return np.asarray(of_bytes.take(first, axis=0).reshape(len(first), length))


_SIDES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1) * np.float32(2) - 1  # of every byte
_lock = threading.Lock()
_generations: WeakKeyDictionary[Database, int] = WeakKeyDictionary()
_kept: WeakKeyDictionary[Database, dict[str, tuple[int, Sketches]]] = WeakKeyDictionary()


def save_sketches(database: Database, taken: dict[str, Sketch]) -> None:
    """Store sketches by body_hash; matrices in memory are read anew when they are asked for.

    Raises:
        Unavailable: the database does not take them now.
    """
    rows = [
        (body_hash, VERSION, one.architecture, one.norm, one.bits, one.reason)
        for body_hash, one in taken.items()
    ]

    def work(connection: sqlite3.Connection) -> None:
        connection.executemany(
            """INSERT OR REPLACE INTO sketches (body_hash, version, architecture, norm, vector, reason)
               VALUES (?, ?, ?, ?, ?, ?)""",
            rows,
        )

    database.write(work)
    with _lock:
        _generations[database] = _generations.get(database, 0) + 1


def read_sketches(database: Database, architecture: str, *, keep: bool = True) -> Sketches:
    """All sketches of one architecture, from memory when none was added since; `keep` them there (4 kB each)."""
    with _lock:
        generation = _generations.get(database, 0)
        kept = _kept.setdefault(database, {}).get(architecture)
    if kept is not None and kept[0] == generation:
        return kept[1]
    reader = database.reader()
    wanted = "architecture = ? AND version = ? AND length(vector) = ?"
    asked = (architecture, VERSION, BYTES)
    count = reader.execute(f"SELECT count(*) FROM sketches WHERE {wanted}", asked).fetchone()[0]
    packed = np.zeros((count, BITS // 64), np.uint64)
    hashes: list[str] = []
    rows = reader.execute(f"SELECT body_hash, vector FROM sketches WHERE {wanted} LIMIT ?", (*asked, count))
    for place, row in enumerate(rows):
        packed[place] = np.frombuffer(row["vector"], np.uint64)
        hashes.append(row["body_hash"])
    found = Sketches(hashes, packed[: len(hashes)])
    if keep:
        with _lock:
            _kept[database][architecture] = (generation, found)
    return found


def status(database: Database) -> dict[str, int]:
    """{"done", "pending"}: contents with a sketch (or a reason for none), and those that can be read and have neither."""
    row = (
        database.reader()
        .execute(
            f"""SELECT (SELECT count(*) FROM sketches WHERE version = {VERSION}),
                       (SELECT count(DISTINCT l.body_hash) {READABLE} AND {DUE})"""
        )
        .fetchone()
    )
    return {"done": row[0], "pending": row[1]}
