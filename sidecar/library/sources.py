"""Everything that is said about one LoRA file: its header and its side files, read, told apart, and put in order.

`ORDER` is the one precedence for every field (docs/side-files.md). What the user says in the app stands above all of it,
in `identities`. Nothing here raises for what is on disk, and nothing writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from sidecar.library import dialects
from sidecar.library.foreign import unique
from sidecar.library.header import BrokenHeader, Header, read_header
from sidecar.library.side_files import BrokenSideFile, read_object, read_text
from sidecar.library.source import BaseModel, Source
from sidecar.library.source_civitai import CivitaiVersion, civitai_version
from sidecar.library.source_files import Manager, Text, UserMetadata
from sidecar.library.source_header import ModelSpec, Ssmd, Training

# Strongest first: what a person wrote, then what the author published, then what a program noted.
ORDER = ("a1111", "text", "manager", "civitai", "info", "sdnext", "ssmd", "modelspec", "kohya")
# A1111 knows four base models and writes its guess with every save: all others know better.
_BASE_MODEL_ORDER = (*ORDER[1:], ORDER[0])
FIELDS = (
    "title", "trigger_words", "weight", "negative_prompt", "notes", "description", "tags", "base_model", "author",
    "url", "version", "nsfw", "favorite", "rating",
)  # fmt: skip


class FileJob(NamedTuple):
    """A file to read: its folder on disk, name, stat, and side files as ending → name.

    `fetched` is what Civitai answered when it was asked for this file: a model version, its model inside.
    """

    root_id: int
    folder: str
    directory: str
    name: str
    size: int
    mtime_ns: int
    side_stamp: int
    side_files: dict[str, str]
    fetched: dict[str, Any] | None = None


class Sources(NamedTuple):
    """What there is to say about a file: its state, and all sources, strongest first. `not_found`: Civitai was asked by
    another tool and does not know it."""

    state: str
    state_reason: str | None
    header: Header
    all: list[Source]
    warnings: list[str]
    not_found: bool = False


def read_sources(job: FileJob) -> Sources:
    """Read a model file's header and its side files. What cannot be read is a state or a warning."""
    warnings: list[str] = []
    state, reason, header = _read_model(os.path.join(job.directory, job.name))
    found: dict[str, Source] = {
        "ssmd": Ssmd(header.metadata),
        "modelspec": ModelSpec(header.metadata),
        "kohya": Training(header),
    }
    if job.fetched:
        found["civitai"] = CivitaiVersion("civitai", job.fetched)
    not_found = False
    for ending in (".civitai.info", ".json", ".metadata.json"):
        name = job.side_files.get(ending)
        if name is None:
            continue
        try:
            content = read_object(os.path.join(job.directory, name))
        except BrokenSideFile as error:
            warnings.append(str(error))
            continue
        dialect = dialects.dialect_of(name, content)
        not_found |= dialect == dialects.NOT_FOUND
        source = _source_of(dialect, ending, content, job, header)
        if source is not None:
            found[source.name] = source
    text = _read_text(job, warnings)
    if text:
        found["text"] = Text(text)
    return Sources(
        state, reason, header, [found[name] for name in ORDER if name in found], warnings, not_found
    )


def _source_of(
    dialect: str, ending: str, content: dict[str, Any], job: FileJob, header: Header
) -> Source | None:
    if dialect in (dialects.A1111, dialects.BROWSER):
        return UserMetadata(content)
    if dialect == dialects.MANAGER:
        return Manager(content, os.path.splitext(job.name)[0])
    if dialect in (dialects.SDNEXT, dialects.SDNEXT_SAVED, dialects.CIVITAI):
        claimed = header.metadata.get("sshs_model_hash", "").lower()
        version = civitai_version(content, job.name, job.size, claimed)
        return CivitaiVersion("info" if ending == ".civitai.info" else "sdnext", version)
    return None


def _read_model(path: str) -> tuple[str, str | None, Header]:
    extension = os.path.splitext(path)[1].lower()
    if extension != ".safetensors":
        return (
            "legacy",
            f"{extension} files can run code when opened, so they are listed but not read.",
            Header(0),
        )
    try:
        return "ok", None, read_header(path)
    except BrokenHeader as error:
        return "broken", str(error), Header(0)
    except OSError as error:
        return "unreadable", f"The file cannot be read: {error.strerror or error}.", Header(0)


def _read_text(job: FileJob, warnings: list[str]) -> str | None:
    for ending in (".description.txt", ".txt"):
        name = job.side_files.get(ending)
        if name is not None:
            try:
                text = read_text(os.path.join(job.directory, name))
            except BrokenSideFile as error:
                warnings.append(str(error))
                continue
            if text:
                return text
    return None


def said(sources: list[Source], field: str) -> Iterator[tuple[str, Any]]:
    """(source, value) of everybody who says something about a field, strongest first. A base model is a `BaseModel`."""
    if field == "base_model":
        sources = sorted(sources, key=lambda source: _BASE_MODEL_ORDER.index(source.name))
    for source in sources:
        value = getattr(source, field)()
        if value:
            yield value.source if isinstance(value, BaseModel) else source.name, value


def strongest(sources: list[Source], field: str, origins: dict[str, str]) -> Any:
    """The strongest value of a field, None where nobody says anything; who says it is noted in `origins`."""
    for source, value in said(sources, field):
        origins[field] = source
        return value
    return None


def trigger_words(sources: list[Source], origins: dict[str, str]) -> list[str]:
    """The strongest source's trigger words, each once."""
    return unique(strongest(sources, "trigger_words", origins) or [])


def tags(sources: list[Source], origins: dict[str, str]) -> list[str]:
    """The tags of all sources together, the strongest's first, each once."""
    everybody = list(said(sources, "tags"))
    if everybody:
        origins["tags"] = everybody[0][0]
    return unique([tag for _, of_one in everybody for tag in of_one])
