"""Checks of LoRAs that change the same things: together they do it too strongly, or undo each other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from sidecar.prompts.grammar import Tag, format_weight
from sidecar.prompts.lint.fitting import shown
from sidecar.prompts.lint.problems import Change, Fix, Look, Problem
from sidecar.prompts.request import Likeness
from sidecar.prompts.resolve import Resolved

ALIKE = 0.6
"""From this cosine of their weights on, two LoRAs count as changing the same."""
TOO_STRONG = 1.25
"""So many times the usual weight is told: nothing is said of two halves of the same."""
ABOUT = 0.05  # of weights, within which two are called the same


class _One(NamedTuple):
    """A LoRA in effect. `push` is |weight| · ‖ΔW‖: how much it changes in all."""

    id: int
    name: str
    content: str
    weight: float
    usual: float
    push: float


def check_directions(look: Look) -> Iterator[Problem]:
    """LoRAs whose weights, seen as one long vector, point the same way, and those that point opposite ways.

    Along the direction of the strongest of them, all together act like it alone with another weight, w + Σ c·wᵢ·‖ΔWᵢ‖/‖ΔW‖.
    """
    ones, alike = _in_effect(look)
    left = sorted(ones, key=lambda one: -one.push)
    while len(left) > 1:
        first, *others = left
        cosines = {one.id: _cosine(alike, first, one) for one in others}
        same = [one for one in others if cosines[one.id] >= ALIKE]
        against = [one for one in others if cosines[one.id] <= -ALIKE]
        push = first.push + sum(cosines[one.id] * one.push for one in (*same, *against))
        acts = first.weight * push / first.push
        if same and abs(acts) >= TOO_STRONG * max(first.usual, abs(first.weight)):
            yield _too_strong(look, [first, *same], acts)
        elif against and not same:
            yield _undone(look, first, against, acts)
        told = {one.id for one in (first, *same, *against)}
        left = [one for one in left if one.id not in told]


def _in_effect(look: Look) -> tuple[list[_One], Likeness]:
    """The LoRAs that the picture shows and whose weights are known, one named twice with the sum."""
    request = look.request
    nothing = list[_One](), Likeness({}, {})
    if request.likeness is None or not any(tag.is_lora or tag.is_set for tag in look.tags):
        return nothing
    found: dict[int, Resolved] = {one.id: one for _, one in look.loras}
    weights: dict[int, float] = {}
    for one in shown(request, look.prompt):
        if one.id not in found and (resolved := request.resolve(one.name)):
            found[one.id] = resolved
        weight = one.unet[0] if one.te == 0 or one.unet[0] != 0 else one.te
        weights[one.id] = weights.get(one.id, 0.0) + weight
    for tag, lora in look.loras:
        if lora.id in weights and lora.weight is not None and not tag.has_weight:
            weights[lora.id] = lora.weight  # which composing fills in
    contents = {
        number: content
        for number, weight in weights.items()
        if weight and math.isfinite(weight) and number in found and (content := found[number].body_hash)
    }
    if len(contents) < 2:
        return nothing
    alike = request.likeness(list(dict.fromkeys(contents.values())))
    ones = []
    for number, content in contents.items():
        lora, weight, norm = found[number], weights[number], alike.norms.get(content)
        if norm is not None:
            ones.append(_One(number, lora.name, content, weight, abs(lora.weight or 1.0), abs(weight) * norm))
    return ones, alike


def _cosine(alike: Likeness, one: _One, other: _One) -> float:
    """Of both with their weights."""
    pair = (one.content, other.content)
    plain = 1.0 if pair[0] == pair[1] else alike.cosines.get(pair, 0.0)
    return plain * math.copysign(1.0, one.weight) * math.copysign(1.0, other.weight)


def _too_strong(look: Look, group: list[_One], acts: float) -> Problem:
    """The fix scales all of them, so that along their direction they act like the strongest alone, at most as usual."""
    first = group[0]
    wanted = math.copysign(min(abs(first.weight), first.usual), first.weight)
    names = _listed([one.name for one in group])
    message = (
        f"{names} change much the same: together they act like {first.name} at {_rounded(acts)}"
        f" (usual is {_rounded(first.usual)})."
    )
    tags = [(tag, found.weight) for tag, found in look.loras if found.id in {one.id for one in group}]
    changes = []
    if {found.id for _, found in look.loras} >= {one.id for one in group}:
        for tag, own in tags:
            less = _weighted(look, tag, own).scaled(wanted / acts)
            changes.append(Change("prompt", tag.start, tag.end, str(_short(less))))
    label = f"Scale them down to act like {first.name} at {_rounded(wanted)}"
    return _problem(look, "warning", "same_direction", message, group, Fix(label, tuple(changes)))


def _undone(look: Look, first: _One, against: list[_One], acts: float) -> Problem:
    names = _listed([one.name for one in against])
    verb = "undoes" if len(against) == 1 else "undo"
    what = (
        f"nothing of {first.name} is left"
        if abs(acts) < ABOUT or acts * first.weight < 0
        else f"together they act like {first.name} at {_rounded(acts)}"
    )
    message = f"{names} {verb} much of what {first.name} changes: {what}."
    return _problem(look, "info", "opposite_direction", message, [first, *against])


def _problem(look: Look, level: str, code: str, message: str, group: list[_One], *fixes: Fix) -> Problem:
    """In the place of the last of them that stands in the prompt itself; else of the set that may bring them."""
    of_group = {one.id for one in group}
    places = [(tag, found.name) for tag, found in look.loras if found.id in of_group]
    places = places or [(tag, group[-1].name) for tag in look.tags if tag.is_set]
    tag, name = places[-1] if places else (Tag(0, 0, "", ""), group[-1].name)
    usable = tuple(fix for fix in fixes if fix.changes)
    return Problem(level, code, message, tag.start, tag.end, lora=name, fixes=usable)


def _weighted(look: Look, tag: Tag, own: float | None) -> Tag:
    """With the weight that counts where the tag says none."""
    if tag.has_weight:
        return tag
    return tag.with_weight(look.request.facts.default_weight if own is None else own)


def _short(tag: Tag) -> Tag:
    """Weights with two digits behind the point, as people write them."""
    weight = tag.weight
    return tag if weight is None else tag.with_weight(round(weight, 2))


def _rounded(weight: float) -> str:
    return format_weight(round(weight, 2))


def _listed(names: list[str]) -> str:
    """ "A", "A and B", "A, B and C"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
