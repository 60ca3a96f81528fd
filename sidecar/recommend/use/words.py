"""The words of each LoRA, three times: of all that is said of it, of its names, and of the prompts it was used for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from zlib import crc32

import numpy as np

from sidecar.recommend.documents import LoraText, Prompt
from sidecar.recommend.tokens import Tokens, parts_of, words_of, words_of_name
from sidecar.recommend.use.cosines import Floats

TITLE, TAG, ABOUT = 3.0, 2.0, 1.0
"""What a word counts in the title or a trigger word, in a tag, in the description."""
MAX_PROMPTS = 50
"""Prompts of one LoRA whose words are looked at."""

Document = tuple[Tokens, Floats]


def about(lora: LoraText) -> dict[str, float]:
    """The words of all that is said of it, with what each counts."""
    found = defaultdict[str, float](float)
    for word in (*called(lora), *(word for phrase in lora.trigger_words for word in words_of(phrase))):
        found[word] += TITLE
    for tag in lora.tags:
        for word in words_of(tag):
            found[word] += TAG
    for word in words_of(lora.about):
        found[word] += ABOUT
    return {word: count for word, count in found.items() if len(word) > 1 or not word.isascii()}


def called(lora: LoraText) -> dict[str, float]:
    """The words of its file's name and of its title."""
    words = (*words_of_name(lora.stem), *words_of(lora.title))
    return {word: 1.0 for word in words if len(word) > 1 and not word.isdigit()}


def used_for(texts: Iterable[str]) -> dict[str, float]:
    """The words and phrases of prompts, with in how many each stands."""
    found = Counter[str]()
    for text in list(texts)[:MAX_PROMPTS]:
        found.update({*words_of(text), *parts_of(text)})
    return dict(found)


def hashed_weights(words: Mapping[str, float]) -> Document:
    """Tokens, ascending, with their weights."""
    sums: dict[int, float] = {}
    for word, weight in words.items():
        token = crc32(word.encode("utf-8", "replace"))
        sums[token] = sums.get(token, 0.0) + weight
    tokens = sorted(sums)
    return np.array(tokens, np.uint32), np.array([sums[token] for token in tokens], np.float32)


class Words:
    """Documents of LoRAs, each taken apart once: what has not changed since the last time is taken from then."""

    def __init__(self) -> None:
        self._about: dict[int, tuple[LoraText, Document, Document]] = {}
        self._used: dict[int, tuple[tuple[str, ...], Document]] = {}

    def of_loras(
        self, loras: Sequence[LoraText], rest: Callable[[], None] = lambda: None
    ) -> tuple[list[Document], list[Document]]:
        """(about, called) of each. `rest` is called before each that has to be taken apart."""
        known, self._about = self._about, {}
        for lora in loras:
            kept = known.get(lora.id)
            if kept is None or kept[0] != lora:
                rest()
                kept = lora, hashed_weights(about(lora)), hashed_weights(called(lora))
            self._about[lora.id] = kept
        return [self._about[lora.id][1] for lora in loras], [self._about[lora.id][2] for lora in loras]

    def of_prompts(
        self, loras: Sequence[LoraText], prompts: Sequence[Prompt], rest: Callable[[], None] = lambda: None
    ) -> list[Document]:
        """The words of each LoRA's prompts."""
        texts: dict[int, list[str]] = {}
        for prompt in prompts:
            for use in prompt.uses:
                texts.setdefault(use.lora, []).append(prompt.text)
        known, self._used = self._used, {}
        for lora in loras:
            of_lora = tuple(texts.get(lora.id, ())[:MAX_PROMPTS])
            kept = known.get(lora.id)
            if kept is None or kept[0] != of_lora:
                rest()
                kept = of_lora, hashed_weights(used_for(of_lora))
            self._used[lora.id] = kept
        return [self._used[lora.id][1] for lora in loras]
