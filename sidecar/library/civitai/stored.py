"""What Civitai has answered, kept by content (SHA256) in the database; nothing is written beside the user's files."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from typing import Any

import orjson

from sidecar.database import Database
from sidecar.errors import NotFound
from sidecar.library.foreign import as_list, as_object, as_string

FOUND, NOT_FOUND = "found", "not_found"
_DOWNLOAD = (
    "id, created, version_id, file_id, name, file, folder, size, sha256, state, received, message, lora_id"
)


def save_answers(
    connection: sqlite3.Connection, answers: dict[str, dict[str, Any] | None], source: str
) -> list[int]:
    """Store versions by SHA256; None remembers that there is none, and never replaces one that was found.

    Returns the ids of the files that have something new to read.
    """
    now = time.time()
    connection.executemany(
        """INSERT INTO civitai_versions (sha256, state, fetched, source, version) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (sha256) DO UPDATE SET fetched = excluded.fetched,
               state = CASE excluded.state WHEN 'found' THEN 'found' ELSE state END,
               source = CASE excluded.state WHEN 'found' THEN excluded.source ELSE source END,
               version = coalesce(excluded.version, version)""",
        (
            (
                sha256.lower(), NOT_FOUND if version is None else FOUND, now, source,
                None if version is None else orjson.dumps(version).decode(),
            )
            for sha256, version in answers.items()
        ),
    )  # fmt: skip
    found = [sha256.lower() for sha256, version in answers.items() if version is not None]
    return read_again(connection, found)


def read_again(connection: sqlite3.Connection, hashes: Iterable[str]) -> list[int]:
    """Have the next scan read the files of these contents anew; returns their ids."""
    wanted = orjson.dumps(list(hashes)).decode()
    rows = connection.execute(
        "SELECT l.id FROM json_each(?) wanted JOIN loras l ON l.sha256 = wanted.value", (wanted,)
    ).fetchall()
    ids = [row["id"] for row in rows]
    connection.executemany("UPDATE loras SET side_stamp = -1 WHERE id = ?", ((lora_id,) for lora_id in ids))
    return ids


def known_hashes(connection: sqlite3.Connection, hashes: Iterable[str]) -> list[str]:
    """Those of these contents of which a version was found."""
    rows = connection.execute(
        """SELECT c.sha256 FROM json_each(?) wanted JOIN civitai_versions c ON c.sha256 = wanted.value
           WHERE c.state = 'found'""",
        (orjson.dumps(list(hashes)).decode(),),
    )
    return [row["sha256"] for row in rows]


def save_models(connection: sqlite3.Connection, models: dict[int, dict[str, Any] | None]) -> None:
    """Store models as of now; None: Civitai has it no longer (what was known of it stays)."""
    now = time.time()
    connection.executemany(
        """INSERT INTO civitai_models (model_id, fetched, state, model) VALUES (?, ?, ?, ?)
           ON CONFLICT (model_id) DO UPDATE SET fetched = excluded.fetched, state = excluded.state,
               model = coalesce(excluded.model, model)""",
        (
            (
                model_id, now, NOT_FOUND if model is None else FOUND,
                None if model is None else orjson.dumps(model).decode(),
            )
            for model_id, model in models.items()
        ),
    )  # fmt: skip


def get_answer(database: Database, sha256: str | None) -> dict[str, Any]:
    """What is known of a content: {"state": unknown, found or not_found, "fetched", "source", "version"}."""
    row = (
        database.reader().execute("SELECT * FROM civitai_versions WHERE sha256 = ?", (sha256,)).fetchone()
        if sha256
        else None
    )
    if row is None:
        return {"state": "unknown", "fetched": None, "source": None, "version": None}
    version = orjson.loads(row["version"]) if row["version"] else None
    return {"state": row["state"], "fetched": row["fetched"], "source": row["source"], "version": version}


def get_model(database: Database, model_id: int) -> dict[str, Any] | None:
    """A model as of the last check for updates."""
    row = (
        database.reader()
        .execute("SELECT model FROM civitai_models WHERE model_id = ? AND model IS NOT NULL", (model_id,))
        .fetchone()
    )
    return None if row is None else orjson.loads(row["model"])


def version_of(reader: sqlite3.Connection, lora_id: int) -> dict[str, Any] | None:
    """The version that was found for a file as the catalogue knows it."""
    row = reader.execute(
        """SELECT c.version FROM loras l JOIN civitai_versions c ON c.sha256 = l.sha256
           WHERE l.id = ? AND c.state = 'found'""",
        (lora_id,),
    ).fetchone()
    return None if row is None else orjson.loads(row["version"])


def picture_of(database: Database, lora_id: int) -> str:
    """The address of the first picture that a LoRA's version has on Civitai, else of its first video.

    Raises:
        NotFound: it was not looked up, or has none.
    """
    version = version_of(database.reader(), lora_id)
    if version is None:
        raise NotFound("Civitai has not been asked for this LoRA, or does not know it: look it up first.")
    images = [
        image for image in map(as_object, as_list(version.get("images"))) if as_string(image.get("url"))
    ]
    images.sort(key=lambda image: image.get("type") == "video")
    if not images:
        raise NotFound("Civitai shows no picture of this version.")
    return str(images[0]["url"])


def count_status(database: Database) -> dict[str, int]:
    """How many files there are, of how many Civitai was asked, and what came of it."""
    row = (
        database.reader()
        .execute(
            """SELECT count(*) AS owned, count(c.sha256) AS looked_up, coalesce(sum(c.state = 'not_found'), 0) AS not_found,
                      coalesce(sum(l.sha256 IS NULL), 0) AS unhashed
               FROM loras l LEFT JOIN civitai_versions c ON c.sha256 = l.sha256
               WHERE l.present AND l.state = 'ok'"""
        )
        .fetchone()
    )
    return {**dict(row), "pending": row["owned"] - row["looked_up"]}


def list_downloads(database: Database) -> list[dict[str, Any]]:
    """All downloads, newest first."""
    rows = database.reader().execute(f"SELECT {_DOWNLOAD} FROM civitai_downloads ORDER BY id DESC LIMIT 500")
    return [dict(row) for row in rows]


def pause_all(database: Database) -> None:
    """At the start: what a stop interrupted waits until the user lets it go on."""
    if (
        database.reader()
        .execute("SELECT 1 FROM civitai_downloads WHERE state IN ('waiting', 'running')")
        .fetchone()
    ):
        database.write(
            lambda connection: connection.execute(
                """UPDATE civitai_downloads SET state = 'paused', message = 'The app was stopped meanwhile.'
                   WHERE state IN ('waiting', 'running')"""
            )
        )
