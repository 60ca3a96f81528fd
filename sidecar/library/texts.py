"""The long parts of what a LoRA's files say: description, training tags, examples, facts. Read after the list is shown."""

from __future__ import annotations

from operator import itemgetter
from typing import Any, NamedTuple

import orjson

from sidecar.library.header import Header
from sidecar.library.sources import FileJob, Sources, as_number, as_object, as_string, choose, read_sources

MAX_EXAMPLES = 12
MAX_TRAINING_TAGS = 50
MAX_DESCRIPTION = 40_000


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
    chosen = choose(sources)
    facts = _facts(sources)
    facts["sources"] = chosen.origins
    if sources.warnings:
        facts["warnings"] = sources.warnings
    return Texts(
        notes=chosen.notes,
        description=chosen.description[:MAX_DESCRIPTION] if chosen.description else None,
        facts=orjson.dumps(facts).decode(),
        training_tags=orjson.dumps(_training_tags(sources.header)).decode(),
        examples=orjson.dumps(_examples(sources.civitai)).decode(),
    )


def _facts(sources: Sources) -> dict[str, Any]:
    """Author, page and version, and what training wrote, without empty entries."""
    meta, civitai = sources.header.metadata, sources.civitai
    model_id, version_id = civitai.get("modelId"), civitai.get("id")
    creator = as_object(civitai.get("creator")) or as_object(sources.model.get("creator"))
    facts = {
        "author": as_string(creator.get("username")) or as_string(meta.get("modelspec.author")),
        "version": as_string(civitai.get("name")),
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


def _examples(civitai: dict[str, Any]) -> list[dict[str, Any]]:
    """Example prompts from Civitai's images, those that have one."""
    found = []
    images = civitai.get("images")
    for image in images if isinstance(images, list) else []:
        meta = as_object(as_object(image).get("meta"))
        prompt = as_string(meta.get("prompt"))
        if prompt:
            found.append(
                {
                    "prompt": prompt[:8000],
                    "negative_prompt": (as_string(meta.get("negativePrompt")) or "")[:8000],
                    "sampler": as_string(meta.get("sampler")),
                    "steps": as_number(meta.get("steps")),
                    "cfg": as_number(meta.get("cfgScale")),
                    "seed": as_number(meta.get("seed")),
                    "size": as_string(meta.get("Size")),
                    "checkpoint": as_string(meta.get("Model")),
                    "url": as_string(image.get("url")),
                }
            )
        if len(found) == MAX_EXAMPLES:
            break
    return found
