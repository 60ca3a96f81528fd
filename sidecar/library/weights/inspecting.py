"""The inspection of a LoRA: from the catalogue when it was made before, else at once for small files, else in a task."""

from __future__ import annotations

import os
import sqlite3
import threading
from typing import Any

import orjson

from sidecar.errors import NotFound
from sidecar.library.header import BrokenHeader
from sidecar.state import State
from sidecar.tasks import Task

VERSION = 1  # rises when the figures mean something else
AT_ONCE = 24 * 1024 * 1024  # bytes; larger files take longer than a request should

_working: set[tuple[str, str]] = set()
_lock = threading.Lock()


def get_inspection(state: State, lora_id: int) -> dict[str, Any]:
    """What the weights of one LoRA are, {"state": "ready", …}; {"state": "working"} while a task finds out, which ends with
    the event `lora.inspected {id}`; {"state": "failed", "code", "message"} for a file that is damaged ("broken"), not
    there ("missing"), not to be read now ("unreadable") or never opened ("legacy").

    Raises:
        NotFound: no such LoRA.
    """
    row = _row(state, lora_id)
    key = _key(row)
    known = state.database.reader().execute("SELECT result FROM inspections WHERE key = ?", (key,)).fetchone()
    if known is not None:
        result: dict[str, Any] = orjson.loads(known["result"])
        return result
    path = os.path.join(row["root"], *row["folder"].split("/"), row["stem"] + row["extension"])
    refused = _refusal(row, path)
    if refused is not None:
        return refused
    if row["size"] <= AT_ONCE:
        return _inspect(state, lora_id, key, path)
    working = (str(state.database.path), key)
    with _lock:
        if working not in _working:
            _working.add(working)
            state.tasks.start(
                "inspect",
                f"Weights of {row['stem']}",
                lambda task: _work(state, lora_id, working, path, task),
            )
    return {"state": "working"}


def _work(state: State, lora_id: int, working: tuple[str, str], path: str, task: Task) -> dict[str, Any]:
    try:
        result = _inspect(state, lora_id, working[1], path, task)
    finally:
        with _lock:
            _working.discard(working)
        state.events.publish("lora.inspected", id=lora_id)
    return {"id": lora_id, "state": result["state"]}


def _inspect(state: State, lora_id: int, key: str, path: str, task: Task | None = None) -> dict[str, Any]:
    from sidecar.library.weights.inspection import inspect_file  # numpy, when it is needed

    def progress(done: int, total: int) -> None:
        if task is not None:
            task.total = total
            task.advance(done - task.done)

    try:
        result = {"state": "ready", **inspect_file(path, progress)}
    except BrokenHeader as error:
        result = _failed("broken", str(error))
    except OSError as error:
        return _failed("unreadable", f"{path} cannot be read now: {error.strerror or error}.")
    text = orjson.dumps(result).decode()

    def work(connection: sqlite3.Connection) -> None:
        before_hashing = f"{VERSION}:file {lora_id}"
        connection.execute(
            "DELETE FROM inspections WHERE key > ? AND key < ?", (f"{before_hashing} ", f"{before_hashing}!")
        )
        connection.execute("INSERT OR REPLACE INTO inspections (key, result) VALUES (?, ?)", (key, text))

    state.database.write(work)
    return result


def _row(state: State, lora_id: int) -> sqlite3.Row:
    row: sqlite3.Row | None = (
        state.database.reader()
        .execute(
            """SELECT l.id, r.path AS root, l.folder, l.stem, l.extension, l.size, l.mtime_ns, l.present, l.state,
                      l.state_reason, l.hash_state, l.body_hash
               FROM loras l JOIN roots r ON r.id = l.root_id WHERE l.id = ?""",
            (lora_id,),
        )
        .fetchone()
    )
    if row is None:
        raise NotFound(f"There is no LoRA with the id {lora_id}.")
    return row


def _key(row: sqlite3.Row) -> str:
    """By content, so that copies share it; by file and its stamp until it is hashed."""
    if row["hash_state"] == "done" and row["body_hash"]:
        return f"{VERSION}:{row['body_hash']}"
    return f"{VERSION}:file {row['id']} {row['size']} {row['mtime_ns']}"


def _refusal(row: sqlite3.Row, path: str) -> dict[str, Any] | None:
    if row["state"] == "legacy":
        return _failed(
            "legacy",
            f"{row['stem'] + row['extension']} may hold programs besides weights, so it is never opened here. "
            "Convert it to .safetensors to look inside.",
        )
    if not row["present"]:
        return _failed("missing", f"{path} is not there now, and its weights were not looked at before.")
    return None


def _failed(code: str, message: str) -> dict[str, Any]:
    return {"state": "failed", "code": code, "message": message}
