"""The texts in a picture's file, by key. Only the file's structure is read: no pixel is decoded, nothing large is copied.

PNG: tEXt, zTXt and iTXt, and eXIf. JPEG, WebP, AVIF and JPEG XL: EXIF. GIF and JPEG: comments.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from sidecar.errors import BadRequest
from sidecar.prompts.images.exif import decode, read_exif
from sidecar.prompts.images.infotext import MAX_TEXT

_PNG, _JXL = b"\x89PNG\r\n\x1a\n", b"\0\0\0\x0cJXL \r\n\x87\n"
_MAX_CHUNKS = 200_000
_MAX_TEXTS = 16_000_000
_MAX_EXIF = 20  # of a file that has several, though one is all that makes sense
_FORMS = "PNG, JPEG, WebP, AVIF, GIF or JPEG XL"
Content = bytes | bytearray


def read_texts(content: Content) -> dict[str, str]:
    """Every text of a picture, as far as the file is whole; of one key the first.

    Raises:
        BadRequest: it is no picture of a known kind, or damaged before anything could be read.
    """
    beginning = bytes(content[:16])
    if beginning.startswith(_PNG):
        return _read_png(content)
    if beginning.startswith(b"\xff\xd8\xff"):
        return _read_jpeg(content)
    if beginning.startswith(b"RIFF") and beginning[8:12] == b"WEBP":
        return _exif_of(content, _riff_chunks(content), b"EXIF")
    if beginning.startswith(_JXL):
        return _exif_of(content, _boxes(content), b"Exif", skipped=4)
    if beginning.startswith(b"GIF8"):
        return _read_gif(content)
    if beginning[4:12] in (b"ftypavif", b"ftypavis"):
        return _read_avif(content)
    raise BadRequest(f"This is no picture that is known here: it takes {_FORMS}.")


def _read_png(content: Content) -> dict[str, str]:
    """Portable Network Graphics, third edition, 5.3 and 11.3.3.

    Raises:
        BadRequest: there is no header.
    """
    if content[12:16] != b"IHDR":
        raise BadRequest("This PNG is damaged: it has no header.")
    texts: dict[str, str] = {}
    budget, exifs = _MAX_TEXTS, 0
    for kind, start, end in _png_chunks(content):
        if end - start > 2 * MAX_TEXT or kind not in (b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"comf"):
            continue
        data = bytes(content[start:end])
        found, read = (read_exif(data), len(data)) if kind == b"eXIf" else _png_text(kind, data)
        budget -= read
        exifs += kind == b"eXIf"
        if budget < 0 or exifs > _MAX_EXIF:
            break
        for key, text in found.items():
            texts.setdefault(key, text)
    return texts


def _png_chunks(content: Content) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of each whole chunk."""
    place = 8
    for _ in range(_MAX_CHUNKS):
        start = place + 8
        end = start + int.from_bytes(content[place : place + 4], "big")
        kind = bytes(content[place + 4 : start])
        if end > len(content) or kind == b"IEND":
            return
        yield kind, start, end
        place = end + 4


def _png_text(kind: bytes, data: bytes) -> tuple[dict[str, str], int]:
    """Key and text of a chunk, none when it is damaged or too long, and how many bytes that has taken.

    `comf` is ComfyUI's for animations.
    """
    raw, _, rest = data.partition(b"\0")
    key = raw[:79].decode("latin-1")
    compressed = kind == b"zTXt"
    if compressed:
        rest = rest[1:]
    elif kind == b"iTXt":
        compressed, rest = rest[:1] == b"\1", rest[2:]
        rest = rest.partition(b"\0")[2].partition(b"\0")[2]  # language, translated key
    if compressed:
        rest = _inflate(rest)
    fits = 0 < len(rest) <= 2 * MAX_TEXT
    return ({key: decode(rest)} if fits else {}), len(data) + len(rest)


def _inflate(data: bytes) -> bytes:
    """A compressed text; of one that is far too long a byte more than is taken, nothing of a damaged one."""
    try:
        return zlib.decompressobj().decompress(data, 2 * MAX_TEXT + 1)
    except zlib.error:
        return b""


def _read_jpeg(content: Content) -> dict[str, str]:
    """Segments up to the first scan (ITU-T T.81, B.1.1)."""
    texts: dict[str, str] = {}
    place, exifs = 2, 0
    for _ in range(_MAX_CHUNKS):
        marker = bytes(content[place : place + 2])
        if marker == b"\xff\xff":  # a fill byte
            place += 1
            continue
        length = int.from_bytes(content[place + 2 : place + 4], "big")
        if marker[:1] != b"\xff" or marker in (b"\xff\xda", b"\xff\xd9") or length < 2:
            break
        data = bytes(content[place + 4 : place + 2 + length])
        if marker == b"\xff\xe1" and data.startswith(b"Exif\0\0") and exifs < _MAX_EXIF:
            exifs += 1
            for key, text in read_exif(data).items():
                texts.setdefault(key, text)
        elif marker == b"\xff\xfe" and data:
            texts.setdefault("comment", decode(data))
        place += 2 + length
    return texts


def _riff_chunks(content: Content) -> Iterator[tuple[bytes, int, int]]:
    """Of a WebP (RFC 9649, 2.3 and 2.7)."""
    place = 12
    for _ in range(_MAX_CHUNKS):
        start = place + 8
        end = start + int.from_bytes(content[place + 4 : start], "little")
        if start > len(content) or end > len(content):
            return
        yield bytes(content[place : place + 4]), start, end
        place = end + (end - start) % 2


def _boxes(content: Content) -> Iterator[tuple[bytes, int, int]]:
    """The outermost boxes of an ISO base media file (ISO/IEC 14496-12, 4.2), here a JPEG XL."""
    place = 0
    for _ in range(_MAX_CHUNKS):
        start = place + 8
        size = int.from_bytes(content[place : place + 4], "big")
        if size == 1:
            start, size = place + 16, int.from_bytes(content[place + 8 : place + 16], "big")
        end = len(content) if size == 0 else place + size
        if start > len(content) or not start <= end <= len(content):
            return
        yield bytes(content[place + 4 : place + 8]), start, end
        place = end


def _exif_of(
    content: Content, chunks: Iterator[tuple[bytes, int, int]], wanted: bytes, skipped: int = 0
) -> dict[str, str]:
    for kind, start, end in chunks:
        if kind == wanted and end - start <= _MAX_TEXTS:
            return read_exif(bytes(content[start + skipped : end]))
    return {}


def _read_gif(content: Content) -> dict[str, str]:
    """Comments before the first picture (GIF 89a, 18 to 24). Pillow's way through many blocks takes quadratic time."""
    place = 13 + (3 << (content[10] & 7) + 1 if content[10:11] and content[10] & 0x80 else 0)
    blocks = 0
    while content[place : place + 1] == b"!" and blocks < _MAX_CHUNKS:
        is_comment = content[place + 1 : place + 2] == b"\xfe"
        place += 2
        parts = []
        while place < len(content) and content[place] and blocks < _MAX_CHUNKS:
            parts.append(bytes(content[place + 1 : place + 1 + content[place]]) if is_comment else b"")
            place += 1 + content[place]
            blocks += 1
        place += 1
        blocks += 1
        comment = b"".join(parts)
        if 0 < len(comment) <= MAX_TEXT:
            return {"comment": decode(comment)}
    return {}


def _read_avif(content: Content) -> dict[str, str]:
    """AVIF's EXIF, which its structure may keep anywhere. Opening decodes nothing.

    Raises:
        BadRequest: Pillow cannot open it.
    """
    try:
        with Image.open(io.BytesIO(content), formats=("AVIF",)) as image:
            exif = image.info.get("exif")
    except Image.DecompressionBombError as error:
        raise BadRequest("The picture says to have far more pixels than a picture has.") from error
    except (ArithmeticError, LookupError, MemoryError, OSError, RuntimeError, SyntaxError, TypeError,
            ValueError, struct.error, zlib.error) as error:  # fmt: skip
        raise BadRequest("The picture is damaged or cannot be opened here.") from error
    return read_exif(exif) if isinstance(exif, bytes) else {}
