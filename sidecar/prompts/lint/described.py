"""The tags of a prompt as the page shows them: what each stands for, its numbers and where they stand, its words."""

from __future__ import annotations

from typing import Any

from sidecar.library.queries import read_items
from sidecar.prompts.draws import read_draw
from sidecar.prompts.grammar import Tag, find_tags, format_weight, to_number
from sidecar.prompts.lint.problems import NEGATIVE, PROMPT, Look
from sidecar.prompts.sets.reading import PREVIEWS, base_of, find_set
from sidecar.prompts.words import Said

MAX_TAGS = 1_000


def describe_tags(look: Look) -> list[dict[str, Any]]:
    """Up to `MAX_TAGS` tags of the prompt, then of the negative prompt."""
    tags = [(tag, PROMPT) for tag in look.tags] + [(tag, NEGATIVE) for tag in find_tags(look.negative)]
    tags = tags[:MAX_TAGS]
    found = {tag.name: look.request.resolve(tag.name) for tag, _ in tags if tag.is_lora and not tag.is_draw}
    ids = list({one.id for one in found.values() if one})
    items = {item["id"]: item for item in read_items(look.request.database.reader(), ids)}
    said = {PROMPT: Said(look.prompt), NEGATIVE: Said(look.negative)}
    described = []
    for tag, field in tags:
        lora = found.get(tag.name) if tag.is_lora and not tag.is_draw else None
        words = [
            {
                "text": word,
                "group": group.name,
                "present": said[NEGATIVE if group.negative else PROMPT].has(word),
                "negative": group.negative,
                "mode": group.mode,
            }
            for group in (lora.groups if lora else [])
            for word in group.words
        ]
        described.append(
            {
                **_describe(tag),
                "field": field,
                "lora": items.get(lora.id) if lora else None,
                "set": _describe_set(look, tag) if tag.is_set else None,
                "words": words,
            }
        )
    return described


def _describe(tag: Tag) -> dict[str, Any]:
    start, end = _weight_place(tag)
    return {
        "start": tag.start,
        "end": tag.end,
        "kind": "draw" if tag.is_draw else tag.kind.lower(),
        "name": read_draw(tag).query if tag.is_draw else tag.name.strip(),
        "weight": _weight(tag),
        "weights": _weights(tag),
        "weight_start": start,
        "weight_end": end,
        **{key: _number(tag.named(key)) for key in ("te", "unet", "in", "mid", "out", "dyn")},
    }


def _weight(tag: Tag) -> float | None:
    weight = None if tag.is_draw else tag.weight
    return weight if weight is None or abs(weight) < 1e6 else None  # neither nan nor inf


def _weights(tag: Tag) -> tuple[float, float] | None:
    """The range that a draw takes its weight out of."""
    weights = read_draw(tag).weights if tag.is_draw else None
    return weights if weights is None or max(map(abs, weights)) < 1e6 else None


def _weight_place(tag: Tag) -> tuple[int, int]:
    """Where the weight, or a draw's range, stands in the prompt; an empty place behind the name when there is none."""
    if tag.is_draw:
        return _range_place(tag)
    position = tag.weight_position
    start = tag.start + len(tag.kind) + 2 + len(tag.name)
    if position is None:
        return start, start
    start += sum(len(argument) + 1 for argument in tag.arguments[:position]) + 1
    return start, start + len(tag.arguments[position])


def _range_place(tag: Tag) -> tuple[int, int]:
    draw = read_draw(tag)
    parts = tag.inner.split(":")
    before = parts[: len(parts) - len(draw.arguments)]
    start = tag.start + len(tag.kind) + 2
    end = start + sum(len(part) + 1 for part in before) - 1
    return (end - len(before[-1]), end) if draw.weights else (end, end)


def _number(text: str | None) -> float | None:
    number = to_number(text) if text is not None else None
    return number if number is None or abs(number) < 1e6 else None


def _describe_set(look: Look, tag: Tag) -> dict[str, Any] | None:
    found = find_set(look.request.database, tag.name)
    if found is None:
        return None
    return {
        "id": found.id,
        "name": found.name,
        "version": found.version,
        "base_model": base_of([member.base_model for member in found.members]),
        "previews": [member.lora_id for member in found.members if member.preview][:PREVIEWS],
        "text": f"<set:{found.name}>",
        "loras": [
            {
                "name": member.name,
                "weight": None if member.said.get("weight") is None else format_weight(member.said["weight"]),
            }
            for member in found.members
        ],
    }
