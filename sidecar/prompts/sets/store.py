"""Sets in the database: every save is a version, deleting keeps them, LoRAs are held by content and so follow renames."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from typing import Any

import orjson

from sidecar.database import Database
from sidecar.errors import BadRequest, Conflict, NotFound
from sidecar.library.identities import identities_of
from sidecar.prompts.grammar import FORBIDDEN_IN_NAMES
from sidecar.prompts.resolve import resolve

MAX_NAME = 100
TEXTS = ("prompt", "negative_prompt", "notes")
SAID = ("weight", "te", "unet", "in", "mid", "out", "dyn", "words")
"""What a set can say of a LoRA in it; `words` None means: those that the LoRA's own groups say."""


def check_name(name: str) -> str:
    """The name without spaces around it.

    Raises:
        BadRequest: empty, too long, or with a character that a tag cannot hold.
    """
    name = name.strip()
    if not name or len(name) > MAX_NAME:
        raise BadRequest(f"A set needs a name of 1 to {MAX_NAME} characters.")
    wrong = next((character for character in name if character in FORBIDDEN_IN_NAMES), None)
    if wrong or name.startswith("?"):
        raise BadRequest(
            f"A set's name goes into <set:NAME>, so it can hold no {wrong or '? at its start'!r}."
        )
    return name


def add_set(database: Database, values: dict[str, Any]) -> int:
    """Make a set of `name`, `TEXTS`, `base_model` and `loras` ({lora_id or name, `SAID`…}); returns its id.

    Raises:
        BadRequest: a name that cannot be one. Conflict: the name is taken. NotFound: a LoRA id that is not known.
    """
    name = check_name(values["name"])

    def work(connection: sqlite3.Connection) -> int:
        _refuse_taken(connection, name)
        now = time.time()
        cursor = connection.execute(
            "INSERT INTO sets (name, version, created, modified) VALUES (?, 1, ?, ?)", (name, now, now)
        )
        number = int(cursor.lastrowid or 0)
        _save_version(connection, number, 1, {**values, "name": name})
        return number

    return database.write(work)


def change_set(database: Database, number: int, values: dict[str, Any], shown: int | None = None) -> int:
    """Save the whole set as a new version, and return that; `shown` is the version that the change was made from.

    Raises:
        NotFound: no such set, or an unknown LoRA id. BadRequest: a name that cannot be one.
        Conflict: the name is taken, or the set is another by now; detail then has its version.
    """
    name = check_name(values["name"])

    def work(connection: sqlite3.Connection) -> int:
        now = _row(connection, number)
        if shown is not None and shown != now["version"]:
            raise Conflict(
                f"Meanwhile the set was saved by somebody else as version {now['version']}; look at that first.",
                {"version": now["version"]},
            )
        _refuse_taken(connection, name, number)
        version = _next_version(connection, number)
        _save_version(connection, number, version, {**values, "name": name})
        connection.execute(
            "UPDATE sets SET name = ?, version = ?, modified = ? WHERE id = ?",
            (name, version, time.time(), number),
        )
        return version

    return database.write(work)


def delete_set(database: Database, number: int) -> None:
    """Take a set out of use; its versions stay, and `restore_set` brings it back.

    Raises:
        NotFound: no such set.
    """

    def work(connection: sqlite3.Connection) -> None:
        _row(connection, number)
        connection.execute("UPDATE sets SET deleted = ? WHERE id = ?", (time.time(), number))

    database.write(work)


def restore_set(database: Database, number: int, version: int | None = None) -> None:
    """Bring a deleted set back, or make an old `version` the newest again.

    Raises:
        NotFound: no such set or version. Conflict: another set has the name by now.
    """

    def work(connection: sqlite3.Connection) -> None:
        row = connection.execute("SELECT * FROM sets WHERE id = ?", (number,)).fetchone()
        if row is None:
            raise _unknown(number)
        old = row["version"] if version is None else version
        kept = connection.execute(
            "SELECT name FROM set_versions WHERE set_id = ? AND version = ?", (number, old)
        ).fetchone()
        if kept is None:
            raise NotFound(f"The set has no version {old}.")
        _refuse_taken(connection, kept["name"], number)
        if old != row["version"]:
            old = _copy_version(connection, number, old)
        connection.execute(
            "UPDATE sets SET name = ?, version = ?, modified = ?, deleted = NULL WHERE id = ?",
            (kept["name"], old, time.time(), number),
        )

    database.write(work)


def _row(connection: sqlite3.Connection, number: int) -> sqlite3.Row:
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM sets WHERE id = ? AND deleted IS NULL", (number,)
    ).fetchone()
    if row is None:
        raise _unknown(number)
    return row


def _unknown(number: int) -> NotFound:
    return NotFound(f"There is no set {number}; it may have been deleted.")


def _refuse_taken(connection: sqlite3.Connection, name: str, own: int = 0) -> None:
    taken = connection.execute(
        "SELECT id, version FROM sets WHERE name = ? AND deleted IS NULL AND id != ?", (name, own)
    ).fetchone()
    if taken:
        raise Conflict(
            f"There is a set {name!r} already; take another name, or change that one.",
            {"id": taken["id"], "version": taken["version"]},
        )


def _next_version(connection: sqlite3.Connection, number: int) -> int:
    sql = "SELECT max(version) + 1 FROM set_versions WHERE set_id = ?"
    return int(connection.execute(sql, (number,)).fetchone()[0])


def _save_version(connection: sqlite3.Connection, number: int, version: int, values: dict[str, Any]) -> None:
    connection.execute(
        """INSERT INTO set_versions (set_id, version, created, name, prompt, negative_prompt, notes, base_model)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
        (number, version, time.time(), values["name"], *(values.get(key) or "" for key in TEXTS), values.get("base_model")),
    )  # fmt: skip
    members = _members(connection, values.get("loras") or [])
    connection.executemany(
        "INSERT INTO set_loras (set_id, version, position, identity_id, name, said) VALUES (?, ?, ?, ?, ?, ?)",
        ((number, version, position, *member) for position, member in enumerate(members)),
    )


def _members(
    connection: sqlite3.Connection, loras: Sequence[dict[str, Any]]
) -> list[tuple[int | None, str, str]]:
    """(identity, name, what is said) of each; one that is named only, and not in the library, is kept by its name."""
    ids = []
    for lora in loras:
        found = None if lora.get("lora_id") is not None else resolve(connection, lora.get("name") or "")
        ids.append(lora.get("lora_id") if found is None else found.id)
    known = [lora_id for lora_id in ids if lora_id is not None]
    identities = identities_of(connection, known)
    marks = ", ".join("?" * len(known))
    stems = dict(connection.execute(f"SELECT id, stem FROM loras WHERE id IN ({marks})", known).fetchall())
    members = []
    for lora, lora_id in zip(loras, ids, strict=True):
        if lora_id is not None and lora_id not in identities:
            raise NotFound(f"There is no LoRA with the id {lora_id}; it may have been forgotten meanwhile.")
        name = stems.get(lora_id) or (lora.get("name") or "").strip()
        if not name:
            raise BadRequest("Each LoRA of a set needs its lora_id or its name.")
        said = {key: lora[key] for key in SAID if lora.get(key) is not None}
        members.append((identities.get(lora_id) if lora_id else None, name, orjson.dumps(said).decode()))
    return members


def _copy_version(connection: sqlite3.Connection, number: int, old: int) -> int:
    version = _next_version(connection, number)
    connection.execute(
        """INSERT INTO set_versions SELECT set_id, ?, ?, name, prompt, negative_prompt, notes, base_model
           FROM set_versions WHERE set_id = ? AND version = ?""",
        (version, time.time(), number, old),
    )
    connection.execute(
        """INSERT INTO set_loras SELECT set_id, ?, position, identity_id, name, said
           FROM set_loras WHERE set_id = ? AND version = ?""",
        (version, number, old),
    )
    return version
