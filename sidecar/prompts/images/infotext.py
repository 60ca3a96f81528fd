"""What a picture tells of its making, whatever program wrote it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any

from sidecar.library.foreign import as_number

MAX_TEXT = 4_000_000
"""So many characters of one text are looked at; the longest real ones are ComfyUI's graphs, of a few 100,000."""
MAX_LORAS = 200
"""So many LoRAs of a picture are looked up; those that are not found cost milliseconds each in a large library."""
_ENDING = re.compile(r"\.(safetensors|ckpt|pt|pth|bin|sft|gguf)$", re.IGNORECASE)


@dataclass(frozen=True)
class NamedLora:
    """A LoRA as a picture names it.

    `weight` is None when its metadata tells none, `hash` of any kind, lower case. `other_pass` says that the picture used it
    for something else than its prompt (a second pass, a detailer), so that it does not belong into the prompt.
    """

    name: str
    weight: float | None = None
    hash: str | None = None
    other_pass: bool = False


@dataclass
class Infotext:
    """The texts of one picture. `loras` are those that its metadata names besides the prompt's tags, `sets` the names of
    sets that were used, `text` is what was read."""

    software: str
    prompt: str = ""
    negative_prompt: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    loras: list[NamedLora] = field(default_factory=list)
    sets: list[str] = field(default_factory=list)
    text: str = ""

    def cleaned(self) -> Infotext:
        """The same with nothing that JSON, a database or a prompt box cannot hold, and without empty parameters."""
        named = [replace(lora, name=clean(lora.name)) for lora in self.loras[:MAX_LORAS]]
        parameters = {
            key: clean(value) if isinstance(value, str) else value for key, value in self.parameters.items()
        }
        return Infotext(
            self.software,
            clean(self.prompt),
            clean(self.negative_prompt),
            {key: value for key, value in parameters.items() if _is_plain(value)},
            [lora for lora in named if lora.name],
            [name for name in map(clean, self.sets[:MAX_LORAS]) if name],
            clean(self.text),
        )


def load_json(text: str | None) -> Any:
    """What a text says as JSON, NaN and Infinity included (ComfyUI writes them); None when it is no JSON object."""
    if not text or len(text) > MAX_TEXT or text.lstrip()[:1] != "{":
        return None
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None


def clean(text: str) -> str:
    """A text without NUL and halves of surrogate pairs, and without space around it."""
    return text.replace("\0", "").encode("utf-8", "replace").decode().strip()


def stem_of(name: str) -> str:
    """A model's name without the folders before it and the ending after it."""
    return _ENDING.sub("", name.replace("\\", "/").rpartition("/")[2].strip())


def to_number(value: Any) -> int | float | None:
    """A number as written: whole ones stay whole to their last digit (seeds have up to 64 bits)."""
    if isinstance(value, str):
        if re.fullmatch(r"[+-]?[0-9]{1,20}", value.strip()):
            value = int(value)
        else:
            return as_number(value)
    if type(value) is int:
        return value if -(2**63) <= value < 2**64 else None
    return as_number(value)


def weight_of(value: Any, otherwise: float | None = 1.0) -> float | None:
    """A LoRA's weight, or what counts when there is none."""
    number = as_number(value)
    return otherwise if number is None or abs(number) > 1_000 else number


def hash_of(value: Any) -> str | None:
    """Hexadecimal digits of a hash as programs write it: plain, "0x…", "blake3:…" or "sha256:…"; None for anything else."""
    if not isinstance(value, str):
        return None
    kind, _, digits = value.strip().lower().rpartition(":")
    digits = digits.removeprefix("0x")
    known = kind in ("", "blake3", "sha256", "autov1", "autov2", "autov3", "crc32")
    return digits if known and re.fullmatch(r"[0-9a-f]{8,64}", digits) else None


def size_of(width: Any, height: Any) -> str | None:
    """A size as "WIDTHxHEIGHT"."""
    wide, high = as_number(width), as_number(height)
    return f"{wide:g}x{high:g}" if wide and high and 0 < wide < 1e6 and 0 < high < 1e6 else None


def _is_plain(value: Any) -> bool:
    if isinstance(value, (str, bool)):
        return value != ""
    return isinstance(value, (int, float)) and to_number(value) is not None
