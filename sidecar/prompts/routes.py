"""HTTP for prompts: composing and lint, and what a host tells of itself for them."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from sidecar.errors import BadRequest
from sidecar.prompts.compose import MAX_PROMPT, compose_all
from sidecar.prompts.lint.checks import lint
from sidecar.prompts.request import Request
from sidecar.recommend.weightspace.near import likeness
from sidecar.responses import json_response
from sidecar.state import State, get_state

router = APIRouter(tags=["prompts"])

Sidecar = Annotated[State, Depends(get_state)]
Prompt = Annotated[str, Field(max_length=MAX_PROMPT)]
Prompts = Annotated[list[Prompt], Field(max_length=1_000)]
Name = Annotated[str, Field(max_length=1_000)]
Seed = Annotated[int, Field(ge=-(2**63), lt=2**64)]


class Told(BaseModel):
    """What a host tells of itself; see docs/api.md for `facts`."""

    host: Annotated[str, Field(max_length=100)] | None = None
    checkpoint: Name | None = None
    facts: dict[str, Any] | None = None


class ComposeRequest(Told):
    """A prompt, or the prompts of a batch, on the way to a host. `words_done` names LoRAs whose trigger words have been
    seen to, when a prompt is composed a second time."""

    prompt: Prompt | Prompts
    negative_prompt: Prompt | Prompts = ""
    seed: Seed | Annotated[list[Seed], Field(max_length=1_000)] | None = None
    add_trigger_words: bool = False
    words_done: Annotated[list[Name], Field(max_length=10_000)] = []


class LintRequest(Told):
    """A prompt as typed, or the prompts of a batch."""

    prompt: Prompt | Annotated[list[Prompt], Field(max_length=100)]
    negative_prompt: Prompt = ""


def _request(state: State, told: Told) -> Request:
    return Request(
        state.database,
        state.hosts.facts(told.host, told.checkpoint, told.facts),
        mode=state.settings.before_generating,
        weight_cap=state.settings.weight_cap,
        complete=state.library.is_complete(),
        likeness=partial(likeness, state.database),
    )


@router.post("/prompts/compose")
def compose_prompt(request: ComposeRequest, state: Sidecar) -> Response:
    """The prompt as the host should get it; prompts come back in the shape they were given in."""
    prompts = [request.prompt] if isinstance(request.prompt, str) else request.prompt
    negatives = (
        [request.negative_prompt] if isinstance(request.negative_prompt, str) else request.negative_prompt
    )
    seeds = request.seed if isinstance(request.seed, list) else None
    asked = _request(state, request)
    asked.seed = request.seed if isinstance(request.seed, int) else None
    asked.words_done = frozenset(request.words_done)
    composed = compose_all(asked, prompts, negatives, seeds, add_trigger_words=request.add_trigger_words)
    answer: dict[str, Any] = {
        "prompt": composed.prompts[0] if isinstance(request.prompt, str) else composed.prompts,
        "negative_prompt": composed.negatives[0]
        if isinstance(request.negative_prompt, str)
        else composed.negatives,
        **composed.to_json(),
    }
    return json_response(answer)


@router.post("/prompts/lint")
def lint_prompt(request: LintRequest, state: Sidecar) -> Response:
    """What will go wrong with a prompt as typed, its tags, and the LoRAs that the host would have in effect."""
    prompts = [request.prompt] if isinstance(request.prompt, str) else request.prompt
    return json_response(lint(_request(state, request), prompts, request.negative_prompt))


@router.get("/prompts/host")
def get_host(state: Sidecar) -> Response:
    """What the host that spoke last has told of itself."""
    return json_response(state.hosts.told())


@router.put("/prompts/host")
def put_host(told: Told, state: Sidecar) -> Response:
    """A host tells of itself: its checkpoint, options and extensions.

    Raises:
        BadRequest: with a number or text that JSON cannot carry.
    """
    try:
        orjson.dumps([told.host, told.checkpoint, told.facts])
    except TypeError as error:
        raise BadRequest(
            f"What the host tells cannot be said back to others, so it is not kept: {error}."
        ) from error
    state.hosts.tell(told.host, told.checkpoint, told.facts or {})
    state.events.publish("host.changed", host=told.host, checkpoint=told.checkpoint)
    return json_response(state.hosts.told())
