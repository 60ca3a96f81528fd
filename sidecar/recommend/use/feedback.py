"""The record of what the user said of recommendations: kept by content, listed, taken back."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

import orjson

from sidecar.database import Database
from sidecar.errors import BadRequest, NotFound
from sidecar.library.identities import identity_of
from sidecar.recommend.use.opinions import STRENGTH

VERDICTS = tuple(STRENGTH)

_ENTRY = """SELECT f.id, f.created, f.verdict, f.kind, f.subject, l.id AS lora_id, l.stem AS name,
       coalesce(i.title, l.title, l.stem) AS title
    FROM feedback f JOIN identities i ON i.id = f.identity_id
    LEFT JOIN loras l ON l.id = (SELECT min(c.id) FROM loras c WHERE c.identity_id = f.identity_id)"""


def subject_text(subject: str | list[str]) -> str:
    """A subject as it is kept: the prompt, or names as JSON in alphabetical order."""
    return subject if isinstance(subject, str) else orjson.dumps(sorted(subject)).decode()


def add_feedback(
    database: Database, lora_id: int, verdict: str, kind: str, subject: str | list[str]
) -> dict[str, Any]:
    """Keep one verdict on a LoRA; returns the entry.

    Raises:
        NotFound: no such LoRA.
    """

    def work(connection: sqlite3.Connection) -> int:
        if connection.execute("SELECT 1 FROM loras WHERE id = ?", (lora_id,)).fetchone() is None:
            raise NotFound(f"There is no LoRA with the id {lora_id}.")
        cursor = connection.execute(
            "INSERT INTO feedback (created, identity_id, verdict, kind, subject) VALUES (?, ?, ?, ?, ?)",
            (time.time(), identity_of(connection, lora_id), verdict, kind, subject_text(subject)),
        )
        return int(cursor.lastrowid or 0)

    number = database.write(work)
    return dict(database.reader().execute(f"{_ENTRY} WHERE f.id = ?", (number,)).fetchone())


def list_feedback(database: Database, *, cursor: str | None = None, limit: int = 50) -> dict[str, Any]:
    """Newest first: {"items", "total", "counts" by verdict, "next_cursor"}.

    Raises:
        BadRequest: a cursor that no list has given.
    """
    if cursor and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        raise BadRequest("The cursor is not one that a list has given; start again without it.")
    reader = database.reader()
    rows = reader.execute(
        f"{_ENTRY} WHERE f.id < ? ORDER BY f.id DESC LIMIT ?", (int(cursor or 2**63 - 1), limit + 1)
    ).fetchall()
    found = reader.execute("SELECT verdict, count(*) FROM feedback GROUP BY verdict")
    counts = {**dict.fromkeys(VERDICTS, 0), **{row[0]: row[1] for row in found}}
    return {
        "items": [dict(row) for row in rows[:limit]],
        "total": sum(counts.values()),
        "counts": counts,
        "next_cursor": str(rows[limit - 1]["id"]) if len(rows) > limit else None,
    }


def delete_feedback(database: Database, number: int | None = None) -> int:
    """Take one entry back, or all of them; returns how many there were.

    Raises:
        NotFound: no such entry.
    """

    def work(connection: sqlite3.Connection) -> int:
        if number is None:
            return connection.execute("DELETE FROM feedback").rowcount
        return connection.execute("DELETE FROM feedback WHERE id = ?", (number,)).rowcount

    deleted = database.write(work)
    if number is not None and not deleted:
        raise NotFound(f"There is no feedback with the id {number}; it may have been taken back already.")
    return deleted
