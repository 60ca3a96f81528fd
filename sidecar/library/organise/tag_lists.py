"""Tags as one list to take away and bring back: export of what the user said, import of up to 100,000 entries."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import orjson

from sidecar.database import Database
from sidecar.library.edits import save_fields, tag_changes
from sidecar.library.identities import identities_of
from sidecar.library.organise import actions
from sidecar.library.organise.tags import set_color
from sidecar.library.store import index_rest

STEP = 2_000


def export_tags(database: Database) -> dict[str, Any]:
    """Every LoRA's tags with its name and hash, and the colours of tags, in the form that `import_tags` takes."""
    reader = database.reader()
    rows = reader.execute(
        "SELECT stem, sha256, effective_tags FROM loras WHERE effective_tags != '[]' ORDER BY sort_name"
    )
    colors = reader.execute("SELECT name, color FROM tags WHERE color IS NOT NULL ORDER BY name")
    return {
        "items": [
            {"name": row["stem"], "hash": row["sha256"], "tags": orjson.loads(row["effective_tags"])}
            for row in rows
        ],
        "colors": {row["name"]: row["color"] for row in colors},
    }


def import_tags(
    database: Database,
    items: list[dict[str, Any]],
    colors: dict[str, str],
    progress: Callable[[int], None] = lambda count: None,
) -> dict[str, Any]:
    """Add tags to the LoRAs that the items name by hash or, without one, by name; all in one action.

    Returns {"action", "changed", "unknown": [names or hashes that no LoRA has, the first 100], "unknown_total"}.
    """

    def work(connection: sqlite3.Connection) -> dict[str, Any]:
        wanted, unknown = _resolve(connection, items)
        identities = identities_of(connection, list(wanted))
        added: dict[int, list[str]] = {}
        for lora, tags in wanted.items():
            added.setdefault(identities[lora], []).extend(tags)
        action = actions.begin(connection, "tags", f"Tags of {len(added):,} LoRAs imported", len(added))
        changed = {}
        members = list(added)
        for start in range(0, len(members), STEP):
            step = members[start : start + STEP]
            changed.update(tag_changes(connection, {identity: added[identity] for identity in step}))
            progress(len(step))
        save_fields(connection, action, changed)
        _set_colors(connection, action, colors)
        return {
            "action": action,
            "changed": len(changed),
            "unknown": unknown[:100],
            "unknown_total": len(unknown),
        }

    outcome = database.write(work)
    index_rest(database)
    return outcome


def _resolve(
    connection: sqlite3.Connection, items: list[dict[str, Any]]
) -> tuple[dict[int, list[str]], list[str]]:
    """Tags by LoRA id, and what no LoRA is called."""
    wanted: dict[int, list[str]] = {}
    unknown = []
    for item in items:
        key, column = (
            (item["hash"].lower(), "sha256") if item.get("hash") else (item["name"].casefold(), "sort_name")
        )
        rows = connection.execute(f"SELECT id FROM loras WHERE {column} = ?", (key,)).fetchall()
        if not rows and item.get("hash") and item.get("name"):
            key = item["name"].casefold()
            rows = connection.execute("SELECT id FROM loras WHERE sort_name = ?", (key,)).fetchall()
        for row in rows:
            wanted.setdefault(row["id"], []).extend(item["tags"])
        if not rows:
            unknown.append(key)
    return wanted, unknown


def _set_colors(connection: sqlite3.Connection, action: int, colors: dict[str, str]) -> None:
    for name, color in colors.items():
        row = connection.execute("SELECT color FROM tags WHERE name = ?", (name,)).fetchone()
        before = row and row["color"]
        if before != color:
            actions.note_changes(connection, action, [(f"tag:{name}", "color", before, color)])
            set_color(connection, name, color)
