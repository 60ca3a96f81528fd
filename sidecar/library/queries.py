"""Lists of LoRAs: filters, sorting, paging, counts. One SQL statement finds a page's ids, one reads its rows."""

from __future__ import annotations

import base64
import random
import sqlite3
from array import array
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from sidecar.database import Database
from sidecar.errors import BadRequest
from sidecar.library.filters import Filter, Where, build_where
from sidecar.library.search import MAX_RANKED
from sidecar.memo import remember

SORTS = {
    "name": "l.sort_name",
    "added": "l.added",
    "modified": "l.modified",
    "size": "l.size",
    "used": "l.used",
    "rating": "l.rating",
}
RANK = "bm25(10.0, 8.0, 6.0, 5.0, 2.0, 1.0, 4.0, 0.5)"

ITEM_COLUMNS = """
    l.id, l.stem, l.extension, l.folder, l.size, l.modified, l.added, l.present, l.state, l.base_model, l.favorite, l.rating, l.used,
    coalesce(i.title, l.title, l.stem) AS title, coalesce(i.weight, l.weight) AS weight,
    coalesce(i.trigger_words, l.trigger_words) AS trigger_words, l.effective_tags, l.label, l.nsfw, l.hidden, l.network,
    l.preview_kind, l.preview_stamp, r.label AS root_label,
    (SELECT count(*) FROM loras s WHERE s.sort_name = l.sort_name AND s.stem = l.stem AND s.present) > 1 AS shadowed"""
ITEM_TABLES = "loras l JOIN roots r ON r.id = l.root_id LEFT JOIN identities i ON i.id = l.identity_id"


@dataclass(frozen=True)
class Page:
    """Which part of the list, in which order. `offset` jumps; `cursor` continues where the page before ended."""

    sort: str = ""
    seed: int = 0
    limit: int = 100
    cursor: str | None = None
    offset: int = 0


def list_loras(database: Database, narrowed: Filter, page: Page) -> dict[str, Any]:
    """One page: `{"items", "total", "next_cursor", "corrected"}`.

    Raises:
        BadRequest: unknown sort or state, or a cursor of another list.
    """
    reader = database.reader()
    where = build_where(database, narrowed)
    text = where.text
    total = remember(database, ("total", narrowed), lambda: where.count(reader))
    place = _place(page)
    last: list[Any] = []
    if page.sort == "random":
        ids = _random_order(database, narrowed, where, page.seed)[place.offset :][: page.limit].tolist()
    elif text and not page.sort and total <= MAX_RANKED:
        rest = where.without_text()
        sql = f"""SELECT l.id FROM search CROSS JOIN loras l ON l.id = search.rowid
            WHERE search MATCH ? AND rank MATCH '{RANK}' AND {rest.sql()} ORDER BY rank LIMIT ? OFFSET ?"""
        ids = [row[0] for row in reader.execute(sql, (text.match, *rest.values, page.limit, place.offset))]
    else:
        rows = _in_order(database, where, total, page, place)
        ids = [row["id"] for row in rows]
        last = [rows[-1]["value"], ids[-1]] if ids else []
    end = place.offset + len(ids)
    return {
        "items": read_items(reader, ids),
        "total": total,
        "next_cursor": _cursor(end, last) if len(ids) == page.limit and end < total else None,
        "corrected": text.corrected if text else None,
    }


def _in_order(database: Database, where: Where, total: int, page: Page, place: _Place) -> list[sqlite3.Row]:
    """Ids and sort values of a page in the order of a column; after a cursor, from its row on, whatever changed."""
    name = page.sort.removeprefix("-") or "name"
    if name not in SORTS:
        raise BadRequest(
            f"There is no sort {page.sort!r}; there are {', '.join(SORTS)} and random, with - for down."
        )
    column, down = SORTS[name], page.sort.startswith("-")
    reader = database.reader()
    everything = remember(database, "everything", lambda: Where().count(reader))
    soon_found = everything * (place.offset + page.limit) < total * total
    condition, values, offset = where.sql(by_order=soon_found), where.values, place.offset
    if place.last:
        condition += f" AND ({column}, l.id) {'<' if down else '>'} (?, ?)"
        values, offset = [*values, *place.last], 0
    direction = "DESC" if down else "ASC"
    return reader.execute(
        f"""SELECT l.id, {column} AS value FROM loras l WHERE {condition}
            ORDER BY {column} {direction}, l.id {direction} LIMIT ? OFFSET ?""",
        (*values, page.limit, offset),
    ).fetchall()


def matching_ids(database: Database, narrowed: Filter) -> list[int]:
    """Ids of all LoRAs of a list, lowest first.

    Raises:
        BadRequest: as `list_loras`.
    """
    reader = database.reader()
    where = build_where(database, narrowed)
    return [
        row[0]
        for row in reader.execute(f"SELECT l.id FROM loras l WHERE {where.sql()} ORDER BY l.id", where.values)
    ]


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
        "tags": orjson.loads(row["effective_tags"]),
        "favorite": bool(row["favorite"]),
        "rating": row["rating"] or None,
        "weight": row["weight"],
        "size": row["size"],
        "modified": row["modified"],
        "added": row["added"],
        "state": row["state"] if row["present"] else "missing",
        "folder": folder_name(row["root_label"], row["folder"]),
        "preview": {"kind": row["preview_kind"], "v": row["preview_stamp"]} if row["preview_kind"] else None,
        "used": row["used"],
        "shadowed": bool(row["shadowed"]),
        "label": row["label"],
        "nsfw": row["nsfw"],
        "hidden": bool(row["hidden"]),
        "network": row["network"],
    }


def folder_name(label: str, relative: str) -> str:
    """A folder as the API names it: its root's label, then the path below it."""
    return f"{label}/{relative}" if relative else label


def _random_order(database: Database, narrowed: Filter, where: Where, seed: int) -> array[int]:
    """Ids of the whole list, shuffled the same way for the same seed; kept, since every page needs all of it."""

    def shuffle() -> array[int]:
        rows = database.reader().execute(
            f"SELECT l.id FROM loras l WHERE {where.sql()} ORDER BY l.id", where.values
        )
        ids = [row[0] for row in rows]
        random.Random(seed).shuffle(ids)
        return array("q", ids)

    return remember(database, ("random", narrowed, seed), shuffle)


class _Place(NamedTuple):
    """Where a page begins: after so many rows, or after the row with this sort value and id."""

    offset: int
    last: list[Any]


def _cursor(offset: int, last: list[Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([offset, *last])).decode()


def _place(page: Page) -> _Place:
    if not page.cursor:
        return _Place(page.offset, [])
    try:
        offset, *last = orjson.loads(base64.urlsafe_b64decode(page.cursor))
        if not isinstance(offset, int) or offset < 0 or len(last) not in (0, 2):
            raise ValueError("not a place in a list")
    except (ValueError, TypeError) as error:
        raise BadRequest("The cursor is not one that a list has given; start again without it.") from error
    return _Place(offset, last)
