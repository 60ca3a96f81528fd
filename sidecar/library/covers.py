"""Pictures that sd-webui-additional-networks keeps in a header (`ssmd_cover_images`), and the prompts they were made with."""

from __future__ import annotations

import base64
import binascii
import io
import re
from typing import Any

import orjson

MAX_COVERS = 8
MAX_COVER = 12_000_000
"""Characters of one in base64."""
MAX_SETTINGS = 10_000
_SETTING = re.compile(r"\b(Steps|Sampler|CFG scale|Seed|Size|Model): ([^,\n]+)")


def cover_pictures(metadata: dict[str, str]) -> list[bytes]:
    """The first `MAX_COVERS` files, as they are; what is not base64 is left out."""
    try:
        listed = orjson.loads(metadata.get("ssmd_cover_images") or "[]")
    except orjson.JSONDecodeError:
        return []
    found = []
    for encoded in listed[:MAX_COVERS] if isinstance(listed, list) else []:
        if isinstance(encoded, str) and len(encoded) <= MAX_COVER:
            try:
                found.append(base64.b64decode(encoded))
            except (binascii.Error, ValueError):
                continue
    return found


def cover_examples(metadata: dict[str, str]) -> list[dict[str, Any]]:
    """Examples as source_civitai has them, from A1111's infotext in these pictures (PNG `parameters`)."""
    return [example for content in cover_pictures(metadata) if (example := _example(_infotext(content)))]


def _infotext(content: bytes) -> str:
    from PIL import Image  # few headers have pictures

    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            text = image.info.get("parameters")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""
    return text if isinstance(text, str) else ""


def _example(infotext: str) -> dict[str, Any] | None:
    """A1111 modules/infotext_utils.py: the prompt, `Negative prompt: …`, then a line of settings that begins with the steps."""
    text, mark, settings = infotext.replace("\r\n", "\n").partition("\nSteps: ")
    prompt, _, negative = f"\n{text}".partition("\nNegative prompt:")
    if not mark or not prompt.strip():
        return None
    said = dict(_SETTING.findall(f"Steps: {settings[:MAX_SETTINGS]}"))
    return {
        "prompt": prompt.strip()[:8000],
        "negative_prompt": negative.strip()[:8000],
        "sampler": said.get("Sampler"),
        "steps": _number(said.get("Steps")),
        "cfg": _number(said.get("CFG scale")),
        "seed": _number(said.get("Seed")),
        "size": said.get("Size"),
        "checkpoint": said.get("Model"),
        "url": None,
        "nsfw": 0,
    }


def _number(text: str | None) -> float | int | None:
    if text is None or not re.fullmatch(r"-?\d{1,20}(\.\d{1,10})?", text.strip()):
        return None
    return float(text) if "." in text else int(text)
