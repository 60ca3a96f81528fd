"""Checks of where things stand: tags that never end, brackets, LoRAs where no host looks for them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from sidecar.prompts.facts import comments_in
from sidecar.prompts.grammar import find_tags, find_unclosed, is_cut, is_within, mask_tags
from sidecar.prompts.lint.problems import NEGATIVE, PROMPT, Change, Fix, Look, Problem, left_out
from sidecar.prompts.sets.reading import find_set

MAX_PROBLEMS = 50
_WIDE_COLON = re.compile(r"<(?:lora|lyco|set)\uff1a[^<>\n]*>", re.IGNORECASE)
# [before:after:when], [text:when], [text::when] of the A1111 line and SDNext; LoRAs in them do not follow the schedule.
_SCHEDULE = re.compile(r"\[[^\[\]]*:\s*[\d.]+\s*\]")


def check_places(look: Look) -> Iterator[Problem]:
    """The prompt, then the negative prompt."""
    yield from _unclosed(look.prompt, PROMPT)
    yield from _unclosed(look.negative, NEGATIVE)
    yield from _wide_colons(look.prompt, PROMPT)
    yield from _wide_colons(look.negative, NEGATIVE)
    yield from _brackets(look.prompt, PROMPT)
    yield from _brackets(look.negative, NEGATIVE)
    yield from _in_schedules(look)
    yield from _in_comments(look)
    yield from _in_negative(look)


def _unclosed(text: str, field: str) -> Iterator[Problem]:
    for start, end in find_unclosed(text)[:MAX_PROBLEMS]:
        stop = start + len(re.match(r"<\w+:[^\s,]*", text[start:end])[0])  # type: ignore[index]
        message = "This tag has no > at its end, so no host reads it as one."
        fix = Fix("Add >", (Change(field, stop, stop, ">"),))
        yield Problem("error", "unclosed_tag", message, start, end, field, fixes=(fix,))


def _wide_colons(text: str, field: str) -> Iterator[Problem]:
    """What an input method for Chinese or Japanese writes for a colon."""
    for match in islice(_WIDE_COLON.finditer(text, 0, text.rfind(">") + 1), MAX_PROBLEMS):
        message = "This has wide colons, so no host reads it as a tag."
        narrow = Change(field, match.start(), match.end(), match[0].replace("\uff1a", ":"))
        fixes = (Fix("Write plain colons", (narrow,)),)
        yield Problem("error", "wide_colon", message, match.start(), match.end(), field, fixes=fixes)


def _brackets(text: str, field: str) -> Iterator[Problem]:
    """The first bracket of each kind that has no partner; escaped ones are text."""
    masked = mask_tags(text, lambda match: "." * len(match[0]))
    opened: dict[str, list[int]] = {"(": [], "[": []}
    partner = {")": "(", "]": "["}
    stray: dict[str, int] = {}
    escaped = False
    for at, character in enumerate(masked):
        if escaped or character == "\\":
            escaped = not escaped
        elif character in opened:
            opened[character].append(at)
        elif character in partner:
            if opened[partner[character]]:
                opened[partner[character]].pop()
            else:
                stray.setdefault(character, at)
    for character, places in opened.items():
        if places:
            stray[character] = places[0]
    for character, at in sorted(stray.items(), key=lambda one: one[1]):
        message = f"This {character} has no partner; the emphasis is not what it looks like."
        fix = Fix("Take it out", (Change(field, at, at + 1, ""),))
        yield Problem("warning", "unbalanced_brackets", message, at, at + 1, field, fixes=(fix,))


def _in_schedules(look: Look) -> Iterator[Problem]:
    masked = mask_tags(look.prompt, lambda match: "." * len(match[0]))
    spans = [match.span() for match in _SCHEDULE.finditer(masked)]
    for tag in look.tags:
        if tag.is_lora and is_within(tag.start, spans):
            message = "A LoRA does not follow a schedule: it is on from the first step to the last."
            yield Problem("warning", "lora_in_schedule", message, tag.start, tag.end, lora=tag.name.strip())


def _in_comments(look: Look) -> Iterator[Problem]:
    if not look.comments:
        return
    for tag in find_tags(look.prompt):
        if is_within(tag.start, look.comments):
            message = "This stands in a comment, which the host takes out."
            yield Problem("info", "in_comment", message, tag.start, tag.end, lora=tag.name.strip())
        elif is_cut(tag, look.comments):
            message = "A comment begins inside this tag (# or //), and the host takes it out from there on."
            fix = left_out(tag, look.prompt)
            yield Problem(
                "error", "cut_by_comment", message, tag.start, tag.end, lora=tag.name.strip(), fixes=(fix,)
            )


def _in_negative(look: Look) -> Iterator[Problem]:
    comments = comments_in(look.negative, look.request.facts)
    for tag in find_tags(look.negative):
        if is_cut(tag, comments):
            continue
        if tag.is_set:
            if find_set(look.request.database, tag.name) is None:
                message = f"There is no set {tag.name.strip()!r}."
                fix = left_out(tag, look.negative, NEGATIVE)
                yield Problem("error", "unknown_set", message, tag.start, tag.end, NEGATIVE, fixes=(fix,))
            continue
        out = left_out(tag, look.negative, NEGATIVE)
        end = len(look.prompt.rstrip())
        moved = Change(PROMPT, end, end, f"{' ' if end else ''}{look.negative[tag.start : tag.end]}")
        fixes = (Fix("Move it to the prompt", (*out.changes, moved)), out)
        message = "In the negative prompt this is plain text: no host loads a LoRA from there."
        yield Problem(
            "warning", "lora_in_negative", message, tag.start, tag.end, NEGATIVE, tag.name.strip(), fixes
        )
