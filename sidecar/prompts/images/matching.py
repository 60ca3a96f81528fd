"""The LoRAs of a picture in the library: by hash first, then by name; and the prompt with the names they have here."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sidecar.database import Database
from sidecar.library.queries import read_items
from sidecar.prompts.grammar import FORBIDDEN_IN_NAMES, Tag, find_tags, format_weight, replace_tags
from sidecar.prompts.images.a1111 import fold
from sidecar.prompts.images.infotext import MAX_LORAS, Infotext, NamedLora
from sidecar.prompts.resolve import USABLE, resolve_all

# Whose beginning, or all of it, other programs write. AutoV2 is how a SHA256 begins, AutoV3 how the body's hash begins.
_HASHES = ("sha256", "body_hash", "claimed_autov3", "blake3", "autov1", "crc32")

Found = tuple[int | None, str | None]
"""A LoRA's id, and "hash" or "name": how it was found; both None when it was not."""


def match_picture(database: Database, infotext: Infotext) -> dict[str, Any]:
    """What a picture tells, with the library's LoRAs: the answer of `POST prompts/image` (docs/api.md)."""
    reader = database.reader()
    tags = [tag for tag in find_tags(infotext.prompt) if tag.is_lora and not tag.is_draw][:MAX_LORAS]
    named = _named(tags, infotext.loras)
    known = {fold(lora.name): lora for lora in infotext.loras}
    in_prompt = {fold(tag.name) for tag in tags}
    further = [lora for key, lora in known.items() if key not in in_prompt][: MAX_LORAS - len(tags)]
    everything = (*named, *further)
    found = find_loras(reader, everything)
    items = {item["id"]: item for item in read_items(reader, list({one for one, _ in found if one}))}
    mentioned = dict(zip(everything, (items.get(one or 0) for one, _ in found)))
    renamed = [str(_renamed(tag, mentioned.get(lora))) for tag, lora in zip(tags, named)]
    appended = _appended(further, mentioned, named)
    loras = {
        lora: {
            "name": lora.name,
            "weight": lora.weight,
            "hash": lora.hash,
            "found": how,
            "lora": items.get(one or 0),
        }
        for lora, (one, how) in zip(everything, found)
    }
    prompt = replace_tags(infotext.prompt, tags, renamed)
    return {
        "software": infotext.software,
        "prompt": " ".join(part for part in (prompt, *appended) if part),
        "negative_prompt": infotext.negative_prompt,
        "parameters": infotext.parameters,
        "infotext": infotext.text,
        "loras": list(loras.values()),
        "missing": list(dict.fromkeys(lora["name"] for lora in loras.values() if lora["lora"] is None)),
        "sets": infotext.sets,
    }


def _named(tags: Sequence[Tag], loras: Iterable[NamedLora]) -> list[NamedLora]:
    """What each tag names, with the hash that the metadata tells of it."""
    hashes = {fold(lora.name): lora.hash for lora in loras if lora.hash}
    return [NamedLora(tag.name.strip(), tag.weight, hashes.get(fold(tag.name))) for tag in tags]


def find_loras(reader: sqlite3.Connection, loras: Sequence[NamedLora]) -> list[Found]:
    """The file that each means: of this content, else of this name. Each content and name is looked up once."""
    by_hash: dict[tuple[str, str], int | None] = {}
    for lora in loras:
        if lora.hash and (lora.hash, lora.name) not in by_hash:
            by_hash[lora.hash, lora.name] = _find_by_hash(reader, lora.hash, lora.name)
    unfound = [lora.name for lora in loras if not by_hash.get((lora.hash or "", lora.name))]
    by_name = resolve_all(reader, unfound)
    found: list[Found] = []
    for lora in loras:
        one = by_hash.get((lora.hash or "", lora.name))
        named = by_name.get(lora.name)
        found.append((one, "hash") if one else (named.id, "name") if named else (None, None))
    return found


def _find_by_hash(reader: sqlite3.Connection, digits: str, name: str) -> int | None:
    """A usable file whose hash of any kind begins with these 8 digits or more; of several the one of that name."""
    for column in _HASHES:
        row = reader.execute(
            f"""SELECT l.id FROM loras l JOIN roots r ON r.id = l.root_id
                WHERE l.{column} >= ? AND l.{column} < ? AND {USABLE} ORDER BY l.stem != ?, l.id LIMIT 1""",
            (digits, f"{digits}g", name),  # "g" follows the last hexadecimal digit
        ).fetchone()
        if row is not None:
            return int(row["id"])
    return None


def _renamed(tag: Tag, item: dict[str, Any] | None) -> Tag:
    if item is None or tag.name.strip() == item["name"] or not _can_be_said(item["name"]):
        return tag
    return replace(tag, name=item["name"])


def _can_be_said(name: str) -> bool:
    return not any(character in FORBIDDEN_IN_NAMES for character in name)


def _appended(
    further: Sequence[NamedLora],
    mentioned: dict[NamedLora, dict[str, Any] | None],
    named: Sequence[NamedLora],
) -> list[str]:
    """Tags for what stands in the metadata alone: with a weight, or when no tag says that the prompt's are all there are."""
    there = {item["id"] for lora in named if (item := mentioned.get(lora))}
    texts = []
    for lora in further:
        item = mentioned.get(lora)
        if lora.other_pass or (lora.weight is None and named) or (item and item["id"] in there):
            continue
        if item:
            there.add(item["id"])
        name = item["name"] if item and _can_be_said(item["name"]) else lora.name
        name = "".join(character for character in name if character not in FORBIDDEN_IN_NAMES).strip()
        if name:
            texts.append(f"<lora:{name}:{format_weight(1.0 if lora.weight is None else lora.weight)}>")
    return texts
