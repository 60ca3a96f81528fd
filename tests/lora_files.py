"""Makes LoRA files and side files for tests: small, valid, and different from each other."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

from PIL import Image

UNET = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"


def header_bytes(header: dict[str, Any]) -> bytes:
    """A header as safetensors writes it: length, then compact JSON."""
    blob = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(blob)) + blob


def make_lora(path: Path, *, width: int = 768, body: bytes | None = None, **metadata: str) -> Path:
    """Write `path` (its folder too) with one LoRA pair of rank 1.

    Args:
        width: input of cross-attention: 768 SD 1.x, 1024 SD 2.x, 2048 SDXL.
        body: the tensors' bytes, `4 * width` of them; by default made from the file's name, so that files differ.
        metadata: entries of the header's `__metadata__`; write `__` for `.` in their names.
    """
    size = 2 * width
    tensors = {
        f"{UNET}.lora_down.weight": {"dtype": "F16", "shape": [1, width], "data_offsets": [0, size]},
        f"{UNET}.lora_up.weight": {"dtype": "F16", "shape": [width, 1], "data_offsets": [size, 2 * size]},
    }
    known = {name.replace("__", "."): value for name, value in metadata.items()}
    if body is None:
        body = (path.stem.encode() * (2 * size))[: 2 * size]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header_bytes({"__metadata__": known, **tensors}) + body)
    return path


def add_side_file(path: Path, ending: str, content: Any) -> Path:
    """Write `content` as JSON (or as it is, if bytes) beside a LoRA, as `stem + ending`."""
    side_file = path.with_name(path.stem + ending)
    side_file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return side_file


def picture(size: tuple[int, int] = (60, 90), form: str = "PNG", colour: str = "teal") -> bytes:
    """A picture's bytes."""
    content = io.BytesIO()
    Image.new("RGB", size, colour).save(content, form)
    return content.getvalue()
