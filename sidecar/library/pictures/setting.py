"""Sets and removes the preview beside a model. The files before go to the trash, so that undo brings them back."""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from sidecar.database import Database
from sidecar.errors import BadRequest, Conflict, NotFound, Unavailable
from sidecar.library.files import disk
from sidecar.library.files.filesets import Listings, Lora, read_loras
from sidecar.library.files.journal import LOCK
from sidecar.library.files.operations import change_side_files
from sidecar.library.pictures.checking import check_preview, too_large
from sidecar.library.previews import MAX_SOURCE
from sidecar.library.record import EMBEDDED_PREVIEW, read_lora
from sidecar.library.side_files import IMAGE_EXTENSIONS, VIDEO_EXTENSIONS
from sidecar.library.sources import FileJob
from sidecar.library.walking import list_folder
from sidecar.state import State


def set_preview(
    state: State, lora_id: int, content: bytes, *, action: int | None = None
) -> tuple[int, dict[str, str] | None]:
    """Make a picture or video the preview of a LoRA: `<stem>.preview.<png|jpg|webp|gif|mp4|webm>`.

    All previews that it had beside it go to the trash as part of the action. `action`: the id of an action that the
    caller began, to make it a part of that one. Returns the action's id and the preview {kind, v} as the list has it.

    Raises:
        NotFound: no such LoRA. PreviewBroken: the content is no picture or video, or damaged. TooLarge: it is too
        large. Conflict: its folder cannot be changed now, with the reason. Unavailable: the disk is full, or the
        database takes no changes. Whatever is raised, nothing has changed.
    """
    checked = check_preview(content)
    with LOCK:
        lora = _find(state.database, lora_id)
        name = f"{lora.stem}.preview.{checked.extension}"
        temporary = _write_beside(lora, name, checked.content)
        try:
            done = change_side_files(
                state,
                lora_id,
                summary=f"Set the preview of {lora.stem}",
                remove=_preview_files(lora),
                add={name: temporary},
                action=action,
            )
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        return done, _note_preview(state, lora, animated=checked.kind == "animated")


def remove_preview(state: State, lora_id: int) -> tuple[int, dict[str, str] | None]:
    """Put the preview files of a LoRA into the trash. Returns as `set_preview`; a picture in the model's header then
    shows again.

    Raises:
        NotFound: no such LoRA, or no preview. Conflict: it cannot be done now, with the reason; nothing has changed.
        Unavailable: the database takes no changes now.
    """
    with LOCK:
        lora = _find(state.database, lora_id)
        files = _preview_files(lora)
        if not files and lora.preview_file == EMBEDDED_PREVIEW:
            raise Conflict(
                "The picture is inside the model file, which is never changed; set another one to show that instead."
            )
        if not files:
            raise NotFound(f"{lora.file} has no preview.")
        done = change_side_files(state, lora_id, summary=f"Removed the preview of {lora.stem}", remove=files)
        return done, _note_preview(state, lora, animated=False)


def read_generated(database: Database, generation: int, image: int | str) -> bytes:
    """A picture that a recorded generation made, by its index or its path; no other file is ever read.

    Raises:
        NotFound: no such generation or picture, or its file is gone. BadRequest: its path is not a full one.
        TooLarge: it is too large for a preview.
    """
    row = database.reader().execute("SELECT images FROM generations WHERE id = ?", (generation,)).fetchone()
    if row is None:
        raise NotFound(f"There is no generation with the id {generation}.")
    images: list[str] = orjson.loads(row["images"])
    if isinstance(image, str):
        path = image if image in images else None
    else:
        path = images[image] if 0 <= image < len(images) else None
    if path is None:
        raise NotFound(f"The generation has no picture {image!r}; it has {len(images)}.")
    if not os.path.isabs(path):
        raise BadRequest(f"The host recorded {path} without its folder, so it cannot be found.")
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_SOURCE + 1)
    except FileNotFoundError as error:
        raise NotFound(f"{path} is no longer there; choose another picture.") from error
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror or error}.") from error
    if len(content) > MAX_SOURCE:
        raise too_large()
    return content


def _find(database: Database, lora_id: int) -> Lora:
    found = read_loras(database.reader(), [lora_id])
    if not found:
        raise NotFound(f"There is no LoRA with the id {lora_id}.")
    lora = found[0]
    if not os.path.isfile(os.path.join(lora.directory, lora.file)):
        raise Conflict(f"{lora.file} is not in its folder now, so no preview can be put beside it.")
    return lora


def _preview_files(lora: Lora) -> list[str]:
    names = Listings().of(lora.directory).side_files_of(lora.stem)
    return [name for name in names if name.lower().endswith((*IMAGE_EXTENSIONS, *VIDEO_EXTENSIONS))]


def _write_beside(lora: Lora, name: str, content: bytes) -> Path:
    """A hidden temporary in the LoRA's folder, as readable as the model is.

    Raises:
        Conflict: the folder cannot be written. Unavailable: its disk is full.
    """
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=lora.directory, prefix=".preview-", suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        mode = os.stat(os.path.join(lora.directory, lora.file)).st_mode
        os.chmod(temporary, 0o600 | (mode & 0o666))
    except OSError as error:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)
        reason = disk.reason_of(
            OSError(error.errno, error.strerror, os.path.join(lora.directory, name)), len(content)
        )
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise (Unavailable if full else Conflict)(f"The preview was not changed. {reason}") from error
    return Path(temporary)


def _note_preview(state: State, lora: Lora, *, animated: bool) -> dict[str, str] | None:
    """Bring the rows of the stem in line with the files now, ahead of the scan that follows."""
    listed = list_folder(lora.root, lora.folder)
    records = [
        read_lora(FileJob(lora.root_id, lora.folder, listed.path, *file))
        for file in listed.files
        if os.path.splitext(file.name)[0] == lora.stem
    ]

    def work(connection: sqlite3.Connection) -> list[int]:
        changed = []
        for record in records:
            kind = "animated" if animated and record.preview_kind == "image" else record.preview_kind
            changed += connection.execute(
                """UPDATE loras SET preview_file = ?, preview_kind = ?, preview_stamp = ?
                   WHERE root_id = ? AND folder = ? AND stem = ? AND extension = ? RETURNING id""",
                (record.preview_file, kind, record.preview_stamp, *record[:4]),
            ).fetchall()
        return [row["id"] for row in changed]

    for lora_id in state.database.write(work):
        state.events.publish("lora.edited", id=lora_id)
    return preview_of(state.database, lora.id)


def preview_of(database: Database, lora_id: int) -> dict[str, Any] | None:
    """A LoRA's preview as the list has it."""
    row = (
        database.reader()
        .execute("SELECT preview_kind AS kind, preview_stamp AS v FROM loras WHERE id = ?", (lora_id,))
        .fetchone()
    )
    return dict(row) if row is not None and row["kind"] else None
