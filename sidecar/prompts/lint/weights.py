"""Checks of numbers and of syntax that the running host reads otherwise than it is meant, or not at all."""

from __future__ import annotations

import math
from collections.abc import Iterator

from sidecar.prompts.grammar import Tag, format_weight, to_number
from sidecar.prompts.lint.problems import Fix, Look, Problem, left_out, replaced
from sidecar.prompts.reading import LEADING_NUMBER, Unreadable, read_tag
from sidecar.prompts.resolve import Resolved

_BLOCK_WEIGHTS = ("lbw", "lbwe", "start", "stop", "step")
_BLOCK_WEIGHT_EXTENSIONS = ("block-weight", "block_weight")


def check_weights(look: Look) -> Iterator[Problem]:
    """Every LoRA's arguments, in order."""
    for tag, found in look.loras:
        if "=" in tag.name:
            continue  # no host finds it, whatever its weight
        if tag.decimal_comma:
            yield _decimal_comma(look, tag, found)
            continue
        try:
            reading = read_tag(tag, look.request.facts)
        except Unreadable as error:
            yield _unreadable(tag, found, str(error))
            continue
        if reading is None:
            continue
        if reading.unreadable:
            yield _unreadable(tag, found, reading.unreadable)
            continue
        if not all(map(math.isfinite, (reading.te, *reading.unet))):
            yield _not_finite(tag, found)
            continue
        yield from _ignored(look, tag, found, reading.ignored)
        yield from _otherwise(look, tag, found)
        if not any((reading.te, *reading.unet)):
            yield _at(
                tag,
                "info",
                "no_weight",
                f"With the weight 0, {found.name} does nothing.",
                found,
                left_out(tag, look.prompt),
            )


def _decimal_comma(look: Look, tag: Tag, found: Resolved) -> Problem:
    weight = format_weight(float(next(one for one in tag.arguments if "," in one).replace(",", ".")))
    happens = (
        "the host then takes 1"
        if look.request.facts.is_sdnext
        else "the host then drops every LoRA of the image"
    )
    return _at(
        tag,
        "warning" if look.request.facts.is_sdnext else "error",
        "decimal_comma",
        f"A weight takes a point, {weight}; {happens}.",
        found,
        replaced(tag, tag.with_weight(float(weight)), f"Write {weight}"),
    )


def _unreadable(tag: Tag, found: Resolved, what: str) -> Problem:
    message = f"The host cannot read {what!r}, and then this LoRA, or every LoRA of the image, has no effect."
    meant = LEADING_NUMBER.match(what)
    if meant is None or what not in tag.arguments:
        return _at(tag, "error", "bad_number", message, found, _usual_alone(tag, found))
    arguments = tuple(meant[0].strip() if one == what else one for one in tag.arguments)
    fix = replaced(tag, Tag(0, 0, tag.kind, tag.name, arguments), f"Write {meant[0].strip()}")
    return _at(tag, "error", "bad_number", message, found, fix)


def _not_finite(tag: Tag, found: Resolved) -> Problem:
    message = f"{':'.join(tag.arguments)!r} is no weight that an image can bear: it is spoilt."
    return _at(tag, "error", "bad_number", message, found, _usual_alone(tag, found))


def _usual_alone(tag: Tag, found: Resolved) -> Fix:
    weight = format_weight(1.0 if found.weight is None else found.weight)
    return replaced(tag, Tag(0, 0, tag.kind, tag.name, (weight,)), f"Write {weight} alone")


def _ignored(look: Look, tag: Tag, found: Resolved, ignored: tuple[str, ...]) -> Iterator[Problem]:
    facts = look.request.facts
    for text in ignored:
        key, equals, _ = text.partition("=")
        if equals and key.strip() in _BLOCK_WEIGHTS and not facts.is_sdnext:
            if not facts.lacks_extension(*_BLOCK_WEIGHT_EXTENSIONS):
                continue
            message = f"{text!r} works only with the extension for block weights, which is not there."
        elif not equals and facts.is_sdnext and to_number(text) is not None:
            yield _second_number(look, tag, found, text)
            continue
        else:
            message = f"This host pays no attention to {text!r}."
        rest = tuple(one for one in tag.arguments if one != text)
        fix = replaced(tag, Tag(0, 0, tag.kind, tag.name, rest), "Take it out")
        yield _at(tag, "warning", "ignored_syntax", message, found, fix)


def _second_number(look: Look, tag: Tag, found: Resolved, text: str) -> Problem:
    first = format_weight(tag.weight if tag.weight is not None else 1.0)
    rest = tuple(one for one in tag.arguments if "=" in one)
    named: tuple[str, ...] = (f"te={first}", f"unet={text}")
    if look.request.facts.option("lora_apply_te") is False:  # te= of its own would be the next problem
        first, named = text, ()
    mended = Tag(0, 0, tag.kind, tag.name, (first, *named, *rest))
    message = f"SD.Next pays no attention to a second number; {text} is written unet={text}."
    label = f"Write unet={text}" if named else f"Write {text} alone"
    return _at(tag, "warning", "ignored_syntax", message, found, replaced(tag, mended, label))


def _otherwise(look: Look, tag: Tag, found: Resolved) -> Iterator[Problem]:
    """What hosts read, but otherwise than most people mean it."""
    facts = look.request.facts
    te, weight = tag.named("te"), tag.weight
    unheard = facts.is_sdnext and facts.option("lora_apply_te") is False
    without_te = tuple(one for one in tag.arguments if not one.startswith("te="))
    if te is not None and weight is not None and tag.named("unet") is None and to_number(te) != weight:
        fix = replaced(
            tag, tag.with_named("unet", format_weight(weight)), f"Add unet={format_weight(weight)}"
        )
        if unheard:  # te= of its own would be the next problem
            fix = replaced(tag, Tag(0, 0, tag.kind, tag.name, without_te), "Take te= out")
        message = f"te={te} alone sets the picture's weight as well: {format_weight(weight)} is not used."
        yield _at(tag, "warning", "te_sets_all", message, found, fix)
    if unheard and te is not None and tag.named("unet") is not None:
        message = "te= has no effect while the option “LoRA native apply to text encoder” of SD.Next is off."
        fix = replaced(tag, Tag(0, 0, tag.kind, tag.name, without_te), "Take te= out")
        yield _at(tag, "warning", "te_not_applied", message, found, fix)
    if facts.is_sdnext and any("@" in argument for argument in tag.arguments):
        message = "SD.Next uses only the beginning of a schedule, for all steps."
        yield _at(tag, "warning", "only_first_step", message, found)


def _at(tag: Tag, level: str, code: str, message: str, found: Resolved, *fixes: Fix) -> Problem:
    return Problem(level, code, message, tag.start, tag.end, lora=found.name, fixes=fixes)
