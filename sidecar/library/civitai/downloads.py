"""Downloads of versions: into a hidden part file beside the place, resumed where they stopped, verified, then put there.

No host lists a part file. Only a file whose SHA256 is what Civitai announced ever gets its name, and never over another.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import threading
import time
from contextlib import suppress
from typing import Any

import orjson

from sidecar.database import Database
from sidecar.errors import BadRequest, Conflict, NotFound, SidecarError
from sidecar.library.civitai.choosing import Chosen
from sidecar.library.civitai.client import CivitaiTrouble, Client
from sidecar.library.civitai.parts import Part, claim_part
from sidecar.library.civitai.stored import save_answers
from sidecar.library.files.disk import fsync_folders, readable, reason_of
from sidecar.library.files.names import find_folder
from sidecar.library.foreign import as_object, as_string
from sidecar.library.scanning import Place
from sidecar.state import State
from sidecar.tasks import Cancelled, Task

log = logging.getLogger("lora-manager.civitai")

CHUNK = 1 << 16
EVENT_SECONDS = 0.3
CANCEL_SECONDS = 15.0
SPARE_BYTES = 64 << 20


def add_download(state: State, chosen: Chosen, folder: str) -> int:
    """Note a download and start it; returns its id.

    Raises:
        BadRequest: no such folder. Conflict: the file is in the library already or on its way to this folder, or its
            name is taken there.
    """
    root, relative = find_folder(state.database, folder)
    _refuse_owned(state.database, chosen)
    if os.path.lexists(os.path.join(root.path, relative, chosen.name)):
        raise Conflict(
            f"There is another {chosen.name} in {folder}; rename that one, or choose another folder."
        )
    if not chosen.sha256:
        raise CivitaiTrouble("Civitai does not say what the file's SHA256 is, so it could not be verified.")
    title = as_string(as_object(chosen.version.get("model")).get("name")) or chosen.name
    values = (
        time.time(), chosen.version["id"], chosen.file_id, f"{title} · {chosen.version.get('name') or ''}".strip(" ·"),
        chosen.name, folder, chosen.url, chosen.size, chosen.sha256, orjson.dumps(chosen.version).decode(),
    )  # fmt: skip

    def insert(connection: sqlite3.Connection) -> int:
        if connection.execute(
            "SELECT 1 FROM civitai_downloads WHERE sha256 = ? AND folder = ? AND state IN ('waiting', 'running')",
            (chosen.sha256, folder),
        ).fetchone():
            raise Conflict(f"{chosen.name} is being downloaded to {folder} already.")
        cursor = connection.execute(
            """INSERT INTO civitai_downloads (created, version_id, file_id, name, file, folder, url, size, sha256,
                   version, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting')""",
            values,
        )
        return cursor.lastrowid or 0

    number = state.database.write(insert)
    resume(state, number)
    return number


def _refuse_owned(database: Database, chosen: Chosen) -> None:
    row = (
        database.reader()
        .execute("SELECT stem FROM loras WHERE sha256 = ? AND present", (chosen.sha256,))
        .fetchone()
    )
    if row is not None:
        raise Conflict(f"You have this file already; it is called {row['stem']}.")


def resume(state: State, number: int) -> None:
    """Start a download, or go on with one that stopped.

    Raises:
        NotFound: no such download. Conflict: it is running or done.
    """
    with _tasks_lock:  # of two that ask at once, one is refused
        row = _row(state.database, number)
        if row["state"] == "done" or _key(state, number) in _tasks:
            raise Conflict("This download is running or done already.")
        _note(state, number, state="waiting", message="")
        _tasks[_key(state, number)] = state.tasks.start(
            "download", f"Download {row['file']}", lambda task: _run(state, task, number)
        )


def cancel(state: State, number: int) -> None:
    """Stop a download and throw away what has arrived.

    Raises:
        NotFound: no such download. Conflict: it is done.
    """
    row = _row(state.database, number)
    if row["state"] == "done":
        raise Conflict("This download is done; delete the LoRA if you do not want it.")
    with _tasks_lock:
        task = _tasks.get(_key(state, number))
    if task is not None and task.state == "running":
        task.cancel_asked.set()
        deadline = time.monotonic() + CANCEL_SECONDS
        while task.state == "running" and time.monotonic() < deadline:
            time.sleep(0.02)
    state.database.write(
        lambda connection: connection.execute("DELETE FROM civitai_downloads WHERE id = ?", (number,))
    )
    _discard(state.database, row)
    state.events.publish("civitai.download", id=number, state="cancelled")


def _discard(database: Database, row: dict[str, Any]) -> None:
    with suppress(OSError, BadRequest, Conflict):  # what somebody still writes stays
        path = _part(database, row)
        if os.path.exists(path):
            with claim_part(path) as part:
                part.drop()


_tasks: dict[tuple[str, int], Task] = {}
_tasks_lock = threading.Lock()


def _key(state: State, number: int) -> tuple[str, int]:
    return str(state.settings.data), number


def _row(database: Database, number: int) -> dict[str, Any]:
    row = database.reader().execute("SELECT * FROM civitai_downloads WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise NotFound(f"There is no download {number}.")
    return dict(row)


def _part(database: Database, row: dict[str, Any]) -> str:
    return os.path.join(_directory(database, row), f".lora-manager-{row['sha256'][:16]}.part")


def _directory(database: Database, row: dict[str, Any]) -> str:
    root, relative = find_folder(database, row["folder"])
    return os.path.join(root.path, *relative.split("/")) if relative else root.path


def _note(sidecar: State, number: int, **values: Any) -> None:
    """Store what became of a download, and tell the pages."""
    sql = f"UPDATE civitai_downloads SET {', '.join(f'{name} = ?' for name in values)} WHERE id = ?"
    sidecar.database.write(lambda connection: connection.execute(sql, (*values.values(), number)))
    sidecar.events.publish("civitai.download", id=number, **values)


def _run(state: State, task: Task, number: int) -> dict[str, Any]:
    """The whole of a download, in a task's thread; its state says how it ended."""
    row = _row(state.database, number)
    try:
        return _end(state, task, row)
    finally:
        try:
            _row(state.database, number)
        except NotFound:  # it was taken off the list while it waited for the other side
            _discard(state.database, row)
        with _tasks_lock:
            _tasks.pop(_key(state, number), None)


def _end(state: State, task: Task, row: dict[str, Any]) -> dict[str, Any]:
    number = row["id"]
    try:
        _note(state, number, state="running")
        lora_id = _fetch(state, task, row)
    except Cancelled:
        _note(state, number, state="paused", message="Stopped.", received=_received(state.database, row))
        raise
    except SidecarError as error:
        _note(state, number, state="failed", message=error.message, received=_received(state.database, row))
        raise
    except OSError as error:
        reason = reason_of(error)
        _note(state, number, state="failed", message=reason, received=_received(state.database, row))
        raise CivitaiTrouble(reason) from error
    _note(state, number, state="done", message="", received=row["size"], lora_id=lora_id)
    state.events.publish("files.changed", count=1)
    return {"download": number, "lora": lora_id}


def _received(database: Database, row: dict[str, Any]) -> int:
    try:
        return os.stat(_part(database, row)).st_size
    except (OSError, BadRequest):
        return 0


def _fetch(state: State, task: Task, row: dict[str, Any]) -> int | None:
    """Bring the part file to its end, verify it and put it in its place; returns the new LoRA's id when it is listed."""
    directory = _directory(state.database, row)
    os.makedirs(directory, exist_ok=True)
    task.total = row["size"]
    with claim_part(_part(state.database, row)) as part:
        client = Client(state.settings, task.cancel_asked)
        try:
            _receive(state, client, task, row, part)
        finally:
            client.close()
        task.message = "Verifying."
        task.advance(0)
        if part.sha256(lambda: task.advance(0)) != row["sha256"]:
            part.drop()
            raise CivitaiTrouble(
                "What arrived is not the file that Civitai announced (its SHA256 differs), so it was thrown away. Try again."
            )
        try:
            part.become(os.path.join(directory, row["file"]))
        except FileExistsError:
            raise Conflict(
                f"Meanwhile another {row['file']} came to {row['folder']}; rename that one, then resume."
            ) from None
    fsync_folders([directory])
    answers: dict[str, dict[str, Any] | None] = {row["sha256"]: orjson.loads(row["version"])}
    state.database.write(lambda connection: save_answers(connection, answers, "civitai"))
    root, relative = find_folder(state.database, row["folder"])
    state.library.scanner.request([Place(root, relative, False)])
    return _listed(state, root.id, relative, os.path.splitext(row["file"])[0])


def _receive(state: State, client: Client, task: Task, row: dict[str, Any], part: Part) -> None:
    have = part.size
    if row["size"] and have >= row["size"] and part.sha256(lambda: task.advance(0)) == row["sha256"]:
        return
    needed = max(0, row["size"] - have) + SPARE_BYTES
    free = shutil.disk_usage(os.path.dirname(part.path)).free
    if free < needed:
        raise CivitaiTrouble(
            f"There is too little space: {readable(free)} are free, {readable(needed)} are needed. Free some, then resume."
        )
    with client.download(row["url"], have) as response:
        if response.status_code == 416:  # nothing after what is here: start over
            part.drop()
            raise CivitaiTrouble("The part that was here does not fit the file; resume to start anew.")
        goes_on = response.status_code == 206
        expected = _expected(response, have if goes_on else 0)
        file = part.file
        task.done = file.seek(have if goes_on else 0)
        file.truncate()
        last = 0.0
        try:
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                task.advance(len(chunk))
                if time.monotonic() - last > EVENT_SECONDS:
                    last = time.monotonic()
                    state.events.publish(
                        "civitai.download", id=row["id"], state="running", received=task.done
                    )
        except client.failures as error:
            raise CivitaiTrouble(
                f"The connection broke off after {readable(task.done)}; resume to go on from there."
            ) from error
        finally:
            file.flush()
        os.fsync(file.fileno())
    if expected is not None and task.done < expected:
        raise CivitaiTrouble(
            f"The connection broke off after {readable(task.done)}; resume to go on from there."
        )


def _expected(response: Any, start: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdigit() and not response.headers.get("Content-Encoding") else None


def _listed(state: State, root_id: int, folder: str, stem: str) -> int | None:
    """The id of the new file's row, once the scan has it."""
    state.library.scanner.idle.wait(30)
    row = (
        state.database.reader()
        .execute(
            "SELECT id FROM loras WHERE root_id = ? AND folder = ? AND stem = ?", (root_id, folder, stem)
        )
        .fetchone()
    )
    return row["id"] if row else None
