"""Sets as they are now: their LoRAs found again by content, then by name."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass
from typing import Any

import orjson

from sidecar.database import Database
from sidecar.errors import BadRequest, NotFound
from sidecar.library.base_model import UNKNOWN
from sidecar.memo import remember
from sidecar.prompts.resolve import USABLE, resolve
from sidecar.prompts.sets.store import SAID

PREVIEWS = 4
SORTS = {"name": "s.name COLLATE NOCASE", "modified": "s.modified", "created": "s.created"}


@dataclass(frozen=True)
class Member:
    """A LoRA of a set: `said` has what the set says of it; `lora_id` is None while no file of it is there, and
    `usual_weight` is the one that it has where nobody says another."""

    name: str
    said: dict[str, Any]
    lora_id: int | None
    title: str
    base_model: str
    preview: dict[str, str] | None
    nsfw: int = 0
    usual_weight: float | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "lora_id": self.lora_id,
            "name": self.name,
            "title": self.title,
            **{key: self.said.get(key) for key in SAID},
            "state": "ok" if self.lora_id is not None else "missing",
            "base_model": self.base_model,
            "preview": self.preview,
            "nsfw": self.nsfw,
            "usual_weight": self.usual_weight,
        }


@dataclass(frozen=True)
class LoraSet:
    """One version of a set."""

    id: int
    name: str
    version: int
    prompt: str
    negative_prompt: str
    members: tuple[Member, ...]


def find_set(database: Database, name: str) -> LoraSet | None:
    """The set of this name, whatever its case; remembered until anything changes."""
    return remember(database, ("set", name.casefold()), lambda: _find_set(database.reader(), name))


def _find_set(reader: sqlite3.Connection, name: str) -> LoraSet | None:
    row = reader.execute(
        """SELECT s.id, s.name, s.version, v.prompt, v.negative_prompt FROM sets s
           JOIN set_versions v ON v.set_id = s.id AND v.version = s.version WHERE s.name = ? AND s.deleted IS NULL""",
        (name.strip(),),
    ).fetchone()
    if row is None:
        return None
    return LoraSet(**dict(row), members=tuple(read_members(reader, row["id"], row["version"])))


def set_names(database: Database) -> list[str]:
    """The names of all sets."""
    rows = database.reader().execute("SELECT name FROM sets WHERE deleted IS NULL ORDER BY name")
    return [row["name"] for row in rows]


def read_members(reader: sqlite3.Connection, number: int, version: int) -> list[Member]:
    """The LoRAs of a version in order: by content, under the name the file has now, else by the name it had."""
    rows = reader.execute(
        f"""SELECT m.position, m.name, m.said, l.id AS lora_id, l.stem FROM set_loras m
            LEFT JOIN (loras l JOIN roots r ON r.id = l.root_id) ON l.identity_id = m.identity_id AND {USABLE}
            WHERE m.set_id = ? AND m.version = ? ORDER BY m.position, l.id""",
        (number, version),
    )
    chosen: dict[int, sqlite3.Row] = {}
    for row in rows:  # of several copies, the one that is called as it was
        if row["position"] not in chosen or (row["stem"] == row["name"] != chosen[row["position"]]["stem"]):
            chosen[row["position"]] = row
    return [_member(reader, row) for row in chosen.values()]


def _member(reader: sqlite3.Connection, row: sqlite3.Row) -> Member:
    lora_id = row["lora_id"]
    if lora_id is None:
        found = resolve(reader, row["name"])
        lora_id = found.id if found else None
    said = orjson.loads(row["said"])
    file = reader.execute(
        """SELECT l.stem, coalesce(i.title, l.title, l.stem) AS title, l.base_model, l.preview_kind, l.preview_stamp,
                  l.nsfw, coalesce(i.weight, l.weight) AS weight
           FROM loras l LEFT JOIN identities i ON i.id = l.identity_id WHERE l.id = ?""",
        (lora_id,),
    ).fetchone()
    if file is None:
        return Member(row["name"], said, None, row["name"], UNKNOWN, None)
    preview = {"kind": file["preview_kind"], "v": file["preview_stamp"]} if file["preview_kind"] else None
    return Member(
        file["stem"], said, lora_id, file["title"], file["base_model"], preview, file["nsfw"], file["weight"]
    )


def get_set(database: Database, number: int) -> dict[str, Any]:
    """A set as the API gives it, also a deleted one.

    Raises:
        NotFound: no such set.
    """
    reader = database.reader()
    row = reader.execute("SELECT * FROM sets WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise NotFound(f"There is no set {number}.")
    return _describe(reader, row, row["version"])


def get_versions(database: Database, number: int) -> list[dict[str, Any]]:
    """Every version of a set, newest first.

    Raises:
        NotFound: no such set.
    """
    reader = database.reader()
    row = reader.execute("SELECT * FROM sets WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise NotFound(f"There is no set {number}.")
    versions = reader.execute(
        "SELECT version, created FROM set_versions WHERE set_id = ? ORDER BY version DESC", (number,)
    ).fetchall()
    return [{**_describe(reader, row, one["version"]), "created": one["created"]} for one in versions]


def list_sets(
    database: Database, *, q: str = "", sort: str = "name", cursor: str | None = None, limit: int = 100
) -> dict[str, Any]:
    """A page of sets: `{"items", "total", "next_cursor"}`; `q` is looked for in names, texts, notes and LoRAs' names.

    Raises:
        BadRequest: a sort that there is not, or a cursor of no list.
    """
    column = SORTS.get(sort.removeprefix("-"))
    if column is None or (cursor and not (cursor.isdecimal() and len(cursor) < 19)):
        raise BadRequest(
            f"Sets are sorted by {', '.join(SORTS)}, with - for down; a cursor is what a list gave."
        )
    reader, offset = database.reader(), int(cursor or 0)
    where, values = ["s.deleted IS NULL"], list[Any]()
    for word in q.split():
        pattern = "%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        where.append(
            r"""(s.name LIKE ? ESCAPE '\' OR v.notes LIKE ? ESCAPE '\' OR v.prompt LIKE ? ESCAPE '\' OR EXISTS (
                SELECT 1 FROM set_loras m WHERE m.set_id = s.id AND m.version = s.version AND m.name LIKE ? ESCAPE '\'))"""
        )
        values += [pattern] * 4
    source = f"""FROM sets s JOIN set_versions v ON v.set_id = s.id AND v.version = s.version
                 WHERE {" AND ".join(where)}"""
    total = reader.execute(f"SELECT count(*) {source}", values).fetchone()[0]
    direction = "DESC" if sort.startswith("-") else "ASC"
    rows = reader.execute(
        f"SELECT s.* {source} ORDER BY {column} {direction}, s.id LIMIT ? OFFSET ?", (*values, limit, offset)
    ).fetchall()
    end = offset + len(rows)
    return {
        "items": [_describe(reader, row, row["version"]) for row in rows],
        "total": total,
        "next_cursor": str(end) if end < total else None,
    }


def _describe(reader: sqlite3.Connection, row: sqlite3.Row, version: int) -> dict[str, Any]:
    kept = reader.execute(
        "SELECT * FROM set_versions WHERE set_id = ? AND version = ?", (row["id"], version)
    ).fetchone()
    picture = reader.execute("SELECT stamp FROM set_pictures WHERE set_id = ?", (row["id"],)).fetchone()
    members = read_members(reader, row["id"], version)
    return {
        "id": row["id"],
        "name": kept["name"],
        "version": version,
        "created": row["created"],
        "modified": row["modified"],
        "loras": [member.to_json() for member in members],
        "prompt": kept["prompt"],
        "negative_prompt": kept["negative_prompt"],
        "notes": kept["notes"],
        "base_model": kept["base_model"],
        "detected_base_model": base_of([member.base_model for member in members]),
        "preview": picture is not None,
        "preview_stamp": picture["stamp"] if picture else None,
        "previews": [member.lora_id for member in members if member.preview][:PREVIEWS],
        "deleted": row["deleted"] is not None,
    }


def base_of(base_models: list[str]) -> str | None:
    """The base model that most LoRAs of a set are for; None when none is known."""
    known = Counter(name for name in base_models if name != UNKNOWN)
    return known.most_common(1)[0][0] if known else None
