"""Groups of files that are one LoRA: byte for byte, with the same weights, or with the same weights saved otherwise; and of
files that are nearly one."""

from __future__ import annotations

import os
import sqlite3
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import orjson

from sidecar.database import Database
from sidecar.errors import BadRequest
from sidecar.library.queries import read_items
from sidecar.library.side_files import split_ending
from sidecar.library.weights.fingerprinting import count_due
from sidecar.library.weights.tensor_formats import FLOATS
from sidecar.memo import remember

KINDS = ("file", "weights", "resaved", "near")
ALIKE = 0.9  # the cosine from which on files are listed as nearly the same
SHOWN = 200  # files of one group in a list
MOST_IGNORED = 200


class Group(NamedTuple):
    """Files that belong together, lowest id first. `wasted`: bytes that are free when only the largest stays."""

    kind: str
    wasted: int
    ids: tuple[int, ...]


class _File(NamedTuple):
    id: int
    body: str
    sha256: str
    size: int
    present: bool
    counts: bool
    """It is there, or on a drive that is away."""


def find_groups(database: Database, kind: str | None = None, alike: float = ALIKE) -> list[Group]:
    """All groups, the one that wastes most first.

    With a `kind` only this relation counts: "file" the same bytes, "weights" the same tensors under different headers,
    "resaved" the same weights in another number format, order or rank; else all three, and a group's kind is the
    loosest that it takes. "near" are LoRAs of their own with nearly the same weights, by sketches whose cosine is `alike`
    at least: another epoch, a merge, another rank. A group has two files that are there (or on a drive that is away) at
    least.

    Raises:
        BadRequest: an unknown kind.
    """
    if kind is not None and kind not in KINDS:
        raise BadRequest(f"There is no kind {kind!r} of duplicates; there are {', '.join(KINDS)}.")
    return remember(
        database, ("duplicates", kind, alike), lambda: _find_groups(database.reader(), kind, alike)
    )


def duplicate_ids(database: Database) -> set[int]:
    """Ids of all files that are in some group."""
    return remember(
        database,
        "duplicate ids",
        lambda: {lora_id for group in find_groups(database) for lora_id in group.ids},
    )


def _find_groups(reader: sqlite3.Connection, kind: str | None, alike: float) -> list[Group]:
    pairs = [] if kind in ("file", "weights") else _resaved(reader)
    if kind == "near":
        pairs = _near(reader, alike, set(pairs))
    files = _candidates(reader, pairs)
    ignored = _ignored(reader)
    touched = {lora_id for pair in ignored for lora_id in pair}
    groups = _Union()
    for related in _relations(files, pairs, by_bytes=kind == "file"):
        ids = sorted(file.id for file in related)
        free = next((lora_id for lora_id in ids if lora_id not in touched), None)
        if free is not None:  # it is related with all of them, whatever was said of others
            for other in ids:
                groups.join(free, other)
            continue
        for pair in combinations(ids, 2):
            if pair not in ignored:
                groups.join(*pair)
    by_id = {file.id: file for file in files}
    found = []
    for members in groups.members():
        group = _group([by_id[lora_id] for lora_id in members], "near" if kind == "near" else "resaved")
        if group is not None and kind in (None, group.kind):
            found.append(group)
    return sorted(found, key=lambda group: (-group.wasted, group.ids))


def _candidates(reader: sqlite3.Connection, pairs: list[tuple[str, str]]) -> list[_File]:
    bodies = orjson.dumps(list({body for pair in pairs for body in pair})).decode()
    rows = reader.execute(
        """SELECT l.id, l.body_hash, l.sha256, l.size, l.present, l.present OR NOT r.online AS counts
           FROM loras l JOIN roots r ON r.id = l.root_id
           WHERE r.active AND l.hash_state = 'done' AND l.body_hash IN (
               SELECT body_hash FROM loras WHERE body_hash IS NOT NULL GROUP BY body_hash HAVING count(*) > 1
               UNION SELECT value FROM json_each(?))
           ORDER BY l.id""",
        (bodies,),
    )
    return [_File(*row) for row in rows]


def _resaved(reader: sqlite3.Connection) -> list[tuple[str, str]]:
    return [(row["a"], row["b"]) for row in reader.execute("SELECT a, b FROM resaved WHERE state = 'same'")]


def _near(reader: sqlite3.Connection, alike: float, resaved: set[tuple[str, str]]) -> list[tuple[str, str]]:
    rows = reader.execute("SELECT one, other FROM near WHERE cosine >= ?", (alike,))
    return [pair for row in rows if (pair := (row["one"], row["other"])) not in resaved]


def _ignored(reader: sqlite3.Connection) -> set[tuple[int, int]]:
    return {(row[0], row[1]) for row in reader.execute("SELECT lora_id, other_id FROM duplicates_ignored")}


def _relations(
    files: list[_File], pairs: list[tuple[str, str]], *, by_bytes: bool
) -> Iterable[Sequence[_File]]:
    """Files that are all related with one another."""
    contents: dict[str, list[_File]] = defaultdict(list)
    for file in files:
        contents[file.sha256 if by_bytes else file.body].append(file)
    yield from contents.values()
    for one, other in pairs:
        yield contents.get(one, []) + contents.get(other, [])


def _group(files: list[_File], loosest: str) -> Group | None:
    if sum(file.counts for file in files) < 2:
        return None
    kind = "file"
    if len({file.sha256 for file in files}) > 1:
        kind = "weights" if len({file.body for file in files}) == 1 else loosest
    sizes = [file.size for file in files if file.present]
    return Group(kind, sum(sizes) - max(sizes, default=0), tuple(file.id for file in files))


class _Union:
    """Sets that are joined (https://en.wikipedia.org/wiki/Disjoint-set_data_structure)."""

    def __init__(self) -> None:
        self._parents: dict[int, int] = {}

    def join(self, one: int, other: int) -> None:
        self._parents[self._root(other)] = self._root(one)

    def _root(self, member: int) -> int:
        root = self._parents.setdefault(member, member)
        while root != self._parents[root]:
            root = self._parents[root]
        while member != root:
            member, self._parents[member] = self._parents[member], root
        return root

    def members(self) -> Iterable[list[int]]:
        found: dict[int, list[int]] = defaultdict(list)
        for member in sorted(self._parents):
            found[self._root(member)].append(member)
        return found.values()


def list_duplicates(
    database: Database, *, kind: str | None, alike: float = ALIKE, limit: int, offset: int
) -> dict[str, Any]:
    """A page of groups: {items: [{kind, key, wasted, count, loras}], total, wasted, pending, next_cursor}.

    LoRAs of a group of kind "near" have their `likeness` with the first of it: a cosine, or null when it is below what is kept.

    Raises:
        BadRequest: an unknown kind.
    """
    return remember(
        database,
        ("duplicates page", kind, alike, limit, offset),
        lambda: _list_page(database, kind, alike, limit, offset),
    )


def _list_page(database: Database, kind: str | None, alike: float, limit: int, offset: int) -> dict[str, Any]:
    groups = find_groups(database, kind, alike)
    end = offset + limit
    page = groups[offset:end]
    described = describe_files(database, [lora_id for group in page for lora_id in group.ids[:SHOWN]])
    items = []
    for group in page:
        loras = sorted(
            (described[lora_id] for lora_id in group.ids[:SHOWN] if lora_id in described), key=_worth
        )
        if kind == "near":
            likeness = _likeness(database.reader(), [lora["id"] for lora in loras])
            loras = [{**lora, "likeness": likeness.get(lora["id"])} for lora in loras]
            loras[1:] = sorted(loras[1:], key=lambda lora: -(lora["likeness"] or 0))
        items.append(
            {
                "kind": group.kind,
                "key": str(group.ids[0]),
                "wasted": group.wasted,
                "count": len(group.ids),
                "loras": loras,
            }
        )
    return {
        "items": items,
        "total": len(groups),
        "wasted": sum(group.wasted for group in groups),
        "pending": _count_unpaired(database) if kind == "near" else count_due(database),
        "next_cursor": str(end) if end < len(groups) else None,
    }


def _likeness(reader: sqlite3.Connection, lora_ids: list[int]) -> dict[int, float]:
    """The cosine of each with the first, of those that are known."""
    rows = reader.execute(
        """SELECT l.id, CASE WHEN l.body_hash = f.body_hash THEN 1.0 ELSE n.cosine END AS cosine
           FROM json_each(?) wanted JOIN loras l ON l.id = wanted.value JOIN loras f ON f.id = ?
           LEFT JOIN near n ON n.one = min(l.body_hash, f.body_hash) AND n.other = max(l.body_hash, f.body_hash)""",
        (orjson.dumps(lora_ids).decode(), lora_ids[0]),
    )
    return {row["id"]: row["cosine"] for row in rows}


def _count_unpaired(database: Database) -> int:
    from sidecar.recommend.weightspace.pairing import count_unpaired  # numpy is loaded when there is work
    from sidecar.recommend.weightspace.store import status

    return status(database)["pending"] + count_unpaired(database)


def _worth(item: dict[str, Any]) -> tuple[Any, ...]:
    """Sorts the one to keep first: there, of the highest rank and precision, with most known about it, the oldest."""
    precision = FLOATS.index(item["precision"]) if item["precision"] in FLOATS else len(FLOATS)
    return (
        item["state"] == "missing", -(item["rank"] or 0), precision, -item["favorite"], -item["used"],
        -(item["rating"] or 0), -item["side_files"], item["added"], item["id"],
    )  # fmt: skip


def describe_files(database: Database, lora_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The list's items with path, file, precision, rank, number of side files and the two hashes, by id."""
    reader = database.reader()
    found: dict[int, dict[str, Any]] = {}
    for start in range(0, len(lora_ids), 500):
        for item in read_items(reader, list(lora_ids[start : start + 500])):
            found[item["id"]] = item
    rows = reader.execute(
        """SELECT l.id, r.path AS root, l.folder, l.stem, l.stem || l.extension AS file, l.present,
                  l.sha256, l.body_hash, f.dtype, f.rank
           FROM json_each(?) wanted JOIN loras l ON l.id = wanted.value JOIN roots r ON r.id = l.root_id
           LEFT JOIN fingerprints f ON f.body_hash = l.body_hash""",
        (orjson.dumps(list(found)).decode(),),
    ).fetchall()
    listings: dict[str, list[str]] = {}
    for row in rows:
        folder = os.path.join(row["root"], *row["folder"].split("/"))
        if folder not in listings:
            listings[folder] = _names(folder)
        found[row["id"]] |= {
            "path": os.path.join(folder, row["file"]),
            "file": row["file"],
            "precision": row["dtype"] or None,
            "rank": row["rank"] or None,
            "side_files": _count_side_files(listings[folder], row["stem"]) if row["present"] else 0,
            "autov2": row["sha256"] and row["sha256"][:10],
            "autov3": row["body_hash"] and row["body_hash"][:12],
        }
    return found


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _count_side_files(names: list[str], stem: str) -> int:
    count = 0
    for name in names[bisect_left(names, stem + ".") :]:
        if not name.startswith(stem + "."):
            break
        count += any(of == stem for of, _ in split_ending(name))
    return count


def ignore(database: Database, lora_ids: Sequence[int], *, ignored: bool) -> int:
    """Say of files that they are no duplicates of each other, or take it back; returns how many pairs that is.

    Raises:
        BadRequest: fewer than two files, or too many.
    """
    ids = sorted(set(lora_ids))
    if not 2 <= len(ids) <= MOST_IGNORED:
        raise BadRequest(f"Name the files that are no duplicates of each other: 2 to {MOST_IGNORED} of them.")
    pairs = list(combinations(ids, 2))

    def work(connection: sqlite3.Connection) -> int:
        if not ignored:
            connection.executemany("DELETE FROM duplicates_ignored WHERE lora_id = ? AND other_id = ?", pairs)
            return len(pairs)
        known = {
            row[0]
            for row in connection.execute(
                "SELECT l.id FROM json_each(?) wanted JOIN loras l ON l.id = wanted.value",
                (orjson.dumps(ids).decode(),),
            )
        }
        there = [pair for pair in pairs if known.issuperset(pair)]
        connection.executemany(
            "INSERT OR IGNORE INTO duplicates_ignored (lora_id, other_id) VALUES (?, ?)", there
        )
        return len(there)

    return database.write(work)
