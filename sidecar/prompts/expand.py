"""Puts what they stand for in the place of `<set:…>` and of draws; what comes out has plain LoRA tags only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rapidfuzz import process
from rapidfuzz.distance import OSA

from sidecar.prompts.draws import draw, draw_from_set
from sidecar.prompts.facts import comments_in
from sidecar.prompts.grammar import (
    Tag,
    find_tags,
    format_weight,
    is_cut,
    replace_tags,
    to_number,
)
from sidecar.prompts.names import nearest_names, only_likely
from sidecar.prompts.request import MAX_NEAREST_ASKED, Request
from sidecar.prompts.sets.reading import LoraSet, Member, find_set, set_names

MAX_EXPANSIONS = 200
MAX_DEPTH = 50
MAX_LENGTH = 1_000_000


@dataclass
class Expansion:
    """A prompt whose sets and draws are replaced. `words` has, by LoRA, the words that a set chose for it."""

    text: str
    negatives: list[str] = field(default_factory=list)
    words: dict[str, list[str]] = field(default_factory=dict)


class Expander:
    """Expands one prompt. A LoRA that the prompt names itself is not brought in again by a set."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._result = Expansion("")
        self._placed: set[int | str] = set()
        self._count = 0
        self._length = 0
        self._draws = 0
        self._asked = 0
        self._negative_budget = new_budget()

    def expand(self, prompt: str) -> Expansion:
        """The prompt with sets and draws replaced; the rest stays byte for byte."""
        tags = [tag for tag in find_tags(prompt) if tag.is_lora and not tag.is_draw]
        if any(tag.is_set for tag in find_tags(prompt, ("set",))):
            self._request.look_up(tag.name for tag in tags)
            self._placed = {self._file_of(tag.name) for tag in tags}
        self._result.text = self._expand(prompt, 1.0, ())
        return self._result

    def _expand(self, text: str, scale: float, trail: tuple[LoraSet, ...]) -> str:
        tags = find_tags(text)
        if not any(tag.is_set or tag.is_draw for tag in tags) and not trail:
            return text
        comments = comments_in(text, self._request.facts)
        texts: list[str | None] = []
        for tag in tags:
            written = text[tag.start : tag.end]
            if is_cut(tag, comments):
                texts.append(written)
            elif tag.is_set:
                texts.append(self._expand_set(tag, scale, trail))
            elif tag.is_draw and tag.is_unexpanded:
                texts.append(written)  # the extension that fills it in comes first
            elif tag.is_draw:
                drawn = self._draw(tag)
                texts.append(self._place(drawn, scale, trail) if drawn else None)
            else:
                texts.append(self._place(tag, scale, trail) if trail else written)
        return replace_tags(text, tags, texts)

    def _expand_set(self, tag: Tag, scale: float, trail: tuple[LoraSet, ...]) -> str | None:
        found = self._find(tag, trail)
        if found is None:
            return None
        factor = scale_of(tag)
        if factor is None:
            self._request.note(
                "warning",
                "bad_number",
                f"{tag.arguments[0]!r} is no number to scale {found.name} by; 1 was taken.",
            )
            factor = 1.0
        self._count += 1
        self._request.sets.setdefault(
            found.name, {"name": found.name, "version": found.version, "weight": factor}
        )
        if found.negative_prompt.strip():
            self._result.negatives.append(self._negative(found, trail))
        inner = (*trail, found)
        members = "".join(filter(None, (self._member(one, scale * factor, inner) for one in found.members)))
        text = self._expand(found.prompt.strip(), scale * factor, inner)
        expanded = f"{text}{' ' if text and members else ''}{members}"
        self._length += len(expanded)
        if self._length > MAX_LENGTH:
            _too_much(self._request, found.name)
            return None
        return expanded

    def _find(self, tag: Tag, trail: tuple[LoraSet, ...]) -> LoraSet | None:
        """The set that a tag names, unless it is one that is just being expanded."""
        found = find_set(self._request.database, tag.name)
        if found is None:
            self._request.note("error", "unknown_set", unknown_set(self._request, tag.name), tag.name)
        elif _is_in_itself(self._request, found, trail):
            return None
        elif self._count >= MAX_EXPANSIONS or len(trail) >= MAX_DEPTH:
            _too_much(self._request, found.name)
            return None
        return found

    def _member(self, member: Member, scale: float, trail: tuple[LoraSet, ...]) -> str | None:
        if member.lora_id is None:
            self._request.note(
                "error" if self._request.complete else "warning",
                "set_lora_missing",
                f"{member.name}, of the set {trail[-1].name}, is not in the library{self._request.left_out}.",
                member.name,
            )
            return None
        return self._place(member_tag(member), scale, trail, member.said.get("words"))

    def _place(
        self, tag: Tag, scale: float, trail: tuple[LoraSet, ...], words: list[str] | None = None
    ) -> str | None:
        """The tag as text, scaled; None when the prompt has that LoRA already and a set would bring it again."""
        name = tag.name.strip()
        file = self._file_of(tag.name) if trail else name.casefold()
        if trail and file in self._placed:
            self._request.note(
                "info",
                "set_lora_there",
                f"{name} is in the prompt already; the set {trail[-1].name} did not add it.",
                name,
            )
            return None
        self._placed.add(file)
        if words is not None:
            self._result.words[name] = words
        if scale != 1:
            if not tag.has_weight:
                found = self._request.resolve(tag.name)
                weight = found.weight if found else None
                tag = tag.with_weight(self._request.facts.default_weight if weight is None else weight)
            tag = tag.scaled(scale)
        return str(tag)

    def _file_of(self, name: str) -> int | str:
        """What a name means, however it is written; the name itself when that is nothing."""
        found = self._request.resolve(name)
        if found is None and (meant := only_likely(name.strip(), self._nearest(name.strip()))):
            found = self._request.resolve(meant)
        return found.id if found else name.strip().casefold()

    def _nearest(self, name: str) -> list[str]:
        self._asked += 1
        return (
            nearest_names(self._request.database, name) if name and self._asked <= MAX_NEAREST_ASKED else []
        )

    def _draw(self, tag: Tag) -> Tag | None:
        self._draws += 1
        if self._draws > MAX_EXPANSIONS:
            message = f"Only the first {MAX_EXPANSIONS} draws of a prompt are made; the others were left out."
            self._request.note("error", "too_many_draws", message)
            return None
        return draw(self._request, tag, self._draws, self._set_member)

    def _set_member(self, name: str) -> Tag | None:
        """The LoRA of a set whose turn it is, with the words that the set chose."""
        found = self._find(Tag(0, 0, "set", name), ())
        member = found and draw_from_set(self._request, found)
        if not found or not member:
            return None
        if (words := member.said.get("words")) is not None:
            self._result.words[member.name] = words
        return member_tag(member)

    def _negative(self, found: LoraSet, trail: tuple[LoraSet, ...]) -> str:
        text, inner = found.negative_prompt, (*trail, found)
        return expand_negative(self._request, text, inner, self._negative_budget)


def new_budget() -> Iterator[int]:
    """How many sets one negative prompt may bring: one item for each."""
    return iter(range(MAX_EXPANSIONS))


def expand_negative(
    request: Request, negative: str, trail: tuple[LoraSet, ...] = (), budget: Iterator[int] | None = None
) -> str:
    """A negative prompt with each set replaced by the set's negative text: LoRAs work in the positive prompt alone."""
    left = new_budget() if budget is None else budget

    def text_of(tag: Tag) -> str | None:
        found = find_set(request.database, tag.name)
        if found is None:
            request.note("error", "unknown_set", unknown_set(request, tag.name), tag.name)
        if found is None or _is_in_itself(request, found, trail):
            return None
        if len(trail) >= MAX_DEPTH or next(left, None) is None:
            _too_much(request, found.name)
            return None
        return expand_negative(request, found.negative_prompt.strip(), (*trail, found), left) or None

    tags = find_tags(negative, ("set",))
    return replace_tags(negative, tags, [text_of(tag) for tag in tags]) if tags else negative


def _is_in_itself(request: Request, found: LoraSet, trail: tuple[LoraSet, ...]) -> bool:
    """Whether a set is just being expanded, which is noted."""
    if all(one.id != found.id for one in trail):
        return False
    way = " → ".join([*(one.name for one in trail), found.name])
    message = f"The set {found.name} contains itself ({way}); it was left out there."
    request.note("error", "set_in_itself", message)
    return True


def _too_much(request: Request, name: str) -> None:
    message = f"The sets of this prompt bring too much; {name} was left out at some places."
    request.note("error", "set_too_large", message)


def member_tag(member: Member) -> Tag:
    """What stands for a LoRA of a set in a prompt. te= alone would set the rest as well, so unet= goes with it."""
    said = member.said
    weight = said.get("weight")
    arguments = [] if weight is None else [format_weight(weight)]
    values = {key: said[key] for key in ("te", "unet", "in", "mid", "out") if said.get(key) is not None}
    if "te" in values and "unet" not in values and weight is not None:
        values["unet"] = weight
    arguments += [f"{key}={format_weight(value)}" for key, value in values.items()]
    if said.get("dyn") is not None:
        arguments.append(f"dyn={said['dyn']}")
    return Tag(0, 0, "lora", member.name, tuple(arguments))


def scale_of(tag: Tag) -> float | None:
    """What a set's tag scales its weights by; None when that is no number."""
    factor = to_number(tag.arguments[0].replace(",", ".")) if tag.arguments else 1.0
    return factor if factor is not None and abs(factor) <= 100 else None


def unknown_set(request: Request, name: str) -> str:
    """What to say of a set that there is not."""
    near = nearest_sets(request, name)
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    return f"There is no set {name.strip()!r}{request.left_out}.{hint}"


def nearest_sets(request: Request, name: str) -> list[str]:
    """Up to three sets that a misspelt name may mean: those that have it in theirs, then those a few letters away."""
    wanted, names = name.strip().casefold(), set_names(request.database)
    if not wanted:
        return []
    within = [one for one in names if wanted in one.casefold()]
    close = process.extract(
        wanted,
        names,
        scorer=OSA.distance,
        processor=str.casefold,
        score_cutoff=max(1, min(3, len(wanted) // 4)),
        limit=3,
    )
    return list(dict.fromkeys([*within, *(one for one, _, _ in close)]))[:3]
