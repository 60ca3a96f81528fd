"""What one LoRA file and its side files say, as one record ready for the catalogue. Runs in reader processes.

Precedence of the sources, strongest first (docs/side-files.md): A1111 user metadata, `.metadata.json`, the header's
model spec, Civitai, training metadata. What the user says in the app stands above all of them, in `identities`.
"""

from __future__ import annotations

import html
import os
import re
from operator import itemgetter
from typing import Any, NamedTuple

import orjson

from sidecar.library import base_model
from sidecar.library.header import BrokenHeader, Header, read_header
from sidecar.library.side_files import (
    BrokenSideFile,
    choose_preview,
    civitai_version,
    read_object,
    read_text,
)

MAX_EXAMPLES = 12
MAX_TRAINING_TAGS = 50
MAX_DESCRIPTION = 40_000
MAX_SEARCH_TEXT = 4_000
EMBEDDED_PREVIEW = "@header"


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


class Record(NamedTuple):
    """Values for `loras` and `lora_texts`; lists are JSON texts."""

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
    notes: str | None
    description: str | None
    plain_description: str | None
    facts: str
    training_tags: str
    examples: str


def read_lora(job: FileJob) -> Record:
    """Read one file and its side files. Never raises for what is on disk: a broken file is a record that says so."""
    stem, extension = os.path.splitext(job.name)
    warnings: list[str] = []
    state, reason, header = _read_model(os.path.join(job.directory, job.name), extension.lower())
    user, manager, civitai, text = _read_side_files(job, warnings)
    meta = header.metadata
    model = _object(civitai.get("model"))
    sources: dict[str, str] = {}

    words = _first(
        sources,
        "trigger_words",
        a1111=_split(user.get("activation text")),
        modelspec=_split(meta.get("modelspec.trigger_phrase")),
        civitai=_strings(civitai.get("trainedWords")),
    )
    title = _first(
        sources,
        "title",
        manager=_string(manager.get("model_name")),
        civitai=_string(model.get("name")),
        modelspec=_string(meta.get("modelspec.title")),
    )
    weight = _first(
        sources,
        "weight",
        a1111=_number(user.get("preferred weight")),
        manager=_number(_usage_tips(manager).get("strength")),
    )
    notes = _first(sources, "notes", a1111=_string(user.get("notes")), manager=_string(manager.get("notes")))
    description = _first(
        sources,
        "description",
        text=_paragraphs(text),
        a1111=_paragraphs(_string(user.get("description"))),
        civitai=_string(model.get("description")) or _string(civitai.get("description")),
        manager=_string(manager.get("modelDescription")),
        modelspec=_paragraphs(_string(meta.get("modelspec.description"))),
    )
    base, base_reason = _base_model(header, civitai, manager)
    preview = choose_preview(job.side_files) or _embedded_preview(meta)
    tags = _unique(
        [*_strings(model.get("tags")), *_strings(manager.get("tags")), *_split(meta.get("modelspec.tags"))]
    )
    description = description[:MAX_DESCRIPTION] if description else None
    facts = _facts(header, civitai, model, manager)
    if warnings:
        facts["warnings"] = warnings
    facts["sources"] = sources
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
        base_model=base,
        base_model_reason=base_reason,
        title=title,
        alias=_string(meta.get("ss_output_name")),
        weight=weight,
        trigger_words=_json(_unique(words or [])),
        tags=_json(tags),
        preview_file=preview[0] if preview else None,
        preview_kind=preview[1] if preview else None,
        preview_stamp=f"{job.side_stamp & 0xFFFFFFFF:08x}" if preview else None,
        claimed_autov3=_string(meta.get("sshs_model_hash")),
        notes=notes,
        description=description,
        plain_description=_plain(description)[:MAX_SEARCH_TEXT] if description else None,
        facts=_json(facts),
        training_tags=_json(_training_tags(meta)),
        examples=_json(_examples(civitai)),
    )


def _read_model(path: str, extension: str) -> tuple[str, str | None, Header]:
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


def _read_side_files(
    job: FileJob, warnings: list[str]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], str | None]:
    """A1111 user metadata, `.metadata.json`, Civitai's version and the text, each empty when absent or broken."""

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
    if "modelVersions" in user:
        user = {}
    text = None
    for ending in (".description.txt", ".txt"):
        name = job.side_files.get(ending)
        if name is not None and text is None:
            try:
                text = read_text(os.path.join(job.directory, name)) or None
            except BrokenSideFile as error:
                warnings.append(str(error))
    return user, manager, civitai, text


def _base_model(header: Header, civitai: dict[str, Any], manager: dict[str, Any]) -> tuple[str, str]:
    for content, key, where in (
        (civitai, "baseModel", "Civitai"),
        (manager, "base_model", "The .metadata.json file"),
    ):
        stated = base_model.from_civitai(_string(content.get(key)) or "")
        if stated not in (base_model.UNKNOWN, "Unknown"):
            return stated, f"{where} says {content[key]!r}."
    return base_model.detect(header)


def _embedded_preview(meta: dict[str, str]) -> tuple[str, str] | None:
    has_one = (
        meta.get("modelspec.thumbnail", "").startswith("data:image/")
        or meta.get("ssmd_cover_images", "[]") > "[]"
    )
    return (EMBEDDED_PREVIEW, "image") if has_one else None


def _facts(
    header: Header, civitai: dict[str, Any], model: dict[str, Any], manager: dict[str, Any]
) -> dict[str, Any]:
    """Author, page and version, and what training wrote, without empty entries."""
    meta = header.metadata
    model_id, version_id = civitai.get("modelId"), civitai.get("id")
    creator = _object(civitai.get("creator")) or _object(model.get("creator"))
    facts = {
        "author": _string(creator.get("username")) or _string(meta.get("modelspec.author")),
        "version": _string(civitai.get("name")),
        "url": _page(model_id, version_id),
        "training": {
            name: meta[key]
            for name, key in _TRAINING_FACTS.items()
            if isinstance(meta.get(key), str) and meta[key] not in ("", "None", "{}")
        },
    }
    return {name: value for name, value in facts.items() if value}


_TRAINING_FACTS = {
    "rank": "ss_network_dim",
    "alpha": "ss_network_alpha",
    "module": "ss_network_module",
    "checkpoint": "ss_sd_model_name",
    "resolution": "ss_resolution",
    "images": "ss_num_train_images",
    "epochs": "ss_num_epochs",
    "steps": "ss_steps",
    "clip_skip": "ss_clip_skip",
    "optimizer": "ss_optimizer",
    "started": "ss_training_started_at",
}


def _page(model_id: Any, version_id: Any) -> str | None:
    if not isinstance(model_id, int) or model_id <= 0:
        return None
    version = f"?modelVersionId={version_id}" if isinstance(version_id, int) and version_id > 0 else ""
    return f"https://civitai.com/models/{model_id}{version}"


def _training_tags(meta: dict[str, str]) -> list[tuple[str, int]]:
    """`ss_tag_frequency` of all datasets added up, most frequent first: [[tag, count], …]."""
    try:
        datasets = orjson.loads(meta.get("ss_tag_frequency") or "{}")
    except orjson.JSONDecodeError:
        return []
    counts: dict[str, int] = {}
    for dataset in _object(datasets).values():
        tags = _object(dataset)
        if not set(map(type, tags.values())) <= {int}:
            tags = {tag: count for tag, count in tags.items() if isinstance(count, int)}
        if counts:
            for tag, count in tags.items():
                counts[tag] = counts.get(tag, 0) + count
        else:
            counts = tags
    ranked = sorted(counts.items(), key=itemgetter(1), reverse=True)[:MAX_TRAINING_TAGS]
    return [(tag.strip()[:200], count) for tag, count in ranked if tag.strip()]


def _examples(civitai: dict[str, Any]) -> list[dict[str, Any]]:
    """Example prompts from Civitai's images, those that have one."""
    found = []
    images = civitai.get("images")
    for image in images if isinstance(images, list) else []:
        meta = _object(_object(image).get("meta"))
        prompt = _string(meta.get("prompt"))
        if prompt:
            found.append(
                {
                    "prompt": prompt[:8000],
                    "negative_prompt": (_string(meta.get("negativePrompt")) or "")[:8000],
                    "sampler": _string(meta.get("sampler")),
                    "steps": _number(meta.get("steps")),
                    "cfg": _number(meta.get("cfgScale")),
                    "seed": _number(meta.get("seed")),
                    "size": _string(meta.get("Size")),
                    "checkpoint": _string(meta.get("Model")),
                    "url": _string(image.get("url")),
                }
            )
        if len(found) == MAX_EXAMPLES:
            break
    return found


def _usage_tips(manager: dict[str, Any]) -> dict[str, Any]:
    tips = manager.get("usage_tips")
    if isinstance(tips, str):
        try:
            tips = orjson.loads(tips or "{}")
        except orjson.JSONDecodeError:
            return {}
    return _object(tips)


def _first(sources: dict[str, str], field: str, **values: Any) -> Any:
    """The first value that says something; its source is noted under `field`."""
    for source, value in values.items():
        if value:
            sources[field] = source
            return value
    return None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _string(value: Any) -> str | None:
    return (value.strip() or None) if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if abs(number) < 1e18 else None


def _strings(value: Any) -> list[str]:
    """The texts of a list, each without the comma authors leave at its end."""
    if not isinstance(value, list):
        return []
    return [
        text for text in (item.strip().strip(",").strip() for item in value if isinstance(item, str)) if text
    ]


def _split(value: Any) -> list[str]:
    return _strings(value.split(",")) if isinstance(value, str) else []


def _unique(words: list[str]) -> list[str]:
    return list({word.lower(): word[:500] for word in reversed(words)}.values())[::-1]


def _paragraphs(text: str | None) -> str | None:
    return f"<p>{html.escape(text)}</p>" if text else None


def _plain(description: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", description))).strip()


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
