"""A consistent copy of the database while everything goes on, and whether a copy is sound. No archive here."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import sqlite_utils

from sidecar.migrations import migrations

PAGES = 1_000
COUNTED = ("loras", "identities", "tags", "collections", "generations", "actions")
MAX_PROBLEMS = 20


def copy_database(source: Path, target: Path, told: Callable[[float], None] = lambda share: None) -> None:
    """Copy a database that others read and write meanwhile; the copy is one file without a journal.

    The copy is of the state at the call: one read transaction holds it, which in WAL mode nobody waits for. Without it
    SQLite would start over whenever something is written between two steps.

    Args:
        told: gets the share that is done after every step; may raise to give up.

    Raises:
        sqlite3.Error: the database cannot be read, or the disk is full.
    """
    with (
        closing(sqlite3.connect(source, isolation_level=None)) as reader,
        closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        reader.execute("PRAGMA query_only=ON")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
        copy.execute(
            "PRAGMA synchronous=OFF"
        )  # nobody knows the copy yet: a crash leaves rubbish, not a loss
        reader.backup(
            copy, pages=PAGES, progress=lambda _, left, total: told(1 - left / total if total else 1)
        )
        copy.execute("PRAGMA journal_mode=DELETE")


def database_problems(path: Path) -> list[str]:
    """What is wrong with a database file that nobody uses: structure, then references between tables."""
    try:
        with closing(_reader(path)) as connection:
            connection.execute("PRAGMA trusted_schema=OFF")
            found = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({MAX_PROBLEMS})")]
            if found != ["ok"]:
                return [f"The database is damaged: {text}." for text in found]
            loose = connection.execute("PRAGMA foreign_key_check").fetchmany(MAX_PROBLEMS)
            return [
                f"The database is damaged: row {row} of {table} refers to a row of {other} that is not there."
                for table, row, other, _ in loose
            ]
    except sqlite3.Error as error:
        return [f"The database cannot be read: {error}."]


def _reader(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def applied_migrations(path: Path) -> list[str]:
    """Names of the schema changes that a database file has seen, in their order.

    Raises:
        sqlite3.Error: it is no database of ours.
    """
    with closing(_reader(path)) as connection:
        rows = connection.execute(
            "SELECT name FROM _sqlite_migrations WHERE migration_set = ? ORDER BY id", (migrations.name,)
        )
        return [row[0] for row in rows]


def unknown_migrations(applied: list[str]) -> list[str]:
    """Those that this version does not know: a newer one made them."""
    known = {migration.name for migration in migrations.pending(sqlite_utils.Database(memory=True))}
    return [name for name in applied if name not in known]


def leave_unfinished(path: Path) -> None:
    """Let go of file operations that were under way when a database was copied: the disk has gone on without it.

    What was only planned did not happen for this catalogue; of a move to another device only the old files would still
    be removed, and they stay. The next scan finds every file where it is.

    Raises:
        sqlite3.Error: it cannot be written.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'file_operations'").fetchone()
        if found:
            connection.execute(
                """UPDATE file_operations SET state = CASE state WHEN 'planned' THEN 'undone' ELSE 'done' END
                   WHERE state IN ('planned', 'leftover')"""
            )


def count_rows(path: Path) -> dict[str, int]:
    """How much a database file holds, by table; a table that its schema does not have yet is left out.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    with closing(_reader(path)) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in COUNTED
            if table in tables
        }
