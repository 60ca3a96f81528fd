"""Everything about one LoRA, for its detail page: the catalogue's row, its long texts, and what its files hold now."""

from __future__ import annotations

import os
import sqlite3
from typing import Any

import orjson

from sidecar.database import Database
from sidecar.errors import NotFound
from sidecar.library.civitai.stored import version_of
from sidecar.library.files.desktop import can_open_folder
from sidecar.library.queries import ITEM_COLUMNS, ITEM_TABLES, to_item
from sidecar.library.side_files import side_files_of
from sidecar.library.sources import FileJob, read_sources
from sidecar.library.values import USER, USER_COLUMNS, all_values, clean_html, pictures_in, user_values
from sidecar.library.word_groups import Group, groups_of
from sidecar.library.write_back import OFF, describe_state


def get_detail(database: Database, lora_id: int, write_back: str = OFF) -> dict[str, Any]:
    """The detail of one LoRA, as the API gives it. `write_back` is the setting of that name.

    Raises:
        NotFound: no such LoRA.
    """
    row = _row(database.reader(), lora_id)
    facts: dict[str, Any] = orjson.loads(row["facts"] or "{}")
    user = user_values(row)
    path = os.path.join(row["root"], *row["folder"].split("/"), row["stem"] + row["extension"])
    job = _job(row, path, version_of(database.reader(), lora_id)) if row["present"] else None
    now = read_sources(job) if job else None
    values = all_values(user, now)
    by_user = {field: USER for field, (first, *_) in values.items() if first["source"] == USER}
    return {
        **to_item(row),
        "description": clean_html(row["description"] or ""),
        "pictures": pictures_in(row["description"] or ""),
        "notes": row["notes"] or "",
        "negative_prompt": row["negative_prompt"] or "",
        "word_groups": [group.to_json() for group in _word_groups(row)],
        "author": facts.get("author"),
        "url": facts.get("url"),
        "version": facts.get("version"),
        "alias": row["alias"],
        "path": path,
        "file": row["stem"] + row["extension"],
        "can_open_folder": can_open_folder(),
        "hashes": {
            "sha256": row["sha256"],
            "autov1": row["autov1"],
            "autov2": row["sha256"] and row["sha256"][:10],
            "autov3": row["body_hash"] and row["body_hash"][:12],
            "claimed_autov3": row["claimed_autov3"] and row["claimed_autov3"][:12],
            "blake3": row["blake3"],
            "crc32": row["crc32"],
        },
        "hashing_pending": row["hash_state"] == "pending",
        "base_model_reason": row["base_model_reason"],
        "state_reason": row["state_reason"] if row["present"] else _missing_reason(path, row["root"]),
        "training_tags": [
            {"tag": tag, "count": count} for tag, count in orjson.loads(row["training_tags"] or "[]")
        ],
        "training": facts.get("training", {}),
        "sources": {**facts.get("sources", {}), **by_user},
        "values": values,
        "not_on_civitai": bool(facts.get("not_on_civitai")),
        "warnings": now.warnings if now else facts.get("warnings", []),
        "examples": orjson.loads(row["examples"] or "[]"),
        "side_files": sorted(job.side_files.values()) if job else [],
        "write_back": describe_state(database, lora_id, write_back),
        "collections": _collections(database.reader(), lora_id),
        "metadata": now.header.metadata if now else {},
    }


def get_examples(database: Database, lora_id: int) -> list[dict[str, Any]]:
    """Example prompts of one LoRA.

    Raises:
        NotFound: no such LoRA.
    """
    examples: list[dict[str, Any]] = orjson.loads(_row(database.reader(), lora_id)["examples"] or "[]")
    return examples


def _row(reader: sqlite3.Connection, lora_id: int) -> sqlite3.Row:
    row: sqlite3.Row | None = reader.execute(
        f"""SELECT {ITEM_COLUMNS}, r.path AS root, l.alias, l.sha256, l.autov1, l.body_hash, l.claimed_autov3, l.blake3, l.crc32,
                   l.hash_state, l.base_model_reason, l.state_reason, l.root_id,
                   coalesce(i.notes, t.notes) AS notes, t.description, t.facts, t.training_tags, t.examples,
                   coalesce(i.negative_prompt, l.negative_prompt) AS negative_prompt, {USER_COLUMNS}
            FROM {ITEM_TABLES} LEFT JOIN lora_texts t ON t.lora_id = l.id WHERE l.id = ?""",
        (lora_id,),
    ).fetchone()
    if row is None:
        raise NotFound(f"There is no LoRA with the id {lora_id}.")
    return row


def _word_groups(row: sqlite3.Row) -> list[Group]:
    """How its words are used: as the user arranged them, else as the trigger words say."""
    said = orjson.loads(row["user_word_groups"]) if row["user_word_groups"] else None
    return groups_of(orjson.loads(row["trigger_words"]), row["negative_prompt"] or "", said)


def _collections(reader: sqlite3.Connection, lora_id: int) -> list[dict[str, Any]]:
    """The hand-picked collections it is in, by name."""
    rows = reader.execute(
        """SELECT c.id, c.name FROM loras l JOIN collection_items ci ON ci.identity_id = l.identity_id
           JOIN collections c ON c.id = ci.collection_id WHERE l.id = ? ORDER BY c.name""",
        (lora_id,),
    )
    return [dict(row) for row in rows]


def _missing_reason(path: str, root: str) -> str:
    if not os.path.isdir(root):
        return f"Its folder {root} cannot be reached; it is back when the folder is."
    return f"{path} is no longer there. What you noted about it is kept."


def _job(row: sqlite3.Row, path: str, fetched: dict[str, Any] | None) -> FileJob:
    """The file as it is to be read now, with the side files that it has now."""
    directory, name = os.path.split(path)
    try:
        side_files = side_files_of(directory, name)
    except OSError:
        side_files = {}  # its drive has gone since the scan
    return FileJob(row["root_id"], row["folder"], directory, name, row["size"], 0, 0, side_files, fetched)
