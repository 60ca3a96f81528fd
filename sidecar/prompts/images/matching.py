"""The LoRAs of a picture in the library: by hash first, then by name; and the prompt with the names they have here."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import Any

from sidecar.database import Database
from sidecar.library.queries import read_items
from sidecar.prompts.grammar import FORBIDDEN_IN_NAMES, Tag, find_tags, format_weight, replace_tags
from sidecar.prompts.images.infotext import Infotext, NamedLora
from sidecar.prompts.resolve import USABLE, resolve_all

# Columns by which other programs' hashes are known; AutoV2 is how a SHA256 begins, AutoV3 how the body's hash begins.
_HASHES = ("sha256", "body_hash", "blake3", "autov1", "claimed_autov3", "crc32")
_HEX = frozenset("0123456789abcdef")


def match_picture(database: Database, infotext: Infotext) -> dict[str, Any]:
    """The answer for a picture: see docs/api.md."""
    reader = database.reader()
    tags = [tag for tag in find_tags(infotext.prompt) if tag.is_lora and not tag.is_draw]
    hashes = {lora.name.casefold(): lora.hash for lora in infotext.loras if lora.hash}
    in_prompt = {tag.name.strip().casefold() for tag in tags}
    named = [NamedLora(tag.name.strip(), tag.weight, hashes.get(tag.name.strip().casefold())) for tag in tags]
    # Weights stand in the prompt's tags; what has none and stands in no tag was only loaded.
    further = [lora for lora in infotext.loras if lora.name.casefold() not in in_prompt]
    further = [lora for lora in further if lora.weight is not None or not tags]
    found = [_find(reader, lora) for lora in (*named, *further)]
    items = {item["id"]: item for item in read_items(reader, list({one for one, _ in found if one}))}
    texts = [str(_renamed(tag, items.get(lora_id or 0))) for tag, (lora_id, _) in zip(tags, found)]
    prompt = replace_tags(infotext.prompt, tags, texts)
    appended = "".join(
        _tag_of(lora, items.get(one or 0)) for lora, (one, _) in zip(further, found[len(tags) :])
    )
    loras = [
        {
            "name": lora.name,
            "weight": lora.weight,
            "hash": lora.hash,
            "found": how,
            "lora": items.get(one or 0),
        }
        for lora, (one, how) in zip((*named, *further), found)
    ]
    return {
        "software": infotext.software,
        "prompt": f"{prompt} {appended}".strip() if appended else prompt,
        "negative_prompt": infotext.negative_prompt,
        "parameters": infotext.parameters,
        "infotext": infotext.text,
        "loras": loras,
        "missing": list(dict.fromkeys(lora["name"] for lora in loras if lora["lora"] is None)),
        "sets": infotext.sets,
    }


def _find(reader: sqlite3.Connection, lora: NamedLora) -> tuple[int | None, str | None]:
    """(id, "hash" or "name"), or (None, None)."""
    by_hash = _by_hash(reader, lora.hash, lora.name) if lora.hash else None
    if by_hash is not None:
        return by_hash, "hash"
    by_name = resolve_all(reader, [lora.name])[lora.name]
    return (by_name.id, "name") if by_name else (None, None)


def _by_hash(reader: sqlite3.Connection, text: str, name: str) -> int | None:
    """A file whose hash of any kind is this, or begins so; of several the one of that name."""
    if not 8 <= len(text) <= 64 or not set(text) <= _HEX:
        return None
    for column in _HASHES:
        row = reader.execute(
            f"""SELECT l.id FROM loras l JOIN roots r ON r.id = l.root_id
                WHERE l.{column} >= ? AND l.{column} < ? AND {USABLE} ORDER BY l.stem != ?, l.id LIMIT 1""",
            (text, f"{text}g", name),
        ).fetchone()
        if row is not None:
            return int(row["id"])
    return None


def _renamed(tag: Tag, item: dict[str, Any] | None) -> Tag:
    can_be_said = item is not None and not any(character in FORBIDDEN_IN_NAMES for character in item["name"])
    return (
        replace(tag, name=item["name"]) if item and can_be_said and tag.name.strip() != item["name"] else tag
    )


def _tag_of(lora: NamedLora, item: dict[str, Any] | None) -> str:
    name = item["name"] if item else lora.name
    name = "".join(character for character in name if character not in FORBIDDEN_IN_NAMES)
    return f"<lora:{name}:{format_weight(1.0 if lora.weight is None else lora.weight)}>"
