"""What differs between files that are duplicates, field by field, for the page on which one is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import orjson

from sidecar.database import Database
from sidecar.errors import BadRequest, NotFound
from sidecar.library.details import get_detail
from sidecar.library.weights.duplicates import describe_files

MOST = 50
MAX_VALUE = 2_000  # characters of one header value
SECONDS = 10.0
MOST_MEASURED = 12

_FROM_ITEM = (
    "name", "title", "folder", "size", "precision", "rank", "network", "state", "added", "modified", "base_model",
    "trigger_words", "tags", "favorite", "rating", "label", "weight", "nsfw", "hidden", "used",
)  # fmt: skip
_FROM_DETAIL = ("notes", "negative_prompt", "author", "version")


def compare(database: Database, lora_ids: Sequence[int]) -> dict[str, Any]:
    """{"fields": [{field, values by id, same}], "header": [{key, values by id}] (only what differs), "similarity"}.

    `similarity` is the cosine of the weights, the lowest of all pairs: 1 for the same bytes, what the comparison found for
    weights saved otherwise, else worked out now; null when that cannot be done, or not in `SECONDS`.

    Raises:
        BadRequest: fewer than two ids, or too many. NotFound: no such LoRA.
    """
    ids = list(dict.fromkeys(lora_ids))
    if not 2 <= len(ids) <= MOST:
        raise BadRequest(f"Name 2 to {MOST} LoRAs to compare.")
    items = describe_files(database, ids)
    missing = [lora_id for lora_id in ids if lora_id not in items]
    if missing:
        raise NotFound(f"There is no LoRA with the id {missing[0]}.")
    details = {lora_id: get_detail(database, lora_id) for lora_id in ids}
    facts = {lora_id: _facts(items[lora_id], details[lora_id]) for lora_id in ids}
    fields = [
        {
            "field": field,
            "values": {str(lora_id): facts[lora_id][field] for lora_id in ids},
            "same": all(facts[lora_id][field] == facts[ids[0]][field] for lora_id in ids),
        }
        for field in facts[ids[0]]
    ]
    return {
        "fields": fields,
        "header": _differing_header({lora_id: details[lora_id]["metadata"] for lora_id in ids}),
        "similarity": _known_similarity(database, ids) or _measured_similarity(database, ids),
    }


def _facts(item: dict[str, Any], detail: dict[str, Any]) -> dict[str, Any]:
    preview = item["preview"]
    return {
        **{field: item[field] for field in _FROM_ITEM},
        "trained": _trained(detail["metadata"]),
        **{field: detail.get(field) for field in _FROM_DETAIL},
        "preview": preview and preview["kind"],
        "side_files": detail["side_files"],
        "sha256": detail["hashes"]["sha256"],
        "autov3": detail["hashes"]["autov3"],
    }


def _trained(metadata: dict[str, str]) -> str | None:
    """When training began, as kohya writes it (seconds), else the date of the model specification."""
    try:
        started = datetime.fromtimestamp(float(metadata.get("ss_training_started_at", "")), timezone.utc)
        return started.date().isoformat()
    except (ValueError, OverflowError, OSError):
        return metadata.get("modelspec.date") or None


def _differing_header(headers: dict[int, dict[str, str]]) -> list[dict[str, Any]]:
    keys = sorted({key for header in headers.values() for key in header})
    differing = []
    for key in keys:
        values = {str(lora_id): header.get(key) for lora_id, header in headers.items()}
        if len(set(values.values())) > 1:
            shown = {one: value and value[:MAX_VALUE] for one, value in values.items()}
            differing.append({"key": key, "values": shown})
    return differing


def _measured_similarity(database: Database, ids: list[int]) -> float | None:
    if len(ids) > MOST_MEASURED:
        return None
    from sidecar.recommend.weightspace.answering import lowest_cosine  # numpy is loaded when there is work

    return lowest_cosine(database, ids, SECONDS)


def _known_similarity(database: Database, ids: list[int]) -> float | None:
    reader = database.reader()
    marks = orjson.dumps(ids).decode()
    rows = reader.execute(
        "SELECT DISTINCT l.body_hash FROM json_each(?) wanted JOIN loras l ON l.id = wanted.value", (marks,)
    )
    bodies = [row[0] for row in rows]
    if None in bodies:
        return None
    if len(bodies) == 1:
        return 1.0
    lowest = 1.0
    for place, one in enumerate(bodies):
        found = [
            reader.execute(
                "SELECT similarity FROM resaved WHERE a = ? AND b = ? AND state != 'candidate'",
                (min(one, other), max(one, other)),
            ).fetchone()
            for other in bodies[place + 1 :]
        ]
        if None in found:
            return None
        lowest = min([lowest, *(row[0] for row in found)])
    return lowest
