"""Newer versions of models that the user has a version of, told by the last check; some may be ignored."""

from __future__ import annotations

import logging
import re
from functools import partial
from typing import Any

import orjson

from sidecar.database import Database
from sidecar.library.civitai.client import BATCH, CivitaiTrouble, Client, Unreachable
from sidecar.library.civitai.stored import save_models
from sidecar.library.foreign import as_id, as_list, as_number, as_object, as_string
from sidecar.library.queries import read_items
from sidecar.state import State
from sidecar.tasks import Task

log = logging.getLogger("lora-manager.civitai")

_PAGE = re.compile(r"/models/([0-9]{1,19})(?![0-9])(?:\?modelVersionId=([0-9]{1,19})(?![0-9]))?")
_LARGEST_SIZE = 2**53


def check_updates(state: State, task: Task, lora_ids: list[int] | None) -> dict[str, int]:
    """Ask for the models of these LoRAs, or of all that are known to come from Civitai.

    Returns {"checked": models, "updates": models with newer versions, "gone": models that Civitai no longer has}.

    Raises:
        CivitaiTrouble: no sensible answer after several tries; what was answered before is kept.
    """
    models = sorted({model for model, _ in owned_versions(state.database, lora_ids).values()})
    task.total = len(models)
    gone = 0
    client = Client(state.settings, task.cancel_asked)
    try:
        for start in range(0, len(models), BATCH):
            batch = models[start : start + BATCH]
            answered = _ask_models(client, batch, task)
            gone += sum(model is None for model in answered.values())
            state.database.write(partial(save_models, models=answered))
            task.advance(len(batch))
    finally:
        client.close()
    state.events.publish("civitai.updates")
    return {"checked": len(models), "updates": len(list_updates(state.database)), "gone": gone}


def _ask_models(client: Client, model_ids: list[int], task: Task) -> dict[int, dict[str, Any] | None]:
    """Models by id; None for those that Civitai itself says it does not have.

    The list leaves out what is archived or not public: those are asked for one by one, and only a 404 means gone. Of
    those that are refused nothing is said.

    Raises:
        Unreachable: no sensible answer after several tries.
    """
    answered: dict[int, dict[str, Any] | None] = {}
    answered.update(client.models(model_ids))
    for model_id in model_ids:
        if model_id in answered:
            continue
        task.advance(0)
        try:
            model = client.model(model_id)
        except Unreachable:
            raise
        except CivitaiTrouble as error:
            log.info("Model %d is not told: %s", model_id, error.message)
            continue
        answered[model_id] = None if model is None else {**model, "id": model_id}
    return {model_id: answered[model_id] for model_id in model_ids if model_id in answered}


def owned_versions(
    database: Database, lora_ids: list[int] | None = None
) -> dict[int, tuple[int, int | None]]:
    """(model id, version id) by LoRA, from whatever says so: a lookup or a side file."""
    wanted = "" if lora_ids is None else "AND l.id IN (SELECT value FROM json_each(?))"
    values = [] if lora_ids is None else [orjson.dumps(lora_ids).decode()]
    rows = database.reader().execute(
        f"""SELECT l.id, json_extract(t.facts, '$.url') AS url FROM loras l JOIN lora_texts t ON t.lora_id = l.id
            WHERE l.present AND url IS NOT NULL {wanted}""",
        values,
    )
    found = {}
    for row in rows:
        page = _PAGE.search(row["url"])
        model_id = as_id(int(page[1])) if page else None
        if page and model_id:
            found[row["id"]] = (model_id, as_id(int(page[2])) if page[2] else None)
    return found


def list_updates(database: Database) -> list[dict[str, Any]]:
    """Models with versions newer than every owned one: {"lora", "model", "current", "newer"}, latest first."""
    reader = database.reader()
    owned: dict[int, dict[int, int]] = {}
    for lora_id, (model_id, version_id) in owned_versions(database).items():
        if version_id is not None:
            owned.setdefault(model_id, {})[version_id] = lora_id
    ignored = {(row[0], row[1]) for row in reader.execute("SELECT model_id, version_id FROM civitai_ignored")}
    rows = reader.execute("SELECT model_id, model FROM civitai_models WHERE state = 'found'")
    found = []
    for row in rows:
        model_id = row["model_id"]
        if model_id not in owned or (model_id, 0) in ignored:
            continue
        model = orjson.loads(row["model"])
        update = _newer(model, owned[model_id], {version for of, version in ignored if of == model_id})
        if update:
            found.append((update, model))
    items = {item["id"]: item for item in read_items(reader, [update["lora_id"] for update, _ in found])}
    updates = [
        {
            "lora": items.get(update.pop("lora_id")),
            "model": {"id": model["id"], "name": model.get("name"), "url": _page(model["id"])},
            **update,
        }
        for update, model in found
    ]
    return sorted(updates, key=lambda update: update["newer"][0]["published"] or "", reverse=True)


def _newer(model: dict[str, Any], owned: dict[int, int], ignored: set[int]) -> dict[str, Any] | None:
    """What there is beyond the newest owned version, versions for its base model first."""
    versions = [describe_version(version) for version in _versions(model)]
    current = max(
        (version for version in versions if version["id"] in owned),
        key=lambda version: version["published"] or "",
        default=None,
    )
    if current is None:
        return None
    newer = [
        version
        for version in versions
        if version["id"] not in owned
        and version["id"] not in ignored
        and (version["published"] or "") > (current["published"] or "")
        and version["files"]
    ]
    if not newer:
        return None
    newer.sort(key=lambda version: version["published"] or "", reverse=True)
    newer.sort(key=lambda version: version["base_model"] != current["base_model"])
    return {"lora_id": owned[current["id"]], "current": current, "newer": newer}


def newer_of(database: Database, model: dict[str, Any], version_id: int) -> list[dict[str, Any]]:
    """Versions of a model that are newer than one of it, ignored ones left out."""
    reader = database.reader()
    rows = reader.execute("SELECT version_id FROM civitai_ignored WHERE model_id = ?", (model.get("id"),))
    ignored = {row[0] for row in rows}
    update = None if 0 in ignored else _newer(model, {version_id: 0}, ignored)
    return update["newer"] if update else []


def ignore(database: Database, model_id: int, version_id: int | None, wanted: bool) -> None:
    """Offer a version (None: any of the model) no more, or again."""
    sql = (
        "INSERT OR IGNORE INTO civitai_ignored (model_id, version_id) VALUES (?, ?)"
        if wanted
        else "DELETE FROM civitai_ignored WHERE model_id = ? AND version_id = ?"
    )
    database.write(lambda connection: connection.execute(sql, (model_id, version_id or 0)))


def describe_version(version: dict[str, Any]) -> dict[str, Any]:
    """A version as the API gives it: {"id", "name", "base_model", "published", "size" in bytes, "files"}."""
    files = [
        {
            "id": as_id(file.get("id")),
            "name": as_string(file.get("name")) or "",
            "size": size_of(file),
            "primary": bool(file.get("primary")),
        }
        for file in as_list(version.get("files"))
        if isinstance(file, dict) and file.get("type", "Model") == "Model"
    ]
    files.sort(key=lambda file: not file["primary"])
    return {
        "id": as_id(version.get("id")),
        "name": as_string(version.get("name")) or "",
        "base_model": as_string(version.get("baseModel")) or "",
        "published": as_string(version.get("publishedAt")) or as_string(version.get("createdAt")),
        "size": files[0]["size"] if files else 0,
        "files": files,
    }


def size_of(file: dict[str, Any]) -> int:
    """A file's size in bytes as Civitai states it, 0 when it does not or it cannot be."""
    size = (as_number(file.get("sizeKB")) or 0) * 1024
    return round(size) if 0 < size < _LARGEST_SIZE else 0


def _versions(model: dict[str, Any]) -> list[dict[str, Any]]:
    found = [as_object(version) for version in as_list(model.get("modelVersions"))]
    return [version for version in found if as_id(version.get("id"))]


def _page(model_id: int) -> str:
    return f"https://civitai.com/models/{model_id}"
