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
_MAX_JSON = 32
_decoder = json.JSONDecoder(strict=False)


def read_parameters(text: str) -> dict[str, Any]:
    """Keys with values: texts, or what JSON holds. Of one key the first counts.

    What stands between commas and is no pair belongs to the value before it, which its writer has not quoted.
    """
    text = text[:MAX_LINE].replace("\n", ", ")
    found: dict[str, Any] = {}
    parts: list[str] = []  # of the value under way, when it is text
    last, place, objects = "", 0, 0
    while place < len(text) and len(found) < _MAX_PAIRS:
        key = _KEY.match(text, place)
        if key is not None:
            _end(found, last, parts)
            last, place = key[1].strip(), key.end()
        value, place = _value(text, place, objects < _MAX_JSON)
        if key is None or isinstance(value, str):
            parts.append(value if isinstance(value, str) else "")
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


def _value(text: str, place: int, may_be_object: bool) -> tuple[Any, int]:
    """A value and the place after it."""
    first = text[place : place + 1]
    if first == '"' or (first in ("{", "[") and may_be_object):
        try:
            return _decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            pass  # no JSON, then
    end = text.find(",", place)
    end = len(text) if end < 0 else end
    return text[place:end].strip(), end
