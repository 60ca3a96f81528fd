"""The line of parameters under an infotext: `Steps: 20, Sampler: Euler a, Hires prompt: "cat, dog", Hashes: {"model": …}`.

Sources: A1111 modules/infotext_utils.py and SDNext modules/infotext.py (`quote`: a value with a comma, colon or line break is
written as a JSON string); Civitai's extension and site append JSON unquoted.
"""

from __future__ import annotations

import json
import re
from typing import Any

MAX_LINE = 1_000_000
_KEY = re.compile(r"[ \t]*(\w[\w \-/+().]{0,80}):[ \t]*")
_MAX_PAIRS = 2_000
_MAX_OBJECTS = 32
_MAX_IN_VAIN = 1_000_000
"""So many characters are read for JSON that turns out to be none: every such place may mean reading all of the text."""
_decoder = json.JSONDecoder(strict=False)


def read_parameters(text: str) -> dict[str, Any]:
    """Keys with values: texts, or what JSON holds. Of one key the first counts.

    What stands between commas and is no pair belongs to the value before it, which its writer has not quoted.
    """
    text = text[:MAX_LINE].replace("\n", ", ")
    found: dict[str, Any] = {}
    parts: list[str] = []  # of the value under way, when it is text
    last, place, objects, failures = "", 0, 0, 0
    max_failures = 1 + _MAX_IN_VAIN // (len(text) + 1)
    while place < len(text) and len(found) < _MAX_PAIRS:
        key = _KEY.match(text, place)
        value: Any = None
        if key is not None:
            _end(found, last, parts)
            last, place = key[1].strip(), key.end()
            if text[place : place + 1] in _opening(objects) and failures < max_failures:
                value, place = _json(text, place)
                failures += value is None
        if value is None:
            end = text.find(",", place)
            end = len(text) if end < 0 else end
            value, place = text[place:end].strip(), end
        if isinstance(value, str):
            parts.append(value)
        else:
            objects += 1
            found.setdefault(last, value)
            last = ""
        comma = text.find(",", place)
        place = len(text) if comma < 0 else comma + 1
    _end(found, last, parts)
    return found


def count_pairs(line: str) -> int:
    """How many keys with values a line has."""
    return len(read_parameters(line))


def _end(found: dict[str, Any], key: str, parts: list[str]) -> None:
    """A value is complete."""
    if key and parts:
        found.setdefault(key, ", ".join(part for part in parts if part) if len(parts) > 1 else parts[0])
    parts.clear()


def _opening(objects: int) -> tuple[str, ...]:
    """What JSON begins with, after so many objects."""
    return ('"', "{", "[") if objects < _MAX_OBJECTS else ('"',)


def _json(text: str, place: int) -> tuple[Any, int]:
    """The text, object or list that begins here, and the place after it; None when it is no JSON."""
    try:
        return _decoder.raw_decode(text, place)
    except (ValueError, RecursionError):
        return None, place
