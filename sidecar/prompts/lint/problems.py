"""A problem of a prompt: where it is, what it means in plain words, and what mends it with one click."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sidecar.prompts.facts import comments_in
from sidecar.prompts.grammar import Tag, find_tags, is_cut
from sidecar.prompts.request import Request
from sidecar.prompts.resolve import Resolved

PROMPT, NEGATIVE = "prompt", "negative_prompt"
LEVELS = ("error", "warning", "info")


@dataclass(frozen=True)
class Change:
    """`text` in the place of the characters from start to end of a field."""

    field: str
    start: int
    end: int
    text: str

    def to_json(self) -> dict[str, Any]:
        return {"field": self.field, "start": self.start, "end": self.end, "text": self.text}


@dataclass(frozen=True)
class Fix:
    """Changes that apply together."""

    label: str
    changes: tuple[Change, ...]

    def to_json(self) -> dict[str, Any]:
        return {"label": self.label, "changes": [change.to_json() for change in self.changes]}


@dataclass(frozen=True)
class Problem:
    """One finding. `code` is for programs, `lora` the name it is about."""

    level: str
    code: str
    message: str
    start: int = 0
    end: int = 0
    field: str = PROMPT
    lora: str | None = None
    fixes: tuple[Fix, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "level": self.level,
            "code": self.code,
            "message": self.message,
            "lora": self.lora,
            "field": self.field,
            "start": self.start,
            "end": self.end,
            "fixes": [fix.to_json() for fix in self.fixes],
        }


@dataclass
class Look:
    """A prompt and its negative, taken apart once for all checks. `loras` are the plain tags of files that are there."""

    request: Request
    prompt: str
    negative: str = ""
    tags: list[Tag] = field(init=False)
    comments: list[tuple[int, int]] = field(init=False)
    loras: list[tuple[Tag, Resolved]] = field(init=False)

    def __post_init__(self) -> None:
        self.comments = comments_in(self.prompt, self.request.facts)
        self.tags = [tag for tag in find_tags(self.prompt) if not is_cut(tag, self.comments)]
        plain = [tag for tag in self.tags if tag.is_lora and not tag.is_draw]
        self.request.look_up(tag.name for tag in plain)
        found = ((tag, self.request.resolve(tag.name)) for tag in plain)
        self.loras = [(tag, lora) for tag, lora in found if lora is not None]


def replaced(tag: Tag, text: object, label: str, place: str = PROMPT) -> Fix:
    """A fix that puts another text in a tag's place."""
    return Fix(label, (Change(place, tag.start, tag.end, str(text)),))


def left_out(tag: Tag, text: str, place: str = PROMPT) -> Fix:
    """A fix that takes a tag out of `text`, with a comma or space that would stand twice."""
    end = tag.end
    before = text[: tag.start].rstrip()
    if not before or before.endswith(","):
        rest = text[end:]
        end += len(rest) - len(rest.lstrip(" \t,"))
    return Fix("Leave it out", (Change(place, tag.start, end, ""),))
