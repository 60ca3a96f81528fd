"""The record of what was generated: one row an image batch, with the LoRAs and weights used."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from typing import Any

import orjson

from sidecar.database import Database
from sidecar.errors import BadRequest
from sidecar.library.identities import identity_of
from sidecar.prompts.resolve import resolve

_COLUMNS = (
    "uuid", "created", "host", "kind", "prompt", "negative_prompt", "checkpoint", "sampler", "steps", "cfg", "seed",
    "width", "height", "duration", "images", "interrupted",
)  # fmt: skip


@dataclass(frozen=True)
class UsedLora:
    """A LoRA in a generation, as the host named it."""

    name: str
    weight: float | None = None


def record_generation(database: Database, values: dict[str, Any], loras: list[UsedLora]) -> tuple[int, bool]:
    """Store one generation; the same uuid again changes nothing. Returns (id, whether it is new).

    `values` has the columns of `generations`, `images` as a list of paths.
    """

    def work(connection: sqlite3.Connection) -> tuple[int, bool]:
        known = connection.execute("SELECT id FROM generations WHERE uuid = ?", (values["uuid"],)).fetchone()
        if known:
            return known["id"], False
        created = values.get("created") or time.time()
        row = {**values, "created": created, "images": orjson.dumps(values["images"]).decode()}
        cursor = connection.execute(
            f"INSERT INTO generations ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})",
            [row.get(name) for name in _COLUMNS],
        )
        generation = int(cursor.lastrowid or 0)
        for position, lora in enumerate(loras):
            found = resolve(connection, lora.name)
            identity = identity_of(connection, found.id) if found else None
            connection.execute(
                "INSERT INTO generation_loras (generation_id, position, name, weight, identity_id) VALUES (?, ?, ?, ?, ?)",
                (generation, position, lora.name, lora.weight, identity),
            )
            if identity is not None:
                connection.execute(
                    "UPDATE identities SET used = used + 1, last_used = ? WHERE id = ?", (created, identity)
                )
                connection.execute("UPDATE loras SET used = used + 1 WHERE identity_id = ?", (identity,))
        return generation, True

    return database.write(work)


def list_generations(
    database: Database, *, lora_id: int | None = None, cursor: str | None = None, limit: int = 50
) -> dict[str, Any]:
    """Newest first; with `lora_id`, those that used that LoRA's content.

    Raises:
        BadRequest: a cursor that no list has given.
    """
    reader = database.reader()
    conditions, values = ["1"], list[Any]()
    if lora_id is not None:
        conditions.append(
            """id IN (SELECT generation_id FROM generation_loras
               WHERE identity_id = (SELECT identity_id FROM loras WHERE id = ?))"""
        )
        values.append(lora_id)
    total = reader.execute(
        f"SELECT count(*) FROM generations WHERE {' AND '.join(conditions)}", values
    ).fetchone()[0]
    if cursor:
        try:
            created, last = cursor.split("_")
            values += [float(created), int(last)]
        except ValueError as error:
            raise BadRequest(
                "The cursor is not one that a list has given; start again without it."
            ) from error
        conditions.append("(created, id) < (?, ?)")
    rows = reader.execute(
        f"SELECT * FROM generations WHERE {' AND '.join(conditions)} ORDER BY created DESC, id DESC LIMIT ?",
        (*values, limit + 1),
    ).fetchall()
    more = len(rows) > limit
    rows = rows[:limit]
    return {
        "items": [_to_item(reader, row) for row in rows],
        "total": total,
        "next_cursor": f"{rows[-1]['created']!r}_{rows[-1]['id']}" if more else None,
    }


def _to_item(reader: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    loras = reader.execute(
        """SELECT name, weight, (SELECT min(l.id) FROM loras l WHERE l.identity_id = g.identity_id) AS id
           FROM generation_loras g WHERE generation_id = ? ORDER BY position""",
        (row["id"],),
    )
    return {
        **dict(row),
        "images": orjson.loads(row["images"]),
        "interrupted": bool(row["interrupted"]),
        "loras": [dict(lora) for lora in loras],
    }
