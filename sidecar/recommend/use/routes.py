"""HTTP for companions, similar LoRAs and feedback."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, Field

from sidecar.recommend.use.feedback import add_feedback, delete_feedback, list_feedback
from sidecar.recommend.use.keeper import use_index
from sidecar.responses import json_response
from sidecar.state import State, get_state

router = APIRouter(tags=["recommendations"])

Sidecar = Annotated[State, Depends(get_state)]
Number = Annotated[int, Path(ge=0, lt=2**63)]
Name = Annotated[str, Field(max_length=1_000)]
Limit = Annotated[int, Query(ge=1, le=100)]
Kind = Literal["text", "use", "weights"]


class CompanionsRequest(BaseModel):
    """The LoRAs that something should go with, by name."""

    loras: Annotated[list[Name], Field(max_length=100)]
    limit: Annotated[int, Field(ge=1, le=100)] = 10


class FeedbackRequest(BaseModel):
    """What the user says of a recommendation, and what it was made for: the prompt, or names of LoRAs."""

    verdict: Literal["up", "down", "chosen", "ignored"]
    kind: Literal["prompt", "similar", "companion"]
    lora_id: Annotated[int, Field(ge=0, lt=2**63)]
    subject: Annotated[str, Field(max_length=100_000)] | Annotated[list[Name], Field(max_length=100)] = ""


@router.post("/recommendations/companions")
def recommend_companions(request: CompanionsRequest, state: Sidecar) -> Response:
    """LoRAs that go with the given ones, each with why."""
    from sidecar.recommend.use.companions import find_companions  # numpy is loaded when there is work

    index = use_index(state.database, state.events)
    return json_response(find_companions(state.database, index, request.loras, request.limit))


@router.get("/loras/{lora_id}/similar")
def recommend_similar(
    lora_id: Number,
    state: Sidecar,
    by: Annotated[list[Kind], Query()] = ["text", "use", "weights"],
    limit: Limit = 10,
) -> Response:
    """LoRAs that are like this one, by each kind that is asked for."""
    from sidecar.recommend.use.meaning import meant_by
    from sidecar.recommend.use.similar import find_similar

    index = use_index(state.database, state.events)
    meant = meant_by(state.recommender.embedder)
    return json_response(find_similar(state.database, index, lora_id, by, limit, meant))


@router.post("/recommendations/feedback", status_code=201)
def give_feedback(request: FeedbackRequest, state: Sidecar) -> Response:
    """Keep what the user says; it changes later rankings."""
    entry = add_feedback(state.database, request.lora_id, request.verdict, request.kind, request.subject)
    state.events.publish("feedback.changed", id=entry["id"])
    return json_response(entry, 201)


@router.get("/recommendations/feedback")
def get_feedback(
    state: Sidecar, cursor: str | None = None, limit: Annotated[int, Query(ge=1, le=1_000)] = 50
) -> Response:
    """What the user has said, newest first."""
    return json_response(list_feedback(state.database, cursor=cursor, limit=limit))


@router.delete("/recommendations/feedback")
def reset_feedback(state: Sidecar) -> Response:
    """Take everything back."""
    deleted = delete_feedback(state.database)
    state.events.publish("feedback.changed", id=None)
    return json_response({"deleted": deleted})


@router.delete("/recommendations/feedback/{number}")
def take_back_feedback(number: Number, state: Sidecar) -> Response:
    """Take one entry back."""
    deleted = delete_feedback(state.database, number)
    state.events.publish("feedback.changed", id=number)
    return json_response({"deleted": deleted})
