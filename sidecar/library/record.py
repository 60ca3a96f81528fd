"""What the list shows of one LoRA file, as one record ready for the catalogue. Runs in reader processes."""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple

import orjson

from sidecar.library import base_model
from sidecar.library.header import Header
from sidecar.library.side_files import choose_preview
from sidecar.library.sources import FileJob, as_string, as_strings, choose, read_sources, split, unique
from sidecar.library.weights.network import network_type

EMBEDDED_PREVIEW = "@header"
_HASH = re.compile("[0-9a-f]{12,64}")


class Record(NamedTuple):
    """Values for `loras`; lists are JSON texts."""

    root_id: int
    folder: str
    stem: str
    extension: str
    size: int
    mtime_ns: int
    side_stamp: int
    state: str
    state_reason: str | None
    base_model: str
    base_model_reason: str | None
    title: str | None
    alias: str | None
    weight: float | None
    trigger_words: str
    tags: str
    preview_file: str | None
    preview_kind: str | None
    preview_stamp: str | None
    claimed_autov3: str | None
    nsfw: int
    network: str
    negative_prompt: str | None


def read_lora(job: FileJob) -> Record:
    """Read one file and its side files. Never raises for what is on disk: a broken file is a record that says so."""
    sources = read_sources(job)
    chosen = choose(sources)
    meta = sources.header.metadata
    base, base_reason = _base_model(sources.header, sources.civitai, sources.manager)
    preview = choose_preview(job.side_files) or _embedded_preview(meta)
    tags = [*as_strings(sources.model.get("tags")), *as_strings(sources.manager.get("tags"))]
    return unread_record(job, sources.state, sources.state_reason)._replace(
        base_model=base,
        base_model_reason=base_reason,
        title=chosen.title,
        alias=as_string(meta.get("ss_output_name")),
        weight=chosen.weight,
        trigger_words=orjson.dumps(chosen.trigger_words).decode(),
        tags=orjson.dumps(unique([*tags, *split(meta.get("modelspec.tags"))])).decode(),
        preview_file=preview[0] if preview else None,
        preview_kind=preview[1] if preview else None,
        preview_stamp=f"{job.side_stamp & 0xFFFFFFFF:08x}" if preview else None,
        claimed_autov3=_claimed_hash(meta),
        network=network_type(sources.header),
    )


def unread_record(job: FileJob, state: str, reason: str | None) -> Record:
    """A record of nothing but the file's name, size and state."""
    stem, extension = os.path.splitext(job.name)
    return Record(
        root_id=job.root_id,
        folder=job.folder,
        stem=stem,
        extension=extension,
        size=job.size,
        mtime_ns=job.mtime_ns,
        side_stamp=job.side_stamp,
        state=state,
        state_reason=reason,
        base_model=base_model.UNKNOWN,
        base_model_reason="The file could not be read.",
        title=None,
        alias=None,
        weight=None,
        trigger_words="[]",
        tags="[]",
        preview_file=None,
        preview_kind=None,
        preview_stamp=None,
        claimed_autov3=None,
        nsfw=0,
        network="",
        negative_prompt=None,
    )


def _base_model(header: Header, civitai: dict[str, Any], manager: dict[str, Any]) -> tuple[str, str]:
    for content, key, where in (
        (civitai, "baseModel", "Civitai"),
        (manager, "base_model", "The .metadata.json file"),
    ):
        stated = base_model.from_civitai(as_string(content.get(key)) or "")
        if stated not in (base_model.UNKNOWN, "Unknown"):
            return stated, f"{where} says {content[key]!r}."
    return base_model.detect(header)


def _claimed_hash(meta: dict[str, str]) -> str | None:
    """The body hash that the header claims: kohya's sshs_model_hash, else the model spec's (with "0x" in front)."""
    for key in ("sshs_model_hash", "modelspec.hash_sha256"):
        claimed = meta.get(key, "").strip().lower().removeprefix("0x")
        if _HASH.fullmatch(claimed):
            return claimed
    return None


def _embedded_preview(meta: dict[str, str]) -> tuple[str, str] | None:
    has_one = (
        meta.get("modelspec.thumbnail", "").startswith("data:image/")
        or meta.get("ssmd_cover_images", "[]") > "[]"
    )
    return (EMBEDDED_PREVIEW, "image") if has_one else None
