"""Removes what is in the trash for good: when it is emptied, and when it has been there for long enough."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Sequence
from typing import Any

import orjson

from sidecar.database import Database
from sidecar.library.files import disk
from sidecar.library.files.batch import CHUNK
from sidecar.library.files.catalogue import FORGOTTEN, KEPT, PURGING
from sidecar.library.files.filesets import folder_path
from sidecar.library.files.journal import LOCK
from sidecar.library.files.trash import DAY_SECONDS, find_entry

log = logging.getLogger("lora-manager.files")


def empty_trash(database: Database, trash_ids: Sequence[int] | None = None) -> dict[str, Any]:
    """Remove entries for good, all of them without `trash_ids`: {"removed", "freed", "failed": [{id, name, reason}]}."""
    if trash_ids is None:
        return _purge(database, "t.state != ?", FORGOTTEN)
    return _purge(
        database, "t.id IN (SELECT value FROM json_each(?))", orjson.dumps(list(trash_ids)).decode()
    )


def purge_expired(database: Database, trash_days: int) -> int:
    """Remove what has been in the trash for longer than `trash_days` (0: for ever), and what an earlier purge has left
    half removed. Returns how many entries went."""
    limit = time.time() - trash_days * DAY_SECONDS if trash_days else 0.0
    outcome = _purge(database, "t.state = ? OR t.deleted < ?", PURGING, limit)
    for one in outcome["failed"]:
        log.info("Left in the trash: %s: %s", one["name"], one["reason"])
    return int(outcome["removed"])


def _purge(database: Database, condition: str, *values: Any) -> dict[str, Any]:
    """Remove entries for good, a portion at a time."""
    rows = database.reader().execute(f"SELECT t.id FROM trash t WHERE {condition}", values)
    ids = [row["id"] for row in rows]
    outcome: dict[str, Any] = {"removed": 0, "freed": 0, "failed": []}
    for start in range(0, len(ids), CHUNK):
        with LOCK:
            _purge_some(database, ids[start : start + CHUNK], outcome)
    return outcome


def _purge_some(database: Database, ids: list[int], outcome: dict[str, Any]) -> None:
    """Mark first, remove then: an entry that is half removed cannot be restored, and is finished by the next purge."""
    found = [row for row in (find_entry(database, number) for number in ids) if row is not None]
    away = {row["id"] for row in found if _is_away(row)}
    within_reach = [row for row in found if row["id"] not in away]
    for row in found:
        if row["id"] in away:
            reason = f"{row['root']} cannot be reached now; it stays in the trash until it is."
            outcome["failed"].append({"id": row["id"], "name": row["stem"], "reason": reason})
    _set_states(database, [(PURGING, row["id"]) for row in within_reach])
    removed, whole = [], []
    for row in within_reach:
        try:
            outcome["freed"] += _remove_files(row)
            removed.append((row["id"],))
        except OSError as error:
            reason = disk.reason_of(error)
            outcome["failed"].append({"id": row["id"], "name": row["stem"], "reason": reason})
            if _is_whole(row):
                whole.append((KEPT, row["id"]))
    outcome["removed"] += len(removed)
    database.write(lambda connection: connection.executemany("DELETE FROM trash WHERE id = ?", removed))
    _set_states(database, whole)


def _is_away(row: sqlite3.Row) -> bool:
    """Whether the drive of an entry is not there, as far as that can be seen: a mount that is gone leaves an empty folder."""
    trash = os.path.dirname(_folder(row))
    if row["state"] == FORGOTTEN or os.path.isdir(trash):
        return False
    top = os.path.dirname(trash)
    return not os.path.isdir(top) or not os.listdir(top)


def _set_states(database: Database, states: list[tuple[str, int]]) -> None:
    if states:
        database.write(
            lambda connection: connection.executemany("UPDATE trash SET state = ? WHERE id = ?", states),
            durable=True,
        )


def _folder(row: sqlite3.Row) -> str:
    return folder_path(row["root"], row["place"])


def _is_whole(row: sqlite3.Row) -> bool:
    folder = _folder(row)
    return all(os.path.lexists(os.path.join(folder, file["stored"])) for file in orjson.loads(row["files"]))


def _remove_files(row: sqlite3.Row) -> int:
    """Remove an entry's files; returns how many bytes that freed.

    Raises:
        OSError: one of them cannot be removed.
    """
    folder, freed = _folder(row), 0
    for file in orjson.loads(row["files"]):
        path = os.path.join(folder, file["stored"])
        if os.path.lexists(path):
            os.unlink(path)
            freed += file["size"]
    if row["files"] != "[]":
        disk.remove_empty([folder, os.path.dirname(folder)])
    return freed
