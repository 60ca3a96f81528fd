"""Which file a name in a prompt means, and by which name the host knows it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from sidecar.library.word_groups import Group, groups_of

USABLE = "l.present AND r.active AND l.state NOT IN ('broken', 'unreadable')"
"""Of `loras l JOIN roots r`: files that a host can load."""


class Resolved(NamedTuple):
    """A LoRA that a name in a prompt stands for; `how` tells when it was not the plain stem: "case", "path", "extension",
    "dots" or "alias". `twins` are other files of the same stem, `weight_by` who says its weight: "you" or "author"."""

    id: int
    name: str
    folder: str
    weight: float | None
    weight_by: str | None
    groups: list[Group]
    base_model: str
    alias: str | None
    twins: int = 0
    how: str | None = None
    body_hash: str | None = None


DAMAGED = "l.present AND r.active AND l.state IN ('broken', 'unreadable')"
"""Of `loras l JOIN roots r`: files that are there and that no host can load."""


def is_damaged(reader: sqlite3.Connection, name: str) -> bool:
    """Whether a name that means no usable file is the stem of one that cannot be read."""
    query = (
        f"SELECT 1 FROM loras l JOIN roots r ON r.id = l.root_id WHERE {DAMAGED} AND l.sort_name = ? LIMIT 1"
    )
    return reader.execute(query, (name.strip().casefold(),)).fetchone() is not None


_COLUMNS = f"""SELECT l.id, l.stem, l.folder, l.base_model, l.alias, l.sort_name, l.body_hash,
           i.weight AS own_weight, l.weight, coalesce(i.trigger_words, l.trigger_words) AS trigger_words,
           coalesce(i.negative_prompt, l.negative_prompt, '') AS negative_prompt, i.word_groups
    FROM loras l JOIN roots r ON r.id = l.root_id LEFT JOIN identities i ON i.id = l.identity_id
    WHERE {USABLE}"""


def resolve(reader: sqlite3.Connection, name: str) -> Resolved | None:
    """The file that `name` means: its stem, SDNext's stem with `_` for `.`, another case, a path, or `ss_output_name`.

    An `ss_output_name` that several files share means none of them.
    """
    return resolve_all(reader, [name])[name]


def resolve_all(reader: sqlite3.Connection, names: Iterable[str]) -> dict[str, Resolved | None]:
    """`resolve` for many names, most of them in one query."""
    found: dict[str, Resolved | None] = dict.fromkeys(names)
    folded = {name: name.strip().casefold() for name in found}
    rows: dict[str, list[sqlite3.Row]] = {}
    wanted = list(dict.fromkeys(folded.values()))
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        marks = ", ".join("?" * len(part))
        for row in reader.execute(f"{_COLUMNS} AND l.sort_name IN ({marks}) ORDER BY l.id", part):
            rows.setdefault(row["sort_name"], []).append(row)
    for name in found:
        same = rows.get(folded[name])
        found[name] = _of_one_stem(same, name.strip()) if same else _resolve_otherwise(reader, name.strip())
    return found


def _of_one_stem(rows: list[sqlite3.Row], name: str) -> Resolved:
    exact = [row for row in rows if row["stem"] == name]
    if exact:
        return _resolved(exact[0], None, len(exact) - 1)
    alike = [row for row in rows if row["stem"] == rows[0]["stem"]]
    return _resolved(rows[0], "case", len(alike) - 1)


def _resolve_otherwise(reader: sqlite3.Connection, name: str) -> Resolved | None:
    """By a path, a file name, SDNext's name, or `ss_output_name`."""
    folded = name.casefold()
    path, _, stem = name.replace("\\", "/").rpartition("/")
    if path:
        rows = reader.execute(f"{_COLUMNS} AND l.sort_name = ?", (stem.casefold(),)).fetchall()
        rows.sort(key=lambda row: not row["folder"].casefold().endswith(path.strip("/").casefold()))
        if rows:
            return _resolved(rows[0], "path", sum(row["stem"] == rows[0]["stem"] for row in rows) - 1)
    for ending in (".safetensors", ".ckpt", ".pt"):
        if folded.endswith(ending):
            found = resolve(reader, name[: -len(ending)])
            return found and found._replace(how="extension")
    # `_` for `.` in a stem: there is an index of these alone
    rows = reader.execute(
        f"{_COLUMNS} AND instr(l.sort_name, '.') > 0 AND replace(l.sort_name, '.', '_') = ? LIMIT 2",
        (folded,),
    ).fetchall()
    if len(rows) == 1:
        return _resolved(rows[0], "dots")
    rows = reader.execute(f"{_COLUMNS} AND l.alias = ? COLLATE NOCASE LIMIT 2", (name,)).fetchall()
    return _resolved(rows[0], "alias") if len(rows) == 1 else None


def _resolved(row: sqlite3.Row, how: str | None, twins: int = 0) -> Resolved:
    said: list[dict[str, Any]] | None = orjson.loads(row["word_groups"]) if row["word_groups"] else None
    groups = groups_of(orjson.loads(row["trigger_words"]), row["negative_prompt"], said)
    weight = row["weight"] if row["own_weight"] is None else row["own_weight"]
    by = None if weight is None else "author" if row["own_weight"] is None else "you"
    return Resolved(
        row["id"], row["stem"], row["folder"], weight, by, groups, row["base_model"], row["alias"], twins, how,
        row["body_hash"],
    )  # fmt: skip
