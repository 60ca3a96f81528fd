"""From a picture's bytes to what it tells of its making."""

from __future__ import annotations

from sidecar.prompts.images.a1111 import is_infotext, parse_infotext
from sidecar.prompts.images.chunks import COMMENT, read_chunks
from sidecar.prompts.images.comfy import parse_comfy
from sidecar.prompts.images.infotext import Infotext
from sidecar.prompts.images.others import parse_others


def read_picture(content: bytes) -> Infotext | None:
    """What a picture tells of its making; None when it says nothing that is understood.

    Raises:
        BadRequest: it is no picture that can be read.
    """
    chunks = read_chunks(content)
    texts = [chunks[key] for key in ("parameters", COMMENT, "comment", "ImageDescription") if chunks.get(key)]
    whole = next((text for text in texts if is_infotext(text)), None)
    if whole is not None:
        return parse_infotext(whole)
    found = parse_others(chunks) or parse_comfy(chunks.get("prompt"), chunks.get("workflow"))
    if found is None and chunks.get("parameters"):
        return parse_infotext(chunks["parameters"])
    return found
