"""Counts beside a list: how many of its LoRAs have each base model, tag, folder and state."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from typing import Any

import orjson

from sidecar.database import Database
from sidecar.library.filters import Filter, Where, build_where
from sidecar.library.queries import folder_name
from sidecar.library.search import find_text
from sidecar.memo import remember

MAX_TAGS = 200


def count_facets(database: Database, narrowed: Filter) -> dict[str, Any]:
    """Counts over the whole narrowed list, most frequent first; of tags the first 200."""
    return remember(database, ("facets", narrowed), lambda: _count(database, narrowed))


def _count(database: Database, narrowed: Filter) -> dict[str, Any]:
    reader = database.reader()
    where = build_where(reader, narrowed, find_text(database, narrowed.q))
    labels = {row["id"]: row["label"] for row in reader.execute("SELECT id, label FROM roots")}
    base_models, folders, states = Counter[str](), Counter[str](), Counter[str]()
    favorites = 0
    groups, tags = _of_all(reader) if where.sql() == "1" else _of_matches(reader, where)
    for row in groups:
        count = row["count"]
        base_models[row["base_model"]] += count
        folders[folder_name(labels[row["root_id"]], row["folder"])] += count
        states[row["state"] if row["present"] else "missing"] += count
        favorites += count if row["favorite"] else 0
    return {
        "base_model": _ranked(base_models.items()),
        "tag": _ranked((row["name"], row["count"]) for row in tags),
        "folder": _ranked(folders.items()),
        "state": _ranked(states.items()),
        "favorite": favorites,
    }


_GROUPS = "l.base_model, l.root_id, l.folder, l.present, l.state, l.favorite"
_MOST = f"""ORDER BY count DESC LIMIT {MAX_TAGS}) n JOIN tags t ON t.id = n.tag_id"""


def _of_all(reader: sqlite3.Connection) -> tuple[list[sqlite3.Row], list[sqlite3.Row]]:
    groups = reader.execute(f"SELECT {_GROUPS}, count(*) AS count FROM loras l GROUP BY {_GROUPS}")
    tags = reader.execute(
        f"SELECT t.name, n.count FROM (SELECT tag_id, count(*) AS count FROM lora_tags GROUP BY tag_id {_MOST}"
    )
    return groups.fetchall(), tags.fetchall()


def _of_matches(reader: sqlite3.Connection, where: Where) -> tuple[list[sqlite3.Row], list[sqlite3.Row]]:
    """The matches are found once, then looked up by id for the counts."""
    ids = [row[0] for row in reader.execute(f"SELECT l.id FROM loras l WHERE {where.sql()}", where.values)]
    found = (orjson.dumps(ids).decode(),)
    groups = reader.execute(
        f"""SELECT {_GROUPS}, count(*) AS count FROM json_each(?) found CROSS JOIN loras l ON l.id = found.value
            GROUP BY {_GROUPS}""",
        found,
    )
    tags = reader.execute(
        f"""SELECT t.name, n.count FROM (
                SELECT lt.tag_id, count(*) AS count FROM json_each(?) found
                CROSS JOIN lora_tags lt ON lt.lora_id = found.value GROUP BY lt.tag_id {_MOST}""",
        found,
    )
    return groups.fetchall(), tags.fetchall()


def _ranked(counts: Iterable[tuple[str, int]]) -> list[dict[str, Any]]:
    ordered = sorted(counts, key=lambda item: (-item[1], item[0].lower()))
    return [{"value": value, "count": count} for value, count in ordered]
