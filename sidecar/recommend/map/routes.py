"""HTTP for the map."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from sidecar.library.filters import Filter
from sidecar.responses import json_response
from sidecar.state import State, get_state

router = APIRouter(tags=["recommendations"])

Sidecar = Annotated[State, Depends(get_state)]


@router.get("/recommendations/map")
def get_map(state: Sidecar, by: Literal["text", "weights"] = "text", hidden: bool = False) -> Response:
    """Where every LoRA lies on the map, and the state of it."""
    from sidecar.recommend.map.answering import answer_map  # numpy is loaded when there is work

    found, now = state.recommender.maps.look(by)
    return json_response({"by": by, "state": now, **answer_map(state.database, found, hidden)})


@router.get("/recommendations/map/ids")
def get_matching(
    state: Sidecar,
    q: Annotated[str, Query(max_length=10_000)] = "",
    tag: Annotated[list[str], Query()] = [],
    hidden: bool = False,
) -> Response:
    """Which LoRAs match a search, to be shown among the others."""
    from sidecar.recommend.map.answering import matching

    return json_response({"ids": matching(state.database, Filter(q, tags=tuple(tag), hidden=hidden))})


class Wanted(BaseModel):
    """LoRAs by id."""

    ids: Annotated[list[Annotated[int, Field(ge=0, lt=2**63)]], Field(max_length=500)]


@router.post("/recommendations/map/loras")
def post_loras(wanted: Wanted, state: Sidecar) -> Response:
    """Some LoRAs of the map as lists have them."""
    from sidecar.recommend.map.answering import items_of

    return json_response({"items": items_of(state.database, wanted.ids)})
