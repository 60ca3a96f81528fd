"""The texts in EXIF (a TIFF of tags; JEITA CP-3451), as image programs use it. Damaged entries are passed over.

A1111, Forge, reForge and SDNext: UserComment. ComfyUI: its chunks as "key:JSON" in tags from Model downwards
(0x0110, 0x010F, 0x010E, …). Fooocus: UserComment and MakerNote as plain text beside them.
"""

from __future__ import annotations

import re

from sidecar.prompts.images.infotext import MAX_TEXT

COMMENT = "UserComment"
_NAMES = {
    0x010E: "ImageDescription",
    0x0131: "Software",
    0x927C: "MakerNote",
    0x9286: COMMENT,
    0x9C9C: "XPComment",
}
_POINTER, _ASCII = 0x8769, 2
_TEXT_TYPES = (1, _ASCII, 7)  # BYTE, ASCII, UNDEFINED
_MAX_ENTRIES = 500
_KEYED = re.compile(r"(\w{1,40}):\s*(?=[{\[])")
_KEYED_COMMENT = re.compile(r"(prompt|workflow):\s*(?=\{\")", re.IGNORECASE)
"""Comments are prompts far more often, and those may begin with `hair: {red|brown}`."""


def read_exif(content: bytes) -> dict[str, str]:
    """Texts by the tag's name, or by the key that ComfyUI wrote before them (in small letters).

    Values of a sound EXIF do not overlap, so no more is read than it has bytes.
    """
    content = content.removeprefix(b"Exif\0\0")
    if content[:4] == b"II*\0":
        order = "little"
    elif content[:4] == b"MM\0*":
        order = "big"
    else:
        return {}
    texts: dict[str, str] = {}
    first = _number(content, order, 4, 4)
    further, left = _read_directory(content, order, first, texts, len(content))
    if further is not None:
        _read_directory(content, order, further, texts, left)
    return texts


def _read_directory(
    content: bytes, order: str, place: int, texts: dict[str, str], left: int
) -> tuple[int | None, int]:
    """Add the texts of one directory, of `left` bytes at most.

    Returns where the EXIF directory is, if this one says, and how many bytes are left.
    """
    further = None
    for entry in range(min(_number(content, order, place, 2), _MAX_ENTRIES)):
        at = place + 2 + 12 * entry
        if at + 12 > len(content):
            break
        tag, kind = _number(content, order, at, 2), _number(content, order, at + 2, 2)
        count = _number(content, order, at + 4, 4)
        if tag == _POINTER:
            further = _number(content, order, at + 8, 4)
        elif kind in _TEXT_TYPES and (tag in _NAMES or kind == _ASCII) and count <= 2 * MAX_TEXT + 16:
            start = at + 8 if count <= 4 else _number(content, order, at + 8, 4)
            value = content[start : start + min(count, left)]
            left -= len(value)
            _add(texts, tag, value)
    return further, left


def _add(texts: dict[str, str], tag: int, value: bytes) -> None:
    if tag == 0x9286:
        text = decode_comment(value)
    elif tag == 0x9C9C:
        text = value.decode("utf-16-le", "replace")
    else:
        text = decode(value)
    text = text.strip("\0 ")
    keyed = (_KEYED_COMMENT if tag in (0x9286, 0x9C9C, 0x010E) else _KEYED).match(text)
    if keyed:
        texts.setdefault(keyed[1].lower(), text[keyed.end() :])
    elif text and tag in _NAMES:
        texts.setdefault(_NAMES[tag], text)


def _number(content: bytes, order: str, place: int, length: int) -> int:
    value = content[place : place + length]
    return int.from_bytes(value, "little" if order == "little" else "big") if len(value) == length else 0


def decode_comment(comment: bytes) -> str:
    """UserComment: eight bytes that name an encoding, then the text. What is wrong about either is guessed."""
    code, text = comment[:8], comment[8:]
    if code.startswith(b"UNICODE"):
        return _decode_utf16(text)
    if code.startswith((b"ASCII\0", b"JIS\0")) or code == b"\0" * 8:
        return decode(text)
    return decode(comment)


def _decode_utf16(text: bytes) -> str:
    """UTF-16 in the order in which more of it is Latin (parameters always are); UTF-8 when there is no zero byte."""
    if b"\0" not in text[:2_000]:
        try:
            return text.decode("utf-8")
        except UnicodeDecodeError:
            pass
    if text[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return text.decode("utf-16", "replace")
    low, high = text[1::2].count(0), text[0::2].count(0)
    return text.decode("utf-16-le" if low > high else "utf-16-be", "replace")


def decode(text: bytes) -> str:
    """UTF-8, and what is none as Latin-1 (the PNG standard's)."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")
