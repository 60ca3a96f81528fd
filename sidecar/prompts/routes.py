"""HTTP for prompts."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from sidecar.prompts.compose import MAX_PROMPT, compose_all
from sidecar.responses import json_response
from sidecar.state import State, get_state

router = APIRouter(tags=["prompts"])

Prompt = Annotated[str, Field(max_length=MAX_PROMPT)]


class ComposeRequest(BaseModel):
    """A prompt, or the prompts of a batch, on the way to a host."""

    prompt: Prompt | Annotated[list[Prompt], Field(max_length=1_000)]
    negative_prompt: Prompt | list[Prompt] = ""
    checkpoint: str | None = None
    host: str | None = None
    seed: int | None = None
    add_trigger_words: bool = False


@router.post("/prompts/compose")
def compose_prompt(request: ComposeRequest, state: Annotated[State, Depends(get_state)]) -> Response:
    """The prompt as the host should get it: `{prompt, negative_prompt, loras, notes}`, prompts in the given shape."""
    given = [request.prompt] if isinstance(request.prompt, str) else request.prompt
    prompts, loras, notes = compose_all(
        state.database,
        given,
        host=request.host,
        add_trigger_words=request.add_trigger_words,
        complete=state.library.is_complete(),
    )
    answer: dict[str, Any] = {
        "prompt": prompts[0] if isinstance(request.prompt, str) else prompts,
        "negative_prompt": request.negative_prompt,
        "loras": loras,
        "notes": notes,
    }
    return json_response(answer)
