"""Collections: hand-picked ones keep identities in an order, smart ones are a saved search."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from sidecar.database import Database
from sidecar.errors import BadRequest, Conflict, NotFound
from sidecar.library.filters import Filter, Where, build_where
from sidecar.library.find.parse import parse_query
from sidecar.library.organise import actions
from sidecar.memo import remember

FIELDS = ("name", "query", "sort", "color", "notes")
PREVIEWS = 4


def list_collections(database: Database) -> list[dict[str, Any]]:
    """All, by name, each with its count and up to four LoRAs to show of it."""
    return remember(database, "collections", lambda: [_describe(database, row) for row in _rows(database)])


def get_collection(database: Database, collection: int) -> dict[str, Any]:
    """One collection.

    Raises:
        NotFound: no such collection.
    """
    return _describe(database, _row(database.reader(), collection))


def _rows(database: Database) -> list[sqlite3.Row]:
    return database.reader().execute("SELECT * FROM collections ORDER BY name").fetchall()


def _row(connection: sqlite3.Connection, collection: int) -> sqlite3.Row:
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM collections WHERE id = ?", (collection,)
    ).fetchone()
    if row is None:
        raise NotFound(f"There is no collection {collection}; it may have been deleted.")
    return row


def _describe(database: Database, row: sqlite3.Row) -> dict[str, Any]:
    reader = database.reader()
    try:
        where = build_where(database, Filter(collection=row["id"]))
    except BadRequest:  # its query names what is no longer there
        where = Where(conditions=["0"])
    previews = reader.execute(
        f"SELECT l.id FROM loras l WHERE {where.sql()} AND l.preview_kind IS NOT NULL LIMIT ?",
        (*where.values, PREVIEWS),
    )
    return {**dict(row), "count": where.count(reader), "previews": [one["id"] for one in previews]}


def create_collection(database: Database, values: dict[str, Any]) -> int:
    """Make a collection; with `query` a smart one. Returns its id.

    Raises:
        Conflict: the name is taken. BadQuery: the query cannot be read. BadRequest: no name.
    """
    row = _checked({name: values.get(name) for name in FIELDS})

    def work(connection: sqlite3.Connection) -> int:
        _refuse_taken(connection, row["name"])
        cursor = connection.execute(
            f"INSERT INTO collections ({', '.join(FIELDS)}, created) VALUES (?, ?, ?, ?, ?, ?)",
            (*row.values(), time.time()),
        )
        return int(cursor.lastrowid or 0)

    return database.write(work)


def change_collection(database: Database, collection: int, changes: dict[str, Any]) -> None:
    """Change the given ones of `FIELDS`.

    Raises:
        NotFound: no such collection. Conflict: the name is taken. BadQuery: the query cannot be read.
        BadRequest: a hand-picked collection cannot become a search, nor the other way round.
    """

    def work(connection: sqlite3.Connection) -> None:
        before = dict(_row(connection, collection))
        after = _checked({name: changes.get(name, before[name]) for name in FIELDS})
        if (before["query"] is None) != (after["query"] is None):
            raise BadRequest(
                "A hand-picked collection stays one, and a saved search too; make a new one instead."
            )
        if after["name"].lower() != before["name"].lower():
            _refuse_taken(connection, after["name"])
        connection.execute(
            f"UPDATE collections SET {', '.join(f'{name} = ?' for name in FIELDS)} WHERE id = ?",
            (*after.values(), collection),
        )

    database.write(work)


def delete_collection(database: Database, collection: int) -> int:
    """Delete a collection, not its LoRAs; returns the action that brings it back.

    Raises:
        NotFound: no such collection.
    """

    def work(connection: sqlite3.Connection) -> int:
        row = dict(_row(connection, collection))
        items = connection.execute(
            "SELECT identity_id, position FROM collection_items WHERE collection_id = ?", (collection,)
        )
        kept = {"row": row, "items": [list(item) for item in items]}
        action = actions.begin(connection, "edit", f"Collection {row['name']} deleted", len(kept["items"]))
        actions.note_changes(connection, action, [(f"collection:{collection}", "deleted", kept, None)])
        connection.execute("DELETE FROM collections WHERE id = ?", (collection,))
        return action

    return database.write(work)


def bring_back(connection: sqlite3.Connection, kept: dict[str, Any]) -> bool:
    """Undo a deletion; False when its name is taken by now."""
    row = kept["row"]
    if connection.execute("SELECT 1 FROM collections WHERE name = ?", (row["name"],)).fetchone():
        return False
    known = connection.execute("SELECT 1 FROM collections WHERE id = ?", (row["id"],)).fetchone()
    values = {**row, "id": None} if known else row
    cursor = connection.execute(
        f"INSERT INTO collections ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
        list(values.values()),
    )
    connection.executemany(
        """INSERT INTO collection_items (collection_id, identity_id, position)
           SELECT ?, id, ? FROM identities WHERE id = ?""",
        ((cursor.lastrowid, position, identity) for identity, position in kept["items"]),
    )
    return True


def refuse_smart(database: Database, collection: int) -> None:
    """Raises:
    NotFound: no such collection. BadRequest: it is a saved search, which cannot be picked into.
    """
    row = _row(database.reader(), collection)
    if row["query"] is not None:
        raise BadRequest(f"{row['name']} is a saved search: change what it searches for instead.")


def _checked(row: dict[str, Any]) -> dict[str, Any]:
    name = (row["name"] or "").strip()
    if not name or len(name) > 200:
        raise BadRequest("A collection needs a name of at most 200 characters.")
    if row["query"] is not None:
        parse_query(row["query"])
    return {**row, "name": name}


def _refuse_taken(connection: sqlite3.Connection, name: str) -> None:
    if connection.execute("SELECT 1 FROM collections WHERE name = ?", (name,)).fetchone():
        raise Conflict(f"There is a collection {name!r} already; choose another name.")
