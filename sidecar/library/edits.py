"""What the user changes about a LoRA. An edit belongs to the content and wins over every file, until it is taken back."""

from __future__ import annotations

import sqlite3
from typing import Any

import orjson

from sidecar.database import Database
from sidecar.library.identities import identity_of, refresh
from sidecar.library.store import index_search

_PLAIN = ("favorite", "rating", "title", "notes", "weight")


def edit_lora(database: Database, lora_id: int, changes: dict[str, Any]) -> list[int]:
    """Apply `changes` to the content of one LoRA; None takes a field back to what the files say.

    Known keys: favorite, rating, title, notes, weight, trigger_words, tags (the whole list), add_tags, remove_tags.
    Returns the ids of all files with that content.

    Raises:
        NotFound: no such LoRA.
    """

    def work(connection: sqlite3.Connection) -> list[int]:
        identity = identity_of(connection, lora_id)
        for name in _PLAIN:
            if name in changes:
                value = changes[name]
                connection.execute(
                    f"UPDATE identities SET {name} = ? WHERE id = ?",
                    (int(value or 0) if name == "favorite" else value, identity),
                )
        if "trigger_words" in changes:
            words = changes["trigger_words"]
            connection.execute(
                "UPDATE identities SET trigger_words = ? WHERE id = ?",
                (None if words is None else orjson.dumps(_distinct(words)).decode(), identity),
            )
        _edit_tags(connection, lora_id, identity, changes)
        ids = refresh(connection, identity)
        index_search(connection, ids)
        return ids

    return database.write(work)


def _edit_tags(connection: sqlite3.Connection, lora_id: int, identity: int, changes: dict[str, Any]) -> None:
    """Keep the user's tags as differences from the files' tags, so that both may change later."""
    if not {"tags", "add_tags", "remove_tags"} & changes.keys():
        return
    row = connection.execute(
        "SELECT l.tags, i.tags_added, i.tags_removed FROM loras l, identities i WHERE l.id = ? AND i.id = ?",
        (lora_id, identity),
    ).fetchone()
    from_files = {tag.lower(): tag for tag in orjson.loads(row["tags"])}
    added = {tag.lower(): tag for tag in orjson.loads(row["tags_added"] or "[]")}
    removed = {tag.lower(): tag for tag in orjson.loads(row["tags_removed"] or "[]")}
    if "tags" in changes:
        wanted = {tag.lower(): tag for tag in _distinct(changes["tags"] or [])}
        if changes["tags"] is None:
            added, removed = {}, {}
        else:
            added = {key: tag for key, tag in wanted.items() if key not in from_files}
            removed = {key: tag for key, tag in from_files.items() if key not in wanted}
    for tag in _distinct(changes.get("add_tags") or []):
        removed.pop(tag.lower(), None)
        if tag.lower() not in from_files:
            added[tag.lower()] = tag
    for tag in _distinct(changes.get("remove_tags") or []):
        added.pop(tag.lower(), None)
        if tag.lower() in from_files:
            removed[tag.lower()] = tag
    connection.execute(
        "UPDATE identities SET tags_added = ?, tags_removed = ? WHERE id = ?",
        (
            orjson.dumps(list(added.values())).decode(),
            orjson.dumps(list(removed.values())).decode(),
            identity,
        ),
    )


def _distinct(words: list[str]) -> list[str]:
    return list({word.strip().lower(): word.strip() for word in words if word.strip()}.values())
