"""HTTP for the history of generations."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from sidecar.generation.history import UsedLora, list_generations, record_generation
from sidecar.responses import json_response
from sidecar.state import State, get_state

router = APIRouter(tags=["generations"])


class LoraUse(BaseModel):
    """A LoRA that the host applied."""

    name: str = Field(max_length=1_000)
    weight: float | None = None


class GenerationRequest(BaseModel):
    """What a host made: one image batch."""

    uuid: str = Field(min_length=8, max_length=100)
    host: str = Field(max_length=100)
    kind: str = Field(default="txt2img", max_length=50)
    prompt: str = Field(max_length=1_000_000)
    negative_prompt: str = Field(default="", max_length=1_000_000)
    loras: list[LoraUse] = Field(default=[], max_length=1_000)
    checkpoint: str | None = None
    sampler: str | None = None
    steps: int | None = None
    cfg: float | None = None
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    width: int | None = None
    height: int | None = None
    duration: float | None = Field(default=None, ge=0)
    images: list[str] = Field(default=[], max_length=10_000)
    interrupted: bool = False
    created: float | None = None


@router.post("/generations", status_code=201)
def add_generation(request: GenerationRequest, state: Annotated[State, Depends(get_state)]) -> Response:
    """Record a generation; posting one uuid twice stores it once."""
    values = request.model_dump(exclude={"loras"})
    loras = [UsedLora(lora.name, lora.weight) for lora in request.loras]
    generation, new = record_generation(state.database, values, loras)
    if new:
        state.events.publish("generation.recorded", id=generation)
    return json_response({"id": generation}, 201 if new else 200)


@router.get("/generations")
def get_generations(
    state: Annotated[State, Depends(get_state)],
    lora: int | None = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 50,
) -> Response:
    """Recorded generations, newest first."""
    return json_response(list_generations(state.database, lora_id=lora, cursor=cursor, limit=limit))
