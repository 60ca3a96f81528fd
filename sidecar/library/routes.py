"""HTTP for the library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field
from starlette.responses import FileResponse

from sidecar.generation.history import list_generations
from sidecar.library import folders, store
from sidecar.library.details import get_detail, get_examples
from sidecar.library.edits import edit_loras
from sidecar.library.facets import count_facets
from sidecar.library.files.desktop import can_open_folder
from sidecar.library.filters import Filter
from sidecar.library.find.complete import complete
from sidecar.library.organise.routes import Fields, Tag, publish_edit
from sidecar.library.previews import get_original, get_thumbnail
from sidecar.library.queries import Page, list_loras
from sidecar.responses import json_response
from sidecar.state import State, get_state

router = APIRouter(tags=["library"])

Sidecar = Annotated[State, Depends(get_state)]
Many = Annotated[list[str], Query()]

FOREVER = {"Cache-Control": "private, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


@router.get("/loras")
def get_loras(
    state: Sidecar,
    q: str = "",
    base_model: Many = [],
    tag: Many = [],
    not_tag: Many = [],
    folder: Many = [],
    state_: Annotated[list[str], Query(alias="state")] = [],
    label: Many = [],
    favorite: bool | None = None,
    collection: int | None = None,
    hidden: bool = False,
    sort: str = "",
    seed: int = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    cursor: str | None = None,
    offset: Annotated[int, Query(ge=0)] = 0,
    facets: bool = False,
) -> Response:
    """A page of LoRAs. See docs/api.md for each parameter."""
    narrowed = Filter(
        q, tuple(base_model), tuple(tag), tuple(not_tag), tuple(folder), tuple(state_), tuple(label), favorite,
        collection, hidden,
    )  # fmt: skip
    answer = list_loras(state.database, narrowed, Page(sort, seed, limit, cursor, offset))
    if facets:
        answer["facets"] = count_facets(state.database, narrowed)
    return json_response(answer)


@router.get("/loras/{lora_id}")
def get_lora(lora_id: int, state: Sidecar) -> Response:
    """Everything about one LoRA."""
    return json_response(get_detail(state.database, lora_id, state.settings.write_back))


class Changes(Fields):
    """An edit of one LoRA. `was` has, by field, the value that the editor saw."""

    tags: Annotated[list[Tag], Field(max_length=1_000)] | None = None
    add_tags: Annotated[list[Tag], Field(max_length=1_000, default_factory=list)]
    remove_tags: Annotated[list[Tag], Field(max_length=1_000, default_factory=list)]
    was: dict[str, Any] | None = None


@router.patch("/loras/{lora_id}")
def patch_lora(lora_id: int, changes: Changes, state: Sidecar) -> Response:
    """Edit one LoRA; the answer is its detail, with the action."""
    wanted = changes.model_dump(exclude_unset=True, exclude={"was"})
    edited = edit_loras(state.database, [lora_id], wanted, was=changes.was)
    publish_edit(state, edited.loras)
    return json_response(
        {**get_detail(state.database, lora_id, state.settings.write_back), "action": edited.action}
    )


@router.get("/loras/{lora_id}/preview")
def get_preview(lora_id: int, state: Sidecar, original: bool = False) -> Response:
    """The thumbnail (WebP, at most 512 px), or with `original` the preview file itself, in ranges if asked."""
    if original:
        preview = get_original(state.database, lora_id)
    else:
        preview = get_thumbnail(state.database, state.settings.data / "thumbnails", lora_id)
    return FileResponse(preview.path, media_type=preview.media_type, headers=FOREVER)


@router.get("/loras/{lora_id}/examples")
def get_lora_examples(lora_id: int, state: Sidecar) -> Response:
    """Example prompts."""
    examples = get_examples(state.database, lora_id)
    return json_response({"items": examples, "total": len(examples), "next_cursor": None})


@router.get("/loras/{lora_id}/history")
def get_history(
    lora_id: int, state: Sidecar, cursor: str | None = None, limit: Annotated[int, Query(ge=1, le=1_000)] = 50
) -> Response:
    """Generations that used this LoRA, newest first."""
    return json_response(list_generations(state.database, lora_id=lora_id, cursor=cursor, limit=limit))


@router.get("/library/complete")
def complete_query(
    state: Sidecar, q: Annotated[str, Query(max_length=10_000)] = "", at: int | None = None
) -> Response:
    """What could stand at a place of a query."""
    return json_response(complete(state.database, q, len(q) if at is None else at))


@router.get("/library/status")
def get_status(state: Sidecar) -> Response:
    """The scan's and the hashing's progress, and the folders."""
    return json_response(library_status(state))


@router.post("/library/scan", status_code=202)
def start_scan(state: Sidecar) -> Response:
    """Bring every folder in line with the disk; progress comes as events."""
    state.library.scanner.request()
    return json_response(library_status(state), 202)


class Hashing(BaseModel):
    """Whether hashing should rest."""

    paused: bool


@router.post("/library/hashing")
def set_hashing(request: Hashing, state: Sidecar) -> Response:
    """Pause hashing or let it go on."""
    state.library.hasher.pause(request.paused)
    return json_response(library_status(state))


@router.get("/library/folders")
def get_folders(state: Sidecar) -> Response:
    """The LoRA folders."""
    found = folders.describe(state.database)
    return json_response({"items": found, "total": len(found), "next_cursor": None})


class FoldersRequest(BaseModel):
    """Folders to take up, by full path."""

    add: Annotated[list[Path], Field(min_length=1, max_length=100)]


@router.post("/library/folders")
def add_folders(request: FoldersRequest, state: Sidecar) -> Response:
    """Take up LoRA folders; they stay until a start names others with `--loras`."""
    state.library.add_folders(request.add)
    return get_folders(state)


def library_status(state: State) -> dict[str, Any]:
    """What `GET library/status` and the events tell."""
    return {
        **state.library.scanner.progress(),
        "folders": folders.describe(state.database),
        "hashing": state.library.hasher.status(),
        "can_open_folder": can_open_folder(),
        "indexing": {"pending": store.count_unindexed(state.database.reader())},
    }
