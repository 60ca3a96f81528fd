"""Checks of what goes together: LoRA and checkpoint, a LoRA and its words, all weights, the images of a batch, the job before."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from sidecar.library.word_groups import Group
from sidecar.prompts.activation import Activated, activated, host_tags
from sidecar.prompts.expand import Expander, scale_of
from sidecar.prompts.facts import fits
from sidecar.prompts.grammar import Tag, find_tags, format_weight
from sidecar.prompts.lint.problems import NEGATIVE, PROMPT, Change, Fix, Look, Problem, left_out, replaced
from sidecar.prompts.request import Request
from sidecar.prompts.resolve import Resolved
from sidecar.prompts.words import Said, beside, put_words, wanted_groups

USUAL_SUM = 3.0
"""Above this sum of weights most pictures suffer; told only where the user has set no limit."""


def check_bases(look: Look) -> Iterator[Problem]:
    """LoRAs for another base model than the loaded checkpoint's."""
    base = look.request.facts.checkpoint_base
    for tag, found in look.loras:
        fitting = fits(found.base_model, base)
        if fitting is False:
            message = f"{found.name} is for {found.base_model}, the checkpoint is {base}: it cannot work."
            yield _at(tag, "error", "other_base_model", message, found, left_out(tag, look.prompt))
        elif fitting and found.base_model != base:
            message = f"{found.name} was made for {found.base_model}, the checkpoint is {base}: it may work less well."
            yield _at(tag, "info", "related_base_model", message, found)


def check_words(look: Look) -> Iterator[Problem]:
    """LoRAs whose words the prompt lacks; those that are always added, and those that the user wants to be asked about."""
    if not any(group for _, found in look.loras for group in found.groups):
        return
    said, negative = Said(look.prompt), Said(look.negative)
    seen: set[int] = set()
    for tag, found in look.loras:
        if found.id in seen:
            continue
        seen.add(found.id)
        positives = [group for group in found.groups if not group.negative and not group.outfit]
        unused = not any(said.has(word) for group in positives for word in group.words)
        wanted = wanted_groups(found.groups, said)
        wanted += [group for group in positives if group.mode == "ask" and unused and not wanted]
        for group in wanted:
            there = negative if group.negative else said
            missing = [word for word in group.words if there.lacks(word)]
            if missing:
                yield _missing_words(look, tag, found, group, missing)


def _missing_words(look: Look, tag: Tag, found: Resolved, group: Group, missing: list[str]) -> Problem:
    words = ", ".join(missing)
    where = "the negative prompt" if group.negative else "the prompt"
    name = f" ({group.name})" if group.name else ""
    text = look.negative if group.negative else look.prompt
    if group.negative or group.place != "beside":
        after = put_words(text, missing, "end" if group.negative else group.place)
        field = NEGATIVE if group.negative else PROMPT
        change = Change(field, 0, len(text), after)
        if after.startswith(text.rstrip()):  # only what is new, so that fixes of other places do not overlap
            kept = len(text.rstrip())
            change = Change(field, kept, len(text), after[kept:])
        elif after.endswith(text.lstrip()):
            change = Change(
                field, 0, len(text) - len(text.lstrip()), after[: len(after) - len(text.lstrip())]
            )
    else:
        change = Change(PROMPT, tag.end, tag.end, beside("", missing, look.prompt[tag.end : tag.end + 20]))
    message = f"{found.name} is trained on {words}{name}, which {where} does not say."
    return _at(tag, "info", "trigger_missing", message, found, Fix(f"Add {words}", (change,)))


def check_twice(look: Look) -> Iterator[Problem]:
    """One LoRA in two tags."""
    first: dict[int, Tag] = {}
    for tag, found in look.loras:
        if found.id not in first:
            first[found.id] = tag
            continue
        weights = [first[found.id].weight, tag.weight]
        both = format_weight(sum(1.0 if weight is None else weight for weight in weights))
        what = (
            "the host counts the last weight twice"
            if look.request.facts.counts_last_twice
            else f"together that is {both}"
        )
        joined = Fix(
            f"Join them: {both}",
            (
                *replaced(first[found.id], first[found.id].with_weight(float(both)), "").changes,
                *left_out(tag, look.prompt).changes,
            ),
        )
        message = f"{found.name} is in the prompt twice; {what}."
        yield _at(tag, "warning", "twice", message, found, left_out(tag, look.prompt), joined)


def shown(request: Request, prompt: str) -> list[Activated]:
    """The LoRAs that the picture shows: also those that sets and draws bring."""
    if not any(tag.is_set or tag.is_draw for tag in find_tags(prompt)):
        return activated(request, [prompt])
    if prompt not in request.shown:
        scratch = Request(request.database, request.facts, "tell", complete=request.complete, seed=0)
        request.shown[prompt] = activated(request, [Expander(scratch).expand(prompt).text])
    return request.shown[prompt]


def sum_of_weights(request: Request, prompt: str) -> float:
    """All weights that the picture shows, without their signs."""
    return sum(abs(one.unet[0]) for one in shown(request, prompt))


def check_sum(request: Request, prompt: str, field: str = PROMPT) -> Iterator[Problem]:
    """All weights together against the user's limit, else against what is usual."""
    total = sum_of_weights(request, prompt)
    limit = request.weight_cap or USUAL_SUM
    if limit + 0.001 < total < math.inf:
        level = "warning" if request.weight_cap else "info"
        than = "your limit" if request.weight_cap else "most pictures bear"
        message = f"The weights add up to {format_weight(total)}, more than {than} ({format_weight(limit)})."
        default = request.facts.default_weight
        scaled = [
            (tag, (tag if tag.has_weight else tag.with_weight(default)).scaled(limit / total))
            for tag in host_tags(prompt, request.facts)
            if not tag.is_draw
        ]
        for tag in find_tags(prompt, ("set",)):
            scale = format_weight((scale_of(tag) or 1.0) * limit / total)
            scaled.append((tag, Tag(tag.start, tag.end, tag.kind, tag.name, (scale,))))
        changes = [change for tag, less in scaled for change in replaced(tag, less, "", field).changes]
        fix = Fix(f"Scale them down to {format_weight(limit)}", tuple(changes))
        yield Problem(level, "weight_sum", message, field=field, fixes=(fix,) if changes else ())


def check_batch(request: Request, prompts: Sequence[str]) -> Iterator[Problem]:
    """Images of one batch that want different LoRAs: they share those of one prompt."""
    size = request.facts.batch_size
    if size < 2:
        return
    for start in range(0, len(prompts), size):
        wanted = {
            tuple(sorted(prompt[tag.start : tag.end] for tag in host_tags(prompt, request.facts)))
            for prompt in prompts[start : start + size]
        }
        if len(wanted) > 1:
            whose = "the last prompt that has any" if request.facts.is_sdnext else "the first prompt"
            message = (
                f"The images of a batch share their LoRAs, those of {whose}. For different ones take a batch size of 1 "
                "and a batch count instead."
            )
            yield Problem("error", "batch_differs", message)
            return


def check_stale(request: Request, prompts: Sequence[str]) -> Iterator[Problem]:
    """SDNext, unless two options are changed, keeps the weight of the job before (modules/lora, fuse with cache)."""
    facts = request.facts
    if not facts.is_sdnext or not facts.option("lora_fuse_native") or facts.option("lora_force_reload"):
        return
    if facts.option("lora_in_memory_limit") in (None, 0):
        return
    before = {
        row["name"]: row["weight"]
        for row in request.database.reader().execute(
            """SELECT l.name, l.weight FROM generation_loras l WHERE l.generation_id = (
                   SELECT id FROM generations WHERE host = 'sdnext' ORDER BY created DESC, id DESC LIMIT 1)"""
        )
    }
    for one in activated(request, prompts):
        old = before.get(one.name)
        if old is not None and abs(old - one.unet[0]) > 0.0005:
            message = (
                f"SD.Next will keep {one.name} at {format_weight(old)}, the weight of the last image. Switch off “LoRA native "
                "fuse with model”, or set “LoRA memory cache” to 0, in its settings."
            )
            yield Problem("warning", "stale_weight", message, lora=one.name)


def _at(tag: Tag, level: str, code: str, message: str, found: Resolved, *fixes: Fix) -> Problem:
    return Problem(level, code, message, tag.start, tag.end, lora=found.name, fixes=fixes)
