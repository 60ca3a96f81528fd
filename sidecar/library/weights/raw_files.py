"""The side files of a LoRA as they are on disk, for people to read; nothing is interpreted beyond its dialect's name."""

from __future__ import annotations

import codecs
import os
from typing import Any

from sidecar.database import Database
from sidecar.errors import Conflict, NotFound
from sidecar.library.dialects import dialect_of
from sidecar.library.side_files import (
    IMAGE_EXTENSIONS,
    VIDEO_EXTENSIONS,
    BrokenSideFile,
    read_object,
    side_files_of,
)

MAX_TEXT = 1024 * 1024


def list_side_files(database: Database, lora_id: int) -> list[dict[str, Any]]:
    """{name, ending, dialect, size, modified, text, error} of each, by name. `text` is null for pictures and videos, and
    holds the first MB of longer texts, which `error` then says.

    Raises:
        NotFound: no such LoRA. Conflict: its folder cannot be listed.
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
    folder = os.path.join(row["root"], *row["folder"].split("/"))
    try:
        endings = side_files_of(folder, row["name"])
    except OSError as error:
        raise Conflict(f"{folder} cannot be listed now: {error.strerror or error}.") from error
    return [_describe(folder, name, ending) for ending, name in sorted(endings.items())]


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
            item |= _read_text(path, blob)
    except OSError as error:
        item["error"] = f"It cannot be read: {error.strerror or error}."
    return item


def _read_text(path: str, blob: bytes) -> dict[str, Any]:
    name = os.path.basename(path)
    encoding = "utf-16" if blob.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    content, error = None, None
    if not name.lower().endswith(".txt"):
        try:
            content = read_object(path)
        except BrokenSideFile as problem:
            error = str(problem)
    if len(blob) > MAX_TEXT:
        error = "Only its first MB is shown."
    return {
        "text": blob[:MAX_TEXT].decode(encoding, "replace"),
        "dialect": dialect_of(name, content),
        "error": error,
    }
