"""HTTP for what is inside the files: inspection, side files, duplicates."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from sidecar.errors import BadRequest
from sidecar.library.weights.comparing import compare
from sidecar.library.weights.duplicates import ALIKE, MOST_IGNORED, ignore, list_duplicates
from sidecar.library.weights.inspecting import get_inspection
from sidecar.library.weights.raw_files import list_side_files
from sidecar.library.weights.resolving import MOST, resolve
from sidecar.responses import json_response
from sidecar.state import State, get_state

router = APIRouter(tags=["weights"])

Sidecar = Annotated[State, Depends(get_state)]
Alike = Annotated[float, Query(ge=0.8, le=1)]


@router.get("/loras/{lora_id}/inspect")
def inspect_lora(lora_id: int, state: Sidecar) -> Response:
    """Rank, alpha, modules and the strength of each block."""
    return json_response(get_inspection(state, lora_id))


@router.get("/loras/{lora_id}/side-files")
def get_side_files(lora_id: int, state: Sidecar) -> Response:
    """Its side files as they are."""
    items = list_side_files(state.database, lora_id)
    return json_response({"items": items, "total": len(items), "next_cursor": None})


@router.get("/duplicates")
def get_duplicates(
    state: Sidecar,
    kind: str | None = None,
    alike: Alike = ALIKE,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> Response:
    """Groups of files that are one LoRA, or nearly one, the most wasteful first."""
    if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
        raise BadRequest("The cursor is not one that a list has given; start again without it.")
    return json_response(
        list_duplicates(state.database, kind=kind or None, alike=alike, limit=limit, offset=int(cursor or 0))
    )


@router.get("/duplicates/compare")
def compare_loras(state: Sidecar, ids: Annotated[str, Query(max_length=1_000)]) -> Response:
    """What differs between some LoRAs: `ids` with commas between them."""
    return json_response(compare(state.database, _numbers(ids)))


def _numbers(ids: str) -> list[int]:
    parts = [part.strip() for part in ids.split(",") if part.strip()]
    if not all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts):
        raise BadRequest("ids are numbers with commas between them, like ids=12,57.")
    return [int(part) for part in parts]


class Resolution(BaseModel):
    """Which file stays, which go to the trash, and whether the one that stays gets what only the others have. With `near` they
    need not be the same, only as much alike as that."""

    keep: int
    remove: Annotated[list[int], Field(min_length=1, max_length=MOST)]
    merge: bool = True
    near: Annotated[float, Field(ge=0.8, le=1)] | None = None


@router.post("/duplicates/resolve")
def resolve_duplicates(request: Resolution, state: Sidecar) -> Response:
    """Keep one of several duplicates."""
    return json_response(resolve(state, request.keep, request.remove, merge=request.merge, near=request.near))


class Ignored(BaseModel):
    """Files that are no duplicates of each other, whatever they hold."""

    ids: Annotated[list[int], Field(min_length=2, max_length=MOST_IGNORED)]


@router.post("/duplicates/ignore")
def ignore_duplicates(request: Ignored, state: Sidecar) -> Response:
    """The user wants to have all of these."""
    return _ignored(state, request.ids, True)


@router.delete("/duplicates/ignore")
def regard_duplicates(request: Ignored, state: Sidecar) -> Response:
    """Take that back."""
    return _ignored(state, request.ids, False)


def _ignored(state: State, ids: list[int], ignored: bool) -> Response:
    pairs = ignore(state.database, ids, ignored=ignored)
    state.events.publish("duplicates.changed")
    answer: dict[str, Any] = {"ignored": ignored, "pairs": pairs}
    return json_response(answer)
