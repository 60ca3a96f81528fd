"""Why a LoRA is recommended for a prompt, in words."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from sidecar.recommend.documents import LoraText, Use
from sidecar.recommend.index import Index
from sidecar.recommend.postings import Floats
from sidecar.recommend.signals import Signals
from sidecar.recommend.tokens import hashed, parts_of, phrases_of, words_of

LIKE = 0.2
"""From how near on a prompt is "like this" (0 to about 1)."""
NAMED = 0.6
"""A name is in the prompt when this part of its telling words is."""
MEANS = 0.08
"""From which likeness on (see likeness.py) two texts mean something alike: of all-MiniLM-L6-v2 from a cosine of 0.45."""
SHOWN = 4
"""Shared parts or words that are named."""
RARE = 3.0
"""A shared word is worth naming from this idf on."""


@dataclass(frozen=True)
class Reason:
    """`kind` is for programs: own, example, trigger, name, text, training, embedding."""

    kind: str
    text: str
    detail: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "text": self.text, "detail": list(self.detail)}


class Explainer:
    """Says why, for the LoRAs of one answer."""

    def __init__(self, index: Index, signals: Signals, prompt: str) -> None:
        self._index = index
        self._signals = signals
        self._words = set(words_of(prompt))
        self._phrases = set(phrases_of(words_of(prompt)[:400]))
        self._parts = set(parts_of(prompt))

    def reasons(self, row: int) -> list[Reason]:
        """For the LoRA in this row of the signals; the strongest kind of evidence first."""
        lora = self._index.loras[self._signals.loras[row]]
        near = self._near(int(self._signals.loras[row]))
        found = [
            self._own(near),
            self._triggers(lora),
            self._name(row),
            self._example(near) or self._kin(int(self._signals.loras[row])),
            self._text(lora),
            self._trained(lora),
        ]
        if self._signals.alike is not None and self._signals.alike[row] >= MEANS:
            found.append(Reason("embedding", "What is said about it means something like your prompt"))
        return [reason for reason in found if reason]

    def weight(self, row: int) -> float | None:
        """The weight that it had in prompts like this, the user's own first; None when none is known."""
        near = self._near(int(self._signals.loras[row]))
        own = [use.weight for _, use, _ in near if use.own and use.weight is not None]
        others = [use.weight for _, use, _ in near if not use.own and use.weight is not None]
        weights = own or others
        return round(median(weights), 2) if weights else None

    def _near(self, position: int) -> list[tuple[float, Use, str]]:
        """(likeness, use, text) of its prompts that are like this one, the most alike first."""
        index = self._index
        pairs = slice(index.pair_start[position], index.pair_start[position + 1])
        prompts = index.pair_prompt[pairs]
        likeness: Floats = self._signals.likeness[prompts]
        lora_id = index.loras[position].id
        return [
            (float(likeness[at]), next(use for use in index.prompts[prompts[at]].uses if use.lora == lora_id), index.prompts[prompts[at]].text)
            for at in np.argsort(-likeness)
            if likeness[at] >= LIKE
        ]  # fmt: skip

    def _own(self, near: list[tuple[float, Use, str]]) -> Reason | None:
        count = sum(use.own for _, use, _ in near)
        if not count:
            return None
        return Reason(
            "own",
            f"Used in {count} of your images like this"
            if count > 1
            else "Used in one of your images like this",
        )

    def _triggers(self, lora: LoraText) -> Reason | None:
        said = [part for phrase in lora.trigger_words for part in parts_of(phrase) if part in self._phrases]
        said = list(dict.fromkeys(said))[:SHOWN]
        if not said:
            return None
        return Reason(
            "trigger",
            f"In your prompt: its trigger word{'' if len(said) == 1 else 's'} {', '.join(said)}",
            tuple(said),
        )

    def _name(self, row: int) -> Reason | None:
        covered = max(float(self._signals.column(name)[row]) for name in ("stem", "title"))
        return Reason("name", "Its name is in your prompt") if covered >= NAMED else None

    def _example(self, near: list[tuple[float, Use, str]]) -> Reason | None:
        text = next((text for _, use, text in near if not use.own), None)
        if text is None:
            return None
        shared = self._rarest([part for part in parts_of(text) if part in self._parts], "parts")
        return Reason(
            "example",
            f"Its author's example has {', '.join(shared)} as well"
            if shared
            else "Its author's example is close",
            tuple(shared),
        )

    def _kin(self, position: int) -> Reason | None:
        """For one without examples of its own that are like the prompt."""
        members = self._index.kin.of(np.array([position]))
        near = {int(one): self._near(int(one)) for one in members if one != position}
        nearest = max(near, key=lambda one: near[one][0][0] if near[one] else 0.0, default=None)
        if nearest is None or not near[nearest]:
            return None
        name = self._index.loras[nearest].stem
        return Reason("example", f"Its other version {name} was used for a prompt like this", (name,))

    def _text(self, lora: LoraText) -> Reason | None:
        said = [
            word
            for text in (*lora.tags, lora.about)
            for word in words_of(text)
            if word in self._words and len(word) > 2
        ]
        shared = self._rarest(said, "words", RARE)
        return (
            Reason("text", f"Its description speaks of {', '.join(shared)}", tuple(shared))
            if shared
            else None
        )

    def _trained(self, lora: LoraText) -> Reason | None:
        said = [tag for tag in lora.trained_on if " ".join(words_of(tag)) in self._parts]
        shared = self._rarest(said, "parts", RARE)
        return (
            Reason("training", f"It was trained on images of {', '.join(shared)}", tuple(shared))
            if shared
            else None
        )

    def _rarest(self, tokens: list[str], kind: str, least: float = 0.0) -> list[str]:
        """Up to `SHOWN` of them, the rarest first."""
        postings = self._index.by_prompt[kind]
        rarity = {token: float(postings.rarity(hashed([token]))[0]) for token in dict.fromkeys(tokens)}
        return sorted((one for one in rarity if rarity[one] >= least), key=lambda one: -rarity[one])[:SHOWN]
