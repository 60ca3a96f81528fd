"""What the list shows of one LoRA file, as one record ready for the catalogue. Runs in reader processes."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

import orjson

from sidecar.library import base_model
from sidecar.library.foreign import as_string
from sidecar.library.side_files import choose_preview
from sidecar.library.source import BaseModel
from sidecar.library.sources import FileJob, read_sources, strongest, tags, trigger_words
from sidecar.library.weights.network import network_type

EMBEDDED_PREVIEW = "@header"
MAX_TITLE = 500
_HASH = re.compile("[0-9a-f]{12,64}")


class Record(NamedTuple):
    """Values for `loras`; lists are JSON texts.

    `favorite` and `rating` are what other tools noted. They count until the user's own word is kept, in an identity.
    """

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
    favorite: int
    rating: int


def read_lora(job: FileJob) -> Record:
    """Read one file and its side files. Never raises for what is on disk: a broken file is a record that says so."""
    sources = read_sources(job)
    said, origins = sources.all, dict[str, str]()
    meta = sources.header.metadata
    base: BaseModel = strongest(said, "base_model", origins) or base_model.detected(sources.header)
    preview = choose_preview(job.side_files) or _embedded_preview(meta)
    return unread_record(job, sources.state, sources.state_reason)._replace(
        base_model=base.name,
        base_model_reason=base.reason,
        title=(strongest(said, "title", origins) or "")[:MAX_TITLE] or None,
        alias=as_string(meta.get("ss_output_name")),
        weight=strongest(said, "weight", origins),
        trigger_words=orjson.dumps(trigger_words(said, origins)).decode(),
        tags=orjson.dumps(tags(said, origins)).decode(),
        preview_file=preview[0] if preview else None,
        preview_kind=preview[1] if preview else None,
        preview_stamp=f"{job.side_stamp & 0xFFFFFFFF:08x}" if preview else None,
        claimed_autov3=_claimed_hash(meta),
        nsfw=strongest(said, "nsfw", origins) or 0,
        network=network_type(sources.header),
        negative_prompt=strongest(said, "negative_prompt", origins),
        favorite=int(bool(strongest(said, "favorite", origins))),
        rating=strongest(said, "rating", origins) or 0,
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
        favorite=0,
        rating=0,
    )


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
