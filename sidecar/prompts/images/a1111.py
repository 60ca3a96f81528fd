"""The infotext of the A1111 line and of SDNext: the prompt, "Negative prompt: …", and a line of "Key: value, …".

Sources: A1111 modules/infotext_utils.py and processing.py, SDNext modules/infotext.py; hashes as Civitai's extension and
A1111's Lora extension write them.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from sidecar.library.foreign import as_list, as_number, as_object, as_string
from sidecar.prompts.images.infotext import Infotext, NamedLora

MAX_PARAMETERS = 50_000
_KEY = re.compile(r"\s*([\w][\w \-/+().]{0,80}?)\s*:\s*")
_STEPS = re.compile(r"^\s*Steps:\s*\d+", re.MULTILINE)
_NEGATIVE = re.compile(r"^Negative prompt:[ \t]*", re.MULTILINE)
_LIST_ITEM = re.compile(r"\s*([^:,]+):\s*([0-9A-Fa-f]{6,64})\s*(?:,|$)")
_SET = re.compile(r"\s*(.+?)(?: v\d+)?(?: \([-\d.]+\))?\s*(?:,|$)")
_NAMES = {
    "steps": "steps", "sampler": "sampler", "cfg scale": "cfg", "seed": "seed", "size": "size", "model": "checkpoint",
    "model hash": "checkpoint_hash", "vae": "vae", "clip skip": "clip_skip", "scheduler": "scheduler",
    "schedule type": "scheduler", "denoising strength": "denoising", "hires upscale": "hires_scale",
}  # fmt: skip


def parse_infotext(text: str) -> Infotext:
    """Take an infotext apart. Without a line of parameters everything is prompt."""
    text = text.replace("\r\n", "\n").strip()
    prompt, parameters = _split(text)
    values = read_parameters(parameters)
    negatives = list(_NEGATIVE.finditer(prompt))
    negative = ""
    if negatives:  # a prompt may itself hold such a line, so the last one counts
        negative = prompt[negatives[-1].end() :].strip()
        prompt = prompt[: negatives[-1].start()]
    known = {_NAMES[key.lower()]: value for key, value in values.items() if key.lower() in _NAMES}
    return Infotext(
        software=_software(values),
        prompt=prompt.strip(),
        negative_prompt=negative,
        parameters=_as_numbers(known),
        loras=_loras(values),
        sets=[match[1] for match in _SET.finditer(_text(values.get("LoRA sets"))) if match[1]],
        text=text,
    )


def is_infotext(text: str) -> bool:
    """Whether a text has such a line of parameters."""
    return bool(_split(text.strip())[1])


def _split(text: str) -> tuple[str, str]:
    """Prompts and parameters: what begins with the last line "Steps: N", else a last line with three pairs at least."""
    found = list(_STEPS.finditer(text))
    if found:
        return text[: found[-1].start()], text[found[-1].start() :]
    before, _, last = text.rpartition("\n")
    return (before, last) if len(read_parameters(last)) >= 3 else (text, "")


def read_parameters(text: str) -> dict[str, Any]:
    """`Key: value, Key: "quoted, value", Key: {json}`, as text or as what the JSON holds; the first of a key counts."""
    values: dict[str, Any] = {}
    text = text[:MAX_PARAMETERS]
    place, last = 0, ""
    while place < len(text):
        key = _KEY.match(text, place)
        if key is None:  # a value that was not quoted, and had a comma in it
            value, place = _value(text, place)
            if isinstance(values.get(last), str):
                values[last] += f", {value}"
        else:
            value, place = _value(text, key.end())
            last = key[1].strip()
            if last in values:
                last = ""
            else:
                values[last] = value
        comma = text.find(",", place)
        if comma < 0:
            break
        place = comma + 1
    return values


def _value(text: str, place: int) -> tuple[Any, int]:
    """The value that begins at a place, and where it ends."""
    if text[place : place + 1] == '"':
        closed = re.compile(r'"(?:\\.|[^\\"])*"').match(text, place)
        if closed:
            try:
                return orjson.loads(closed[0]), closed.end()
            except orjson.JSONDecodeError:
                return closed[0].strip('"'), closed.end()
    if text[place : place + 1] in ("{", "["):
        end = _end_of_json(text, place)
        try:
            return orjson.loads(text[place:end]), end
        except orjson.JSONDecodeError:
            return text[
                place:end
            ].strip(), end  # also when it is never closed: then all the rest is this value
    end = text.find(",", place)
    end = len(text) if end < 0 else end
    return text[place:end].strip(), end


def _end_of_json(text: str, place: int) -> int:
    """Where the bracket at `place` is closed, strings skipped; the end of the text when it is not."""
    depth, quoted, escaped = 0, False, False
    for at in range(place, len(text)):
        character = text[at]
        if quoted:
            escaped, quoted = character == "\\" and not escaped, character != '"' or escaped
        elif character == '"':
            quoted = True
        elif character in "{[":
            depth += 1
        elif character in "}]":
            depth -= 1
            if depth == 0:
                return at + 1
    return len(text)


def _software(values: dict[str, Any]) -> str:
    if _text(values.get("App")).replace(".", "").lower().startswith("sdnext"):
        return "SD.Next"
    version = _text(values.get("Version"))
    if (version.startswith("f") and "forge" not in version.lower()) or "forge" in version.lower():
        return "Forge"
    return "A1111"


def _loras(values: dict[str, Any]) -> list[NamedLora]:
    """The LoRAs that the parameters name, each with its hash where one is told."""
    found: dict[str, NamedLora] = {}
    for key in ("Lora hashes", "LoRA hashes"):
        for match in _LIST_ITEM.finditer(_text(values.get(key))):
            name = match[1].strip()
            found.setdefault(name, NamedLora(name, None, match[2].lower()))
    for key, value in as_object(values.get("Hashes")).items():
        kind, _, name = key.partition(":")
        if kind.lower() in ("lora", "lyco", "lycoris") and name and as_string(value):
            found.setdefault(name, NamedLora(name, None, str(value).lower()))
    for one in as_list(values.get("Civitai resources")):
        resource = as_object(one)
        name = as_string(resource.get("modelName"))
        if name and as_string(resource.get("type")) in ("lora", "lycoris", "locon", "dora"):
            hashed = as_string(resource.get("hash"))
            found.setdefault(
                name, NamedLora(name, as_number(resource.get("weight")) or 1.0, hashed and hashed.lower())
            )
    names = [name.strip() for name in _text(values.get("LoRA networks")).split(",") if name.strip()]
    hashes = re.findall(r"[0-9A-Fa-f]{8}", _text(values.get("LoRA hashes"))) if names else []
    for at, name in enumerate(
        names
    ):  # SDNext lists hashes without names; of as many they are in the same order
        hashed = hashes[at].lower() if len(hashes) == len(names) else None
        found.setdefault(name, NamedLora(name, None, hashed))
    return list(found.values())


def _as_numbers(values: dict[str, Any]) -> dict[str, Any]:
    numbers = dict(values)
    for key in ("steps", "seed", "cfg", "clip_skip", "denoising", "hires_scale"):
        number = as_number(_text(numbers.get(key)).strip())
        if number is not None:
            numbers[key] = (
                int(number) if number == int(number) and key in ("steps", "seed", "clip_skip") else number
            )
    return numbers


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
