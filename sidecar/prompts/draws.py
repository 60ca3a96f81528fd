"""Draws: `<lora:?QUERY:A-B>` takes one LoRA out of a search and a weight out of a range, the same for the same seed.

`<lora:?set:NAME>` takes the LoRAs of a set in turn: seed 0 the first, seed 1 the second, and so on.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import NamedTuple

from sidecar.database import Database
from sidecar.errors import BadRequest
from sidecar.library.filters import Filter, build_where
from sidecar.library.find.parse import FIELDS
from sidecar.memo import remember
from sidecar.prompts.facts import fits
from sidecar.prompts.grammar import Tag, format_weight
from sidecar.prompts.request import Request
from sidecar.prompts.resolve import USABLE
from sidecar.prompts.sets.reading import LoraSet, Member

_NUMBER = r"[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)"
_RANGE = re.compile(rf"\s*({_NUMBER})\s*(?:-\s*({_NUMBER})\s*)?")
_NAMED = re.compile(r"\s*(te|unet|in|mid|out|dyn)=")
_FIELD_BEFORE = re.compile(rf"(?:^|[\s(-])(?:{'|'.join(FIELDS)})$", re.IGNORECASE)


class Draw(NamedTuple):
    """What a draw says: a query or a set's name, a range of weights (None: the LoRA's own), other arguments."""

    query: str
    set_name: str | None
    weights: tuple[float, float] | None
    arguments: tuple[str, ...]


class Candidate(NamedTuple):
    """A LoRA that a query finds."""

    name: str
    base_model: str


def read_draw(tag: Tag) -> Draw:
    """The parts of a draw's tag. A last part that is a number or a range is the weight, unless a field wants it."""
    parts = tag.inner.strip()[1:].split(":")
    arguments = list[str]()
    while len(parts) > 1 and _NAMED.match(parts[-1]):
        arguments.insert(0, parts.pop().strip())
    weights = None
    found = _RANGE.fullmatch(parts[-1]) if len(parts) > 1 else None
    if found and not _FIELD_BEFORE.search(parts[-2].rstrip()):
        low = float(found[1].replace(",", "."))
        high = float((found[2] or found[1]).replace(",", "."))
        weights = (min(low, high), max(low, high))
        parts.pop()
    query = ":".join(parts).strip()
    name = query[4:].strip().strip('"') if query.lower().startswith("set:") else None
    return Draw(query, name, weights, tuple(arguments))


def draw(request: Request, tag: Tag, number: int, from_set: Callable[[str], Tag | None]) -> Tag | None:
    """The plain tag that a draw comes to, None when there is nothing to draw from; what was drawn is noted.

    `number` tells apart several draws of one prompt.
    """
    wanted = read_draw(tag)
    chance = (
        random.Random(f"{request.seed}\n{number}\n{tag.inner}")
        if request.seed is not None
        else random.Random()
    )
    if wanted.set_name is not None:
        drawn = from_set(wanted.set_name)
    else:
        drawn = _draw_from_search(request, wanted.query, chance)
    if drawn is None:
        return None
    if wanted.weights is not None:
        low, high = wanted.weights
        drawn = drawn.with_weight(round(low + (high - low) * chance.random(), 2))
    drawn = Tag(tag.start, tag.end, "lora", drawn.name, (*drawn.arguments, *wanted.arguments))
    weight = "" if drawn.weight is None else f" at {format_weight(drawn.weight)}"
    again = "" if request.seed is not None else " (no seed was given, so another time it may be another)"
    request.note("info", "drawn", f"?{wanted.query} drew {drawn.name}{weight}{again}.", drawn.name)
    request.draws.append({"query": wanted.query, "name": drawn.name, "weight": drawn.weight})
    return drawn


def _draw_from_search(request: Request, query: str, chance: random.Random) -> Tag | None:
    try:
        found = candidates(request.database, query)
    except BadRequest as error:
        request.note("error", "bad_query", f"?{query} cannot be searched for: {plain_message(error)}")
        return None
    base = request.facts.checkpoint_base
    fitting = [one for one in found if fits(one.base_model, base) is not False]
    if not found:
        message = f"Nothing in the library matches ?{query}{request.left_out}."
        request.note("error", "nothing_drawn", message)
    elif not fitting:
        request.note(
            "error",
            "nothing_drawn",
            f"None of the {len(found):,} LoRAs of ?{query} fits the checkpoint, which is {base}.",
        )
    return Tag(0, 0, "lora", chance.choice(fitting).name) if fitting else None


def plain_message(error: BadRequest) -> str:
    """What is wrong with a query, without a hint that would end the tag."""
    return (
        ". ".join(part for part in error.message.rstrip(".").split(". ") if not set("<>") & set(part)) + "."
    )


def candidates(database: Database, query: str) -> list[Candidate]:
    """The LoRAs that a draw's query finds and a host can load, by name; remembered until anything changes.

    Raises:
        BadRequest: the query cannot be read.
    """
    return remember(database, ("draw", query), lambda: _candidates(database, query))


def _candidates(database: Database, query: str) -> list[Candidate]:
    where = build_where(database, Filter(q=query))
    rows = database.reader().execute(
        f"""SELECT DISTINCT l.stem, l.base_model FROM loras l JOIN roots r ON r.id = l.root_id
            WHERE l.id IN ({where.ids()}) AND {USABLE} ORDER BY l.sort_name, l.id""",
        where.values,
    )
    return [Candidate(row["stem"], row["base_model"]) for row in rows]


def draw_from_set(request: Request, found: LoraSet) -> Member | None:
    """The LoRA of a set whose turn it is by the seed, of those that are there."""
    there = [member for member in found.members if member.lora_id is not None]
    if not there:
        request.note("error", "nothing_drawn", f"The set {found.name} has no LoRA that is in the library.")
        return None
    turn = request.seed if request.seed is not None else random.randrange(len(there))
    return there[turn % len(there)]
