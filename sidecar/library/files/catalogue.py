"""What file operations mean for the catalogue. Every function takes the writer's connection, inside its transaction."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from typing import Any

import orjson

from sidecar.library.identities import forget
from sidecar.library.store import apply_facts, index_search

KEPT, FORGOTTEN, PURGING = "kept", "forgotten", "purging"


def apply_change(
    connection: sqlite3.Connection, operation: int, kind: str, loras: Sequence[int], change: dict[str, Any]
) -> None:
    """Bring the catalogue in line with an operation whose steps are all done.

    `change` by kind:
        move     to [root_id, folder, stem], stamp [before, after], names {side file: its new name}
        delete   trash {place, files [{name, stored, size}], …} of the LoRA's row
        restore  used: id in the trash, to [root_id, folder, stem]
        files    root_id, folder, stem, extension; trash as above or null; used: id in the trash or null
    """
    if kind == "move":
        for lora_id in loras:
            _move_row(connection, lora_id, change)
    elif kind == "delete":
        for lora_id in loras:
            _trash_row(connection, operation, lora_id, change["trash"])
    elif kind == "restore":
        _restore_row(connection, operation, change)
    elif kind == "files":
        _swap_side_files(connection, operation, loras[0], change)


def _move_row(connection: sqlite3.Connection, lora_id: int, change: dict[str, Any]) -> None:
    row = connection.execute(
        "SELECT stem, extension, side_stamp, preview_file FROM loras WHERE id = ?", (lora_id,)
    ).fetchone()
    if row is None:
        return  # forgotten meanwhile; the scan finds the file as a new one
    root_id, folder, stem = change["to"]
    _make_room(connection, lora_id, root_id, folder, stem, row["extension"])
    before, after = change["stamp"]
    connection.execute(
        """UPDATE loras SET root_id = ?, folder = ?, stem = ?, sort_name = ?, side_stamp = ?, preview_file = ?,
               present = 1, hash_state = CASE hash_state WHEN 'failed' THEN 'pending' ELSE hash_state END
           WHERE id = ?""",
        (
            root_id, folder, stem, stem.casefold(), after if row["side_stamp"] == before else row["side_stamp"],
            change["names"].get(row["preview_file"], row["preview_file"]), lora_id,
        ),
    )  # fmt: skip
    if stem != row["stem"]:
        index_search(connection, [lora_id])


def forget_sources(connection: sqlite3.Connection, loras: Sequence[int], change: dict[str, Any]) -> None:
    """Forget rows that a scan made of files which stayed behind when they were copied to another device."""
    for lora_id in loras:
        rows = connection.execute(
            """SELECT o.id FROM loras o JOIN loras l ON l.id = ? AND o.extension = l.extension AND o.id != l.id
               WHERE o.root_id = ? AND o.folder = ? AND o.stem = ?""",
            (lora_id, *change["from"]),
        )
        forget(connection, [row["id"] for row in rows.fetchall()])


def _make_room(
    connection: sqlite3.Connection, lora_id: int, root_id: int, folder: str, stem: str, extension: str
) -> None:
    """Take away the row that stands where a file now is: the scan was quicker, or a LoRA that is missing had its place.

    What was said about it goes over where the file that moved has nothing said about it.
    """
    other = connection.execute(
        """SELECT id, identity_id, present FROM loras
           WHERE root_id = ? AND folder = ? AND stem = ? AND extension = ? AND id != ?""",
        (root_id, folder, stem, extension, lora_id),
    ).fetchone()
    if other is None:
        return
    if other["present"] and other["identity_id"] is not None:
        connection.execute(
            "UPDATE loras SET identity_id = coalesce(identity_id, ?) WHERE id = ?",
            (other["identity_id"], lora_id),
        )
        apply_facts(connection, [lora_id])
    forget(connection, [other["id"]])


def _trash_row(connection: sqlite3.Connection, operation: int, lora_id: int, trash: dict[str, Any]) -> None:
    row = connection.execute("SELECT * FROM loras WHERE id = ?", (lora_id,)).fetchone()
    if row is None:
        return
    texts = connection.execute("SELECT * FROM lora_texts WHERE lora_id = ?", (lora_id,)).fetchone()
    kept: dict[str, Any] = {"row": dict(row), "texts": dict(texts) if texts else None}
    # The scan may have seen the files gone before they were noted as deleted.
    kept["row"]["present"] = int(
        any(file["name"] == row["stem"] + row["extension"] for file in trash["files"])
    )
    _add_to_trash(connection, operation, "lora", lora_id, dict(row), trash, orjson.dumps(kept).decode())
    forget(connection, [lora_id])


def _add_to_trash(
    connection: sqlite3.Connection,
    operation: int,
    kind: str,
    lora_id: int,
    place: dict[str, Any],
    trash: dict[str, Any],
    lora: str | None,
) -> None:
    connection.execute(
        """INSERT INTO trash (operation_id, kind, state, lora_id, root_id, folder, stem, extension, title, place,
               files, size, deleted, lora) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            operation, kind, KEPT if trash["files"] else FORGOTTEN, lora_id, place["root_id"], place["folder"],
            place["stem"], place["extension"], trash["title"], trash["place"],
            orjson.dumps(trash["files"]).decode(), sum(file["size"] for file in trash["files"]), time.time(), lora,
        ),
    )  # fmt: skip


def _restore_row(connection: sqlite3.Connection, operation: int, change: dict[str, Any]) -> None:
    """Put a LoRA's row back with its identity, under its old id if that is still free."""
    trashed = connection.execute("SELECT * FROM trash WHERE id = ?", (change["used"],)).fetchone()
    if trashed is None:
        return
    kept = orjson.loads(trashed["lora"])
    root_id, folder, stem = change["to"]
    row = {**kept["row"], "root_id": root_id, "folder": folder, "stem": stem, "sort_name": stem.casefold()}
    taken = connection.execute(
        "SELECT root_id, folder, stem, extension FROM loras WHERE id = ?", (row["id"],)
    ).fetchone()
    if taken is not None and tuple(taken) != (root_id, folder, stem, row["extension"]):
        del row["id"]
    _make_room(connection, -1, root_id, folder, stem, row["extension"])
    row["identity_id"] = _identity_left(connection, row)
    row["indexed"] = 0
    lora_id = _insert(connection, "loras", row)
    if kept["texts"]:
        _insert(connection, "lora_texts", {**kept["texts"], "lora_id": lora_id})
    # Written anew from the files' tags, the rules and what the user said, whatever changed meanwhile.
    connection.execute("UPDATE loras SET effective_tags = '[]' WHERE id = ?", (lora_id,))
    apply_facts(connection, [lora_id])
    index_search(connection, [lora_id])
    connection.execute("DELETE FROM trash WHERE id = ?", (change["used"],))
    connection.execute("UPDATE file_operations SET loras = ? WHERE id = ?", (f"[{lora_id}]", operation))


def _identity_left(connection: sqlite3.Connection, row: dict[str, Any]) -> int | None:
    """The identity of a restored row: its own, or the one that its content has by now."""
    found = connection.execute(
        "SELECT id FROM identities WHERE body_hash = ? OR id = ? ORDER BY body_hash IS NULL LIMIT 1",
        (row["body_hash"], row["identity_id"]),
    ).fetchone()
    return int(found["id"]) if found else None


def _insert(connection: sqlite3.Connection, table: str, values: dict[str, Any]) -> int:
    """Insert what the table still has columns for; a column added since has its default."""
    columns = {row["name"] for row in connection.execute(f"PRAGMA table_info({table})")}
    names = [name for name in values if name in columns]
    cursor = connection.execute(
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
        [values[name] for name in names],
    )
    return int(cursor.lastrowid or 0)


def _swap_side_files(
    connection: sqlite3.Connection, operation: int, lora_id: int, change: dict[str, Any]
) -> None:
    if change.get("trash"):
        _add_to_trash(connection, operation, "files", lora_id, change, change["trash"], None)
    if change.get("used"):
        connection.execute("DELETE FROM trash WHERE id = ?", (change["used"],))
    connection.execute("UPDATE loras SET side_stamp = -1 WHERE id = ?", (lora_id,))
