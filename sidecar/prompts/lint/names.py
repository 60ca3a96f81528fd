"""Checks of names: LoRAs, sets and draws that the library or the host does not find, or finds otherwise than meant."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.errors import BadRequest
from sidecar.prompts.activation import known_to_host, speakable_name, unspeakable
from sidecar.prompts.draws import candidates, plain_message, read_draw
from sidecar.prompts.expand import Expander, nearest_sets, scale_of, unknown_set
from sidecar.prompts.facts import fits
from sidecar.prompts.grammar import LORA_KINDS, Tag, find_tags
from sidecar.prompts.lint.problems import Fix, Look, Problem, left_out, replaced
from sidecar.prompts.names import nearest_names
from sidecar.prompts.request import MAX_NEAREST_ASKED, Request
from sidecar.prompts.resolve import USABLE, Resolved, is_damaged
from sidecar.prompts.sets.reading import LoraSet, find_set

_WHY = {
    "case": "hosts tell capitals apart",
    "path": "the host does not know it by its folder",
    "extension": "the ending of the file is no part of it",
    "dots": "the host does not know it with _ for its dots",
    "alias": "the host does not know it by the name it was trained under",
}


def check_names(look: Look) -> Iterator[Problem]:
    """Every tag's name, in order."""
    asked = 0
    for tag in look.tags:
        if tag.is_set:
            yield from _check_set(look, tag)
        elif tag.is_draw:
            yield from _check_draw(look, tag)
        elif tag.is_lora:
            found = look.request.resolve(tag.name)
            if found is None:
                asked += 1
                yield from _check_unknown(look, tag, asked <= MAX_NEAREST_ASKED)
            else:
                yield from _check_known(look, tag, found)


def _check_unknown(look: Look, tag: Tag, ask: bool) -> Iterator[Problem]:
    name = tag.name.strip()
    if tag.is_unexpanded:
        return
    if not look.request.complete:
        message = f"{name!r} is not in the library, which is not read to its end yet."
        yield Problem("warning", "unknown_lora", message, tag.start, tag.end, lora=name)
        return
    if name and is_damaged(look.request.database.reader(), name):
        message = f"The file of {name} is damaged, so no host can load it."
        fix = (left_out(tag, look.prompt),)
        yield Problem("error", "damaged_lora", message, tag.start, tag.end, lora=name, fixes=fix)
        return
    near = nearest_names(look.request.database, name) if ask and name else []
    hint = f" Did you mean {near[0]}?" if near else ""
    facts = look.request.facts
    lost = " This host then switches off every LoRA of the image." if facts.drops_all else ""
    fixes = [replaced(tag, Tag(0, 0, tag.kind.lower(), one, tag.arguments), f"Write {one}") for one in near]
    message = f"There is no LoRA {name!r}.{hint}{lost}" if name else "This tag names no LoRA."
    yield Problem(
        "error",
        "unknown_lora",
        message,
        tag.start,
        tag.end,
        lora=name,
        fixes=(*fixes, left_out(tag, look.prompt)),
    )


def _check_known(look: Look, tag: Tag, found: Resolved) -> Iterator[Problem]:
    facts = look.request.facts
    name = speakable_name(found, facts)
    if name is None:
        fix = (left_out(tag, look.prompt),)
        yield Problem(
            "error",
            "name_cannot_be_written",
            unspeakable(found.name),
            tag.start,
            tag.end,
            lora=found.name,
            fixes=fix,
        )
        return
    if tag.kind not in LORA_KINDS or (facts.is_sdnext and tag.kind == "lyco"):
        mended = Tag(0, 0, "lora", name, tag.arguments)
        message = f"The host does not know <{tag.kind}:…>, so {found.name} has no effect."
        yield _at(tag, "error", "unknown_kind", message, found, replaced(tag, mended, "Write <lora:…>"))
    elif known_to_host(look.request, tag.name) is None:
        mended = Tag(0, 0, tag.kind, name, tag.arguments)
        why = "spaces around it count" if tag.name != tag.name.strip() else _WHY.get(found.how or "", "")
        message = f"The LoRA is called {name}; {why}."
        yield _at(tag, "error", "inexact_name", message, found, replaced(tag, mended, f"Write {name}"))
    elif found.twins and tag.name == found.name:
        yield _at(
            tag,
            "warning",
            "same_stem",
            f"{found.twins + 1} files are called {found.name}, and the host takes only one of them; rename the others.",
            found,
            *_by_folder(look, tag, found),
        )


def _by_folder(look: Look, tag: Tag, found: Resolved) -> list[Fix]:
    """SDNext also takes folder/stem: one fix for each of the files."""
    if not (look.request.facts.is_sdnext and look.request.facts.lora_dir):
        return []
    rows = look.request.database.reader().execute(
        f"""SELECT l.folder FROM loras l JOIN roots r ON r.id = l.root_id
            WHERE l.stem = ? AND l.sort_name = ? AND l.folder != '' AND {USABLE} ORDER BY l.folder LIMIT 5""",
        (found.name, found.name.casefold()),
    )
    names = [f"{row['folder']}/{found.name}" for row in rows]
    return [replaced(tag, Tag(0, 0, tag.kind, name, tag.arguments), f"Take {name}") for name in names]


def _check_set(look: Look, tag: Tag) -> Iterator[Problem]:
    request = look.request
    found = find_set(request.database, tag.name)
    if found is None:
        near = nearest_sets(request, tag.name)
        fixes = [replaced(tag, Tag(0, 0, "set", name, tag.arguments), f"Write {name}") for name in near]
        message = unknown_set(request, tag.name).replace("; it was left out", "")
        yield Problem(
            "error",
            "unknown_set",
            message,
            tag.start,
            tag.end,
            lora=None,
            fixes=(*fixes, left_out(tag, look.prompt)),
        )
        return
    if tag.arguments and scale_of(tag) is None:
        message = f"{tag.arguments[0]!r} is no number to scale {found.name} by; 1 is taken."
        fix = replaced(tag, Tag(0, 0, tag.kind, tag.name), f"Write <set:{found.name}>")
        yield Problem("warning", "bad_number", message, tag.start, tag.end, fixes=(fix,))
    yield from _check_members(look, tag, found)


def _check_members(look: Look, tag: Tag, found: LoraSet) -> Iterator[Problem]:
    out = (left_out(tag, look.prompt),)
    missing = [member.name for member in found.members if member.lora_id is None]
    if missing:
        message = f"The set {found.name} has LoRAs that are not in the library: {', '.join(missing[:5])}."
        yield Problem("error", "set_lora_missing", message, tag.start, tag.end, fixes=out)
    base = look.request.facts.checkpoint_base
    others = [member for member in found.members if fits(member.base_model, base) is False]
    if others:
        named = ", ".join(f"{member.name} ({member.base_model})" for member in others[:5])
        message = f"The checkpoint is {base}; in the set {found.name} these are for another: {named}."
        yield Problem("error", "other_base_model", message, tag.start, tag.end, fixes=out)
    yield from _check_within(look, tag, found)


def _check_within(look: Look, tag: Tag, found: LoraSet) -> Iterator[Problem]:
    """What goes wrong further inside a set: it contains itself, or sets that are not there, or without end."""
    if not any(one.is_set or one.is_draw for one in find_tags(found.prompt + found.negative_prompt)):
        return
    scratch = Request(look.request.database, look.request.facts, "stop", complete=look.request.complete)
    Expander(scratch).expand(f"<set:{found.name}>")
    direct = {member.name for member in found.members}
    for note in scratch.notes:
        if note.level == "error" and (note.code != "set_lora_missing" or note.lora not in direct):
            out = (left_out(tag, look.prompt),)
            yield Problem(note.level, note.code, note.message, tag.start, tag.end, fixes=out)


def _check_draw(look: Look, tag: Tag) -> Iterator[Problem]:
    if tag.is_unexpanded:
        return
    request, wanted = look.request, read_draw(tag)
    if wanted.set_name is not None:
        found = find_set(request.database, wanted.set_name)
        there = [member for member in found.members if member.lora_id is not None] if found else []
        if not there:
            message = (
                f"The set {wanted.set_name!r} has no LoRA to draw."
                if found
                else unknown_set(request, wanted.set_name)
            )
            yield Problem(
                "error", "nothing_drawn", message, tag.start, tag.end, fixes=(left_out(tag, look.prompt),)
            )
        return
    try:
        names = candidates(request.database, wanted.query)
    except BadRequest as error:
        message = f"This cannot be searched for: {plain_message(error)}"
        yield Problem("error", "bad_query", message, tag.start, tag.end)
        return
    if not any(fits(one.base_model, request.facts.checkpoint_base) is not False for one in names):
        what = "matches this search" if not names else "of this search fits the checkpoint"
        fix = (left_out(tag, look.prompt),)
        yield Problem("error", "nothing_drawn", f"No LoRA {what}.", tag.start, tag.end, fixes=fix)


def _at(tag: Tag, level: str, code: str, message: str, found: Resolved, *fixes: Fix) -> Problem:
    return Problem(level, code, message, tag.start, tag.end, lora=found.name, fixes=fixes)
