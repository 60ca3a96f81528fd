"""HTTP for completion in prompt boxes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from sidecar.prompts.complete import LIMIT, complete
from sidecar.responses import json_response
from sidecar.state import State, get_state

MAX_TEXT = 4_000_000

router = APIRouter(tags=["prompts"])


class CompleteRequest(BaseModel):
    """A prompt (or the part of a long one around the cursor) and the cursor's place in it, in characters."""

    text: Annotated[str, Field(max_length=MAX_TEXT)]
    at: int
    limit: Annotated[int, Field(ge=1, le=50)] = LIMIT


@router.post("/prompts/complete")
def complete_prompt(request: CompleteRequest, state: Annotated[State, Depends(get_state)]) -> Response:
    """What may stand at the cursor, for the checkpoint that the host last told: `{start, end, items}`."""
    base = state.hosts.facts(None, None, None).checkpoint_base
    blur_from = state.settings.blur_from
    return json_response(complete(state.database, request.text, request.at, base, request.limit, blur_from))
