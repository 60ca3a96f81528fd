"""HTTP for Civitai. Each of these asks the outside only because the user asked for it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, Field

from sidecar.errors import BadRequest, NotFound
from sidecar.library.civitai import downloads, stored, updates
from sidecar.library.civitai.asking import choose_in_time
from sidecar.library.civitai.choosing import choose_folder
from sidecar.library.civitai.lookup import look_up
from sidecar.library.organise.selection import Selection, selected_ids
from sidecar.responses import json_response
from sidecar.state import State, get_state

router = APIRouter(tags=["civitai"])

Sidecar = Annotated[State, Depends(get_state)]
Number = Annotated[int, Path(ge=0, lt=2**63)]
Id = Annotated[int, Field(ge=1, lt=2**63)]


class Lookup(BaseModel):
    """Which LoRAs to ask for; `missing` means all that were never asked for, `again` those asked for before too."""

    selection: Selection = Selection()
    missing: bool = False
    again: bool = False


@router.post("/civitai/lookup", status_code=202)
def start_lookup(request: Lookup, state: Sidecar) -> Response:
    """Ask Civitai which model versions files are, by their hashes."""
    ids = None if request.missing else _selected(state, request.selection)
    title = "Look up all LoRAs on Civitai" if ids is None else f"Look up {len(ids):,} LoRAs on Civitai"
    task = state.tasks.start(
        "civitai", title, lambda task: look_up(state, task, ids, again=request.again), alone=ids is None
    )
    return json_response({"task": task.id}, 202)


def _selected(state: State, selection: Selection) -> list[int]:
    collection = selection.filter.collection if selection.filter else None
    for number in (*(selection.ids or ()), *(() if collection is None else (collection,))):
        if not 0 <= number < 2**63:
            raise BadRequest(
                f"There is nothing with the id {str(number)[:30]}; an id is a positive 64 bit number."
            )
    return selected_ids(state.database, selection)


@router.get("/civitai/status")
def get_status(state: Sidecar) -> Response:
    """Of how many files Civitai was asked."""
    return json_response(stored.count_status(state.database))


@router.get("/loras/{lora_id}/civitai")
def get_answer(lora_id: Number, state: Sidecar) -> Response:
    """What Civitai said of one LoRA, and newer versions as of the last check."""
    row = state.database.reader().execute("SELECT sha256 FROM loras WHERE id = ?", (lora_id,)).fetchone()
    if row is None:
        raise NotFound(f"There is no LoRA with the id {lora_id}.")
    answer = stored.get_answer(state.database, row["sha256"])
    version = answer["version"]
    model_id, version_id = updates.owned_versions(state.database, [lora_id]).get(lora_id, (None, None))
    model = stored.get_model(state.database, model_id) if model_id else None
    newer: list[dict[str, Any]] = []
    if model and version_id:
        newer = updates.newer_of(state.database, model, version_id)
    return json_response(
        {
            **answer,
            "version": version and updates.describe_version(version),
            "model": _describe_model(version, model, model_id),
            "newer": newer,
        }
    )


def _describe_model(
    version: dict[str, Any] | None, model: dict[str, Any] | None, model_id: int | None
) -> dict[str, Any] | None:
    known = model or (version or {}).get("model")
    if not isinstance(known, dict) or model_id is None:
        return None
    creator = known.get("creator")
    return {
        "id": model_id,
        "name": known.get("name"),
        "type": known.get("type"),
        "author": creator.get("username") if isinstance(creator, dict) else None,
        "url": f"https://civitai.com/models/{model_id}",
    }


class Check(BaseModel):
    """Which LoRAs to check for updates; all without a selection."""

    selection: Selection | None = None


@router.post("/civitai/updates/check", status_code=202)
def start_check(state: Sidecar, request: Check = Check()) -> Response:
    """Ask Civitai for newer versions of models the user has."""
    ids = _selected(state, request.selection) if request.selection else None
    task = state.tasks.start(
        "civitai",
        "Check for updates",
        lambda task: updates.check_updates(state, task, ids),
        alone=ids is None,
    )
    return json_response({"task": task.id}, 202)


@router.get("/civitai/updates")
def get_updates(state: Sidecar) -> Response:
    """Newer versions, as of the last check."""
    items = updates.list_updates(state.database)
    return json_response({"items": items, "total": len(items), "next_cursor": None})


class Ignore(BaseModel):
    """A version, or with null a whole model, that is not to be offered (`ignore`), or is again."""

    model_id: Id
    version_id: Id | None = None
    ignore: bool = True


@router.post("/civitai/updates/ignore")
def ignore_update(request: Ignore, state: Sidecar) -> Response:
    """Offer a version or a model no more, or again."""
    updates.ignore(state.database, request.model_id, request.version_id, request.ignore)
    return get_updates(state)


class Download(BaseModel):
    """What to download: a version by id or by address; the folder ("Label/sub") is chosen when none is given."""

    version_id: Id | None = None
    url: Annotated[str, Field(max_length=2_000)] | None = None
    folder: Annotated[str, Field(max_length=1_000)] | None = None
    file_id: Id | None = None


@router.post("/civitai/downloads", status_code=202)
def add_download(request: Download, state: Sidecar) -> Response:
    """Download a version's file."""
    if (request.version_id is None) == (request.url is None):
        raise BadRequest("Say what to download by either version_id or url.")
    chosen = choose_in_time(state.settings, request.version_id or request.url or "", request.file_id)
    folder = request.folder or choose_folder(state.database, state.settings, chosen.version)
    number = downloads.add_download(state, chosen, folder)
    return json_response({"id": number, "file": chosen.name, "folder": folder, "size": chosen.size}, 202)


@router.get("/civitai/downloads")
def get_downloads(state: Sidecar) -> Response:
    """Downloads, newest first."""
    items = stored.list_downloads(state.database)
    return json_response({"items": items, "total": len(items), "next_cursor": None})


@router.post("/civitai/downloads/{download_id}/resume", status_code=202)
def resume_download(download_id: Number, state: Sidecar) -> Response:
    """Go on with a download that stopped."""
    downloads.resume(state, download_id)
    return json_response({"id": download_id}, 202)


@router.post("/civitai/downloads/{download_id}/cancel")
def cancel_download(download_id: Number, state: Sidecar) -> Response:
    """Stop a download, throw away what has arrived, take it off the list."""
    downloads.cancel(state, download_id)
    return json_response({"id": download_id})
