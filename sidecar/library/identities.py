"""Identities: what the user says about a content, kept by the hash of its tensor bytes and not by a file's name."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import orjson

from sidecar.errors import NotFound
from sidecar.library.store import apply_facts

_FACTS = (
    "rating", "title", "notes", "weight", "trigger_words", "negative_prompt", "base_model", "label", "nsfw",
    "tags_added", "tags_removed", "last_used", "word_groups",
)  # fmt: skip
_MARKS = ("favorite", "hidden")


def identity_of(connection: sqlite3.Connection, lora_id: int) -> int:
    """The identity of a file's content, made when there is none yet.

    Raises:
        NotFound: no such file.
    """
    found = identities_of(connection, [lora_id])
    if lora_id not in found:
        raise NotFound(f"There is no LoRA with the id {lora_id}.")
    return found[lora_id]


def identities_of(connection: sqlite3.Connection, lora_ids: Sequence[int]) -> dict[int, int]:
    """Identities by LoRA, made where there are none yet; unknown ids are left out."""
    ids = orjson.dumps(list(lora_ids)).decode()
    without = connection.execute(
        """SELECT l.id, l.body_hash, l.favorite, l.rating FROM json_each(?) wanted JOIN loras l ON l.id = wanted.value
           WHERE +l.identity_id IS NULL""",  # by id, not by the index of all that have none
        (ids,),
    ).fetchall()
    if without:
        _make_identities(connection, without)
    rows = connection.execute(
        "SELECT l.id, l.identity_id FROM json_each(?) wanted JOIN loras l ON l.id = wanted.value", (ids,)
    )
    return {row["id"]: row["identity_id"] for row in rows}


def _make_identities(connection: sqlite3.Connection, files: list[sqlite3.Row]) -> None:
    """One identity a content: files of the same body hash share it; a file that is not hashed has its own.

    From here on the user's word counts, and it begins with what another tool's side file says: favourite and rating.
    """
    number = connection.execute("SELECT coalesce(max(id), 0) FROM identities").fetchone()[0]
    numbers: dict[object, int] = {}
    marks: dict[object, tuple[int, int]] = {}
    for row in files:
        content = row["body_hash"] or row["id"]
        numbers.setdefault(content, number + len(numbers) + 1)
        favorite, rating = marks.get(content, (0, 0))
        marks[content] = max(favorite, row["favorite"]), max(rating, row["rating"])
    connection.executemany(
        "INSERT INTO identities (id, body_hash, favorite, rating) VALUES (?, ?, ?, nullif(?, 0))",
        (
            (one, content if isinstance(content, str) else None, *marks[content])
            for content, one in numbers.items()
        ),
    )
    connection.execute(
        """UPDATE loras SET identity_id = i.id, write_due = 1 FROM identities i
           WHERE i.id > ? AND i.body_hash IS NOT NULL AND loras.body_hash = i.body_hash""",
        (number,),
    )
    connection.executemany(
        "UPDATE loras SET identity_id = ?, write_due = 1 WHERE id = ?",
        ((one, content) for content, one in numbers.items() if isinstance(content, int)),
    )


def settle(connection: sqlite3.Connection, lora_id: int, body_hash: str) -> None:
    """A file's content is known now: join it with what the user already said about that content, wherever it was."""
    _take_place_of_missing(connection, lora_id)
    row = connection.execute("SELECT identity_id FROM loras WHERE id = ?", (lora_id,)).fetchone()
    current: int | None = row["identity_id"]
    known = connection.execute("SELECT id FROM identities WHERE body_hash = ?", (body_hash,)).fetchone()
    if known is not None:
        if current not in (None, known["id"]):
            _merge(connection, current, known["id"])
        connection.execute("UPDATE loras SET identity_id = ? WHERE id = ?", (known["id"], lora_id))
        refresh(connection, known["id"])
    elif current is not None:
        before = connection.execute("SELECT body_hash FROM identities WHERE id = ?", (current,)).fetchone()[
            "body_hash"
        ]
        if before is None:
            connection.execute("UPDATE identities SET body_hash = ? WHERE id = ?", (body_hash, current))
            _join_copies(connection, current, body_hash)
        else:  # another content under the old name, a newer version: it starts with what was said about the old one
            cursor = connection.execute(
                f"""INSERT INTO identities (body_hash, {", ".join(_MARKS + _FACTS)})
                    SELECT ?, {", ".join(_MARKS + _FACTS)} FROM identities WHERE id = ?""",
                (body_hash, current),
            )
            connection.execute("UPDATE loras SET identity_id = ? WHERE id = ?", (cursor.lastrowid, lora_id))
            _join_copies(connection, int(cursor.lastrowid or 0), body_hash)


def _join_copies(connection: sqlite3.Connection, identity: int, body_hash: str) -> None:
    """Copies that were hashed before anything was known of their content share what is said from now on."""
    connection.execute(
        "UPDATE loras SET identity_id = ? WHERE body_hash = ? AND identity_id IS NULL", (identity, body_hash)
    )
    refresh(connection, identity)


def _merge(connection: sqlite3.Connection, pending: int | None, known: int) -> None:
    """Fold an identity made before its file was hashed into the one that the content already has."""
    before = connection.execute("SELECT body_hash FROM identities WHERE id = ?", (pending,)).fetchone()
    if before["body_hash"] is not None:
        return  # the file was replaced by a content that has facts of its own
    filled = ", ".join(f"{name} = coalesce(p.{name}, identities.{name})" for name in _FACTS)
    marks = ", ".join(f"{name} = max(identities.{name}, p.{name})" for name in _MARKS)
    connection.execute(
        f"""UPDATE identities SET {filled}, {marks}, used = identities.used + p.used
            FROM identities p WHERE p.id = ? AND identities.id = ?""",
        (pending, known),
    )
    for table in ("loras", "generation_loras", "set_loras", "feedback"):
        connection.execute(f"UPDATE {table} SET identity_id = ? WHERE identity_id = ?", (known, pending))
    connection.execute(
        "UPDATE OR IGNORE collection_items SET identity_id = ? WHERE identity_id = ?", (known, pending)
    )
    connection.execute("DELETE FROM identities WHERE id = ?", (pending,))


def _take_place_of_missing(connection: sqlite3.Connection, lora_id: int) -> None:
    """A file that is missing from a folder within reach and is found again elsewhere, byte for byte, was moved."""
    new = connection.execute("SELECT sha256, stem, present FROM loras WHERE id = ?", (lora_id,)).fetchone()
    if new["sha256"] is None or not new["present"]:
        return
    old = connection.execute(
        """SELECT m.id, m.added FROM loras m JOIN roots r ON r.id = m.root_id
           WHERE m.sha256 = ? AND NOT m.present AND r.active AND r.online ORDER BY m.stem != ?, m.id LIMIT 1""",
        (new["sha256"], new["stem"]),
    ).fetchone()
    if old is not None:
        connection.execute(
            "UPDATE loras SET added = ?, identity_id = coalesce(identity_id, (SELECT identity_id FROM loras WHERE id = ?)) WHERE id = ?",
            (old["added"], old["id"], lora_id),
        )
        forget(connection, [old["id"]])


def forget(connection: sqlite3.Connection, lora_ids: Sequence[int]) -> None:
    """Take files out of the catalogue; what the user said about their contents stays with the identities."""
    ids = [(lora_id,) for lora_id in lora_ids]
    connection.executemany("DELETE FROM search WHERE rowid = ?", ids)
    connection.executemany("DELETE FROM loras WHERE id = ?", ids)


def refresh(connection: sqlite3.Connection, identity: int) -> list[int]:
    """Bring every file of an identity in line with it; returns their ids. Their full text is to be indexed anew."""
    return refresh_all(connection, [identity])


def refresh_all(connection: sqlite3.Connection, changed: Sequence[int]) -> list[int]:
    """Bring every file of these identities in line: the columns the list sorts by, tags; returns the files' ids."""
    rows = connection.execute(
        "SELECT l.id FROM json_each(?) wanted JOIN loras l ON l.identity_id = wanted.value",
        (orjson.dumps(list(changed)).decode(),),
    )
    ids = [row["id"] for row in rows]
    apply_facts(connection, ids)
    connection.execute(
        "UPDATE loras SET indexed = 0 WHERE id IN (SELECT value FROM json_each(?)) AND indexed",
        (orjson.dumps(ids).decode(),),
    )
    return ids
