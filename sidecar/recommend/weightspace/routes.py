"""HTTP for interference of LoRAs by their weights."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from sidecar.responses import json_response
from sidecar.state import State, get_state

router = APIRouter(tags=["recommendations"])


class Weighted(BaseModel):
    """A LoRA of the set, by name, and its weight in the prompt."""

    name: Annotated[str, Field(min_length=1, max_length=1_000)]
    weight: Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)] = 1.0


class InterferenceRequest(BaseModel):
    """The set."""

    loras: Annotated[list[Weighted], Field(min_length=2, max_length=32)]


@router.post("/recommendations/interference")
def measure_interference(
    request: InterferenceRequest, state: Annotated[State, Depends(get_state)]
) -> Response:
    """How much stacked LoRAs pull on the same directions, block by block."""
    from sidecar.recommend.weightspace.answering import interference  # numpy is loaded when there is work

    return json_response(interference(state.database, [(one.name, one.weight) for one in request.loras]))
