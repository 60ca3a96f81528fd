"""What the host has made of the prompts just before it samples: where each stands, and by which seed its image draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from . import host_job
from .tags import MAY_DRAW, is_prompt


class Wanted(NamedTuple):
    """What is asked for one image."""

    prompt: str
    negative: str
    seed: int


@dataclass
class Place:
    """Where a prompt stands with its negative one: at an index of two lists, or in two fields of `p`."""

    wants: Wanted
    put: Callable[[str, str], None]


@dataclass
class Group:
    """Places that are asked for together.

    batch: so many of them, one after the other, share their LoRAs; 1: each stands for itself and is asked for once.
    """

    places: list[Place]
    batch: int = 1

    def wanted(self) -> list[Wanted]:
        all_of_them = [place.wants for place in self.places]
        return list(dict.fromkeys(all_of_them)) if self.batch == 1 else all_of_them


def find_groups(p: Any, is_settled: Callable[[str], bool]) -> list[Group]:
    """The prompts in `p` that are still to be composed. Images of one batch whose prompts differ are asked for all
    together, since only then can be told what is wrong with them."""
    groups: list[Group] = []
    single = list(_fields(p, is_settled))
    size = host_job.images_at_once(p)
    for positive, negative in host_job.SPREAD_FIELDS:
        places = _list(p, getattr(p, positive, None), getattr(p, negative, None))
        open_ones = [place for place in places if not all(map(is_settled, place.wants[:2]))]
        batches = [places[start : start + size] for start in range(0, len(places), size)]
        if open_ones and any(len({place.wants.prompt for place in batch}) > 1 for batch in batches):
            groups.append(Group(places, size))
        else:
            single += open_ones
    return [*groups, Group(single)] if single else groups


def _list(p: Any, prompts: Any, negatives: Any) -> list[Place]:
    if not isinstance(prompts, list) or not is_prompt(prompts):
        return []
    others = negatives if isinstance(negatives, list) and is_prompt(negatives) else []
    seeds = host_job.seeds_to_draw_by(p, len(prompts), getattr(p, "all_seeds", None))
    places = []
    for i, prompt in enumerate(prompts):
        other = others[i] if i < len(others) else ""
        # one seed for all that draw nothing, so that equal ones are asked for once
        seed = seeds[i] if MAY_DRAW.search(prompt) or MAY_DRAW.search(other) else seeds[0]
        places.append(Place(Wanted(prompt, other, seed), _put_in_lists(prompts, others, i)))
    return places


def _fields(p: Any, is_settled: Callable[[str], bool]) -> Iterator[Place]:
    """What still stands in the fields as typed, since it had to wait, or was taken from a list by the host."""
    first = host_job.seeds_to_draw_by(p, 1, getattr(p, "all_seeds", None))[0]
    for positive, negative in [*host_job.prompt_fields(p), host_job.MAIN_FIELDS]:
        prompt, other = getattr(p, positive, None), getattr(p, negative, None)
        other = other if isinstance(other, str) else ""
        if isinstance(prompt, str) and not (is_settled(prompt) and is_settled(other)):
            yield Place(Wanted(prompt, other, first), _put_in_fields(p, positive, negative))


def _put_in_lists(prompts: list[str], negatives: list[str], index: int) -> Callable[[str, str], None]:
    def put(prompt: str, negative: str) -> None:
        # in place: the host has handed the list on already, even to `p.init` itself
        prompts[index] = prompt
        if index < len(negatives):
            negatives[index] = negative

    return put


def _put_in_fields(p: Any, positive: str, negative: str) -> Callable[[str, str], None]:
    def put(prompt: str, composed_negative: str) -> None:
        setattr(p, positive, prompt)
        if isinstance(getattr(p, negative, None), str):
            setattr(p, negative, composed_negative)

    return put
