"""All that a prompt is compared with, in arrays: made in one go, never changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from sidecar.recommend.documents import LoraText, Prompt
from sidecar.recommend.postings import Floats, Postings
from sidecar.recommend.tokens import PROMPT_KINDS, Tokens, counted, hashed, parts_of, words_of, words_of_name

Places = npt.NDArray[np.int64]

REST = 0.004  # seconds for other threads after each batch
BATCH = 10


class Stopped(Exception):
    """The index is not wanted any more."""


class Rest:
    """Lets other threads work now and then: taking texts apart holds the interpreter. Raises Stopped when that is over."""

    def __init__(self, stopped: Callable[[], bool] = lambda: False) -> None:
        self._stopped = stopped
        self._done = 0

    def __call__(self) -> None:
        self._done += 1
        if self._done % BATCH == 0:
            time.sleep(REST)
            if self._stopped():
                raise Stopped


class Index:
    """LoRAs by position 0…n-1, prompts by position 0…m-1, and which stand together.

    A pair is a prompt that a LoRA was used with. Pairs are sorted by LoRA: those of the LoRA at position p are
    `pair_prompt[pair_start[p] : pair_start[p + 1]]`.
    """

    def __init__(
        self,
        loras: Sequence[LoraText],
        prompts: Sequence[Prompt],
        tokens: Sequence[tuple[Tokens, ...]],
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        self.loras = loras
        self.prompts = prompts
        self.position = {lora.id: place for place, lora in enumerate(loras)}
        self.by_prompt = {
            kind: Postings([kinds[at] for kinds in tokens]) for at, kind in enumerate(PROMPT_KINDS)
        }
        self._join()
        names, about, stems, titles, triggers, phrases = [], [], [], [], [], []
        for lora in loras:
            rest()
            stem, title = words_of_name(lora.stem), words_of(lora.title)
            words = [word for phrase in lora.trigger_words for word in words_of(phrase)]
            called = [*stem, *title, *words]
            names.append(counted(called))
            about.append(
                counted(
                    [*called, *(word for tag in lora.tags for word in words_of(tag)), *words_of(lora.about)]
                )
            )
            stems.append(hashed(_telling(stem)))
            titles.append(hashed(_telling(title)))
            triggers.append(hashed(_telling(words)))
            phrases.append(hashed(part for phrase in lora.trigger_words for part in parts_of(phrase)))
        self.names = Postings([tokens for tokens, _ in names], [counts for _, counts in names])
        self.about = Postings([tokens for tokens, _ in about], [counts for _, counts in about])
        self.covers = (Postings(stems), Postings(titles), Postings(triggers))
        self.phrases = Postings(phrases)

    def _join(self) -> None:
        pairs = sorted(
            (self.position[use.lora], place, use.own)
            for place, prompt in enumerate(self.prompts)
            for use in prompt.uses
        )
        loras = np.array([lora for lora, _, _ in pairs], np.int64)
        self.pair_prompt = np.array([place for _, place, _ in pairs], np.int64)
        self.pair_own = np.array([own for _, _, own in pairs], np.float32)
        counts = (
            np.bincount(loras, minlength=len(self.loras)) if len(pairs) else np.zeros(len(self.loras), int)
        )
        self.pair_start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    @property
    def examples(self) -> Floats:
        """How many prompts each LoRA has."""
        return np.diff(self.pair_start).astype(np.float32)

    def pairs_of(self, loras: Places) -> tuple[Places, Places]:
        """(pairs, group) of these LoRAs: `group[i]` is the place in `loras` that pair i belongs to, ascending."""
        counts = self.pair_start[loras + 1] - self.pair_start[loras]
        group = np.repeat(np.arange(len(loras)), counts)
        offset = np.arange(len(group)) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(self.pair_start[loras], counts) + offset, group


def _telling(words: list[str]) -> list[str]:
    """Without what stands in any name: single letters and numbers."""
    return [word for word in words if len(word) > 1 and not word.isdigit()]
