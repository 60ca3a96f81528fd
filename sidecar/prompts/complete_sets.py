"""Sets by what is typed of their names, with what completion shows of them."""

from __future__ import annotations

from functools import partial
from typing import Any

from sidecar.database import Database
from sidecar.memo import remember
from sidecar.prompts.sets.reading import get_set


def find_sets(database: Database, typed: str, limit: int) -> list[dict[str, Any]]:
    """Sets whose name begins with `typed`, then those that have it anywhere; by name.

    `{"id", "name", "preview", "preview_stamp", "previews", "base_model", "loras", "levels"}`: `loras` is how many,
    `levels` their NSFW levels by id, `base_model` as the user says, else what most of them are for.
    """
    wanted = typed.strip().casefold()
    names = remember(database, "names of sets", lambda: _names(database))
    ranked = sorted((not name.startswith(wanted), name, number) for name, number in names if wanted in name)
    return [
        _short(remember(database, ("a set", number), partial(get_set, database, number)))
        for _, _, number in ranked[:limit]
    ]


def _names(database: Database) -> list[tuple[str, int]]:
    rows = database.reader().execute("SELECT id, name FROM sets WHERE deleted IS NULL")
    return [(row["name"].casefold(), row["id"]) for row in rows]


def _short(found: dict[str, Any]) -> dict[str, Any]:
    return {
        **{key: found[key] for key in ("id", "name", "preview", "preview_stamp", "previews")},
        "base_model": found["base_model"] or found["detected_base_model"],
        "loras": len(found["loras"]),
        "levels": {lora["lora_id"]: lora["nsfw"] for lora in found["loras"]},
    }
