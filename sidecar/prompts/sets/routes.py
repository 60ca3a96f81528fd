"""HTTP for sets."""

from __future__ import annotations

from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field

from sidecar.library.pictures.checking import too_large
from sidecar.prompts.sets.draft import draft_set
from sidecar.prompts.sets.pictures import read_picture, remove_picture, save_picture
from sidecar.prompts.sets.reading import get_set, get_versions, list_sets
from sidecar.prompts.sets.store import add_set, change_set, delete_set, restore_set
from sidecar.responses import json_response
from sidecar.state import State, get_state

router = APIRouter(tags=["sets"])

Sidecar = Annotated[State, Depends(get_state)]
Text = Annotated[str, Field(max_length=100_000)]
Weight = Annotated[float, Field(ge=-100, le=100)]
SetId = Annotated[int, Path(ge=0, lt=2**63)]
Version = Annotated[int, Field(ge=0, lt=2**63)]
MAX_PICTURE = 64 * 2**20


class SetLora(BaseModel):
    """A LoRA of a set; what is null is as the LoRA itself says."""

    lora_id: Annotated[int, Field(gt=0, lt=2**63)] | None = None
    name: Annotated[str, Field(max_length=500)] | None = None
    weight: Weight | None = None
    te: Weight | None = None
    unet: Weight | None = None
    in_: Weight | None = Field(default=None, alias="in")
    mid: Weight | None = None
    out: Weight | None = None
    dyn: Annotated[int, Field(ge=1, le=100_000)] | None = None
    words: Annotated[list[Annotated[str, Field(max_length=1_000)]], Field(max_length=200)] | None = None


class SetContent(BaseModel):
    """The whole of a set."""

    name: Annotated[str, Field(max_length=500)]
    loras: Annotated[list[SetLora], Field(max_length=200)] = []
    prompt: Text = ""
    negative_prompt: Text = ""
    notes: Text = ""
    base_model: Annotated[str, Field(max_length=100)] | None = None

    def values(self) -> dict[str, Any]:
        """As the store takes it."""
        return self.model_dump(by_alias=True)


class SetChange(SetContent):
    """A set as it should be from now on; `version` is the one that the change was made from."""

    version: Version | None = None


class DraftRequest(BaseModel):
    """A prompt to make a set of."""

    prompt: Annotated[str, Field(max_length=1_000_000)]
    negative_prompt: Annotated[str, Field(max_length=1_000_000)] = ""


class RestoreRequest(BaseModel):
    """Which version should count again; without one, a deleted set comes back as it was."""

    version: Version | None = None


@router.get("/sets")
def get_sets(
    state: Sidecar,
    q: Annotated[str, Query(max_length=1_000)] = "",
    sort: str = "name",
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> Response:
    """A page of sets."""
    return json_response(list_sets(state.database, q=q, sort=sort, cursor=cursor, limit=limit))


@router.post("/sets", status_code=201)
def post_set(content: SetContent, state: Sidecar) -> Response:
    """Make a set."""
    number = add_set(state.database, content.values())
    state.events.publish("sets.changed", id=number)
    return json_response(get_set(state.database, number), 201)


@router.post("/sets/draft")
def post_draft(request: DraftRequest, state: Sidecar) -> Response:
    """What a set made of a prompt would hold; nothing is saved."""
    return json_response(draft_set(state.database, request.prompt, request.negative_prompt))


@router.get("/sets/{set_id}")
def get_one_set(set_id: SetId, state: Sidecar) -> Response:
    """One set, also a deleted one."""
    return json_response(get_set(state.database, set_id))


@router.put("/sets/{set_id}")
def put_set(set_id: SetId, change: SetChange, state: Sidecar) -> Response:
    """Save a set as a new version."""
    change_set(state.database, set_id, change.values(), change.version)
    state.events.publish("sets.changed", id=set_id)
    return json_response(get_set(state.database, set_id))


@router.delete("/sets/{set_id}")
def remove_set(set_id: SetId, state: Sidecar) -> Response:
    """Delete a set; `restore` brings it back."""
    delete_set(state.database, set_id)
    state.events.publish("sets.changed", id=set_id)
    return json_response(get_set(state.database, set_id))


@router.get("/sets/{set_id}/versions")
def get_set_versions(set_id: SetId, state: Sidecar) -> Response:
    """Every version, newest first."""
    versions = get_versions(state.database, set_id)
    return json_response({"items": versions, "total": len(versions), "next_cursor": None})


@router.post("/sets/{set_id}/restore")
def post_restore(set_id: SetId, request: RestoreRequest, state: Sidecar) -> Response:
    """Bring back a deleted set, or an old version as the newest."""
    restore_set(state.database, set_id, request.version)
    state.events.publish("sets.changed", id=set_id)
    return json_response(get_set(state.database, set_id))


@router.get("/sets/{set_id}/preview")
def get_set_preview(set_id: SetId, state: Sidecar) -> Response:
    """The set's own picture, WebP of at most 512 px."""
    headers = {"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}
    return Response(read_picture(state.database, set_id), media_type="image/webp", headers=headers)


@router.put("/sets/{set_id}/preview")
async def put_set_preview(set_id: SetId, request: Request, state: Sidecar) -> Response:
    """Give a set a picture of its own: the body is the picture."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_PICTURE:
            raise too_large()
    await anyio.to_thread.run_sync(save_picture, state.database, set_id, bytes(body))
    state.events.publish("sets.changed", id=set_id)
    return json_response(await anyio.to_thread.run_sync(get_set, state.database, set_id))


@router.delete("/sets/{set_id}/preview")
def delete_set_preview(set_id: SetId, state: Sidecar) -> Response:
    """Take a set's own picture away."""
    remove_picture(state.database, set_id)
    state.events.publish("sets.changed", id=set_id)
    return json_response(get_set(state.database, set_id))
