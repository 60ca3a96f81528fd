"""Keeps one of several duplicates: it gets what only the others had, the others go to the trash, all in one action."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from typing import Any

from sidecar.errors import BadRequest, Conflict, NotFound, SidecarError
from sidecar.library.files.operations import change_side_files, delete_loras
from sidecar.library.organise import actions
from sidecar.library.side_files import IMAGE_EXTENSIONS, VIDEO_EXTENSIONS, side_files_of
from sidecar.library.store import index_rest
from sidecar.library.weights.duplicates import find_groups
from sidecar.library.weights.merging import merge_facts
from sidecar.state import State

MOST = 200


def resolve(
    state: State, keep: int, remove: Sequence[int], *, merge: bool = True, near: float | None = None
) -> dict[str, Any]:
    """Keep one file and put its duplicates into the trash: {action, freed, in_trash_days, done, failed: [{id, reason}]}.

    With `near` they are those listed as nearly the same, from this cosine on, besides the duplicates.

    With `merge` the kept one first gets what the user said about the others and their side files, where it has none. A
    file whose side files could not be copied stays. `freed` counts once the trash is emptied.

    Raises:
        NotFound: one of them is not known. BadRequest: they are no duplicates of the one that is kept.
        Conflict: the kept file is not as it should be. Unavailable: the database takes no changes now.
    """
    removed = [lora_id for lora_id in dict.fromkeys(remove) if lora_id != keep]
    if not 1 <= len(removed) <= MOST:
        raise BadRequest(f"Name the files to remove: 1 to {MOST}, other than the one to keep.")
    rows = _rows(state, [keep, *removed])
    _check(state, rows, keep, removed, near)
    freed = {lora_id: _space(rows[lora_id], rows[keep]) for lora_id in removed}
    own = set(_side_files(rows[keep])) if merge else set()
    summary = (
        f"Kept {rows[keep]['stem']}, removed {len(removed):,} duplicate{'s' if len(removed) > 1 else ''}"
    )
    action = state.database.write(
        lambda connection: actions.begin(connection, "files", summary, len(removed))
    )
    failed: list[dict[str, Any]] = []
    if merge:
        removed = _copy_side_files(state, rows, keep, removed, own, action, failed)
        state.database.write(lambda connection: merge_facts(connection, action, keep, removed))
        index_rest(state.database)
    outcome = delete_loras(state, removed, action=action) if removed else None
    items = outcome.items if outcome else []
    done = [item.id for item in items if item.state == "done"]
    failed += [{"id": item.id, "reason": item.reason} for item in items if item.reason is not None]
    state.events.publish("duplicates.changed")
    state.events.publish("lora.edited", id=keep)
    return {
        "action": _kept_action(state, action, done),
        "freed": sum(freed[lora_id] for lora_id in done),
        "in_trash_days": state.settings.trash_days,
        "done": len(done),
        "failed": failed,
    }


def _rows(state: State, lora_ids: list[int]) -> dict[int, sqlite3.Row]:
    reader = state.database.reader()
    found = {}
    for lora_id in lora_ids:
        row = reader.execute(
            """SELECT l.id, r.path AS root, l.folder, l.stem, l.stem || l.extension AS name, l.size, l.mtime_ns, l.present
               FROM loras l JOIN roots r ON r.id = l.root_id WHERE l.id = ?""",
            (lora_id,),
        ).fetchone()
        if row is None:
            raise NotFound(f"There is no LoRA with the id {lora_id}.")
        found[lora_id] = row
    return found


def _check(
    state: State, rows: dict[int, sqlite3.Row], keep: int, removed: list[int], near: float | None
) -> None:
    """What is about to be removed must be in the file that stays, or near to it when that is wanted, and that file must be
    there, now."""
    groups = find_groups(state.database)
    if near is not None:
        groups = [*groups, *find_groups(state.database, "near", near)]
    together = {lora_id for group in groups if keep in group.ids for lora_id in group.ids}
    for lora_id in removed:
        if lora_id not in together:
            raise BadRequest(
                f"{rows[lora_id]['name']} is not known to be a duplicate of {rows[keep]['name']}."
            )
    path = _path(rows[keep])
    for lora_id in removed:
        if os.path.realpath(path) == os.path.realpath(_path(rows[lora_id])):
            raise Conflict(
                f"{path} and {_path(rows[lora_id])} are one file, by a link; remove the link by hand."
            )
    try:
        stat = os.stat(path)
    except OSError as error:
        raise Conflict(f"{path} is to be kept and cannot be reached: {error.strerror or error}.") from error
    if (stat.st_size, stat.st_mtime_ns) != (rows[keep]["size"], rows[keep]["mtime_ns"]):
        raise Conflict(f"{path} has changed since it was compared; wait until it was read again.")


def _space(row: sqlite3.Row, kept: sqlite3.Row) -> int:
    """Bytes that a file takes for itself: none when it is missing, or a hard link to the one that stays."""
    try:
        linked = os.path.samefile(_path(row), _path(kept))
    except OSError:
        return 0
    return 0 if linked else int(row["size"])


def _copy_side_files(
    state: State,
    rows: dict[int, sqlite3.Row],
    keep: int,
    removed: list[int],
    own: set[str],
    action: int,
    failed: list[dict[str, Any]],
) -> list[int]:
    """Give the kept file, which has the endings `own`, the side files it lacks; returns those of `removed` whose side
    files are safe."""
    safe = []
    for lora_id in removed:
        row = rows[lora_id]
        try:
            given = {} if not row["present"] else _lacking(own, _side_files(row))
            copies = {
                rows[keep]["stem"] + name[len(row["stem"]) :]: os.path.join(_folder(row), name)
                for name in given.values()
            }
            if copies:
                summary = f"Side files of {row['stem']} for {rows[keep]['stem']}"
                change_side_files(state, keep, summary=summary, copy=copies, action=action)
        except SidecarError as error:
            failed.append({"id": lora_id, "reason": f"It stays, for its side files: {error.message}"})
            continue
        own.update(given)
        safe.append(lora_id)
    return safe


def _side_files(row: sqlite3.Row) -> dict[str, str]:
    try:
        return side_files_of(_folder(row), row["name"])
    except OSError as error:
        raise Conflict(f"{_folder(row)} cannot be listed: {error.strerror or error}.") from error


def _lacking(own: set[str], others: dict[str, str]) -> dict[str, str]:
    """Side files (ending to name) that are new; pictures only where there is none at all."""
    pictures = (*IMAGE_EXTENSIONS, *VIDEO_EXTENSIONS)
    has_picture = any(ending.endswith(pictures) for ending in own)
    return {
        ending: name
        for ending, name in others.items()
        if ending not in own and not (has_picture and ending.endswith(pictures))
    }


def _folder(row: sqlite3.Row) -> str:
    return str(os.path.join(row["root"], *row["folder"].split("/")))


def _path(row: sqlite3.Row) -> str:
    return os.path.join(_folder(row), row["name"])


def _kept_action(state: State, action: int, done: list[int]) -> int | None:
    """The action's id, or None when nothing came of it: then it is taken off the list."""

    def work(connection: sqlite3.Connection) -> int | None:
        if (
            done
            or connection.execute(
                """SELECT 1 FROM action_changes WHERE action_id = ?
               UNION ALL SELECT 1 FROM file_operations WHERE action_id = ?""",
                (action, action),
            ).fetchone()
        ):
            return action
        connection.execute("DELETE FROM actions WHERE id = ?", (action,))
        return None

    return state.database.write(work)
