"""Writes records into the catalogue. Every function takes the writer's connection, inside its transaction."""

from __future__ import annotations

import html
import re
import sqlite3
import time
from collections.abc import Iterable, Sequence
from functools import partial

import orjson

from sidecar.database import Database
from sidecar.library.record import Record
from sidecar.library.sources import FileJob
from sidecar.library.texts import Texts

_EXTRA = ("sort_name", "modified", "added", "effective_tags", "detected_base_model", "detected_nsfw")
_SAVE_LORA = f"""
INSERT INTO loras ({", ".join(Record._fields + _EXTRA)})
VALUES ({", ".join("?" * (len(Record._fields) + len(_EXTRA)))})
ON CONFLICT (root_id, folder, stem, extension) DO UPDATE SET
    {", ".join(f"{name} = excluded.{name}" for name in Record._fields[4:] if name != "preview_kind")},
    {", ".join(f"{name} = excluded.{name}" for name in _EXTRA if name not in ("sort_name", "added"))},
    present = 1, texts_read = 0, indexed = 0,
    preview_kind = CASE WHEN preview_kind = 'animated' AND excluded.preview_kind = 'image'
        AND preview_file = excluded.preview_file THEN 'animated' ELSE excluded.preview_kind END,
    hash_state = CASE WHEN size = excluded.size AND mtime_ns = excluded.mtime_ns
        THEN hash_state ELSE 'pending' END"""
_SAVED = """
SELECT l.id, l.identity_id FROM json_each(?) key JOIN loras l
    ON l.root_id = json_extract(key.value, '$[0]') AND l.folder = json_extract(key.value, '$[1]')
    AND l.stem = json_extract(key.value, '$[2]') AND l.extension = json_extract(key.value, '$[3]')
ORDER BY key.key"""
_SAVE_TEXT = f"""
INSERT OR REPLACE INTO lora_texts (lora_id, {", ".join(Texts._fields)})
SELECT id, {", ".join("?" * len(Texts._fields))} FROM loras WHERE id = ? AND side_stamp = ? AND mtime_ns = ?"""

MAX_SEARCH_TEXT = 4_000
INDEX_BATCH = 100
APPLY_BATCH = 500
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def save_records(connection: sqlite3.Connection, records: Sequence[Record]) -> None:
    """Insert or update rows and their tags. Texts and search follow: `save_texts`, `index_search`."""
    now = time.time()
    rules = tag_rules(connection)
    tags = [effective_tags(orjson.loads(record.tags), rules) for record in records]
    connection.executemany(
        _SAVE_LORA,
        (
            (
                *record, record.stem.casefold(), record.mtime_ns / 1e9, now,
                orjson.dumps(of_one).decode(), record.base_model, record.nsfw,
            )
            for record, of_one in zip(records, tags)
        ),
    )  # fmt: skip
    saved = connection.execute(
        _SAVED, (orjson.dumps([record[:4] for record in records]).decode(),)
    ).fetchall()
    connection.executemany("DELETE FROM lora_tags WHERE lora_id = ?", ((row["id"],) for row in saved))
    _link_tags(connection, [(row["id"], of_one) for row, of_one in zip(saved, tags)])
    apply_facts(connection, [row["id"] for row in saved if row["identity_id"] is not None])


def save_texts(connection: sqlite3.Connection, texts: Sequence[tuple[int, FileJob, Texts]]) -> None:
    """Store the long parts of files (by id) that are still as they were when they were read."""
    connection.executemany(
        _SAVE_TEXT, ((*text, lora_id, job.side_stamp, job.mtime_ns) for lora_id, job, text in texts)
    )
    connection.executemany(
        "UPDATE loras SET texts_read = 1 WHERE id = ? AND side_stamp = ? AND mtime_ns = ?",
        ((lora_id, job.side_stamp, job.mtime_ns) for lora_id, job, _ in texts),
    )


_SHOWN = {
    "favorite": "i.favorite",
    "rating": "coalesce(i.rating, 0)",
    "used": "i.used",
    "label": "i.label",
    "hidden": "i.hidden",
    "base_model": "coalesce(i.base_model, detected_base_model)",
    "nsfw": "coalesce(i.nsfw, detected_nsfw)",
}
# Only rows that differ: an update writes every index of the columns it names, whether their values change or not.
_APPLY_FACTS = f"""
UPDATE loras SET {", ".join(f"{name} = {value}" for name, value in _SHOWN.items())}
FROM identities i, json_each(?) wanted WHERE loras.id = wanted.value AND i.id = loras.identity_id
    AND ({", ".join(f"loras.{name}" for name in _SHOWN)}) IS NOT ({", ".join(_SHOWN.values())})"""


def apply_facts(connection: sqlite3.Connection, lora_ids: Sequence[int]) -> None:
    """Bring what the list sorts, filters and shows of these files in line with their identities and the tag rules."""
    rules = tag_rules(connection)
    for start in range(
        0, len(lora_ids), APPLY_BATCH
    ):  # little at a time, so that other threads are not held up
        _apply_facts(connection, lora_ids[start : start + APPLY_BATCH], rules)


def _apply_facts(
    connection: sqlite3.Connection, lora_ids: Sequence[int], rules: dict[str, str | None]
) -> None:
    ids = orjson.dumps(lora_ids).decode()
    connection.execute(_APPLY_FACTS, (ids,))
    rows = connection.execute(
        """SELECT l.id, l.tags, l.effective_tags, i.tags_added, i.tags_removed FROM json_each(?) wanted
           JOIN loras l ON l.id = wanted.value LEFT JOIN identities i ON i.id = l.identity_id""",
        (ids,),
    )
    changed, before = [], []
    for row in rows:
        old = orjson.loads(row["effective_tags"])
        tags = effective_tags(orjson.loads(row["tags"]), rules, row["tags_added"], row["tags_removed"])
        if tags != old:
            changed.append((row["id"], tags))
            before.append((row["id"], old))
    connection.executemany(
        "UPDATE loras SET effective_tags = ? WHERE id = ?",
        ((orjson.dumps(tags).decode(), lora_id) for lora_id, tags in changed),
    )
    _link_tags(connection, changed, before)


def _link_tags(
    connection: sqlite3.Connection,
    tags: Sequence[tuple[int, list[str]]],
    before: Sequence[tuple[int, list[str]]] = (),
) -> None:
    """Make `lora_tags` say the same as these (id, tags); `before` is what it says now."""
    names = {tag for of_all in (tags, before) for _, of_one in of_all for tag in of_one}
    numbers = _tag_ids(connection, names)
    new = {(numbers[tag.lower()], lora_id) for lora_id, of_one in tags for tag in of_one}
    old = {(numbers[tag.lower()], lora_id) for lora_id, of_one in before for tag in of_one}
    connection.executemany("DELETE FROM lora_tags WHERE tag_id = ? AND lora_id = ?", sorted(old - new))
    connection.executemany(
        "INSERT OR IGNORE INTO lora_tags (tag_id, lora_id) VALUES (?, ?)", sorted(new - old)
    )


def tag_rules(connection: sqlite3.Connection) -> dict[str, str | None]:
    """What tags of the files are shown as, by lower-case name; None: not at all."""
    rows = connection.execute("SELECT name, becomes FROM tag_rules")
    return {row["name"].lower(): row["becomes"] for row in rows}


def effective_tags(
    from_files: list[str],
    rules: dict[str, str | None],
    added: str | None = None,
    removed: str | None = None,
) -> list[str]:
    """The files' tags under the rules, without those the user removed, then the user's own; each once."""
    tags = under_rules(from_files, rules) if rules else from_files
    if removed:
        gone = {tag.lower() for tag in orjson.loads(removed)}
        tags = [tag for tag in tags if tag.lower() not in gone]
    if added:
        present = {tag.lower() for tag in tags}
        tags = tags + [tag for tag in orjson.loads(added) if tag.lower() not in present]
    return tags


def under_rules(tags: list[str], rules: dict[str, str | None]) -> list[str]:
    """Tags as the rules have them shown, each once."""
    shown = (rules.get(tag.lower(), tag) for tag in tags)
    return list({tag.lower(): tag for tag in shown if tag}.values())


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


def mark_missing(connection: sqlite3.Connection, rows: Iterable[tuple[int, int, str, str]]) -> None:
    """The files of these rows (id, root, folder, stem) are not on disk now; rows and everything the user said stay.

    A row that was moved elsewhere since the scan looked is left as it is.
    """
    connection.executemany(
        "UPDATE loras SET present = 0 WHERE id = ? AND root_id = ? AND folder = ? AND stem = ?", rows
    )


def mark_present(connection: sqlite3.Connection, lora_ids: Iterable[int]) -> None:
    """Unchanged files that are back, from a drive that was away."""
    connection.executemany("UPDATE loras SET present = 1 WHERE id = ?", ((lora_id,) for lora_id in lora_ids))


def unindexed(reader: sqlite3.Connection) -> list[int]:
    """Ids of LoRAs whose texts are read but not searchable yet."""
    return [row[0] for row in reader.execute("SELECT id FROM loras WHERE texts_read AND NOT indexed")]


def count_unindexed(reader: sqlite3.Connection) -> int:
    """How many LoRAs cannot be found by all their words yet."""
    return int(reader.execute("SELECT count(*) FROM loras WHERE NOT indexed AND present").fetchone()[0])


def index_search(connection: sqlite3.Connection, lora_ids: Sequence[int]) -> None:
    """Bring the full text of LoRAs up to date; those whose texts are still to be read are left for then."""
    rows = connection.execute(
        """SELECT l.id, l.stem, l.alias, coalesce(i.title, l.title) AS title,
                  coalesce(i.trigger_words, l.trigger_words) AS trigger_words, l.effective_tags,
                  coalesce(i.notes, t.notes) AS notes, t.description, t.training_tags,
                  json_extract(t.facts, '$.author') AS author
           FROM json_each(?) wanted JOIN loras l ON l.id = wanted.value
           JOIN lora_texts t ON t.lora_id = l.id LEFT JOIN identities i ON i.id = l.identity_id
           WHERE l.texts_read""",
        (orjson.dumps(list(lora_ids)).decode(),),
    ).fetchall()
    ids = [(row["id"],) for row in rows]
    connection.executemany("DELETE FROM search WHERE rowid = ?", ids)
    connection.executemany(
        """INSERT INTO search (rowid, name, title, trigger_words, tags, notes, description, author, training)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            (
                row["id"],
                _name_words(row["stem"], row["alias"]),
                row["title"],
                " ".join(orjson.loads(row["trigger_words"])),
                " ".join(orjson.loads(row["effective_tags"])),
                row["notes"],
                _plain(row["description"] or "")[:MAX_SEARCH_TEXT],
                row["author"],
                " ".join(tag for tag, _ in orjson.loads(row["training_tags"])),
            )
            for row in rows
        ),
    )
    connection.executemany("UPDATE loras SET indexed = 1 WHERE id = ?", ids)


def index_rest(database: Database) -> None:
    """Index what edits have left to be indexed, in small steps on the writer's thread, other writes in between."""
    due = [
        row[0]
        for row in database.reader().execute(
            "SELECT id FROM loras WHERE texts_read AND NOT indexed LIMIT ?", (INDEX_BATCH,)
        )
    ]
    if not due:
        return
    try:
        step = database.submit(partial(index_search, lora_ids=due))
    except RuntimeError:
        return  # the database is being closed; the next start indexes the rest
    step.add_done_callback(lambda done: None if done.exception() else index_rest(database))


def _plain(description: str) -> str:
    """The words of an HTML description."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", description))).strip()


def _name_words(stem: str, alias: str | None) -> str:
    """A name and, where it hides words in camel case, those words too."""
    names = stem if not alias or alias == stem else f"{stem} {alias}"
    split = _CAMEL.sub(" ", names)
    return names if split == names else f"{names} {split}"
