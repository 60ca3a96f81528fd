"""Which file a name in a prompt means, and by which name the host knows it."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

import orjson


class Resolved(NamedTuple):
    """A LoRA that a name in a prompt stands for; `how` tells when it was not the plain stem."""

    id: int
    name: str
    weight: float | None
    trigger_words: list[str]
    base_model: str
    how: str | None


_COLUMNS = """SELECT l.id, l.stem, l.folder, l.base_model, coalesce(i.weight, l.weight) AS weight,
           coalesce(i.trigger_words, l.trigger_words) AS trigger_words
    FROM loras l JOIN roots r ON r.id = l.root_id AND r.active LEFT JOIN identities i ON i.id = l.identity_id
    WHERE l.present AND l.state NOT IN ('broken', 'unreadable')"""


def resolve(reader: sqlite3.Connection, name: str) -> Resolved | None:
    """The file that `name` means: its stem, SDNext's stem with `_` for `.`, another case, a path, or `ss_output_name`.

    An `ss_output_name` that several files share means none of them.
    """
    folded = name.casefold()
    same = reader.execute(
        f"{_COLUMNS} AND l.sort_name = ? ORDER BY l.stem = ? DESC, l.id", (folded, name)
    ).fetchall()
    if same:
        return _resolved(same[0], None if same[0]["stem"] == name else "case")
    path, _, stem = name.replace("\\", "/").rpartition("/")
    if path:
        rows = reader.execute(f"{_COLUMNS} AND l.sort_name = ?", (stem.casefold(),)).fetchall()
        rows.sort(key=lambda row: not row["folder"].casefold().endswith(path.strip("/").casefold()))
        if rows:
            return _resolved(rows[0], "path")
    for ending in (".safetensors", ".ckpt", ".pt"):
        if folded.endswith(ending):
            return _renamed(resolve(reader, name[: -len(ending)]), "extension")
    # `_` for `.` in a stem: compared over names of one shape, which the index narrows to those that begin alike.
    beginning = folded.split("_", 1)[0]
    rows = reader.execute(
        f"{_COLUMNS} AND l.sort_name >= ? AND l.sort_name < ? AND replace(l.sort_name, '.', '_') = ? LIMIT 2",
        (beginning, beginning + "\U0010ffff", folded),
    ).fetchall()
    if len(rows) == 1:
        return _resolved(rows[0], "dots")
    rows = reader.execute(f"{_COLUMNS} AND l.alias = ? COLLATE NOCASE LIMIT 2", (name,)).fetchall()
    return _resolved(rows[0], "alias") if len(rows) == 1 else None


def _resolved(row: sqlite3.Row, how: str | None) -> Resolved:
    words: list[str] = orjson.loads(row["trigger_words"])
    return Resolved(row["id"], row["stem"], row["weight"], words, row["base_model"], how)


def _renamed(found: Resolved | None, how: str) -> Resolved | None:
    return found and found._replace(how=how)
