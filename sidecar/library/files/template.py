"""Templates for folders and names, as `{base_model}/{type}/{name}`: read, checked, and filled in for one LoRA."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from sidecar.errors import BadRequest
from sidecar.library.files.names import FORBIDDEN, as_segment

FIELDS = {
    "name": "its name now",
    "title": "its title",
    "base_model": "SDXL, Pony, …",
    "type": "LoRA, LoCon, LoHa, LoKr, DoRA",
    "author": "who made it",
    "tag": "its first tag",
    "year": "of its file",
    "month": "of its file, 01 to 12",
    "nsfw": "PG, PG-13, R, X, XXX",
    "label": "its colour label",
    "rating": "1 to 5",
    "folder": "the name of the folder it is in now",
}
_TYPES = {"": "LoRA", "lora": "LoRA", "locon": "LoCon", "loha": "LoHa", "lokr": "LoKr", "dora": "DoRA"}
_LEVELS = {1: "PG", 2: "PG-13", 4: "R", 8: "X", 16: "XXX"}
_FIELD = re.compile(r"\{([^{}]*)\}")
_ABSOLUTE = re.compile(r"[A-Za-z]:|[/\\]|~")


class BadTemplate(BadRequest):
    """A template that cannot be used; detail {start, end} is the place."""

    code = "bad_template"

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message, {"start": start, "end": end})


class Template(NamedTuple):
    """A checked template: for each folder, and last for the name, its literal texts and fields in turn."""

    segments: tuple[tuple[str, ...], ...]

    def fill(self, values: dict[str, str]) -> tuple[str, str]:
        """The folder ("" or with `/`) and the name for a LoRA with these values."""
        *folders, name = (self._segment(parts, values) for parts in self.segments)
        return "/".join(folders), name

    def _segment(self, parts: Sequence[str], values: dict[str, str]) -> str:
        if parts == ("", "name", ""):
            return values["name"]  # a file that is only moved keeps its name to the letter
        text = "".join(values[part] if number % 2 else part for number, part in enumerate(parts))
        return as_segment(text, fallback="Unknown")


def read_template(text: str) -> Template:
    """Check a template.

    Raises:
        BadTemplate: an unknown field, an absolute path, `..`, an empty part, or a character that no name can have;
            with the place.
    """
    absolute = _ABSOLUTE.match(text)
    if absolute:
        raise BadTemplate(
            "A template is a path below the LoRA folder, so it cannot begin with a root or a drive.",
            *absolute.span(),
        )
    segments, start = [], 0
    for segment in text.split("/"):
        segments.append(_read_segment(segment, start))
        start += len(segment) + 1
    return Template(tuple(segments))


def _read_segment(segment: str, start: int) -> tuple[str, ...]:
    end = start + len(segment)
    if not segment.strip():
        raise BadTemplate(
            "A part of the template is empty; between two / there is a name.", start, max(end, start + 1)
        )
    if set(segment.strip()) == {"."}:
        raise BadTemplate(
            f"{segment.strip()} would leave the LoRA folder; a template only leads further in.", start, end
        )
    parts = _FIELD.split(segment)
    for match in _FIELD.finditer(segment):
        if match[1] not in FIELDS:
            raise BadTemplate(
                f"There is no field {{{match[1]}}}; there are {', '.join(FIELDS)}.",
                start + match.start(), start + match.end(),
            )  # fmt: skip
    position = start
    for number, part in enumerate(parts):
        if number % 2 == 0:
            for at, character in enumerate(part):
                if character in "{}":
                    raise BadTemplate(
                        "A field is written {name}; this brace has no partner.",
                        position + at,
                        position + at + 1,
                    )
                if character in FORBIDDEN or ord(character) < 32:
                    raise BadTemplate(
                        f"A name cannot have {character!r} in it.", position + at, position + at + 1
                    )
            position += len(part)
        else:
            position += len(part) + 2
    if segment.startswith("."):
        raise BadTemplate("A name that begins with a dot would be hidden.", start, start + 1)
    return tuple(parts)


def values_of(row: Any, tags: Sequence[str]) -> dict[str, str]:
    """What the fields are for one LoRA; `row` has the columns that `organise.read_values` selects."""
    moment = time.localtime(row["modified"])
    return {
        "name": row["stem"],
        "title": row["title"] or row["stem"],
        "base_model": row["base_model"] or "Unknown",
        "type": _TYPES.get(row["network"], row["network"]),
        "author": row["author"] or "Unknown",
        "tag": tags[0] if tags else "Untagged",
        "year": str(moment.tm_year),
        "month": f"{moment.tm_mon:02}",
        "nsfw": _LEVELS.get(row["nsfw"], "Unrated"),
        "label": row["label"] or "Unlabelled",
        "rating": str(row["rating"]) if row["rating"] else "Unrated",
        "folder": row["folder"].rpartition("/")[2] or row["root_label"],
    }
