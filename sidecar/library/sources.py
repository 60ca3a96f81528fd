"""Everything that is said about one LoRA file: its header and its side files, read and told apart. Never raises.

Precedence of the sources, strongest first (docs/side-files.md): A1111 user metadata, `.metadata.json`, the header's
model spec, Civitai. What the user says in the app stands above all of them, in `identities`.
"""

from __future__ import annotations

import html
import os
from typing import Any, NamedTuple

import orjson

from sidecar.library.header import BrokenHeader, Header, read_header
from sidecar.library.side_files import BrokenSideFile, civitai_version, read_object, read_text


class FileJob(NamedTuple):
    """A file to read: its folder on disk, name, stat, and side files as ending → name."""

    root_id: int
    folder: str
    directory: str
    name: str
    size: int
    mtime_ns: int
    side_stamp: int
    side_files: dict[str, str]


class Sources(NamedTuple):
    """What each source says; empty where there is none. `model` is Civitai's model of the version `civitai`."""

    state: str
    state_reason: str | None
    header: Header
    user: dict[str, Any]
    manager: dict[str, Any]
    civitai: dict[str, Any]
    model: dict[str, Any]
    text: str | None
    warnings: list[str]


def read_sources(job: FileJob) -> Sources:
    """Read a model file's header and its side files. What cannot be read is a state or a warning."""
    warnings: list[str] = []
    state, reason, header = _read_model(os.path.join(job.directory, job.name))

    def read(ending: str) -> dict[str, Any]:
        name = job.side_files.get(ending)
        if name is None:
            return {}
        try:
            return read_object(os.path.join(job.directory, name))
        except BrokenSideFile as error:
            warnings.append(str(error))
            return {}

    info, user, manager = read(".civitai.info"), read(".json"), read(".metadata.json")
    candidates = (civitai_version(content, job.name) for content in (info, user, manager))
    civitai: dict[str, Any] = next((found for found in candidates if found), {})
    if "modelVersions" in user:  # SDNext's copy of a Civitai model, no user metadata
        user = {}
    model = as_object(civitai.get("model"))
    return Sources(state, reason, header, user, manager, civitai, model, _read_text(job, warnings), warnings)


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
                return read_text(os.path.join(job.directory, name)) or None
            except BrokenSideFile as error:
                warnings.append(str(error))
    return None


class Chosen(NamedTuple):
    """The strongest value for every field that several sources may have, and in `origins` which one gave it."""

    title: str | None
    trigger_words: list[str]
    weight: float | None
    notes: str | None
    description: str | None
    origins: dict[str, str]


def choose(sources: Sources) -> Chosen:
    """Apply the precedence, field by field."""
    user, manager, civitai, model = sources.user, sources.manager, sources.civitai, sources.model
    meta = sources.header.metadata
    origins: dict[str, str] = {}

    def first(field: str, **values: Any) -> Any:
        for source, value in values.items():
            if value:
                origins[field] = source
                return value
        return None

    return Chosen(
        title=first(
            "title",
            manager=as_string(manager.get("model_name")),
            civitai=as_string(model.get("name")),
            modelspec=as_string(meta.get("modelspec.title")),
        ),
        trigger_words=unique(
            first(
                "trigger_words",
                a1111=split(user.get("activation text")),
                modelspec=split(meta.get("modelspec.trigger_phrase")),
                civitai=as_strings(civitai.get("trainedWords")),
            )
            or []
        ),
        weight=first(
            "weight",
            a1111=as_number(user.get("preferred weight")),
            manager=as_number(_usage_tips(manager).get("strength")),
        ),
        notes=first("notes", a1111=as_string(user.get("notes")), manager=as_string(manager.get("notes"))),
        description=first(
            "description",
            text=paragraph(sources.text),
            a1111=paragraph(as_string(user.get("description"))),
            civitai=as_string(model.get("description")) or as_string(civitai.get("description")),
            manager=as_string(manager.get("modelDescription")),
            modelspec=paragraph(as_string(meta.get("modelspec.description"))),
        ),
        origins=origins,
    )


def _usage_tips(manager: dict[str, Any]) -> dict[str, Any]:
    tips = manager.get("usage_tips")
    if isinstance(tips, str):
        try:
            tips = orjson.loads(tips or "{}")
        except orjson.JSONDecodeError:
            return {}
    return as_object(tips)


def as_object(value: Any) -> dict[str, Any]:
    """`value` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_string(value: Any) -> str | None:
    """A text that says something, else None."""
    return (value.strip() or None) if isinstance(value, str) else None


def as_number(value: Any) -> float | None:
    """A finite number, also one written as text, else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if abs(number) < 1e18 else None


def as_strings(value: Any) -> list[str]:
    """The texts of a list, each without the comma authors leave at its end."""
    if not isinstance(value, list):
        return []
    return [
        text for text in (item.strip().strip(",").strip() for item in value if isinstance(item, str)) if text
    ]


def split(value: Any) -> list[str]:
    """The parts of a text between commas."""
    return as_strings(value.split(",")) if isinstance(value, str) else []


def unique(words: list[str]) -> list[str]:
    """Words without repeats, whatever their case, in order."""
    found: dict[str, str] = {}
    for word in words:
        found.setdefault(word.lower(), word[:500])
    return list(found.values())


def paragraph(text: str | None) -> str | None:
    """Plain text as HTML."""
    return f"<p>{html.escape(text)}</p>" if text else None
