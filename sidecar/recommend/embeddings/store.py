"""Vectors of texts in the database: by text and model, float16, of unit length.

What goes, and when: vectors of another size than the model's, as soon as that is seen; another model's, once the one in use
has read everything; those of texts that are no more, only when they are many (`remove_orphans`).
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from sidecar.database import Database
from sidecar.recommend.documents import text_key
from sidecar.recommend.postings import Floats

Mask = npt.NDArray[np.bool_]

FEW = 2_000
"""Up to so many texts are looked up one by one; for more the whole table is read."""
STEP = 500
REMOVED = 1_000
"""Rows in one transaction."""
REST = 0.001  # seconds for other threads after each step
KEPT_ORPHANS = 20_000
TEXTS_OF_ONE = 5
"""A LoRA has about so many at most: one about it, and its prompts."""


def vectors_for(
    database: Database, model: str, texts: Sequence[str], dimension: int | None = None
) -> tuple[Floats, Mask]:
    """(vectors, mask): a row a text (count × dimension, float32), and which of them are there; the others are zero.

    Args:
        model: its id.
        dimension: vectors of another one do not count; None: the one that most of these texts' vectors have.
    """
    places: dict[bytes, list[int]] = {}
    for place, text in enumerate(texts):
        places.setdefault(text_key(text), []).append(place)
    found = [(key, vector) for key, vector in _read(database, model, places) if key in places]
    if dimension is None:
        lengths = Counter(len(vector) for _, vector in found if vector)
        dimension = lengths.most_common(1)[0][0] // 2 if lengths else 0
    vectors = np.zeros((len(texts), dimension), np.float32)
    mask = np.zeros(len(texts), np.bool_)
    whole = [(key, vector) for key, vector in found if dimension and len(vector) == 2 * dimension]
    if not whole:
        return vectors, mask
    rows = [place for key, _ in whole for place in places[key]]
    source = [row for row, (key, _) in enumerate(whole) for _ in places[key]]
    read = np.frombuffer(b"".join(vector for _, vector in whole), "<f2").reshape(-1, dimension)
    good = np.isfinite(read).all(axis=1)
    vectors[rows] = np.where(good[:, None], read, 0)[source]
    mask[rows] = good[source]
    return vectors, mask


def _read(database: Database, model: str, places: dict[bytes, list[int]]) -> Iterator[tuple[bytes, bytes]]:
    reader = database.reader()
    if len(places) > FEW:
        rows = reader.execute(
            "SELECT text_hash, vector FROM embeddings WHERE model = ? AND typeof(vector) = 'blob'", (model,)
        )
        while some := rows.fetchmany(STEP):
            yield from ((row[0], row[1]) for row in some)
            time.sleep(REST)
        return
    keys = list(places)
    for start in range(0, len(keys), STEP):
        some = keys[start : start + STEP]
        marks = ",".join("?" * len(some))
        rows = reader.execute(
            f"""SELECT text_hash, vector FROM embeddings
                WHERE text_hash IN ({marks}) AND model = ? AND typeof(vector) = 'blob'""",
            (*some, model),
        )
        yield from ((row[0], row[1]) for row in rows)


def known_keys(database: Database, model: str) -> set[bytes]:
    """The texts that have a vector of this model."""
    rows = database.reader().execute("SELECT text_hash FROM embeddings WHERE model = ?", (model,))
    return {row[0] for row in rows}


def usual_dimension(database: Database, model: str) -> int | None:
    """The size that most of this model's vectors have; None without any."""
    row = (
        database.reader()
        .execute(
            """SELECT length(vector) / 2 FROM embeddings WHERE model = ? AND length(vector) > 1
                   AND typeof(vector) = 'blob' GROUP BY length(vector) ORDER BY count(*) DESC LIMIT 1""",
            (model,),
        )
        .fetchone()
    )
    return int(row[0]) if row else None


def save(database: Database, model: str, rows: Iterable[tuple[bytes, Floats]]) -> None:
    """Store vectors by their texts' keys.

    Raises:
        Unavailable: the database does not take them now.
    """
    values = [(key, model, vector.astype("<f2").tobytes()) for key, vector in rows]

    def work(connection: sqlite3.Connection) -> None:
        connection.executemany(
            "INSERT OR REPLACE INTO embeddings (text_hash, model, vector) VALUES (?, ?, ?)", values
        )

    if values:
        database.write(work)


def remove_misfits(database: Database, model: str, dimension: int) -> int:
    """Remove this model's vectors of another size, and those that are no numbers; returns how many."""
    rows = database.reader().execute("SELECT text_hash, vector FROM embeddings WHERE model = ?", (model,))
    bad: list[tuple[bytes, str]] = []
    while some := rows.fetchmany(STEP):
        bad += [(row[0], model) for row in some if not _is_whole(row[1], dimension)]
        time.sleep(REST)
    return _delete(database, bad)


def _is_whole(vector: object, dimension: int) -> bool:
    if not isinstance(vector, bytes) or len(vector) != 2 * dimension:
        return False
    return bool(np.isfinite(np.frombuffer(vector, "<f2")).all())


def remove_others(database: Database, model: str) -> int:
    """Remove the vectors of all other models; returns how many. To be called when `model` knows all that is wanted: until
    then the user may go back to the other one and find its work."""
    return _remove(database, "model != ?", (model,))


def remove_orphans(database: Database, model: str, wanted: set[bytes]) -> int:
    """Remove this model's vectors of texts that nobody asks for, once they are very many; returns how many.

    Up to `KEPT_ORPHANS` are kept for good, and as many as there are wanted ones, and `TEXTS_OF_ONE` for each LoRA of the
    catalogue: a drive that is away comes back, a title is changed back.
    """
    orphans = known_keys(database, model) - wanted
    loras = database.reader().execute("SELECT count(*) FROM loras").fetchone()[0]
    if len(orphans) <= max(KEPT_ORPHANS, len(wanted), TEXTS_OF_ONE * loras):
        return 0
    return _delete(database, [(key, model) for key in orphans])


def _remove(database: Database, condition: str, values: tuple[Any, ...]) -> int:
    rows = database.reader().execute(f"SELECT text_hash, model FROM embeddings WHERE {condition}", values)
    return _delete(database, [(row[0], row[1]) for row in rows])


def _delete(database: Database, keys: list[tuple[bytes, str]]) -> int:
    """Some at a time, so that others can write between."""
    for start in range(0, len(keys), REMOVED):
        database.write(partial(_delete_some, keys[start : start + REMOVED]))
    return len(keys)


def _delete_some(keys: list[tuple[bytes, str]], connection: sqlite3.Connection) -> None:
    connection.executemany("DELETE FROM embeddings WHERE text_hash = ? AND model = ?", keys)
