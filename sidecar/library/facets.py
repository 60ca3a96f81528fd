"""Counts beside a list: how many of its LoRAs have each base model, tag, folder, state, label, rating, type and level."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

import orjson

from sidecar.database import Database
from sidecar.library.filters import Filter, build_where
from sidecar.library.queries import folder_name
from sidecar.memo import remember

MAX_TAGS = 200


def count_facets(database: Database, narrowed: Filter) -> dict[str, Any]:
    """Counts over the whole narrowed list, most frequent first; of tags the first 200.

    Raises:
        BadRequest: as `queries.list_loras`.
    """
    return remember(database, ("facets", narrowed), lambda: _count(database, narrowed))


def _count(database: Database, narrowed: Filter) -> dict[str, Any]:
    import numpy as np  # only who counts waits for it

    from sidecar.library.columns import columns_of

    reader = database.reader()
    where = build_where(database, narrowed)
    ids = None
    if where.sql() != "1":
        sql = f"SELECT json_group_array(id) FROM (SELECT NULL AS id WHERE 0 UNION ALL {where.ids()})"
        ids = np.array(orjson.loads(reader.execute(sql, where.values).fetchone()[0]), np.int64)
    counts = columns_of(database).count(ids, MAX_TAGS)
    labels = {row["id"]: row["label"] for row in reader.execute("SELECT id, label FROM roots")}
    return {
        "base_model": _ranked(counts["base_model"]),
        "tag": _tags(reader, counts["tag"]),
        "folder": _ranked((_folder(labels, place), count) for place, count in counts["place"]),
        "state": _ranked(counts["state"]),
        "label": _ranked((label, count) for label, count in counts["label"] if label),
        "rating": _ranked((str(rating), count) for rating, count in counts["rating"] if rating),
        "network": _ranked((network, count) for network, count in counts["network"] if network),
        "nsfw": [{"value": level, "count": count} for level, count in sorted(counts["nsfw"])],
        "favorite": dict(counts["favorite"]).get(1, 0),
        "hidden": dict(counts["hidden"]).get(1, 0),
    }


def _folder(labels: dict[int, str], place: str) -> str:
    root, _, relative = place.partition("/")
    return folder_name(labels[int(root)], relative)


def _tags(reader: sqlite3.Connection, counts: list[tuple[Any, int]]) -> list[dict[str, Any]]:
    rows = reader.execute(
        "SELECT t.id, t.name, t.color FROM json_each(?) wanted JOIN tags t ON t.id = wanted.value",
        (orjson.dumps([tag for tag, _ in counts]).decode(),),
    )
    known = {row["id"]: row for row in rows}
    found = [(known[tag], count) for tag, count in counts if tag in known]
    found.sort(key=lambda item: (-item[1], item[0]["name"].lower()))
    return [{"value": row["name"], "count": count, "color": row["color"]} for row, count in found]


def _ranked(counts: Iterable[tuple[str, int]]) -> list[dict[str, Any]]:
    ordered = sorted(counts, key=lambda item: (-item[1], item[0].lower()))
    return [{"value": value, "count": count} for value, count in ordered]
