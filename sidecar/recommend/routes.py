"""HTTP for recommendations by prompt."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from sidecar.prompts.compose import MAX_PROMPT
from sidecar.recommend.embeddings.status import embedding_status
from sidecar.recommend.weightspace.store import status as sketch_status
from sidecar.responses import json_response
from sidecar.state import State, get_state

router = APIRouter(tags=["recommendations"])

Name = Annotated[str, Field(max_length=1_000)]


class PromptRequest(BaseModel):
    """A prompt, and for which base model; by default the one that the host last told."""

    prompt: Annotated[str, Field(max_length=MAX_PROMPT)]
    limit: Annotated[int, Field(ge=1, le=100)] = 10
    base_model: Annotated[str, Field(max_length=100)] | None = None
    exclude: Annotated[list[Name], Field(max_length=1_000)] = []


@router.post("/recommendations/prompt")
def recommend_for_prompt(request: PromptRequest, state: Annotated[State, Depends(get_state)]) -> Response:
    """LoRAs that fit a prompt, each with why."""
    from sidecar.recommend.ranking import Asked  # numpy is loaded when there is work

    base = request.base_model or state.hosts.facts(None, None, None).checkpoint_base
    asked = Asked(request.prompt, request.limit, base, request.exclude)
    answer = state.recommender.recommend(asked)
    for item in answer["items"]:
        item["blurred"] = 0 < state.settings.blur_from <= item["lora"]["nsfw"]
    return json_response(answer)


@router.get("/recommendations/status")
def get_status(state: Annotated[State, Depends(get_state)]) -> Response:
    """What recommendations know so far."""
    return json_response(
        {
            "index": state.recommender.status(),
            "embeddings": embedding_status(state),
            "sketches": sketch_status(state.database),
        }
    )
