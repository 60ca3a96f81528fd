"""What may become a preview: a picture or a video that is what its first bytes say, whole, and of a sane size."""

from __future__ import annotations

import io
import re
import struct
from typing import NamedTuple

from PIL import Image

from sidecar.errors import SidecarError
from sidecar.library.previews import MAX_SOURCE, PreviewBroken, is_animated, sniff

# What every host and browser shows. Anything else that Pillow opens becomes WebP.
_PICTURES = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "AVIF")
_FORMS = "PNG, JPEG, WebP, GIF, AVIF, MP4 or WebM"
_CUT_SHORT = "The video is not whole; it seems to have been cut short."


class TooLarge(SidecarError):
    """A picture or video of more bytes or pixels than is sane."""

    status = 413
    code = "too_large"


class Checked(NamedTuple):
    """A picture or video to be kept as a preview; `kind` is "image", "animated" or "video"."""

    content: bytes
    extension: str
    kind: str


def check_preview(content: bytes) -> Checked:
    """Look through a picture or video to its end.

    Raises:
        PreviewBroken: it is something else, or damaged, or cut short. TooLarge: more than 64 MB or 120 megapixels.
    """
    if len(content) > MAX_SOURCE:
        raise too_large()
    media_type = sniff(content[:16])
    if media_type == "video/mp4":
        _check_mp4(content)
        return Checked(content, "mp4", "video")
    if media_type == "video/webm":
        _check_webm(content)
        return Checked(content, "webm", "video")
    if media_type is None:
        raise PreviewBroken(f"This is no picture or video that can be a preview: it takes {_FORMS}.")
    animated = _check_picture(content)
    kind = "animated" if animated else "image"
    if media_type in _PICTURES:
        return Checked(content, _PICTURES[media_type], kind)
    return Checked(_as_webp(content, animated), "webp", kind)


def too_large() -> TooLarge:
    """The error that tells the limit in bytes."""
    return TooLarge(f"A preview may have up to {MAX_SOURCE >> 20} MB; make it smaller first.")


def _check_picture(content: bytes) -> bool:
    """Whether a picture is animated.

    Raises:
        PreviewBroken: damaged. TooLarge: too many pixels.
    """
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            pixels = image.width * image.height
            if Image.MAX_IMAGE_PIXELS and pixels > Image.MAX_IMAGE_PIXELS:
                raise TooLarge(
                    f"The picture has {pixels / 1e6:.0f} megapixels; a preview may have "
                    f"{Image.MAX_IMAGE_PIXELS / 1e6:.0f}."
                )
            image.verify()
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:  # `verify` leaves it unusable
            image.load()
            return is_animated(image)
    except Image.DecompressionBombError as error:
        raise TooLarge(f"The picture has far too many pixels for a preview: {error}") from error
    except (OSError, ValueError, SyntaxError, EOFError, struct.error) as error:
        raise PreviewBroken(f"The picture is damaged or not whole: {error}.") from error


def _as_webp(content: bytes, animated: bool) -> bytes:
    written = io.BytesIO()
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            image.save(written, "WEBP", quality=90, method=4, save_all=animated)
    except (OSError, ValueError, EOFError) as error:
        raise PreviewBroken(
            f"The picture cannot be made a WebP: {error}. Save it as PNG or JPEG first."
        ) from error
    return written.getvalue()


def _check_mp4(content: bytes) -> None:
    """Walk over the boxes of an MP4 (ISO/IEC 14496-12, 4.2): each lies within the file, and there is a video track.

    Raises:
        PreviewBroken: not so.
    """
    boxes: dict[bytes, bytes] = {}
    position = 0
    while position + 8 <= len(content):
        size, name, header = (
            int.from_bytes(content[position : position + 4], "big"),
            content[position + 4 : position + 8],
            8,
        )
        if size == 1:
            size, header = int.from_bytes(content[position + 8 : position + 16], "big"), 16
        elif size == 0:
            size = len(content) - position
        if size < header or position + size > len(content):
            raise PreviewBroken(_CUT_SHORT)
        if name == b"moov":
            boxes[name] = content[position : position + size]
        position += size
    if b"moov" not in boxes:
        raise PreviewBroken(_CUT_SHORT)
    if not re.search(rb"hdlr.{8}vide", boxes[b"moov"], re.DOTALL):
        raise PreviewBroken("There is no picture in this video file, only sound or text.")


def _check_webm(content: bytes) -> None:
    """See that a WebM's header says so (RFC 8794), its segment lies within the file, and there is a video track.

    Raises:
        PreviewBroken: not so.
    """
    header, start = _vint(content, 4)
    if header is None or b"\x42\x82\x84webm" not in content[start : start + header]:
        raise PreviewBroken(
            "This is a Matroska file but no WebM, so browsers do not show it; convert it to WebM or MP4."
        )
    at = start + header
    size, start = _vint(content, at + 4)
    if content[at : at + 4] != b"\x18\x53\x80\x67" or (size is not None and start + size > len(content)):
        raise PreviewBroken(_CUT_SHORT)
    if not any(codec in content for codec in (b"V_VP8", b"V_VP9", b"V_AV1")):
        raise PreviewBroken("There is no picture in this video file, only sound or text.")


def _vint(content: bytes, at: int) -> tuple[int | None, int]:
    """The size of variable length at a place (RFC 8794, 4), None for unknown, and the place after it.

    Raises:
        PreviewBroken: the file ends before.
    """
    first = content[at] if at < len(content) else 0
    length = 9 - first.bit_length()
    if length > 8 or at + length > len(content):
        raise PreviewBroken(_CUT_SHORT)
    unknown = (1 << 7 * length) - 1
    value = int.from_bytes(content[at : at + length], "big") & unknown
    return (None if value == unknown else value), at + length
