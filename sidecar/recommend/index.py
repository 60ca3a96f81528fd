"""All that a prompt is compared with, in arrays: made in one go, never changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from sidecar.prompts.facts import fits
from sidecar.recommend.documents import LoraText, Prompt
from sidecar.recommend.kin import Kin
from sidecar.recommend.postings import Postings
from sidecar.recommend.ranges import Places, ranges
from sidecar.recommend.tokens import PROMPT_KINDS, Tokens

LORA_KINDS = ("names", "name_counts", "about", "about_counts", "stem", "title", "triggers", "phrases")
WORK, REST = 0.002, 0.004
"""Seconds of work after which others have their turn, and for how long."""


class Stopped(Exception):
    """The index is not wanted any more."""


class Rest:
    """Lets other threads work now and then: taking texts apart holds the interpreter. Raises Stopped when that is over."""

    def __init__(self, stopped: Callable[[], bool] = lambda: False) -> None:
        self._stopped = stopped
        self._since = time.perf_counter()

    def __call__(self) -> None:
        if time.perf_counter() - self._since > WORK:
            time.sleep(REST)
            self._since = time.perf_counter()
            if self._stopped():
                raise Stopped


class Index:
    """LoRAs by position 0…n-1, prompts by position 0…m-1, and which stand together.

    A pair is a prompt that a LoRA was used with. Pairs are sorted by LoRA: those of the LoRA at position p are
    `pair_prompt[pair_start[p] : pair_start[p + 1]]`.

    `of_loras` and `of_prompts` are their tokens: for each one array a kind, of `LORA_KINDS` and of `PROMPT_KINDS`.
    """

    def __init__(
        self,
        loras: Sequence[LoraText],
        prompts: Sequence[Prompt],
        of_loras: Sequence[tuple[Tokens, ...]],
        of_prompts: Sequence[tuple[Tokens, ...]],
    ) -> None:
        self.loras = loras
        self.prompts = prompts
        self.ids = np.array([lora.id for lora in loras], np.int64)
        self.position = {lora.id: place for place, lora in enumerate(loras)}
        firsts: dict[str, int] = {}
        self.contents = np.array(
            [firsts.setdefault(lora.content or f"file {lora.id}", place) for place, lora in enumerate(loras)],
            np.int64,
        )
        """The position of the first copy of each."""
        self._bases, self._base_of = np.unique([lora.base_model for lora in loras], return_inverse=True)
        self.by_prompt = {
            kind: Postings([kinds[at] for kinds in of_prompts]) for at, kind in enumerate(PROMPT_KINDS)
        }
        self._join()
        self.kin = Kin(loras)
        names, name_counts, about, about_counts, *covers, phrases = (
            zip(*of_loras) if loras else [()] * len(LORA_KINDS)
        )
        self.names = Postings(names, name_counts)
        self.about = Postings(about, about_counts)
        self.covers = tuple(map(Postings, covers))
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
        self.pair_shared = np.bincount(self.pair_prompt, minlength=1)[self.pair_prompt] > 1
        """Whether the pair's prompt has other LoRAs, too."""
        self._loras_by_prompt = loras[np.argsort(self.pair_prompt, kind="stable")]
        uses = np.bincount(self.pair_prompt, minlength=len(self.prompts))
        self._prompt_start = np.concatenate([[0], np.cumsum(uses)]).astype(np.int64)

    def uses_of(self, prompts: Places) -> tuple[Places, Places]:
        """(LoRAs, group) of these prompts: `group[i]` is the place in `prompts` that use i belongs to, ascending."""
        places, group = ranges(self._prompt_start, prompts)
        return self._loras_by_prompt[places], group

    def works(self, loras: Places, base_model: str | None) -> npt.NDArray[np.bool_]:
        """Whether each of these LoRAs may work with a checkpoint of this base model."""
        fitting = np.array([fits(str(base), base_model) is not False for base in self._bases], bool)
        return fitting[self._base_of[loras]]

    def pairs_of(self, loras: Places) -> tuple[Places, Places]:
        """(pairs, group) of these LoRAs: `group[i]` is the place in `loras` that pair i belongs to, ascending."""
        return ranges(self.pair_start, loras)
