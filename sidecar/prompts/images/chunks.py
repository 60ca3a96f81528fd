"""The texts in a picture's file, by key; no pixel is decoded.

PNG: tEXt, zTXt and iTXt. JPEG, WebP, AVIF: EXIF, where UserComment holds A1111's text and ComfyUI uses the camera's fields
as "key:text".
"""

from __future__ import annotations

import io
from typing import Any

from PIL import ExifTags, Image

from sidecar.errors import BadRequest

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF")
MAX_TEXT = 20_000_000
COMMENT = "UserComment"
_FIELDS = (ExifTags.Base.ImageDescription, ExifTags.Base.Make, ExifTags.Base.Model, ExifTags.Base.Software)


def read_chunks(content: bytes) -> dict[str, str]:
    """Every text of a picture.

    Raises:
        BadRequest: it is no picture of a known kind, or damaged before its texts.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            texts = {str(key): value for key, value in image.info.items() if isinstance(value, str)}
            texts |= _comment(image.info.get("comment"))
            texts |= _exif(image)
    except Image.DecompressionBombError as error:
        raise BadRequest("The picture has more pixels than is sane.") from error
    except (OSError, ValueError, SyntaxError, TypeError, KeyError, OverflowError, MemoryError) as error:
        raise BadRequest(f"This is no PNG, JPEG, WebP, AVIF or GIF that can be read: {error}.") from error
    return {key: text[:MAX_TEXT] for key, text in texts.items()}


def _comment(comment: Any) -> dict[str, str]:
    return {"comment": comment.decode("utf-8", "replace")} if isinstance(comment, bytes) else {}


def _exif(image: Image.Image) -> dict[str, str]:
    try:
        exif = image.getexif()
        comment = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment)
    except Exception as error:  # Pillow's EXIF reader fails in many ways on hostile bytes
        raise BadRequest(f"The picture's EXIF cannot be read: {error}.") from error
    texts = {}
    if isinstance(comment, (bytes, str)):
        texts[COMMENT] = comment if isinstance(comment, str) else decode_comment(comment)
    for field in _FIELDS:
        value = exif.get(field)
        if isinstance(value, str) and value.strip("\0 "):
            key, colon, text = value.partition(":")
            is_keyed = colon and key.lower() in ("prompt", "workflow", "extra", "parameters")
            texts[key.lower() if is_keyed else field.name] = (text if is_keyed else value).strip("\0")
    return texts


def decode_comment(comment: bytes) -> str:
    """EXIF's UserComment: eight bytes that name its encoding, then the text; UTF-16 of either order."""
    code, text = comment[:8], comment[8:]
    if code.startswith(b"UNICODE"):
        orders = (text.decode("utf-16-be", "replace"), text.decode("utf-16-le", "replace"))
        return max(orders, key=lambda one: sum(character < "\u0100" for character in one)).strip("\0\ufeff")
    if code.startswith((b"ASCII", b"JIS", b"\0\0\0\0")):
        return text.decode("utf-8", "replace").strip("\0")
    return comment.decode("utf-8", "replace").strip("\0")
