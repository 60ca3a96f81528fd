"""The fields that a source may have something to say about. Each kind of source is a class in one of `source_…`."""

from __future__ import annotations

from typing import Any, NamedTuple


class BaseModel(NamedTuple):
    """A base model by our name, what tells it, and the source that says so."""

    name: str
    reason: str
    source: str


class Source:
    """What one source says of every field; empty where it has nothing to say. Worked out only when asked for."""

    name = ""

    def title(self) -> str | None:
        """What people call it."""
        return None

    def trigger_words(self) -> list[str]:
        """Words that the training tied to it."""
        return []

    def weight(self) -> float | None:
        """The weight to use it with; never 0."""
        return None

    def negative_prompt(self) -> str | None:
        """What belongs in the negative prompt with it."""
        return None

    def notes(self) -> str | None:
        """What somebody noted about its use."""
        return None

    def description(self) -> str | None:
        """HTML as its author wrote it: not clean."""
        return None

    def tags(self) -> list[str]:
        """What it is sorted under."""
        return []

    def base_model(self) -> BaseModel | None:
        """The model that it was made for."""
        return None

    def author(self) -> str | None:
        """Who made it."""
        return None

    def url(self) -> str | None:
        """Its page."""
        return None

    def version(self) -> str | None:
        """Its version's name."""
        return None

    def nsfw(self) -> int:
        """1 PG, 2 PG-13, 4 R, 8 X, 16 XXX; 0 unknown."""
        return 0

    def favorite(self) -> bool:
        """Whether it is marked as a favourite elsewhere."""
        return False

    def rating(self) -> int:
        """One to five; 0 unknown."""
        return 0

    def examples(self) -> list[dict[str, Any]]:
        """Prompts that it was used with."""
        return []
