"""The trash: what lies in it, and bringing it back. Removing for good is in `purging`."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Sequence
from typing import Any

import orjson

from sidecar.database import Database
from sidecar.errors import BadRequest, Conflict, NotFound
from sidecar.library.files.batch import CHUNK, CONFLICT, FAILED, Batch, Item, Outcome, Planned
from sidecar.library.files.catalogue import KEPT, PURGING
from sidecar.library.files.filesets import Listings, Spot, folder_path, read_loras
from sidecar.library.files.journal import LOCK
from sidecar.library.files.names import name_problem
from sidecar.library.files.operations import plural
from sidecar.library.files.plans_back import plan_restore, plan_swap_back
from sidecar.library.previews import sniff
from sidecar.library.queries import folder_name
from sidecar.library.side_files import IMAGE_EXTENSIONS
from sidecar.state import State
from sidecar.tasks import Task

log = logging.getLogger("lora-manager.files")

DAY_SECONDS = 86_400
_ENTRIES = "SELECT t.*, r.path AS root, r.label, r.active FROM trash t JOIN roots r ON r.id = t.root_id"


def list_trash(
    database: Database, trash_days: int, *, limit: int, before: int | None = None
) -> dict[str, Any]:
    """What lies in the trash, latest first. `before` is the last id of the page before."""
    reader = database.reader()
    rows = reader.execute(
        f"{_ENTRIES} WHERE t.state = ? AND t.id < ? ORDER BY t.id DESC LIMIT ?",
        (KEPT, 2**62 if before is None else before, limit),
    ).fetchall()
    total, size = reader.execute(
        "SELECT count(*), coalesce(sum(size), 0) FROM trash WHERE state = ?", (KEPT,)
    ).fetchone()
    return {
        "items": [_describe(row, trash_days) for row in rows],
        "total": total,
        "size": size,
        "next_cursor": str(rows[-1]["id"]) if len(rows) == limit else None,
    }


def _describe(row: sqlite3.Row, trash_days: int) -> dict[str, Any]:
    files = [file["name"] for file in orjson.loads(row["files"])]
    return {
        "id": row["id"],
        "kind": row["kind"],
        "name": row["stem"],
        "title": row["title"],
        "folder": folder_name(row["label"], row["folder"]),
        "deleted": row["deleted"],
        "expires": row["deleted"] + trash_days * DAY_SECONDS if trash_days else None,
        "size": row["size"],
        "files": files,
        "preview": _picture(row) is not None,
    }


def _picture(row: sqlite3.Row) -> str | None:
    """The stored name of a picture among an entry's files, the LoRA's preview first."""
    files = orjson.loads(row["files"])
    chosen = orjson.loads(row["lora"])["row"]["preview_file"] if row["lora"] else None
    pictures = [file for file in files if file["name"].lower().endswith(IMAGE_EXTENSIONS)]
    pictures.sort(key=lambda file: file["name"] != chosen)
    return pictures[0]["stored"] if pictures else None


def get_picture(database: Database, trash_id: int) -> tuple[str, str]:
    """Path and media type of the picture of an entry.

    Raises:
        NotFound: there is none.
    """
    row = _entry(database, trash_id)
    stored = _picture(row)
    if stored is not None:
        path = os.path.join(folder_path(row["root"], row["place"]), stored)
        try:
            with open(path, "rb") as file:
                media_type = sniff(file.read(16))
        except OSError:
            media_type = None
        if media_type is not None:
            return path, media_type
    raise NotFound("There is no picture of it in the trash.")


def find_entry(database: Database, trash_id: int) -> sqlite3.Row | None:
    """An entry with `root` (path), `label` and `active` of its LoRA folder."""
    row: sqlite3.Row | None = database.reader().execute(f"{_ENTRIES} WHERE t.id = ?", (trash_id,)).fetchone()
    return row


def _entry(database: Database, trash_id: int) -> sqlite3.Row:
    row = find_entry(database, trash_id)
    if row is None:
        raise NotFound("It is not in the trash any more.")
    return row


def restore_loras(
    state: State,
    trash_ids: Sequence[int],
    *,
    name: str | None = None,
    action: int | None = None,
    task: Task | None = None,
) -> Outcome:
    """Bring entries of the trash back to where they were, a single one also under another `name`.

    Raises:
        BadRequest: a name that cannot be, or one for several. Unavailable: the database takes no changes now.
    """
    if name is not None:
        problem = name_problem(name) if len(trash_ids) == 1 else "Only one LoRA at a time can get a new name."
        if problem:
            raise BadRequest(problem)
    first = ""

    def summary(count: int) -> str:
        return f"Restored {first}" if len(trash_ids) == 1 and first else f"Restored {plural(count)}"

    if task is not None:
        task.total = len(trash_ids)
    with Batch(state, summary, action) as batch:
        for start in range(0, len(trash_ids), CHUNK):
            portion = trash_ids[start : start + CHUNK]
            with LOCK:
                planned = _plan(state.database, batch, portion, name)
                first = planned[0].items[0].source.rpartition("/")[2] if planned else ""
                batch.carry_out(planned, len(trash_ids))
            if task is not None:
                task.advance(len(portion))
    return batch.outcome


def _plan(database: Database, batch: Batch, trash_ids: Sequence[int], name: str | None) -> list[Planned]:
    planned: list[Planned] = []
    listings = batch.listings()
    for trash_id in trash_ids:
        row = None
        try:
            row = _entry(database, trash_id)
            if row["state"] == PURGING:
                raise NotFound("It is being removed for good.")
            planned.append(plan_back(database, listings, row, name))
        except (Conflict, NotFound) as error:
            shown = f"{row['stem']}{row['extension']}" if row else ""
            lora_id = row["lora_id"] if row else 0
            batch.refuse([Item(lora_id, shown, None, CONFLICT if row else FAILED, error.message)])
    return planned


def plan_back(
    database: Database, listings: Listings, trashed: sqlite3.Row, name: str | None = None
) -> Planned:
    """The plan of bringing one entry back.

    Raises:
        Conflict: with the reason.
    """
    if not trashed["active"]:
        raise Conflict(f"{trashed['root']} is not one of the LoRA folders in use now.")
    if trashed["kind"] == "lora":
        spot = Spot(
            trashed["root_id"], trashed["root"], trashed["label"], trashed["folder"], name or trashed["stem"]
        )
        return plan_restore(database.reader(), listings, trashed, spot)
    found = read_loras(database.reader(), [trashed["lora_id"]])
    if not found:
        raise Conflict(f"Its LoRA {trashed['stem']} is no longer in the library.")
    return plan_swap_back(listings, found[0], trashed, ())


def entries_of(database: Database, operation: int) -> list[sqlite3.Row]:
    """What an operation has put into the trash and what is still there."""
    return (
        database.reader()
        .execute(f"{_ENTRIES} WHERE t.operation_id = ? AND t.state != ?", (operation, PURGING))
        .fetchall()
    )


def entries_from(database: Database, lora_id: int, place: dict[str, Any]) -> list[sqlite3.Row]:
    """A LoRA that another operation has put into the trash, from the same place."""
    return (
        database.reader()
        .execute(
            f"""{_ENTRIES} WHERE t.kind = 'lora' AND t.state != ? AND t.lora_id = ? AND t.root_id = ? AND t.folder = ?
                AND t.stem = ? AND t.extension = ? ORDER BY t.id DESC LIMIT 1""",
            (PURGING, lora_id, place["root_id"], place["folder"], place["stem"], place["extension"]),
        )
        .fetchall()
    )
