"""Pictures with texts in them, written by Pillow as image programs have it write them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any, Literal

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from starlette.testclient import TestClient

USER_COMMENT, EXIF_IFD = 0x9286, 0x8769
Kind = Literal["as programs do", "zTXt", "iTXt", "compressed iTXt"]
Told = dict[str, Any]


def png(texts: dict[str, str], kind: Kind = "as programs do") -> bytes:
    """A PNG with text chunks; as programs do: tEXt, and iTXt for what is not Latin-1 (Pillow's `add_text`)."""
    chunks = PngInfo()
    for key, text in texts.items():
        if "iTXt" in kind:
            chunks.add_itxt(key, text, zip=kind.startswith("compressed"))
        else:
            chunks.add_text(key, text, zip=kind == "zTXt")
    return _saved("PNG", pnginfo=chunks)


def graph_png(prompt: Any = None, workflow: Any = None) -> bytes:
    """A PNG as ComfyUI's SaveImage writes it."""
    parts = {"prompt": prompt, "workflow": workflow}
    return png({key: json.dumps(part) for key, part in parts.items() if part is not None})


def with_comment(comment: bytes, form: str = "JPEG", endian: str = ">") -> bytes:
    """A picture whose EXIF has these bytes as UserComment; endian: ">" (MM) or "<" (II)."""
    return with_exif({EXIF_IFD: {USER_COMMENT: comment}}, form, endian)


def with_exif(tags: dict[int, Any], form: str = "JPEG", endian: str = ">") -> bytes:
    """A picture with these EXIF tags; a directory of its own is a dictionary."""
    exif = Image.Exif()
    exif.endian = endian
    for tag, value in tags.items():
        if isinstance(value, dict):
            exif.get_ifd(tag).update(value)
        else:
            exif[tag] = value
    return _saved(form, exif=exif.tobytes())


def comment_of(text: str, encoding: str = "utf-16-be") -> bytes:
    """UserComment as piexif.helper writes it for the A1111 line and SD.Next: UTF-16, big-endian."""
    return (b"UNICODE\0" if encoding.startswith("utf-16") else b"ASCII\0\0\0") + text.encode(encoding)


def _saved(form: str, **how: Any) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (16, 8), "teal").save(content, form, **how)
    return content.getvalue()


def asking(api: TestClient) -> Callable[[bytes], Told]:
    """Ask the sidecar what a picture tells."""

    def ask(content: bytes) -> Told:
        answer = api.post("prompts/image", content=content)
        assert answer.status_code == 200, answer.text
        told: Told = answer.json()
        return told

    return ask


def short(told: Told) -> list[tuple[str, float | None, str | None]]:
    """Name, weight and how it was found, of each LoRA."""
    return [(one["name"], one["weight"], one["found"]) for one in told["loras"]]
