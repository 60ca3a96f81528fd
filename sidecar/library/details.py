"""Everything about one LoRA, for its detail page: the catalogue's row, its long texts, and what its files hold now."""

from __future__ import annotations

import os
import sqlite3
from typing import Any

import nh3
import orjson

from sidecar.database import Database
from sidecar.errors import NotFound
from sidecar.library.files.desktop import can_open_folder
from sidecar.library.header import BrokenHeader, read_header
from sidecar.library.queries import ITEM_COLUMNS, ITEM_TABLES, to_item
from sidecar.library.walking import list_folder

_ALLOWED_TAGS = {
    "a", "b", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "hr", "i", "li", "ol", "p", "pre", "s",
    "span", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "u", "ul",
}  # fmt: skip
_EDITABLE = ("title", "weight", "trigger_words", "notes")


def get_detail(database: Database, lora_id: int) -> dict[str, Any]:
    """The detail of one LoRA, as the API gives it.

    Raises:
        NotFound: no such LoRA.
    """
    row = _row(database.reader(), lora_id)
    facts: dict[str, Any] = orjson.loads(row["facts"] or "{}")
    sources: dict[str, str] = facts.get("sources", {})
    for name in _EDITABLE:
        if row[f"user_{name}"] is not None:
            sources[name] = "user"
    path = os.path.join(row["root"], *row["folder"].split("/"), row["stem"] + row["extension"])
    return {
        **to_item(row),
        "description": clean_html(row["description"] or ""),
        "notes": row["notes"] or "",
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
        "sources": sources,
        "warnings": facts.get("warnings", []),
        "examples": orjson.loads(row["examples"] or "[]"),
        "side_files": _side_files(row) if row["present"] else [],
        "collections": _collections(database.reader(), lora_id),
        "metadata": _metadata(path) if row["present"] and row["state"] == "ok" else {},
    }


def get_examples(database: Database, lora_id: int) -> list[dict[str, Any]]:
    """Example prompts of one LoRA.

    Raises:
        NotFound: no such LoRA.
    """
    examples: list[dict[str, Any]] = orjson.loads(_row(database.reader(), lora_id)["examples"] or "[]")
    return examples


def clean_html(text: str) -> str:
    """A stranger's HTML without script, styles, handlers and pictures (which would be fetched from elsewhere)."""
    return nh3.clean(
        text,
        tags=_ALLOWED_TAGS,
        attributes={"a": {"href", "title"}},
        url_schemes={"http", "https"},
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )


def _row(reader: sqlite3.Connection, lora_id: int) -> sqlite3.Row:
    row: sqlite3.Row | None = reader.execute(
        f"""SELECT {ITEM_COLUMNS}, r.path AS root, l.alias, l.sha256, l.autov1, l.body_hash, l.claimed_autov3, l.blake3, l.crc32,
                   l.hash_state, l.base_model_reason, l.state_reason, l.root_id,
                   coalesce(i.notes, t.notes) AS notes, t.description, t.facts, t.training_tags, t.examples,
                   i.title AS user_title, i.weight AS user_weight, i.trigger_words AS user_trigger_words,
                   i.notes AS user_notes
            FROM {ITEM_TABLES} LEFT JOIN lora_texts t ON t.lora_id = l.id WHERE l.id = ?""",
        (lora_id,),
    ).fetchone()
    if row is None:
        raise NotFound(f"There is no LoRA with the id {lora_id}.")
    return row


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


def _side_files(row: sqlite3.Row) -> list[str]:
    folder = list_folder(row["root"], row["folder"])
    name = row["stem"] + row["extension"]
    return next((sorted(file.side_files.values()) for file in folder.files if file.name == name), [])


def _metadata(path: str) -> dict[str, str]:
    try:
        return read_header(path).metadata
    except (BrokenHeader, OSError):
        return {}  # changed since the scan; the next one will say so
