"""What is known while one prompt is worked on: the host, the library's names (each looked up once), what is noted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from sidecar.database import Database
from sidecar.prompts.facts import Facts
from sidecar.prompts.resolve import Resolved, resolve_all

if TYPE_CHECKING:
    from sidecar.prompts.activation import Activated

MAX_NEAREST_ASKED = 20
"""So many unknown names are compared with the library; who has more has another problem."""


@dataclass(frozen=True)
class Note:
    """Something the user should know about a prompt. Levels: info, warning, error."""

    level: str
    code: str
    message: str
    lora: str | None = None


class Likeness(NamedTuple):
    """How alike contents are by their weights, by body_hash: `norms` ‖ΔW‖ at strength 1; `cosines` of pairs, in either order.

    Pairs that have little in common, that cannot be compared or of which nothing is known yet are missing.
    """

    norms: dict[str, float]
    cosines: dict[tuple[str, str], float]


@dataclass
class Request:
    """One prompt, or one batch, on its way to a host.

    `complete` tells whether the catalogue has seen every file: when not, an unknown name may just not be read yet.
    `likeness` says how alike LoRAs are by their weights, where that is to be looked at.
    """

    database: Database
    facts: Facts
    mode: str = "fix"
    weight_cap: float = 0.0
    complete: bool = True
    seed: int | None = None
    words_done: frozenset[str] = frozenset()
    likeness: Callable[[Sequence[str]], Likeness] | None = None
    notes: list[Note] = field(default_factory=list)
    sets: dict[str, dict[str, Any]] = field(default_factory=dict)
    draws: list[dict[str, Any]] = field(default_factory=list)
    activated: dict[str, list[Activated]] = field(default_factory=dict)
    shown: dict[str, list[Activated]] = field(default_factory=dict)
    _noted: set[Note] = field(default_factory=set)
    _resolved: dict[str, Resolved | None] = field(default_factory=dict)

    @property
    def left_out(self) -> str:
        """What to say behind an error; a job that it stops leaves nothing out."""
        return "" if self.mode == "stop" else "; it was left out"

    def note(self, level: str, code: str, message: str, lora: str | None = None) -> None:
        note = Note(level, code, message, lora)
        if note not in self._noted:
            self._noted.add(note)
            self.notes.append(note)

    def look_up(self, names: Iterable[str]) -> None:
        """Look up many names at once."""
        new = [name for name in dict.fromkeys(names) if name not in self._resolved]
        if new:
            self._resolved |= resolve_all(self.database.reader(), new)

    def resolve(self, name: str) -> Resolved | None:
        """The file that a name means."""
        if name not in self._resolved:
            self.look_up([name])
        return self._resolved[name]
