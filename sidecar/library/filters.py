"""What a list is narrowed to, as SQL: sets of ids (from full text, tags, folders) and conditions on the row."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import Any

from sidecar.errors import BadRequest
from sidecar.library.search import SearchText

STATES = ("ok", "broken", "unreadable", "missing", "legacy")

_TAGGED = "SELECT lora_id FROM lora_tags WHERE tag_id = (SELECT id FROM tags WHERE name = ?)"
_STATE = "CASE WHEN l.present THEN l.state ELSE 'missing' END"


@dataclass(frozen=True)
class Filter:
    """What a list is narrowed to. Several base models, folders or states mean "or", several tags "and"."""

    q: str = ""
    base_models: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    not_tags: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    favorite: bool | None = None
    collection: int | None = None
    hidden: bool = False


@dataclass
class Where:
    """The part of a statement after WHERE, over `loras l`."""

    sets: list[str] = field(default_factory=list)
    set_values: list[Any] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)
    condition_values: list[Any] = field(default_factory=list)

    @property
    def values(self) -> list[Any]:
        """Bound values, in the order of `sql`."""
        return [*self.set_values, *self.condition_values]

    def sql(self, *, by_order: bool = False) -> str:
        """All joined by AND. `by_order` has SQLite walk the index of ORDER BY and test each row, instead of
        collecting and sorting all matches: right when a page's rows are soon found (the `+` forbids the other way).
        """
        mark = "+" if by_order else ""
        return " AND ".join([*(f"{mark}l.id IN ({one})" for one in self.sets), *self.conditions]) or "1"

    def count(self, reader: sqlite3.Connection) -> int:
        """How many rows match."""
        if len(self.sets) == 1 and not self.conditions:
            sql = f"SELECT count(*) FROM ({self.sets[0]})"
        else:
            sql = f"SELECT count(*) FROM loras l WHERE {self.sql()}"
        return int(reader.execute(sql, self.values).fetchone()[0])

    def without_text(self) -> Where:
        """The same without the full-text set, which is always the first."""
        return Where(self.sets[1:], self.set_values[1:], self.conditions, self.condition_values)


def build_where(reader: sqlite3.Connection, narrowed: Filter, text: SearchText | None) -> Where:
    """The conditions of a filter; files in folders that are no longer active never match.

    Raises:
        BadRequest: an unknown state.
    """
    where = Where()
    if text:
        where.sets.append("SELECT rowid FROM search WHERE search MATCH ?")
        where.set_values.append(text.match)
    for tag in narrowed.tags:
        where.sets.append(_TAGGED)
        where.set_values.append(tag)
    _add_folders(reader, where, narrowed.folders)
    if narrowed.base_models:
        _add(where, f"l.base_model IN ({_marks(narrowed.base_models)})", *narrowed.base_models)
    for tag in narrowed.not_tags:
        _add(where, f"l.id NOT IN ({_TAGGED})", tag)
    unknown = set(narrowed.states) - set(STATES)
    if unknown:
        raise BadRequest(f"There is no state {unknown.pop()!r}; there are {', '.join(STATES)}.")
    if narrowed.states:
        _add(where, f"{_STATE} IN ({_marks(narrowed.states)})", *narrowed.states)
    if narrowed.favorite is not None:
        _add(where, "l.favorite" if narrowed.favorite else "NOT l.favorite")
    return where


def _add_folders(reader: sqlite3.Connection, where: Where, folders: tuple[str, ...]) -> None:
    """A folder is a root's label, or label/relative; it includes all below it."""
    roots = reader.execute("SELECT id, label, active FROM roots").fetchall()
    active = [str(row["id"]) for row in roots if row["active"]]
    if len(active) < len(roots):
        _add(where, f"l.root_id IN ({', '.join(active)})")
    if not folders:
        return
    labels = {row["label"]: row["id"] for row in roots if row["active"]}
    if len(labels) == 1 and set(folders) >= set(labels):
        return
    choices = ["SELECT 0"]
    for folder in folders:
        label, _, relative = folder.partition("/")
        if label not in labels:
            continue
        choices.append("SELECT id FROM loras WHERE root_id = ?")
        where.set_values.append(labels[label])
        if relative:  # "0" follows "/" in ASCII
            choices[-1] += " AND folder = ?"
            choices.append("SELECT id FROM loras WHERE root_id = ? AND folder > ? AND folder < ?")
            where.set_values += [relative, labels[label], relative + "/", relative + "0"]
    where.sets.append(" UNION ".join(choices) + " EXCEPT SELECT 0")


def _add(where: Where, condition: str, *values: Any) -> None:
    where.conditions.append(condition)
    where.condition_values.extend(values)


def _marks(values: tuple[str, ...]) -> str:
    return ", ".join("?" * len(values))
