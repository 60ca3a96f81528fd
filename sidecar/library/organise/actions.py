"""The list of what the user did: every change is an action, and every action can be undone.

An action of kind "edit" or "tags" has its values before and after in `action_changes`; of kind "files", in the journal
of `library/files`, besides the edits that went with it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from typing import Any

import orjson

from sidecar.database import Database
from sidecar.errors import Conflict, NotFound

KEPT = 1_000
KINDS = ("edit", "tags", "files")


def begin(connection: sqlite3.Connection, kind: str, summary: str, count: int = 0) -> int:
    """Add an action of one of `KINDS`, in the transaction that makes its changes; returns its id."""
    cursor = connection.execute(
        "INSERT INTO actions (created, kind, summary, count) VALUES (?, ?, ?, ?)",
        (time.time(), kind, summary, count),
    )
    action = int(cursor.lastrowid or 0)
    connection.execute("DELETE FROM actions WHERE id <= ? AND kind != 'files'", (action - KEPT,))
    return action


def note_changes(
    connection: sqlite3.Connection, action: int, changes: Iterable[tuple[str, str, Any, Any]]
) -> None:
    """Remember (subject, field, before, after) of an action. Subjects are "identity:ID", "tag:NAME", "collection:ID"."""
    connection.executemany(
        "INSERT OR IGNORE INTO action_changes (action_id, subject, field, before, after) VALUES (?, ?, ?, ?, ?)",
        (
            (action, subject, field, orjson.dumps(before).decode(), orjson.dumps(after).decode())
            for subject, field, before, after in changes
        ),
    )


def changes_of(connection: sqlite3.Connection, action: int) -> list[tuple[str, str, Any, Any]]:
    """(subject, field, before, after) of an action."""
    rows = connection.execute(
        "SELECT subject, field, before, after FROM action_changes WHERE action_id = ?", (action,)
    )
    return [
        (row["subject"], row["field"], orjson.loads(row["before"]), orjson.loads(row["after"]))
        for row in rows
    ]


def list_actions(database: Database, limit: int) -> list[dict[str, Any]]:
    """The latest actions, newest first."""
    rows = database.reader().execute(
        "SELECT id, created, kind, summary, count, state FROM actions ORDER BY id DESC LIMIT ?", (limit,)
    )
    return [dict(row) for row in rows]


def get_action(connection: sqlite3.Connection, action: int) -> sqlite3.Row:
    """An action that can still be undone.

    Raises:
        NotFound: no such action, or it is too long ago.
        Conflict: it has been undone already.
    """
    row: sqlite3.Row | None = connection.execute("SELECT * FROM actions WHERE id = ?", (action,)).fetchone()
    if row is None:
        raise NotFound(f"There is no action {action} to undo any more.")
    if row["state"] == "undone":
        raise Conflict("This has been undone already.")
    return row


def mark_undone(connection: sqlite3.Connection, action: int) -> None:
    """Note that an action's changes have been taken back."""
    connection.execute("UPDATE actions SET state = 'undone' WHERE id = ?", (action,))
