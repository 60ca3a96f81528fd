"""Counts beside a list: how many of its LoRAs have each base model, tag, folder and state."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from typing import Any

from sidecar.database import Database
from sidecar.library.filters import Filter, build_where
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

    def counts(columns: str) -> list[sqlite3.Row]:
        return reader.execute(
            f"SELECT {columns}, count(*) AS count FROM loras l WHERE {where.sql()} GROUP BY {columns}",
            where.values,
        ).fetchall()

    states = Counter[str]()
    for row in counts("present, state"):
        states[row["state"] if row["present"] else "missing"] += row["count"]
    narrow = f"WHERE lora_id IN (SELECT l.id FROM loras l WHERE {where.sql()})" if where.values else ""
    tags = reader.execute(
        f"""SELECT t.name AS value, n.count FROM (
                SELECT tag_id, count(*) AS count FROM lora_tags {narrow} GROUP BY 1 ORDER BY 2 DESC LIMIT {MAX_TAGS}
            ) n JOIN tags t ON t.id = n.tag_id""",
        where.values,
    )
    favorite = f"SELECT count(*) FROM loras l WHERE {where.sql()} AND l.favorite"
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
