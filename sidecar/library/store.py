"""Writes records into the catalogue. Every function takes the writer's connection, inside its transaction."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterable, Sequence

import orjson

from sidecar.library.record import Record

_LORA_COLUMNS = Record._fields[: Record._fields.index("notes")]
_TEXT_COLUMNS = Record._fields[Record._fields.index("notes") :]
_EXTRA = ("sort_name", "modified", "added")
_SAVE_LORA = f"""
INSERT INTO loras ({", ".join(_LORA_COLUMNS + _EXTRA)})
VALUES ({", ".join("?" * (len(_LORA_COLUMNS) + len(_EXTRA)))})
ON CONFLICT (root_id, folder, stem, extension) DO UPDATE SET
    {", ".join(f"{name} = excluded.{name}" for name in _LORA_COLUMNS[4:] if name != "state")},
    state = excluded.state, modified = excluded.modified, present = 1, indexed = 0,
    hash_state = CASE WHEN size = excluded.size AND mtime_ns = excluded.mtime_ns
        THEN hash_state ELSE 'pending' END
RETURNING id, identity_id"""
_SAVE_TEXT = f"""
INSERT OR REPLACE INTO lora_texts (lora_id, {", ".join(_TEXT_COLUMNS)})
VALUES ({", ".join("?" * (len(_TEXT_COLUMNS) + 1))})"""

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def save_records(connection: sqlite3.Connection, records: Sequence[Record]) -> list[int]:
    """Insert or update rows, their texts and tags; returns their ids. Search follows in `index_search`."""
    now = time.time()
    ids = []
    tag_ids = _tag_ids(connection, {tag for record in records for tag in orjson.loads(record.tags)})
    tag_rows = []
    for record in records:
        modified = record.mtime_ns / 1e9
        row = connection.execute(
            _SAVE_LORA,
            (*record[: len(_LORA_COLUMNS)], record.stem.casefold(), modified, now),
        ).fetchone()
        lora_id = row["id"]
        ids.append(lora_id)
        if row["identity_id"] is None:
            tag_rows.extend((tag_ids[tag.lower()], lora_id) for tag in orjson.loads(record.tags))
    connection.executemany("DELETE FROM lora_tags WHERE lora_id = ?", ((lora_id,) for lora_id in ids))
    connection.executemany("INSERT OR IGNORE INTO lora_tags (tag_id, lora_id) VALUES (?, ?)", tag_rows)
    connection.executemany(
        _SAVE_TEXT, ((lora_id, *record[len(_LORA_COLUMNS) :]) for lora_id, record in zip(ids, records))
    )
    edited = [row[0] for row in _with_identity(connection, ids)]
    apply_tag_edits(connection, edited)
    return ids


def _with_identity(connection: sqlite3.Connection, ids: Sequence[int]) -> list[sqlite3.Row]:
    marks = ", ".join("?" * len(ids))
    return connection.execute(
        f"SELECT id FROM loras WHERE id IN ({marks}) AND identity_id IS NOT NULL", ids
    ).fetchall()


def apply_tag_edits(connection: sqlite3.Connection, lora_ids: Iterable[int]) -> None:
    """Bring `lora_tags` in line with the files' tags and the user's changes to them."""
    for lora_id in lora_ids:
        row = connection.execute(
            """SELECT l.tags, i.tags_added, i.tags_removed FROM loras l
               LEFT JOIN identities i ON i.id = l.identity_id WHERE l.id = ?""",
            (lora_id,),
        ).fetchone()
        tags = effective_tags(row["tags"], row["tags_added"], row["tags_removed"])
        numbers = _tag_ids(connection, set(tags))
        connection.execute("DELETE FROM lora_tags WHERE lora_id = ?", (lora_id,))
        connection.executemany(
            "INSERT OR IGNORE INTO lora_tags (tag_id, lora_id) VALUES (?, ?)",
            ((numbers[tag.lower()], lora_id) for tag in tags),
        )


def effective_tags(from_files: str, added: str | None, removed: str | None) -> list[str]:
    """The files' tags without those the user removed, then the user's own."""
    tags: list[str] = orjson.loads(from_files)
    if removed:
        gone = {tag.lower() for tag in orjson.loads(removed)}
        tags = [tag for tag in tags if tag.lower() not in gone]
    if added:
        present = {tag.lower() for tag in tags}
        tags += [tag for tag in orjson.loads(added) if tag.lower() not in present]
    return tags


def _tag_ids(connection: sqlite3.Connection, names: set[str]) -> dict[str, int]:
    """Numbers of tags by lower-case name; new ones are added."""
    found: dict[str, int] = {}
    for name in names:
        row = connection.execute("SELECT id FROM tags WHERE name = ?", (name,)).fetchone()
        if row is None:
            cursor = connection.execute("INSERT INTO tags (name) VALUES (?)", (name,))
            found[name.lower()] = int(cursor.lastrowid or 0)
        else:
            found[name.lower()] = row["id"]
    return found


def mark_missing(connection: sqlite3.Connection, lora_ids: Iterable[int]) -> None:
    """The files are not on disk now; rows and everything the user said stay."""
    connection.executemany("UPDATE loras SET present = 0 WHERE id = ?", ((lora_id,) for lora_id in lora_ids))


def mark_present(connection: sqlite3.Connection, lora_ids: Iterable[int]) -> None:
    """Unchanged files that are back, from a drive that was away."""
    connection.executemany("UPDATE loras SET present = 1 WHERE id = ?", ((lora_id,) for lora_id in lora_ids))


def index_search(connection: sqlite3.Connection, limit: int) -> int:
    """Bring the full text of up to `limit` changed LoRAs up to date; returns how many it did."""
    rows = connection.execute(
        """SELECT l.id, l.stem, l.alias, coalesce(i.title, l.title) AS title,
                  coalesce(i.trigger_words, l.trigger_words) AS trigger_words,
                  l.tags, i.tags_added, i.tags_removed, t.training_tags,
                  coalesce(i.notes, t.notes) AS notes, t.plain_description
           FROM loras l JOIN lora_texts t ON t.lora_id = l.id LEFT JOIN identities i ON i.id = l.identity_id
           WHERE NOT l.indexed LIMIT ?""",
        (limit,),
    ).fetchall()
    ids = [(row["id"],) for row in rows]
    connection.executemany("DELETE FROM search WHERE rowid = ?", ids)
    connection.executemany(
        """INSERT INTO search (rowid, name, title, trigger_words, tags, training_tags, notes, description)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            (
                row["id"],
                _name_words(row["stem"], row["alias"]),
                row["title"],
                " ".join(orjson.loads(row["trigger_words"])),
                " ".join(effective_tags(row["tags"], row["tags_added"], row["tags_removed"])),
                " ".join(tag for tag, _ in orjson.loads(row["training_tags"])),
                row["notes"],
                row["plain_description"],
            )
            for row in rows
        ),
    )
    connection.executemany("UPDATE loras SET indexed = 1 WHERE id = ?", ids)
    return len(rows)


def _name_words(stem: str, alias: str | None) -> str:
    """A name and, where it hides words in camel case, those words too."""
    names = stem if not alias or alias == stem else f"{stem} {alias}"
    split = _CAMEL.sub(" ", names)
    return names if split == names else f"{names} {split}"
