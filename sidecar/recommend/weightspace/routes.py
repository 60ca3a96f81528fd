"""HTTP for interference of LoRAs by their weights."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from sidecar.responses import json_response
from sidecar.state import State, get_state
from sidecar.tasks import Task

router = APIRouter(tags=["recommendations"])


class Weighted(BaseModel):
    """A LoRA of the set, by name, and its weight in the prompt."""

    name: Annotated[str, Field(min_length=1, max_length=1_000)]
    weight: Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)] = 1.0


class InterferenceRequest(BaseModel):
    """The set. `background`: what takes longer than a request should is done in a task, after which to ask again."""

    loras: Annotated[list[Weighted], Field(min_length=2, max_length=32)]
    background: bool = False


@router.post("/recommendations/interference")
def measure_interference(
    request: InterferenceRequest, state: Annotated[State, Depends(get_state)]
) -> Response:
    """How much stacked LoRAs pull on the same directions, block by block; or, in the background, the task that finds it."""
    from sidecar.recommend.weightspace.answering import (  # numpy is loaded when there is work
        interference,
        measure_ahead,
        work_ahead,
    )

    wanted = [(one.name, one.weight) for one in request.loras]
    if not request.background or not work_ahead(state.database, wanted):
        return json_response(interference(state.database, wanted))

    def work(task: Task) -> None:
        def step(done: int, total: int) -> None:
            task.total = total
            task.advance(done - task.done)

        measure_ahead(state.database, wanted, step)

    title = f"Comparing the weights of {len(wanted)} LoRAs"
    return json_response({"task": state.tasks.start("interference", title, work).id}, 202)
