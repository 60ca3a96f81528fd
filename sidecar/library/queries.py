"""Lists of LoRAs: filters, sorting, paging, counts. One SQL statement finds a page's ids, one reads its rows."""

from __future__ import annotations

import base64
import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from sidecar.database import Database
from sidecar.errors import BadRequest
from sidecar.library.search import SearchText, find_text
from sidecar.library.store import effective_tags
from sidecar.memo import remember

STATES = ("ok", "broken", "unreadable", "missing", "legacy")
SORTS = {
    "name": "l.sort_name",
    "added": "l.added",
    "modified": "l.modified",
    "size": "l.size",
    "used": "l.used",
    "rating": "l.rating",
}
MAX_TAG_COUNTS = 200
MAX_RANKED = (
    5_000  # more matches than anyone reads are listed by name: ranking them all costs tens of milliseconds
)
RANK = "bm25(10.0, 8.0, 6.0, 5.0, 2.0, 2.0, 1.0)"

ITEM_COLUMNS = """
    l.id, l.stem, l.extension, l.folder, l.size, l.modified, l.added, l.present, l.state, l.base_model, l.favorite, l.rating, l.used,
    coalesce(i.title, l.title, l.stem) AS title, coalesce(i.weight, l.weight) AS weight,
    coalesce(i.trigger_words, l.trigger_words) AS trigger_words, l.tags, i.tags_added, i.tags_removed,
    l.preview_kind, l.preview_stamp, r.label,
    (SELECT count(*) FROM loras s WHERE s.sort_name = l.sort_name AND s.stem = l.stem AND s.present) > 1 AS shadowed"""
ITEM_TABLES = "loras l JOIN roots r ON r.id = l.root_id LEFT JOIN identities i ON i.id = l.identity_id"


@dataclass(frozen=True)
class Filter:
    """What a list is narrowed to. Several base models, folders or states mean "or", several tags "and"."""

    q: str = ""
    base_models: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    not_tags: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    favorite: bool | None = None


@dataclass(frozen=True)
class Page:
    """Which part of the list, in which order. `offset` jumps; `cursor` continues where the page before ended."""

    sort: str = ""
    seed: int = 0
    limit: int = 100
    cursor: str | None = None
    offset: int = 0


@dataclass
class _Where:
    """Conditions and their values, joined by AND."""

    conditions: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def add(self, condition: str, *values: Any) -> None:
        self.conditions.append(condition)
        self.values.extend(values)

    def __str__(self) -> str:
        return " AND ".join(self.conditions) or "1"


def list_loras(database: Database, narrowed: Filter, page: Page) -> dict[str, Any]:
    """One page: `{"items", "total", "next_cursor", "corrected"}`.

    Raises:
        BadRequest: unknown sort or state, or a cursor of another list.
    """
    reader = database.reader()
    text = find_text(database, narrowed.q)
    where = _conditions(reader, narrowed, text)
    total = remember(database, ("total", narrowed), lambda: _total(reader, where))
    by_rank = text is not None and not page.sort and total <= MAX_RANKED
    offset = _offset(page)
    sql = (
        f"""SELECT l.id FROM search CROSS JOIN loras l ON l.id = search.rowid
            WHERE search MATCH ? AND rank MATCH '{RANK}' AND {where} ORDER BY rank LIMIT ? OFFSET ?"""
        if by_rank
        else f"SELECT l.id FROM loras l WHERE {where} ORDER BY {_order(page)} LIMIT ? OFFSET ?"
    )
    first = (text.match,) if text and by_rank else ()
    ids = [row[0] for row in reader.execute(sql, (*first, *where.values, page.limit, offset))]
    end = offset + len(ids)
    return {
        "items": read_items(reader, ids),
        "total": total,
        "next_cursor": _cursor(end) if ids and end < total else None,
        "corrected": text.corrected if text else None,
    }


def read_items(reader: sqlite3.Connection, ids: list[int]) -> list[dict[str, Any]]:
    """The list's form of these LoRAs, in the order of `ids`."""
    marks = ", ".join("?" * len(ids))
    rows = reader.execute(f"SELECT {ITEM_COLUMNS} FROM {ITEM_TABLES} WHERE l.id IN ({marks})", ids)
    by_id = {row["id"]: to_item(row) for row in rows}
    return [by_id[lora_id] for lora_id in ids if lora_id in by_id]


def to_item(row: sqlite3.Row) -> dict[str, Any]:
    """A row of `ITEM_COLUMNS` as the API gives it."""
    return {
        "id": row["id"],
        "name": row["stem"],
        "title": row["title"],
        "base_model": row["base_model"],
        "trigger_words": orjson.loads(row["trigger_words"]),
        "tags": effective_tags(row["tags"], row["tags_added"], row["tags_removed"]),
        "favorite": bool(row["favorite"]),
        "rating": row["rating"] or None,
        "weight": row["weight"],
        "size": row["size"],
        "modified": row["modified"],
        "added": row["added"],
        "state": row["state"] if row["present"] else "missing",
        "folder": folder_name(row["label"], row["folder"]),
        "preview": {"kind": row["preview_kind"], "v": row["preview_stamp"]} if row["preview_kind"] else None,
        "used": row["used"],
        "shadowed": bool(row["shadowed"]),
    }


def count_facets(database: Database, narrowed: Filter) -> dict[str, Any]:
    """How many LoRAs of the narrowed list have each base model, tag, folder, state, and how many are favourites."""
    return remember(database, ("facets", narrowed), lambda: _count_facets(database, narrowed))


def _count_facets(database: Database, narrowed: Filter) -> dict[str, Any]:
    reader = database.reader()
    where = _conditions(reader, narrowed, find_text(database, narrowed.q))
    labels = {row["id"]: row["label"] for row in reader.execute("SELECT id, label FROM roots")}

    def counts(columns: str) -> list[sqlite3.Row]:
        return reader.execute(
            f"SELECT {columns}, count(*) AS count FROM loras l WHERE {where} GROUP BY {columns}", where.values
        ).fetchall()

    states = Counter[str]()
    for row in counts("present, state"):
        states[row["state"] if row["present"] else "missing"] += row["count"]
    among = f"WHERE lora_id IN (SELECT l.id FROM loras l WHERE {where})" if where.conditions else ""
    tags = reader.execute(
        f"""SELECT t.name AS value, n.count FROM (
                SELECT tag_id, count(*) AS count FROM lora_tags {among} GROUP BY 1 ORDER BY 2 DESC LIMIT {MAX_TAG_COUNTS}
            ) n JOIN tags t ON t.id = n.tag_id""",
        where.values,
    )
    favorite = f"SELECT count(*) FROM loras l WHERE {where} AND l.favorite"
    return {
        "base_model": _ranked((row["base_model"], row["count"]) for row in counts("base_model")),
        "tag": _ranked((row["value"], row["count"]) for row in tags),
        "folder": _ranked(
            (folder_name(labels[row["root_id"]], row["folder"]), row["count"])
            for row in counts("root_id, folder")
        ),
        "state": _ranked(states.items()),
        "favorite": reader.execute(favorite, where.values).fetchone()[0],
    }


def _ranked(counts: Iterable[tuple[str, int]]) -> list[dict[str, Any]]:
    ordered = sorted(counts, key=lambda item: (-item[1], item[0].lower()))
    return [{"value": value, "count": count} for value, count in ordered]


def folder_name(label: str, relative: str) -> str:
    """A folder as the API names it: its root's label, then the path below it."""
    return f"{label}/{relative}" if relative else label


def _conditions(reader: sqlite3.Connection, narrowed: Filter, text: SearchText | None) -> _Where:
    where = _Where()
    roots = reader.execute("SELECT id, active FROM roots").fetchall()
    if not all(row["active"] for row in roots):
        active = [str(row["id"]) for row in roots if row["active"]]
        where.add(f"l.root_id IN ({', '.join(active)})")
    if text:
        where.add("l.id IN (SELECT rowid FROM search WHERE search MATCH ?)", text.match)
    if narrowed.base_models:
        where.add(f"l.base_model IN ({_marks(narrowed.base_models)})", *narrowed.base_models)
    for tag in narrowed.tags:
        where.add(
            "l.id IN (SELECT lora_id FROM lora_tags WHERE tag_id = (SELECT id FROM tags WHERE name = ?))", tag
        )
    for tag in narrowed.not_tags:
        where.add(
            "l.id NOT IN (SELECT lora_id FROM lora_tags WHERE tag_id = (SELECT id FROM tags WHERE name = ?))",
            tag,
        )
    if narrowed.folders:
        _add_folders(reader, where, narrowed.folders)
    if narrowed.states:
        unknown = set(narrowed.states) - set(STATES)
        if unknown:
            raise BadRequest(f"There is no state {unknown.pop()!r}; there are {', '.join(STATES)}.")
        where.add(
            f"CASE WHEN l.present THEN l.state ELSE 'missing' END IN ({_marks(narrowed.states)})",
            *narrowed.states,
        )
    if narrowed.favorite is not None:
        where.add("l.favorite" if narrowed.favorite else "NOT l.favorite")
    return where


def _add_folders(reader: sqlite3.Connection, where: _Where, folders: tuple[str, ...]) -> None:
    """A folder is a root's label, or label/relative; it includes all below it."""
    labels = {row["label"]: row["id"] for row in reader.execute("SELECT id, label FROM roots")}
    choices, values = ["0"], []
    for folder in folders:
        label, _, relative = folder.partition("/")
        if label not in labels:
            continue
        if relative:
            choices.append("(l.root_id = ? AND (l.folder = ? OR (l.folder > ? AND l.folder < ?)))")
            values += [labels[label], relative, relative + "/", relative + "0"]  # "0" follows "/" in ASCII
        else:
            choices.append("l.root_id = ?")
            values.append(labels[label])
    where.add(f"({' OR '.join(choices)})", *values)


def _order(page: Page) -> str:
    name = page.sort.removeprefix("-") or "name"
    direction = "DESC" if page.sort.startswith("-") else "ASC"
    if name == "random":
        return f"((l.id * 2654435761 + {int(page.seed)}) * 40503 >> 7) & 1048575, l.id"
    if name not in SORTS:
        raise BadRequest(
            f"There is no sort {page.sort!r}; there are {', '.join(SORTS)} and random, with - for down."
        )
    return f"{SORTS[name]} {direction}, l.id {direction}"


def _total(reader: sqlite3.Connection, where: _Where) -> int:
    row = reader.execute(f"SELECT count(*) FROM loras l WHERE {where}", where.values).fetchone()
    return int(row[0])


def _cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(str(offset).encode()).decode()


def _offset(page: Page) -> int:
    if not page.cursor:
        return page.offset
    try:
        return max(0, int(base64.urlsafe_b64decode(page.cursor)))
    except ValueError as error:
        raise BadRequest("The cursor is not one that a list has given; start again without it.") from error


def _marks(values: tuple[str, ...]) -> str:
    return ", ".join("?" * len(values))
