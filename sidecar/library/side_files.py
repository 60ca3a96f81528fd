"""Side files of a LoRA: which files belong to it, and reading them whatever state they are in. Nothing here writes.

What they say is told apart by `dialects` and read by `source_files` and `source_civitai`.
"""

from __future__ import annotations

import codecs
import json
import math
import os
from collections.abc import Iterable
from typing import Any

import orjson

from sidecar.library.header import FIRST_READ, READ_FLAGS

MODEL_EXTENSIONS = (".safetensors", ".pt", ".ckpt")
IMAGE_EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".jxl", ".jp2", ".tiff")
VIDEO_EXTENSIONS = (".mp4", ".webm")
_TEXT_ENDINGS = (
    ".civitai.info", ".metadata.json", ".api_info.json", ".cm-info.json", ".description.txt", ".json", ".txt", ".html",
)  # fmt: skip
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
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_FLAGS = READ_FLAGS | getattr(os, "O_NONBLOCK", 0)  # a pipe of that name must not hold anybody up


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
    elif lower in (".info", ".json", ".txt", ".html"):
        for ending in _TEXT_ENDINGS:
            if name.lower().endswith(ending):
                yield name[: -len(ending)], ending


def side_files_of(directory: str, model: str) -> dict[str, str]:
    """The side files of one model file as they are now, ending → name, by the rule that the scan has.

    Raises:
        OSError: the folder cannot be listed.
    """
    names = os.listdir(directory)
    stem = os.path.splitext(model)[0]
    stems = {os.path.splitext(name)[0] for name in names if name.lower().endswith(MODEL_EXTENSIONS)} | {stem}
    found: dict[str, str] = {}
    for name in names:
        if name.startswith(stem):
            owner = next(((owner, ending) for owner, ending in split_ending(name) if owner in stems), None)
            if owner and owner[0] == stem:
                found[owner[1]] = name
    return found


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
        content = orjson.loads(blob or b"{}")
    except orjson.JSONDecodeError as error:
        try:
            content = _read_leniently(blob)
        except (ValueError, RecursionError):
            raise BrokenSideFile(f"{name} is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise BrokenSideFile(f"{name} holds no JSON object.")
    return content


def _read_leniently(blob: bytes) -> Any:
    """What is almost JSON and written by common tools: byte order marks, UTF-16, NaN, halves of emoji, raw line breaks.

    Raises:
        ValueError, RecursionError: it is not even that.
    """
    text = blob.decode("utf-16" if blob.startswith(_UTF16_MARKS) else "utf-8-sig")
    content = json.loads(
        text.strip("\0 \r\n\t") or "{}", strict=False,
        parse_constant=lambda _: None, parse_float=_number, parse_int=_number,
    )  # fmt: skip
    return orjson.loads(json.dumps(content, ensure_ascii=False).encode("utf-8", "replace"))


def _number(text: str) -> float | None:
    """A number that JSON can hold again, else None."""
    number = float(text)
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def read_text(path: str) -> str:
    """A text side file, wrong bytes replaced.

    Raises:
        BrokenSideFile: unreadable or too large.
    """
    blob = _read(path)
    return blob.decode("utf-16" if blob.startswith(_UTF16_MARKS) else "utf-8-sig", "replace").strip()


def _read(path: str) -> bytes:
    """A whole side file, in as few calls as it takes.

    Raises:
        BrokenSideFile: unreadable or too large.
    """
    name = os.path.basename(path)
    try:
        handle = os.open(path, _FLAGS)
        try:
            blob = os.read(handle, FIRST_READ)
            if len(blob) < FIRST_READ:
                return blob
            if os.fstat(handle).st_size > MAX_SIDE_FILE:
                raise BrokenSideFile(f"{name} is larger than {MAX_SIDE_FILE >> 20} MB and was not read.")
            parts = [blob]
            while len(parts[-1]) and sum(map(len, parts)) <= MAX_SIDE_FILE:
                parts.append(os.read(handle, MAX_SIDE_FILE))
            return b"".join(parts)
        finally:
            os.close(handle)
    except OSError as error:
        raise BrokenSideFile(f"{name} cannot be read: {error.strerror or error}.") from error
