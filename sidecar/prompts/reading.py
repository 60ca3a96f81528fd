"""What a host makes of the tags of a prompt, exactly as it reads them: which weights, or that it gives up on all of them.

SDNext: modules/lora/extra_networks_lora.py `parse`; A1111 line: extensions-builtin/Lora/extra_networks_lora.py `activate`.
Names are not looked up here.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from sidecar.prompts.facts import Facts
from sidecar.prompts.grammar import Tag, to_number

_KNOWN_TO_SDNEXT = ("te", "unet", "in", "mid", "out", "dyn", "module")
_KNOWN_TO_A1111 = ("te", "unet", "dyn")
LEADING_NUMBER = re.compile(r"\s*[-+]?(?:\d{1,6}\.?\d{0,6}|\.\d{1,6})(?=\D)")
"""A weight with something behind it: 0.8x, or a schedule for a host that knows none."""


class Unreadable(Exception):
    """The host raises at this tag, and no LoRA of the image is loaded; the message is what it stumbles over."""


@dataclass(frozen=True)
class Reading:
    """One tag as a host reads it. `unet` is (in, mid, out) as on SDNext, three times the same on the A1111 line.

    `skipped`: it has no effect; for `unreadable`, when there is a text where SDNext wants a number.
    """

    name: str
    te: float
    unet: tuple[float, float, float]
    dyn: int | None = None
    skipped: bool = False
    ignored: tuple[str, ...] = ()
    unreadable: str = ""

    @property
    def weight(self) -> float:
        """The weight that the picture shows most."""
        return self.unet[0]


def read_tag(tag: Tag, facts: Facts) -> Reading | None:
    """The tag as the host reads it; None when it does not know the tag's kind at all.

    Raises:
        Unreadable: the host gives up on every LoRA of the image.
    """
    known = ("lora",) if facts.is_sdnext else ("lora", "lyco")
    if tag.kind not in known:
        return None
    positional, named = _split(tag)
    if not positional:
        raise Unreadable("a name with = in it")
    return _read_on_sdnext(positional, named, facts) if facts.is_sdnext else _read_on_a1111(positional, named)


def picture_weight(tag: Tag, facts: Facts) -> float:
    """How much of it the picture shows on this host, without its sign; what it says where the host cannot read it."""
    try:
        reading = read_tag(tag, facts)
    except Unreadable:
        reading = None
    weight = reading.weight if reading else (tag.weight or 0.0)
    return abs(weight) if math.isfinite(weight) else 0.0


def _split(tag: Tag) -> tuple[list[str], dict[str, str]]:
    """As both hosts do: "a=b" is named, "a=b=c" and all else positional."""
    positional, named = list[str](), dict[str, str]()
    for item in (tag.name, *tag.arguments):
        parts = item.split("=", 2)
        if len(parts) == 2:
            named[parts[0]] = parts[1]
        else:
            positional.append(item)
    return positional, named


def _read_on_sdnext(positional: list[str], named: dict[str, str], facts: Facts) -> Reading:
    given = positional[1] if len(positional) > 1 else None
    default = facts.default_weight
    weight = to_number(given) if given is not None else default
    if weight is None:  # text that is no number counts as not there, but a schedule is read
        weight = _at_first_step(str(given)) if "@" in str(given) else default
    te, wrong = _sdnext_number(named.get("te"), weight)
    unet, of_unet = _sdnext_number(named.get("unet"), te)
    blocks, of_blocks = zip(
        *(_sdnext_number(named.get(key), unet) for key in ("in", "mid", "out")), strict=True
    )
    dyn = _whole(named["dyn"]) if "dyn" in named else None
    ignored = [f"{key}={value}" for key, value in named.items() if key not in _KNOWN_TO_SDNEXT]
    ignored += [text for text in positional[2:] if text.lower() not in ("high", "low")]
    if given and given.lower() not in ("high", "low") and "@" not in given and to_number(given) is None:
        ignored.append(given)
    unreadable = wrong or of_unet or next(filter(None, of_blocks), "")
    skipped = bool(unreadable) or (te == 0 and not any(blocks))
    return Reading(
        positional[0], te, (blocks[0], blocks[1], blocks[2]), dyn, skipped, tuple(ignored), unreadable
    )


def _sdnext_number(text: str | None, otherwise: float) -> tuple[float, str]:
    """The number, and the text where it is none: SDNext takes that along, and then fails layer by layer."""
    if text is None:
        return otherwise, ""
    if "@" in text:
        return _at_first_step(text), ""
    number = to_number(text)
    return (otherwise, text) if number is None else (number, "")


def _at_first_step(schedule: str) -> float:
    """The weight at step 0, the only one that SDNext ever uses: numpy's interp, so below the first position its weight."""
    points = []
    for part in re.split("[,;]", schedule):
        numbers = [to_number(text.strip()) for text in re.split("[@~]", part)]
        if len(numbers) > 2 or None in numbers:
            raise Unreadable(schedule)
        points.append((float(numbers[0] or 0), float(numbers[1] or 0) if len(numbers) == 2 else 1.0))
    points.sort(key=lambda point: point[1])
    before = [point for point in points if point[1] <= 0]
    if not before or len(before) == len(points):
        return (before or points)[-1 if before else 0][0]
    (left, at), (right, until) = before[-1], points[len(before)]
    return left + (right - left) * (0 - at) / (until - at)


def _read_on_a1111(positional: list[str], named: dict[str, str]) -> Reading:
    te = _number(positional[1]) if len(positional) > 1 else 1.0
    te = _number(named["te"]) if "te" in named else te
    unet = _number(positional[2]) if len(positional) > 2 else te
    unet = _number(named["unet"]) if "unet" in named else unet
    dyn = _whole(positional[3]) if len(positional) > 3 else None
    dyn = _whole(named["dyn"]) if "dyn" in named else dyn
    ignored = [f"{key}={value}" for key, value in named.items() if key not in _KNOWN_TO_A1111]
    return Reading(positional[0], te, (unet, unet, unet), dyn, False, (*ignored, *positional[4:]))


def _number(text: str) -> float:
    number = to_number(text)
    if number is None:
        raise Unreadable(text)
    return number


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise Unreadable(text) from error
