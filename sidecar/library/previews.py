"""Preview pictures: thumbnails made once and kept in the data folder, and the original file for those who ask."""

from __future__ import annotations

import base64
import binascii
import io
import os
import sqlite3
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageOps

from sidecar.database import Database
from sidecar.errors import NotFound, SidecarError
from sidecar.library.covers import cover_pictures
from sidecar.library.header import BrokenHeader, read_header
from sidecar.library.record import EMBEDDED_PREVIEW

MAX_SIDE = 512
MAX_SOURCE = 64 * 1024 * 1024
# One core stays free for lists while a page full of new thumbnails is made.
_MAKING = threading.BoundedSemaphore(max(1, (os.cpu_count() or 2) - 1))
Image.MAX_IMAGE_PIXELS = 120_000_000
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"GIF8", 0, "image/gif"),
    (b"WEBP", 8, "image/webp"),
    (b"ftypavif", 4, "image/avif"),
    (b"ftypavis", 4, "image/avif"),
    (b"ftyp", 4, "video/mp4"),
    (b"\x1aE\xdf\xa3", 0, "video/webm"),
)
# What else begins like an MP4: pictures that no browser shows (HEIF), and sound.
_NO_VIDEO = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"M4A ", b"M4B ")
# JPEGs may hold several pictures (MPO), which are no animation.
_MAY_BE_ANIMATED = ("PNG", "GIF", "WEBP", "AVIF")


class PreviewBroken(SidecarError):
    """There is a preview file, but it holds no picture."""

    status = 422
    code = "preview_broken"


class Preview(NamedTuple):
    """A file to send and its true media type."""

    path: Path
    media_type: str


def get_thumbnail(database: Database, cache: Path, lora_id: int) -> Preview:
    """A still WebP of at most 512×512 pixels, made on first use. Videos have none.

    Whether the picture is animated is found when its thumbnail is made, and noted in the catalogue.

    Raises:
        NotFound: no such LoRA, or no picture. PreviewBroken: the file is no picture, or too large to open.
    """
    row = _row(database, lora_id)
    if row["preview_kind"] not in ("image", "animated"):
        raise NotFound("This LoRA has no preview picture.")
    kept = cache / f"{lora_id % 256:02x}" / f"{lora_id}-{row['preview_stamp']}.webp"
    if not kept.exists():
        animated = _make(_source(row), kept) and row["preview_file"] != EMBEDDED_PREVIEW
        kind = "animated" if animated else "image"
        if kind != row["preview_kind"]:
            database.submit(partial(_note_kind, lora_id=lora_id, stamp=row["preview_stamp"], kind=kind))
        for old in kept.parent.glob(f"{lora_id}-*.webp"):
            if old != kept:
                old.unlink(missing_ok=True)
    return Preview(kept, "image/webp")


def get_original(database: Database, lora_id: int) -> Preview:
    """The preview file itself, with the media type its first bytes tell.

    Raises:
        NotFound: no such LoRA, no preview, or it is embedded in the model. PreviewBroken: it is no picture or video.
    """
    row = _row(database, lora_id)
    if row["preview_kind"] is None or row["preview_file"] == EMBEDDED_PREVIEW:
        raise NotFound("This LoRA has no preview file.")
    path = Path(row["root"], row["folder"], row["preview_file"])
    try:
        with open(path, "rb") as file:
            media_type = sniff(file.read(16))
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror or error}.") from error
    if media_type is None:
        raise PreviewBroken(f"{path.name} holds no picture or video that a browser shows.")
    return Preview(path, media_type)


def sniff(beginning: bytes) -> str | None:
    """The media type that a file's first 16 bytes tell, whatever its name says."""
    if beginning[4:8] == b"ftyp" and beginning[8:12] in _NO_VIDEO:
        return None
    for magic, offset, media_type in _MAGIC:
        if beginning[offset : offset + len(magic)] == magic:
            return media_type
    return None


def is_animated(image: Image.Image) -> bool:
    """Whether an opened picture moves: a GIF, WebP, AVIF or APNG of more than one frame."""
    return image.format in _MAY_BE_ANIMATED and bool(getattr(image, "is_animated", False))


def _note_kind(connection: sqlite3.Connection, lora_id: int, stamp: str, kind: str) -> None:
    connection.execute(
        "UPDATE loras SET preview_kind = ? WHERE id = ? AND preview_stamp = ?", (kind, lora_id, stamp)
    )


def _row(database: Database, lora_id: int) -> dict[str, str]:
    row = (
        database.reader()
        .execute(
            """SELECT r.path AS root, l.folder, l.stem || l.extension AS name, l.preview_file, l.preview_kind,
                      l.preview_stamp
               FROM loras l JOIN roots r ON r.id = l.root_id WHERE l.id = ?""",
            (lora_id,),
        )
        .fetchone()
    )
    if row is None:
        raise NotFound(f"There is no LoRA with the id {lora_id}.")
    return dict(row)


def _source(row: dict[str, str]) -> bytes:
    path = Path(row["root"], row["folder"], row["name"])
    try:
        if row["preview_file"] == EMBEDDED_PREVIEW:
            return _embedded(read_header(str(path)).metadata)
        path = path.with_name(row["preview_file"])
        with open(path, "rb") as file:
            content = file.read(MAX_SOURCE + 1)
    except (OSError, BrokenHeader) as error:
        raise NotFound(f"{path} cannot be read: {error}.") from error
    if len(content) > MAX_SOURCE:
        raise PreviewBroken(f"{path.name} is larger than {MAX_SOURCE >> 20} MB.")
    return content


def _embedded(metadata: dict[str, str]) -> bytes:
    """A picture in the header: `modelspec.thumbnail` (a data URL) or the first of `ssmd_cover_images` (base64)."""
    encoded = metadata.get("modelspec.thumbnail", "").partition(",")[2]
    if not encoded:
        return next(iter(cover_pictures(metadata)), b"")
    try:
        return base64.b64decode(encoded)
    except (binascii.Error, ValueError) as error:
        raise PreviewBroken("The picture in the file's header is damaged.") from error


def _make(content: bytes, kept: Path) -> bool:
    """Write the thumbnail; returns whether the picture is animated."""
    small, animated = shrink(content)
    kept.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=kept.parent, suffix=".part")
    with os.fdopen(handle, "wb") as file:
        file.write(small)
    os.replace(temporary, kept)
    return animated


def shrink(content: bytes) -> tuple[bytes, bool]:
    """A picture as a still WebP of at most 512×512 pixels, and whether it is animated itself.

    Raises:
        PreviewBroken: it is none that can be opened.
    """
    small = io.BytesIO()
    try:
        with _MAKING, Image.open(io.BytesIO(content)) as image:
            animated = is_animated(image)
            image.draft("RGB", (MAX_SIDE, MAX_SIDE))
            picture = ImageOps.exif_transpose(image)
            picture.thumbnail((MAX_SIDE, MAX_SIDE))
            picture.convert(
                "RGBA" if "A" in picture.getbands() or "transparency" in picture.info else "RGB"
            ).save(small, "WEBP", quality=82, method=2)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PreviewBroken(f"The preview is no picture that can be opened: {error}.") from error
    return small.getvalue(), animated
