"""Completion in a prompt box: what may stand at the cursor, of LoRA tags, draws, sets and trigger words.

Only the text around the cursor is looked at, so that a prompt of a megabyte costs no more than a short one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sidecar.database import Database
from sidecar.library.find.complete import HINTS
from sidecar.library.find.complete import complete as complete_query
from sidecar.library.queries import read_items
from sidecar.memo import remember
from sidecar.prompts.complete_sets import find_sets
from sidecar.prompts.facts import fits
from sidecar.prompts.finding import find_loras, find_words, plain_word
from sidecar.prompts.grammar import FORBIDDEN_IN_NAMES, find_tags, format_weight
from sidecar.prompts.resolve import Resolved, resolve_all
from sidecar.prompts.words import Said

WINDOW = 10_000
"""Characters before and behind the cursor that are looked at."""
MAX_TAG = 500
MAX_WORD = 100
MAX_PROMPT_LORAS = 50
LIMIT = 12

_BEGUN = re.compile(r"<(lora|lyco|set):([^<>\n]*)\Z", re.IGNORECASE)
_REST_OF_NAME = re.compile(r"([^<>:,\n]*)(:[^<>\n]*)?>")
_WORD_END = re.compile(r"[^,;|<>()\[\]{}\n\r]*\Z")
_OPENED = re.compile(r"<\w*\Z")
_DRAW_FIELDS = (
    "set", "tag", "base", "collection", "folder", "is", "label", "type", "author", "name", "title", "trigger",
)  # fmt: skip
_FORBIDDEN = re.compile(f"[{FORBIDDEN_IN_NAMES}]")


@dataclass(frozen=True)
class Place:
    """Where in the text something is replaced, in characters of the window."""

    start: int
    end: int


@dataclass(frozen=True)
class Asked:
    """The text around the cursor, and for which checkpoint and how many suggestions are wanted."""

    database: Database
    text: str
    at: int
    checkpoint_base: str | None
    limit: int
    blur_from: int

    def blurs(self, nsfw: int) -> bool:
        return 0 < self.blur_from <= nsfw

    @property
    def before(self) -> str:
        return self.text[: self.at]


Items = list[dict[str, Any]]


def complete(
    database: Database,
    text: str,
    at: int,
    checkpoint_base: str | None = None,
    limit: int = LIMIT,
    blur_from: int = 0,
) -> dict[str, Any]:
    """Suggestions for the cursor at `at` (in characters): {"start", "end", "items"}, whose `text` replaces start to end.

    An item is {"kind": "lora" | "set" | "word" | "field", "text", "label", "detail", "lora", "set", "fits"}. Pictures of LoRAs
    whose NSFW level is at least `blur_from` (0: none) are `blurred`; a set is shown without them.
    """
    at = max(0, min(at, len(text)))
    first = max(0, at - WINDOW)
    # a half of a surrogate pair, as a browser may send one, is no character that SQLite takes
    window = text[first : at + WINDOW].encode("utf-8", "replace").decode("utf-8")
    asked = Asked(database, window, at - first, checkpoint_base, limit, blur_from)
    begun = _BEGUN.search(window, max(0, asked.at - MAX_TAG), asked.at)
    place, items = _in_tag(asked, begun) if begun else _in_words(asked)
    return {"start": first + place.start, "end": first + place.end, "items": items[:limit]}


def _in_tag(asked: Asked, begun: re.Match[str]) -> tuple[Place, Items]:
    kind, typed = begun[1].lower(), begun[2]
    if kind != "set" and typed.lstrip().startswith("?"):
        return _in_draw(asked, begun.start(2) + typed.index("?") + 1)
    if ":" in typed:
        return Place(asked.at, asked.at), []
    rest = _REST_OF_NAME.match(asked.text, asked.at)
    if rest:  # the tag is whole: only its name is another
        place, opening, closing = Place(begun.start(2), rest.end(1)), "", ""
    else:
        place, opening, closing = Place(begun.start(), asked.at), f"<{kind}:", ">"
    if kind == "set":
        return place, [
            _set_item(asked, one, f"{opening}{one['name']}{closing}") for one in _sets(asked, typed)
        ]
    items = []
    for lora in _loras(asked, typed):
        weight = "" if rest else f":{format_weight(1.0 if lora['weight'] is None else lora['weight'])}"
        items.append(_lora_item(asked, lora, f"{opening}{lora['name']}{weight}{closing}"))
    return place, items


def _loras(asked: Asked, typed: str) -> list[dict[str, Any]]:
    """LoRAs whose names can stand in a tag, each name once: the host finds one file by it."""
    wanted = find_loras(asked.database, typed, asked.checkpoint_base, 2 * asked.limit)
    by_name: dict[str, dict[str, Any]] = {}
    for lora in read_items(asked.database.reader(), wanted):
        if _is_writable(lora["name"]):
            by_name.setdefault(lora["name"], lora)
    return list(by_name.values())


def _is_writable(name: str) -> bool:
    return not _FORBIDDEN.search(name) and name == name.strip() and not name.startswith("?")


def _lora_item(asked: Asked, lora: dict[str, Any], text: str) -> dict[str, Any]:
    title = lora["title"] if plain_word(lora["title"]) != plain_word(lora["name"]) else ""
    return _item("lora", text, lora["name"], title, lora=_short(asked, lora), fits=_fits(asked, lora))


def _sets(asked: Asked, typed: str) -> list[dict[str, Any]]:
    return find_sets(asked.database, typed, asked.limit)


def _set_item(asked: Asked, found: dict[str, Any], text: str) -> dict[str, Any]:
    count, levels = found.pop("loras"), found.pop("levels")
    found["previews"] = [one for one in found["previews"] if not asked.blurs(levels.get(one, 0))]
    detail = f"{count} LoRA{'' if count == 1 else 's'}" if count else "text only"
    base = found["base_model"]
    return _item(
        "set",
        text,
        found["name"],
        detail,
        set=found,
        fits=fits(base, asked.checkpoint_base) if base else None,
    )


def _in_draw(asked: Asked, start: int) -> tuple[Place, Items]:
    """The library query of `<lora:?QUERY`; `set:NAME` goes through a set's LoRAs instead."""
    typed = asked.text[start : asked.at]
    if typed.lower().startswith("set:"):
        place = Place(start + len("set:"), asked.at)
        return place, [_set_item(asked, one, one["name"]) for one in _sets(asked, typed[len("set:") :])]
    if not typed.strip():
        fields = [_item("field", f"{one}:", f"{one}:", _hint(one)) for one in _DRAW_FIELDS]
        return Place(asked.at, asked.at), fields
    known = complete_query(asked.database, typed, len(typed))
    place = Place(start + known["start"], start + known["end"])
    items = [
        _item("field", one["text"], one["value"], _detail(one))
        for one in known["items"]
        if not _FORBIDDEN.search(one["text"].partition(":")[2])
    ]
    if not typed[: known["start"]].strip() and "set".startswith(typed.strip().lower()):
        items.insert(0, _item("field", "set:", "set:", _hint("set")))
    return place, items


def _hint(name: str) -> str:
    if name == "set":
        return "the LoRAs of a set, in turn"
    return "" if _FORBIDDEN.search(HINTS[name]) else HINTS[name]  # a tag has no room for "as in >4"


def _detail(one: dict[str, Any]) -> str:
    if one["kind"] == "field":
        return _hint(one["value"].rstrip(":"))
    return "" if one["count"] is None else f"{one['count']:,}"


def _in_words(asked: Asked) -> tuple[Place, Items]:
    """Trigger words that begin with the part of the prompt under the cursor: those of LoRAs in the prompt, which may
    follow on other words, then those of the library.
    """
    part = _WORD_END.search(asked.text, max(0, asked.at - MAX_WORD), asked.at)
    typed = part[0].lstrip() if part else ""
    start = asked.at - len(typed)
    behind = asked.text[asked.at : asked.at + 1]
    if behind.isalnum() or behind == "_" or _OPENED.search(asked.text, 0, asked.at):
        return Place(asked.at, asked.at), []
    said = Said(asked.text[:start], asked.text[asked.at :])
    own = _words_of_prompt(asked, said)
    starts = [start, *(start + space.end() for space in re.finditer(r"\s+", typed.rstrip()))]
    for begin in starts:
        wanted = plain_word(asked.text[begin : asked.at])
        if sum(character.isalnum() for character in wanted) < 2:
            break
        items = [
            _item("word", word, word, f"of {lora['name']}", lora=_short(asked, lora), fits=_fits(asked, lora))
            for word, lora in own
            if plain_word(word).startswith(wanted) and plain_word(word) != wanted
        ]
        if begin == start:
            items += _words_of_library(asked, wanted, said, {plain_word(one["text"]) for one in items})
        if items:
            return Place(begin, asked.at), items
    return Place(start, asked.at), []


def _words_of_prompt(asked: Asked, said: Said) -> list[tuple[str, dict[str, Any]]]:
    """What the LoRAs in the prompt are triggered by and the prompt does not have yet, with the LoRA's item."""
    names = dict.fromkeys(tag.name for tag in find_tags(asked.text) if tag.is_lora and not tag.is_draw)
    wanted = tuple(names)[:MAX_PROMPT_LORAS]
    if not wanted:
        return []
    loras, items = remember(
        asked.database, ("prompt's LoRAs", wanted), lambda: _resolved(asked.database, wanted)
    )
    words = {word: lora.id for lora in loras for group in lora.groups for word in group.words}
    return [
        (word, items[lora_id]) for word, lora_id in words.items() if lora_id in items and said.lacks(word)
    ]


def _resolved(database: Database, names: tuple[str, ...]) -> tuple[list[Resolved], dict[int, dict[str, Any]]]:
    reader = database.reader()
    loras = [lora for lora in resolve_all(reader, names).values() if lora]
    return loras, {item["id"]: item for item in read_items(reader, [lora.id for lora in loras])}


def _words_of_library(asked: Asked, typed: str, said: Said, known: set[str]) -> Items:
    wanted = [
        one
        for one in find_words(asked.database, typed, asked.checkpoint_base, asked.limit)
        if plain_word(one.word) not in known | {typed} and said.lacks(one.word)
    ]
    loras = {
        item["id"]: item for item in read_items(asked.database.reader(), [one.lora_id for one in wanted])
    }
    items = []
    for one in wanted:
        lora = loras.get(one.lora_id)
        if lora:
            others = f" and {len(one.others)} more" if one.others else ""
            detail = f"not in the prompt: {lora['name']}{others}"
            items.append(
                _item("word", one.word, one.word, detail, lora=_short(asked, lora), fits=_fits(asked, lora))
            )
    return items


def _fits(asked: Asked, lora: dict[str, Any]) -> bool | None:
    return fits(lora["base_model"], asked.checkpoint_base)


def _short(asked: Asked, lora: dict[str, Any]) -> dict[str, Any]:
    shown = {key: lora[key] for key in ("id", "name", "title", "base_model", "preview", "weight", "nsfw")}
    return {**shown, "blurred": asked.blurs(lora["nsfw"])}


def _item(
    kind: str,
    text: str,
    label: str,
    detail: str,
    *,
    lora: dict[str, Any] | None = None,
    set: dict[str, Any] | None = None,
    fits: bool | None = None,
) -> dict[str, Any]:
    return {
        "kind": kind, "text": text, "label": label, "detail": detail, "lora": lora, "set": set, "fits": fits,
    }  # fmt: skip
