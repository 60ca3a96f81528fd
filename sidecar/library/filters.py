"""What a list is narrowed to, as SQL: sets of ids (from full text, tags, folders) and conditions on the row."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import Any

from sidecar.database import Database
from sidecar.errors import BadRequest
from sidecar.library.find.conditions import (
    LABELS,
    STATE,
    STATES,
    Condition,
    Context,
    build_condition,
    in_collection,
    tagged,
)
from sidecar.library.find.parse import Term, parse_query, walk_terms
from sidecar.library.search import SearchText, Words, search_text
from sidecar.memo import remember


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
    text: SearchText | None = None

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

    def ids(self) -> str:
        """A statement that selects the ids of all that match, some perhaps twice."""
        if self.sets and not self.conditions:
            return " INTERSECT ".join(f"SELECT * FROM ({one})" for one in self.sets)
        return f"SELECT l.id FROM loras l WHERE {self.sql()}"

    def count(self, reader: sqlite3.Connection) -> int:
        """How many rows match."""
        if self.text and len(self.sets) == 1 and not self.conditions:
            sql = f"SELECT count(*) FROM ({self.sets[0]})"
        else:
            sql = f"SELECT count(*) FROM loras l WHERE {self.sql()}"
        return int(reader.execute(sql, self.values).fetchone()[0])

    def without_text(self) -> Where:
        """The same without the full-text set, which is always the first."""
        return Where(self.sets[1:], self.set_values[1:], self.conditions, self.condition_values)


def build_where(database: Database, narrowed: Filter) -> Where:
    """The conditions of a filter. Files in folders that are no longer active never match, hidden ones only when asked
    for.

    Raises:
        BadQuery: the query cannot be read. BadRequest: an unknown state or label.
    """
    where = Where()
    hidden = _add_query(database, where, narrowed.q) or narrowed.hidden
    reader = database.reader()
    for tag in narrowed.tags:
        _add_condition(where, tagged(tag))
    _add_folders(reader, where, narrowed.folders)
    if narrowed.collection is not None:
        context = _context(database, Words(database))
        _add_condition(where, in_collection(context, narrowed.collection))
    if narrowed.base_models:
        _add(where, f"l.base_model IN ({_marks(narrowed.base_models)})", *narrowed.base_models)
    for tag in narrowed.not_tags:
        condition = tagged(tag)
        _add(where, f"NOT ({condition.sql})", *condition.values)
    for values, known, column in (
        (narrowed.states, STATES, STATE),
        (narrowed.labels, LABELS, "l.label"),
    ):
        unknown = set(values) - set(known)
        if unknown:
            raise BadRequest(f"There is no {unknown.pop()!r} here; there are {', '.join(known)}.")
        if values:
            _add(where, f"{column} IN ({_marks(values)})", *values)
    if narrowed.favorite is not None:
        _add(where, "l.favorite" if narrowed.favorite else "NOT l.favorite")
    if not hidden and remember(database, "any hidden", lambda: _any_hidden(reader)):
        _add(where, "l.id NOT IN (SELECT id FROM loras WHERE hidden)")
    return where


def _context(database: Database, words: Words) -> Context:
    def duplicates() -> set[int]:
        from sidecar.library.weights.duplicates import duplicate_ids  # it lists LoRAs itself

        return duplicate_ids(database)

    return Context(database.reader(), words.match, duplicates)


def _any_hidden(reader: sqlite3.Connection) -> bool:
    return reader.execute("SELECT 1 FROM loras WHERE hidden LIMIT 1").fetchone() is not None


def _add_query(database: Database, where: Where, typed: str) -> bool:
    """Add what a query asks for: the words that all must occur as one full text, the rest as conditions.

    Returns whether the query itself speaks of hidden LoRAs.
    """
    if not typed.strip():
        return False
    query = parse_query(typed)
    words = Words(database)
    plain = [part for part in query.parts if isinstance(part, Term) and part.field is None]
    where.text = search_text(database, words, plain, typed)
    if where.text:
        where.sets.append("SELECT rowid FROM search WHERE search MATCH ?")
        where.set_values.append(where.text.match)
    context = _context(database, words)
    for part in query.parts:
        if part not in plain:
            _add_condition(where, build_condition(context, part))
    return any(term.field == "is" and term.text.lower() == "hidden" for term in walk_terms(query))


def _add_condition(where: Where, condition: Condition) -> None:
    if condition.ids:
        where.sets.append(condition.ids)
        where.set_values.extend(condition.values)
    else:
        _add(where, condition.sql, *condition.values)


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
