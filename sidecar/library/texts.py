"""The long parts of what a LoRA's files say: description, training tags, examples, facts. Read after the list is shown."""

from __future__ import annotations

from operator import itemgetter
from typing import NamedTuple

import orjson

from sidecar.library.foreign import as_object
from sidecar.library.header import Header
from sidecar.library.sources import FIELDS, FileJob, read_sources, strongest

MAX_TRAINING_TAGS = 50
MAX_DESCRIPTION = 40_000
MAX_NAME = 500


class Texts(NamedTuple):
    """Values for `lora_texts`; lists and objects are JSON texts."""

    notes: str | None
    description: str | None
    facts: str
    training_tags: str
    examples: str


NO_TEXTS = Texts(None, None, "{}", "[]", "[]")


def read_texts(job: FileJob) -> Texts:
    """Read the long parts of one file and its side files. Never raises for what is on disk."""
    sources = read_sources(job)
    origins: dict[str, str] = {}
    values = {field: strongest(sources.all, field, origins) for field in (*FIELDS, "examples")}
    facts = {
        "author": (values["author"] or "")[:MAX_NAME],
        "version": (values["version"] or "")[:MAX_NAME],
        "url": values["url"],
        "training": _training(sources.header),
        "not_on_civitai": sources.not_found,
        "warnings": sources.warnings,
        "sources": origins,
    }
    return Texts(
        notes=values["notes"],
        description=values["description"][:MAX_DESCRIPTION] if values["description"] else None,
        facts=orjson.dumps({name: value for name, value in facts.items() if value}).decode(),
        training_tags=orjson.dumps(_training_tags(sources.header)).decode(),
        examples=orjson.dumps(values["examples"] or []).decode(),
    )


def _training(header: Header) -> dict[str, str]:
    """What training wrote, without empty entries."""
    facts = {name: header.metadata.get(key, "") for name, key in _TRAINING_FACTS.items()}
    return {name: value[:MAX_NAME] for name, value in facts.items() if value not in ("", "None", "{}")}


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


def _training_tags(header: Header) -> list[tuple[str, int]]:
    """`ss_tag_frequency` of all datasets added up, most frequent first: [[tag, count], …]."""
    try:
        datasets = orjson.loads(header.metadata.get("ss_tag_frequency") or "{}")
    except orjson.JSONDecodeError:
        return []
    counts: dict[str, int] = {}
    for dataset in as_object(datasets).values():
        tags = as_object(dataset)
        if not set(map(type, tags.values())) <= {int}:
            tags = {tag: count for tag, count in tags.items() if isinstance(count, int)}
        if counts:
            for tag, count in tags.items():
                counts[tag] = counts.get(tag, 0) + count
        else:
            counts = tags
    ranked = sorted(counts.items(), key=itemgetter(1), reverse=True)[:MAX_TRAINING_TAGS]
    return [(tag.strip()[:200], count) for tag, count in ranked if tag.strip()]
