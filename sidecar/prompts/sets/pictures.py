"""The picture of its own that a set can have: small, in the database, and so in every backup."""

from __future__ import annotations

import sqlite3
import time

from sidecar.database import Database
from sidecar.errors import NotFound
from sidecar.library.previews import shrink


def read_picture(database: Database, number: int) -> bytes:
    """The picture of a set, as WebP.

    Raises:
        NotFound: no such set, or it has none of its own.
    """
    row = database.reader().execute("SELECT picture FROM set_pictures WHERE set_id = ?", (number,)).fetchone()
    if row is None:
        raise NotFound(f"The set {number} has no picture of its own.")
    return bytes(row["picture"])


def save_picture(database: Database, number: int, content: bytes) -> None:
    """Make a picture the set's own.

    Raises:
        NotFound: no such set. PreviewBroken: it is no picture that can be opened.
    """
    small, _ = shrink(content)

    def work(connection: sqlite3.Connection) -> None:
        if connection.execute("SELECT 1 FROM sets WHERE id = ?", (number,)).fetchone() is None:
            raise NotFound(f"There is no set {number}.")
        connection.execute(
            "INSERT OR REPLACE INTO set_pictures (set_id, stamp, picture) VALUES (?, ?, ?)",
            (number, time.time(), small),
        )

    database.write(work)


def remove_picture(database: Database, number: int) -> None:
    """Take a set's own picture away; without one nothing happens."""
    database.write(
        lambda connection: connection.execute("DELETE FROM set_pictures WHERE set_id = ?", (number,))
    )
