"""Identities: what the user says about a content, kept by the hash of its tensor bytes and not by a file's name."""

from __future__ import annotations

import sqlite3

from sidecar.errors import NotFound
from sidecar.library.store import apply_tag_edits

_FACTS = ("rating", "title", "notes", "weight", "trigger_words", "tags_added", "tags_removed", "last_used")


def identity_of(connection: sqlite3.Connection, lora_id: int) -> int:
    """The identity of a file's content, made when there is none yet.

    Raises:
        NotFound: no such file.
    """
    row = connection.execute("SELECT identity_id, body_hash FROM loras WHERE id = ?", (lora_id,)).fetchone()
    if row is None:
        raise NotFound(f"There is no LoRA with the id {lora_id}.")
    if row["identity_id"] is not None:
        return int(row["identity_id"])
    cursor = connection.execute("INSERT INTO identities (body_hash) VALUES (?)", (row["body_hash"],))
    identity = int(cursor.lastrowid or 0)
    connection.execute(
        "UPDATE loras SET identity_id = ? WHERE id = ? OR (body_hash IS NOT NULL AND body_hash = ?)",
        (identity, lora_id, row["body_hash"]),
    )
    return identity


def settle(connection: sqlite3.Connection, lora_id: int, body_hash: str) -> None:
    """A file's content is known now: join it with what the user already said about that content, wherever it was."""
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
        else:  # another content under the old name, a newer version: it starts with what was said about the old one
            cursor = connection.execute(
                f"""INSERT INTO identities (body_hash, favorite, {", ".join(_FACTS)})
                    SELECT ?, favorite, {", ".join(_FACTS)} FROM identities WHERE id = ?""",
                (body_hash, current),
            )
            connection.execute("UPDATE loras SET identity_id = ? WHERE id = ?", (cursor.lastrowid, lora_id))
            refresh(connection, int(cursor.lastrowid or 0))


def _merge(connection: sqlite3.Connection, pending: int | None, known: int) -> None:
    """Fold an identity made before its file was hashed into the one that the content already has."""
    before = connection.execute("SELECT body_hash FROM identities WHERE id = ?", (pending,)).fetchone()
    if before["body_hash"] is not None:
        return  # the file was replaced by a content that has facts of its own
    filled = ", ".join(f"{name} = coalesce(p.{name}, identities.{name})" for name in _FACTS)
    connection.execute(
        f"""UPDATE identities SET {filled}, favorite = max(identities.favorite, p.favorite),
                used = identities.used + p.used
            FROM identities p WHERE p.id = ? AND identities.id = ?""",
        (pending, known),
    )
    for table in ("loras", "generation_loras"):
        connection.execute(f"UPDATE {table} SET identity_id = ? WHERE identity_id = ?", (known, pending))
    connection.execute("DELETE FROM identities WHERE id = ?", (pending,))


def refresh(connection: sqlite3.Connection, identity: int) -> list[int]:
    """Bring every file of an identity in line with it: the columns the list sorts by, tags and search.

    Returns the ids of the files.
    """
    connection.execute(
        """UPDATE loras SET indexed = 0, favorite = i.favorite, rating = coalesce(i.rating, 0), used = i.used
           FROM identities i WHERE i.id = loras.identity_id AND i.id = ?""",
        (identity,),
    )
    ids = [row["id"] for row in connection.execute("SELECT id FROM loras WHERE identity_id = ?", (identity,))]
    apply_tag_edits(connection, ids)
    return ids
