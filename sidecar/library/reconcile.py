"""Compares a directory listing with the catalogue: what is new or changed, what is gone, what is back."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from sidecar.library.civitai.stored import version_of
from sidecar.library.folders import Root
from sidecar.library.record import Record
from sidecar.library.sources import FileJob
from sidecar.library.store import apply_facts
from sidecar.library.walking import FoundFolder

_MOVED = (
    *Record._fields, "sort_name", "modified", "present", "texts_read", "effective_tags", "detected_base_model", "detected_nsfw",
)  # fmt: skip


class Gone(NamedTuple):
    """A row whose file was not where the row had it when the scan looked."""

    id: int
    root_id: int
    folder: str
    stem: str


class Difference(NamedTuple):
    """What one directory asks of the catalogue: files to read, rows that are gone, ids that are back unchanged."""

    to_read: list[FileJob]
    gone: list[Gone]
    back: list[int]


def compare(reader: sqlite3.Connection, root: Root, folder: FoundFolder) -> Difference:
    """Compare one listed directory. A file is unchanged when size, time and side files are as they were."""
    known = {
        row["stem"] + row["extension"]: row
        for row in reader.execute(
            """SELECT id, stem, extension, size, mtime_ns, side_stamp, present, state
               FROM loras WHERE root_id = ? AND folder = ?""",
            (root.id, folder.relative),
        )
    }
    to_read, back = [], []
    for file in folder.files:
        row = known.pop(file.name, None)
        if (
            row is None
            or row["state"] == "unreadable"
            or _stamp(row) != (file.size, file.mtime_ns, file.side_stamp)
        ):
            fetched = version_of(reader, row["id"]) if row is not None else None
            to_read.append(FileJob(root.id, folder.relative, folder.path, *file, fetched=fetched))
        elif not row["present"]:
            back.append(row["id"])
    gone = [
        Gone(row["id"], root.id, folder.relative, row["stem"]) for row in known.values() if row["present"]
    ]
    return Difference(to_read, gone, back)


def _stamp(row: sqlite3.Row) -> tuple[int, int, int]:
    return row["size"], row["mtime_ns"], row["side_stamp"]


def in_vanished_folders(
    reader: sqlite3.Connection, root: Root, below: str, listed: set[str], unlisted: Iterable[str]
) -> list[Gone]:
    """Present files in directories that are no longer there. What lies below a directory that could not be listed is
    not counted as gone."""
    gone: list[Gone] = []
    unlisted = list(unlisted)
    for (folder,) in reader.execute(
        "SELECT DISTINCT folder FROM loras WHERE root_id = ?", (root.id,)
    ).fetchall():
        if (
            folder in listed
            or not is_below(folder, below)
            or any(is_below(folder, other) for other in unlisted)
        ):
            continue
        gone.extend(present_rows(reader, root, folder))
    return gone


def present_rows(reader: sqlite3.Connection, root: Root, folder: str | None = None) -> list[Gone]:
    """Rows of a root, or of one folder of it, whose files are present as far as the catalogue knows."""
    rows = reader.execute(
        "SELECT id, root_id, folder, stem FROM loras WHERE root_id = ? AND folder = coalesce(?, folder) AND present",
        (root.id, folder),
    )
    return [Gone(*row) for row in rows]


def still_there(connection: sqlite3.Connection, records: list[Record]) -> list[Record]:
    """Records whose files are where they were read; others were moved or deleted through the app meanwhile."""
    roots = {row["id"]: row["path"] for row in connection.execute("SELECT id, path FROM roots")}
    return [
        record
        for record in records
        if os.path.lexists(
            os.path.join(roots[record.root_id], record.folder, f"{record.stem}{record.extension}")
        )
    ]


def is_below(folder: str, outer: str) -> bool:
    """Whether `folder` is `outer` or in it; both relative with `/`."""
    return not outer or folder == outer or folder.startswith(outer + "/")


def follow_moves(connection: sqlite3.Connection, gone: Iterable[int]) -> int:
    """Files that vanished in one place and appeared in another, same size and time to the nanosecond, keep their row.

    Only when exactly one file qualifies; hashing confirms it later.
    """
    moved = 0
    for lora_id in gone:
        found = connection.execute(
            """SELECT n.* FROM loras n JOIN loras m ON m.id = ?
               WHERE NOT m.present AND n.present AND n.modified = m.modified AND n.mtime_ns = m.mtime_ns
                 AND n.size = m.size AND n.extension = m.extension AND n.id > m.id AND n.identity_id IS NULL""",
            (lora_id,),
        ).fetchall()
        if len(found) != 1:
            continue
        new = found[0]
        for table in ("lora_texts", "lora_tags"):
            connection.execute(f"DELETE FROM {table} WHERE lora_id = ?", (lora_id,))
            connection.execute(f"UPDATE {table} SET lora_id = ? WHERE lora_id = ?", (lora_id, new["id"]))
        connection.execute("DELETE FROM search WHERE rowid = ?", (new["id"],))
        connection.execute("DELETE FROM loras WHERE id = ?", (new["id"],))
        connection.execute(
            f"UPDATE loras SET {', '.join(f'{name} = ?' for name in _MOVED)}, indexed = 0 WHERE id = ?",
            (*(new[name] for name in _MOVED), lora_id),
        )
        apply_facts(connection, [lora_id])
        moved += 1
    return moved


def root_problem(root: Root) -> str | None:
    """Why a root cannot be scanned, or None."""
    if not os.path.isdir(root.path):
        return f"{root.path} is not there. Its LoRAs stay listed as missing until it is back."
    try:
        with os.scandir(root.path):
            return None
    except OSError as error:
        return f"{root.path} cannot be listed: {error.strerror or error}."
