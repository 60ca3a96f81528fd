"""The side files of a LoRA as they are on disk, for people to read; nothing is interpreted beyond its dialect's name."""

from __future__ import annotations

import os
from typing import Any

import orjson

from sidecar.database import Database
from sidecar.errors import NotFound
from sidecar.library.side_files import IMAGE_EXTENSIONS, VIDEO_EXTENSIONS
from sidecar.library.walking import list_folder

MAX_TEXT = 1024 * 1024


def list_side_files(database: Database, lora_id: int) -> list[dict[str, Any]]:
    """{name, ending, dialect, size, modified, text, error} of each, by name. `text` is null for pictures and videos, and
    holds the first MB of longer texts, which `error` then says.

    Raises:
        NotFound: no such LoRA.
    """
    row = (
        database.reader()
        .execute(
            """SELECT r.path AS root, l.folder, l.stem || l.extension AS name
               FROM loras l JOIN roots r ON r.id = l.root_id WHERE l.id = ?""",
            (lora_id,),
        )
        .fetchone()
    )
    if row is None:
        raise NotFound(f"There is no LoRA with the id {lora_id}.")
    folder = list_folder(row["root"], row["folder"])
    endings = next((file.side_files for file in folder.files if file.name == row["name"]), {})
    return [_describe(folder.path, name, ending) for ending, name in sorted(endings.items())]


def _describe(folder: str, name: str, ending: str) -> dict[str, Any]:
    path = os.path.join(folder, name)
    item: dict[str, Any] = {
        "name": name,
        "ending": ending,
        "dialect": "picture" if ending.endswith(IMAGE_EXTENSIONS) else "video",
        "size": None,
        "modified": None,
        "text": None,
        "error": None,
    }
    try:
        stat = os.stat(path)
        item |= {"size": stat.st_size, "modified": stat.st_mtime}
        if not ending.endswith((*IMAGE_EXTENSIONS, *VIDEO_EXTENSIONS)):
            with open(path, "rb") as file:
                blob = file.read(MAX_TEXT + 1)
            item |= _read_text(name, blob)
    except OSError as error:
        item["error"] = f"It cannot be read: {error.strerror or error}."
    return item


def _read_text(name: str, blob: bytes) -> dict[str, Any]:
    cut = len(blob) > MAX_TEXT
    text = blob[:MAX_TEXT].decode("utf-8-sig", "replace")
    error = "Only its first MB is shown." if cut else None
    content: Any = None
    if not cut and not name.lower().endswith(".txt"):
        try:
            content = orjson.loads(blob.removeprefix(b"\xef\xbb\xbf") or b"{}")
        except orjson.JSONDecodeError as problem:
            error = f"It is not JSON: {problem}."
    return {"text": text, "dialect": _dialect(name, content), "error": error}


def _dialect(name: str, content: Any) -> str:
    lower = name.lower()
    if lower.endswith(".txt"):
        return "text"
    if lower.endswith(".civitai.info"):
        return "civitai"
    if lower.endswith(".metadata.json"):
        return "lora-manager"
    if not isinstance(content, dict):
        return "unknown"
    if "modelVersions" in content:
        return "sdnext"
    return "browser+" if "modelId" in content or "sha256" in content else "a1111"
