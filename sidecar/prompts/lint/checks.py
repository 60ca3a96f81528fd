"""All checks of a prompt: of one as typed, with places and fixes; or, briefly, of one that is composed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from sidecar.prompts.activation import activated
from sidecar.prompts.lint.described import describe_tags
from sidecar.prompts.lint.fitting import (
    check_bases,
    check_batch,
    check_stale,
    check_sum,
    check_twice,
    check_words,
    sum_of_weights,
)
from sidecar.prompts.lint.names import check_names
from sidecar.prompts.lint.places import check_places
from sidecar.prompts.lint.problems import LEVELS, Look, Problem
from sidecar.prompts.lint.pulling import check_directions
from sidecar.prompts.lint.weights import check_weights
from sidecar.prompts.request import Request

MAX_PROBLEMS = 200


def lint(request: Request, prompts: Sequence[str], negative: str) -> dict[str, Any]:
    """The problems of a prompt, or of the prompts of a batch, their tags, and what the host would make of them.

    {"problems", "tags", "loras", "sum"}; problems and tags have an `index`, which of the prompts they are in.
    """
    problems, tags = list[dict[str, Any]](), list[dict[str, Any]]()
    for index, prompt in enumerate(prompts):
        look = Look(request, prompt, negative)
        found = sorted(islice(_all(look), MAX_PROBLEMS), key=lambda one: (one.field, LEVELS.index(one.level)))
        problems += [{**problem.to_json(), "index": index} for problem in found]
        tags += [{**tag, "index": index} for tag in describe_tags(look)]
    problems += [{**problem.to_json(), "index": 0} for problem in check_batch(request, prompts)]
    return {
        "problems": problems[:MAX_PROBLEMS],
        "tags": tags,
        "loras": [lora.to_json() for lora in activated(request, prompts)],
        "sum": round(max((sum_of_weights(request, prompt) for prompt in prompts), default=0), 4),
    }


def _all(look: Look) -> Iterator[Problem]:
    yield from check_names(look)
    yield from check_weights(look)
    yield from check_bases(look)
    yield from check_twice(look)
    yield from check_places(look)
    yield from check_words(look)
    yield from check_sum(look.request, look.prompt)
    yield from check_directions(look)
    yield from check_stale(look.request, [look.prompt])


def check_composed(request: Request, prompts: Sequence[str], negatives: Sequence[str]) -> None:
    """Note what is still wrong with prompts that are composed, but for what composing has noted itself."""
    for prompt in prompts:
        look = Look(request, prompt)
        for check in (check_names, check_weights, check_bases, check_twice, check_places, check_directions):
            _note(request, check(look))
    for negative in negatives:
        _note(request, check_places(Look(request, "", negative)))
    for prompt in prompts[:1]:
        _note(request, check_sum(request, prompt))
    _note(request, check_batch(request, prompts))
    _note(request, check_stale(request, prompts))


def _note(request: Request, problems: Iterator[Problem]) -> None:
    noted = {(note.code, note.lora) for note in request.notes}
    for problem in islice(problems, MAX_PROBLEMS):
        if problem.level != "info" and (problem.code, problem.lora) not in noted:
            request.note(problem.level, problem.code, problem.message, problem.lora)
