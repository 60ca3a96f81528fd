"""Side files of a LoRA: which files belong to it, and what the ones written by hosts and helpers say.

Dialects: `.civitai.info` (a Civitai model version), `.json` (A1111 user metadata, or SDNext's copy of a whole Civitai
model), `.metadata.json` (ComfyUI LoRA Manager), `.txt` and `.description.txt`. Nothing here writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import orjson

from sidecar.library.header import FIRST_READ, READ_FLAGS

MODEL_EXTENSIONS = (".safetensors", ".pt", ".ckpt")
IMAGE_EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".jxl", ".jp2", ".tiff")
VIDEO_EXTENSIONS = (".mp4", ".webm")
_TEXT_ENDINGS = (".civitai.info", ".metadata.json", ".description.txt", ".json", ".txt")
_PREVIEW_MARKS = ("", ".preview", ".thumb")
# The order in which a preview is chosen: the user's own before a host's small copy, pictures before videos.
_PREVIEW_ENDINGS = tuple(
    mark + extension
    for extensions in (IMAGE_EXTENSIONS, VIDEO_EXTENSIONS)
    for mark in (".preview", "", ".thumb")
    for extension in extensions
)
_PREVIEW_RANK = {ending: rank for rank, ending in enumerate(_PREVIEW_ENDINGS)}
MAX_SIDE_FILE = 16 * 1024 * 1024


class BrokenSideFile(Exception):
    """A side file that cannot be used; the message names it and says why."""


def split_ending(name: str) -> Iterable[tuple[str, str]]:
    """Ways to read a side file's name as (stem, ending), longest ending first: `a.preview.png` → `a`, then `a.preview`."""
    base, extension = os.path.splitext(name)
    lower = extension.lower()
    if lower in IMAGE_EXTENSIONS or lower in VIDEO_EXTENSIONS:
        for mark in _PREVIEW_MARKS[1:]:
            if base.endswith(mark):
                yield base[: -len(mark)], mark + lower
        yield base, lower
    elif lower in (".info", ".json", ".txt"):
        for ending in _TEXT_ENDINGS:
            if name.lower().endswith(ending):
                yield name[: -len(ending)], ending


def choose_preview(endings: dict[str, str]) -> tuple[str, str] | None:
    """Of a LoRA's side files (ending → name) the preview's file name and its kind, "image" or "video"."""
    ranked = sorted((_PREVIEW_RANK[ending], ending) for ending in endings if ending in _PREVIEW_RANK)
    if not ranked:
        return None
    ending = ranked[0][1]
    return endings[ending], "video" if ending.endswith(VIDEO_EXTENSIONS) else "image"


def read_object(path: str) -> dict[str, Any]:
    """One JSON object from a side file; `{}` for an empty one.

    Raises:
        BrokenSideFile: too large, unreadable, no JSON, or no object.
    """
    blob = _read(path)
    name = os.path.basename(path)
    try:
        content = orjson.loads(blob.removeprefix(b"\xef\xbb\xbf") or b"{}")
    except orjson.JSONDecodeError as error:
        raise BrokenSideFile(f"{name} is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise BrokenSideFile(f"{name} holds no JSON object.")
    return content


def read_text(path: str) -> str:
    """A text side file, wrong bytes replaced.

    Raises:
        BrokenSideFile: unreadable or too large.
    """
    return _read(path).decode("utf-8", "replace").strip()


def _read(path: str) -> bytes:
    """A whole side file, in as few calls as it takes."""
    name = os.path.basename(path)
    try:
        handle = os.open(path, READ_FLAGS)
        try:
            blob = os.read(handle, FIRST_READ)
            size = len(blob)
            if size == FIRST_READ:
                size = os.fstat(handle).st_size
                while len(blob) < min(size, MAX_SIDE_FILE) and (more := os.read(handle, MAX_SIDE_FILE)):
                    blob += more
        finally:
            os.close(handle)
    except OSError as error:
        raise BrokenSideFile(f"{name} cannot be read: {error.strerror or error}.") from error
    if size > MAX_SIDE_FILE:
        raise BrokenSideFile(f"{name} is larger than {MAX_SIDE_FILE >> 20} MB and was not read.")
    return blob


def civitai_version(content: dict[str, Any], file_name: str) -> dict[str, Any] | None:
    """The Civitai model version in a side file, in one shape (`model` inside), or None if it is another dialect.

    Takes a version (`.civitai.info`), a whole model (SDNext's `.json`: the version that lists `file_name`, else the
    newest), or the `civitai` part of a `.metadata.json`.
    """
    versions = content.get("modelVersions")
    if isinstance(versions, list):
        found = [version for version in versions if isinstance(version, dict)]
        if not found:
            return None
        chosen = next((version for version in found if _lists_file(version, file_name)), found[0])
        return {**chosen, "modelId": content.get("id"), "model": content}
    if isinstance(content.get("civitai"), dict):
        return content["civitai"] or None
    if "modelId" in content and ("trainedWords" in content or "baseModel" in content or "model" in content):
        return content
    return None


def _lists_file(version: dict[str, Any], file_name: str) -> bool:
    files = version.get("files")
    return isinstance(files, list) and any(
        isinstance(file, dict) and file.get("name") == file_name for file in files
    )
