"""Composes a prompt: sets and draws expanded, names the host will find, weights filled in, trigger words added.

Whatever cannot be decided is left as typed, with a note: a prompt is never made worse than it was. Composing what was
composed changes nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sidecar.library.word_groups import Group, split_words
from sidecar.prompts.activation import Activated, activated, known_to_host, speakable_name, unspeakable
from sidecar.prompts.expand import Expander, Expansion, expand_negative
from sidecar.prompts.facts import Facts, comments_in
from sidecar.prompts.grammar import (
    Tag,
    find_tags,
    format_weight,
    is_cut,
    is_within,
    replace_tags,
)
from sidecar.prompts.lint.checks import check_composed
from sidecar.prompts.names import nearest_names, only_likely
from sidecar.prompts.reading import LEADING_NUMBER, Unreadable, picture_weight, read_tag
from sidecar.prompts.request import MAX_NEAREST_ASKED, Request
from sidecar.prompts.resolve import Resolved, is_damaged
from sidecar.prompts.words import Said, beside, put_words, wanted_groups

MAX_PROMPT = 1_000_000
_ALTERNATIVES = re.compile(r"\{[^{}|]*\|[^{}]*\}")


@dataclass
class Composed:
    """What became of a request: prompts in the order given, and the LoRAs that the host will have in effect."""

    prompts: list[str]
    negatives: list[str]
    loras: list[Activated]
    request: Request

    def to_json(self) -> dict[str, Any]:
        notes = self.request.notes
        return {
            "loras": [lora.to_json() for lora in self.loras],
            "notes": [asdict(note) for note in notes],
            "sets": list(self.request.sets.values()),
            "draws": self.request.draws,
            "stop": self.request.mode == "stop" and any(note.level == "error" for note in notes),
        }


def compose_all(
    request: Request,
    prompts: Sequence[str],
    negatives: Sequence[str],
    seeds: Sequence[int] | None = None,
    *,
    add_trigger_words: bool = False,
) -> Composed:
    """Compose the prompts of a batch. A negative prompt goes with each prompt, or a single one with all of them."""
    composed, added = list[str](), list[list[str]]()
    for at, prompt in enumerate(prompts):
        request.seed = seeds[at] if seeds and at < len(seeds) else request.seed
        one = _Prompt(request, prompt, add_trigger_words)
        composed.append(one.text)
        added.append(one.negatives)
    if len(negatives) == len(prompts):
        negatives = [
            _with_negatives(request, text, [words]) for text, words in zip(negatives, added, strict=True)
        ]
    elif len(negatives) == 1:
        negatives = [_with_negatives(request, negatives[0], added)]
    else:
        negatives = [expand_negative(request, text) for text in negatives]
    check_composed(request, composed, negatives)
    return Composed(composed, list(negatives), activated(request, composed), request)


def _with_negatives(request: Request, negative: str, added: list[list[str]]) -> str:
    """A negative prompt with its sets expanded and the words that the LoRAs and sets want in it, none doubled."""
    text = expand_negative(request, negative)
    said, missing = Said(text), list[str]()
    for word in (word for words in added for word in words):
        if said.lacks(word):
            said.add([word])
            missing.append(word)
    return put_words(text, missing, "end")


@dataclass
class _Words:
    """The words that one prompt still needs."""

    start: list[str] = field(default_factory=list)
    end: list[str] = field(default_factory=list)
    negative: list[str] = field(default_factory=list)


class _Prompt:
    """One prompt while it is composed; `text` is what came of it."""

    def __init__(self, request: Request, prompt: str, add_trigger_words: bool) -> None:
        self._request = request
        self._nearest_asked = 0
        expansion = Expander(request).expand(prompt)
        tags = find_tags(expansion.text)
        comments = comments_in(expansion.text, request.facts)
        self._tags = [tag for tag in tags if tag.is_lora and not is_cut(tag, comments)]
        request.look_up(tag.name for tag in self._tags)
        self._written = [expansion.text[tag.start : tag.end] for tag in self._tags]
        self._meant: list[Resolved | None] = [request.resolve(tag.name) for tag in self._tags]
        texts = self._capped([self._rewrite(at, text) for at, text in enumerate(self._written)])
        words = _Words()
        if add_trigger_words or expansion.words:
            texts = self._add_words(expansion, texts, words, add_trigger_words)
        text = replace_tags(expansion.text, self._tags, texts)
        self.text = put_words(put_words(text, words.start, "start"), words.end, "end")
        of_sets = (part for text in expansion.negatives for part in split_words(text))
        self.negatives = [*of_sets, *words.negative]

    def _rewrite(self, at: int, written: str) -> str | None:
        """A tag's text as the host should read it; None leaves it out."""
        tag, found = self._tags[at], self._meant[at]
        if found is None:
            return self._unknown(at, tag, written)
        if self._request.mode == "tell":
            changed = self._with_weight(tag, found)
        else:
            renamed = self._under_its_name(tag, found)
            if renamed is None:
                return None
            changed = self._with_weight(self._readable(renamed, found), found)
        return written if changed == tag else str(changed)

    def _unknown(self, at: int, tag: Tag, written: str) -> str | None:
        request, name = self._request, tag.name.strip()
        if tag.is_unexpanded:
            request.note(
                "info", "left_to_wildcards", f"{name!r} is left to the extension that fills it in.", name
            )
            return written
        if not request.complete:
            request.note(
                "warning",
                "unknown_lora_kept",
                f"{name!r} is not in the library, which is not read to its end yet; it was left as typed.",
                name,
            )
            return written
        if name and is_damaged(request.database.reader(), name):
            kept = request.mode == "tell"
            message = f"The file of {name} is damaged{'' if kept else request.left_out}."
            request.note("error", "damaged_lora", message, name)
            return written if kept else None
        self._nearest_asked += 1
        near = nearest_names(request.database, name) if self._nearest_asked <= MAX_NEAREST_ASKED else []
        meant = only_likely(name, near)
        if meant and request.mode != "tell" and (found := request.resolve(meant)):
            request.note("warning", "misspelt_lora", f"There is no LoRA {name!r}; {meant} was taken.", meant)
            self._meant[at] = found
            changed = Tag(tag.start, tag.end, tag.kind.lower(), meant, tag.arguments)
            return str(self._with_weight(self._readable(changed, found), found))
        hint = f" Did you mean {', '.join(near)}?" if near else ""
        what = f"There is no LoRA {name!r}" if name else "One of the tags names no LoRA"
        if request.mode == "tell":
            request.note("error", "unknown_lora", f"{what}.{hint}", name)
            return written
        is_mended = request.facts.drops_all and request.mode != "stop"
        lost = " On this host it would have switched off every LoRA of the image." if is_mended else ""
        request.note("error", "unknown_lora", f"{what}{request.left_out}.{hint}{lost}", name)
        return None

    def _under_its_name(self, tag: Tag, found: Resolved) -> Tag | None:
        """The tag with a kind and a name that the host knows."""
        request, changed = self._request, tag
        kind = tag.kind.lower()
        if request.facts.is_sdnext and kind == "lyco":
            request.note(
                "info",
                "lyco_renamed",
                f"SD.Next knows no <lyco:…>: {found.name} is written as a lora.",
                found.name,
            )
            kind = "lora"
        if found.twins and known_to_host(request, tag.name):
            return tag  # its folder tells it from its namesakes
        name = speakable_name(found, request.facts)
        if name is None:
            request.note("error", "name_cannot_be_written", unspeakable(found.name), found.name)
            return None
        if tag.name != name:
            changed = Tag(tag.start, tag.end, kind, name, tag.arguments)
            if tag.name.strip() != name:
                request.note("info", "renamed_lora", f"{tag.name.strip()!r} is written {name!r}.", name)
        return (
            changed
            if changed.kind == kind
            else Tag(tag.start, tag.end, kind, changed.name, changed.arguments)
        )

    def _readable(self, tag: Tag, found: Resolved) -> Tag:
        """The tag without what the host would stumble over."""
        request = self._request
        if tag.decimal_comma:
            weight = float(next(a for a in tag.arguments if "," in a).replace(",", "."))
            request.note(
                "info", "decimal_comma", f"A weight takes a point: {format_weight(weight)}.", found.name
            )
            tag = tag.with_weight(weight)
        while (at := _unreadable_argument(tag, request.facts)) is not None:
            wrong = tag.arguments[at]
            meant = LEADING_NUMBER.match(wrong)
            what = f"{meant[0].strip()} was taken" if meant else "it was left out"
            message = f"{wrong!r} is nothing that the host can read; {what}."
            request.note("warning", "bad_number", message, found.name)
            instead = (meant[0].strip(),) if meant else ()
            arguments = (*tag.arguments[:at], *instead, *tag.arguments[at + 1 :])
            tag = Tag(tag.start, tag.end, tag.kind, tag.name, arguments)
        return tag

    def _with_weight(self, tag: Tag, found: Resolved) -> Tag:
        if tag.has_weight:
            return tag
        weight = self._request.facts.default_weight if found.weight is None else found.weight
        who = {"you": "its preferred weight", "author": "the weight its author gives", None: "the usual one"}
        self._request.note(
            "info",
            "weight_filled",
            f"{found.name} got the weight {format_weight(weight)}, {who[found.weight_by]}.",
            found.name,
        )
        return tag.with_weight(weight)

    def _capped(self, texts: list[str | None]) -> list[str | None]:
        """All weights scaled down alike when their sum is above the user's limit."""
        cap = self._request.weight_cap
        if not cap or self._request.mode == "tell":
            return texts
        tags = [find_tags(text)[0] if text else None for text in texts]
        total = sum(picture_weight(tag, self._request.facts) for tag in tags if tag and not tag.is_draw)
        if not total > cap + 0.00005 * len(texts):
            return texts
        self._request.note(
            "info",
            "weights_capped",
            f"The weights add up to {format_weight(total)}; they were scaled down to {format_weight(cap)} in all.",
        )
        return [str(tag.scaled(cap / total)) if tag else text for tag, text in zip(tags, texts, strict=True)]

    def _add_words(
        self, expansion: Expansion, texts: list[str | None], words: _Words, all_loras: bool
    ) -> list[str | None]:
        """Gather the words that the LoRAs need and the prompt lacks; those beside a tag go into its text at once."""
        said = Said(expansion.text)
        alternatives = [match.span() for match in _ALTERNATIVES.finditer(expansion.text)]
        done: set[int] = set()
        result = list(texts)
        for at, (tag, text) in enumerate(zip(self._tags, texts, strict=True)):
            found = self._meant[at]
            if text is None or found is None or found.id in done or is_within(tag.start, alternatives):
                continue
            done.add(found.id)
            chosen = expansion.words.get(found.name)
            if chosen is not None:
                groups = [Group(tuple(chosen))]
            else:
                groups = found.groups if all_loras and found.name not in self._request.words_done else []
            added = list[str]()
            for group in wanted_groups(groups, said):
                if group.negative:
                    words.negative += group.words
                    continue
                missing = [word for word in dict.fromkeys(group.words) if said.lacks(word)]
                said.add(missing)
                added += missing
                if group.place == "beside" and missing:
                    result[at] = beside(text, missing, expansion.text[tag.end : tag.end + 20])
                else:
                    getattr(words, "start" if group.place == "start" else "end").extend(missing)
            if added:
                self._request.note("info", "trigger_words_added", f"Added {', '.join(added)}.", found.name)
        return result


def _unreadable_argument(tag: Tag, facts: Facts) -> int | None:
    """Which argument the host would stumble over, if there is one."""
    try:
        reading = read_tag(tag, facts)
    except Unreadable as error:
        return _place_of(tag, str(error)) if tag.arguments else None
    if reading and reading.unreadable:
        return _place_of(tag, reading.unreadable)
    numbers = () if reading is None else (reading.te, *reading.unet)
    return None if all(map(math.isfinite, numbers)) else _place_of_infinite(tag)


def _place_of(tag: Tag, text: str) -> int:
    """Which argument holds the text that the host stumbles over."""
    for at, argument in enumerate(tag.arguments):
        if argument == text or argument.partition("=")[2] == text:
            return at
    return len(tag.arguments) - 1


def _place_of_infinite(tag: Tag) -> int:
    for at, argument in enumerate(tag.arguments):
        text = argument.partition("=")[2] or argument
        if text.strip().lstrip("+-").lower() in ("nan", "inf", "infinity"):
            return at
    return len(tag.arguments) - 1
