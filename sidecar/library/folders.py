"""LoRA folders ("roots"): which ones the user has, what they are called in the app, and whether they can be reached."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import NamedTuple

from sidecar.database import Database
from sidecar.errors import BadRequest


class Root(NamedTuple):
    """An active LoRA folder."""

    id: int
    path: str
    label: str


def activate(database: Database, paths: list[Path], *, only: bool = False) -> list[Root]:
    """Make `paths` active roots, adding those not known yet; with `only`, all others become inactive.

    A root that is another's subfolder would list its files twice, so it is left out in favour of the outer one.

    Raises:
        BadRequest: a path is not absolute.
    """
    for path in paths:
        if not path.is_absolute():
            raise BadRequest(f"A LoRA folder needs its full path; {str(path)!r} has none.")

    def work(connection: sqlite3.Connection) -> None:
        if only:  # what is left behind also gives its label back
            connection.execute("UPDATE roots SET active = 0, label = '#' || id")
        for path in paths:
            text = os.path.realpath(path)
            connection.execute(
                """INSERT INTO roots (path, label) VALUES (?, ?)
                   ON CONFLICT (path) DO UPDATE SET active = 1, label = excluded.label""",
                (text, _free_label(connection, text)),
            )
        active = [row["path"] for row in connection.execute("SELECT path FROM roots WHERE active")]
        for path in active:
            if any(path != other and Path(path).is_relative_to(other) for other in active):
                connection.execute("UPDATE roots SET active = 0 WHERE path = ?", (path,))

    database.write(work)
    return active_roots(database)


def active_roots(database: Database) -> list[Root]:
    """The folders that are scanned and watched, in the order they were added."""
    rows = database.reader().execute("SELECT id, path, label FROM roots WHERE active ORDER BY id")
    return [Root(row["id"], row["path"], row["label"]) for row in rows]


def describe(database: Database) -> list[dict[str, object]]:
    """Every active root with its count and whether it could be reached at the last scan."""
    rows = database.reader().execute(
        """SELECT path, label, online, message,
                  (SELECT count(*) FROM loras WHERE root_id = roots.id AND present) AS loras
           FROM roots WHERE active ORDER BY roots.id"""
    )
    return [{**dict(row), "online": bool(row["online"])} for row in rows]


def set_online(database: Database, root: Root, message: str | None) -> None:
    """Note whether a root could be read; `message` says why not."""
    database.write(
        lambda connection: connection.execute(
            "UPDATE roots SET online = ?, message = ? WHERE id = ?", (message is None, message, root.id)
        )
    )


def _free_label(connection: sqlite3.Connection, path: str) -> str:
    taken = {row["label"] for row in connection.execute("SELECT label FROM roots WHERE path != ?", (path,))}
    base = os.path.basename(path) or path
    label, number = base, 2
    while label in taken:
        label, number = f"{base} ({number})", number + 1
    return label
