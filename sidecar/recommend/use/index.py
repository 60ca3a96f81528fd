"""All that companions and likeness are worked out from, at one moment: co-use, and the words of each LoRA."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sidecar.database import Database
from sidecar.prompts.facts import fits
from sidecar.recommend.documents import LoraText, Prompt, read_loras, read_prompts
from sidecar.recommend.naming import Naming, read_naming
from sidecar.recommend.use.baskets import Basket, Places, read_baskets
from sidecar.recommend.use.cosines import Cosines
from sidecar.recommend.use.counts import Counts
from sidecar.recommend.use.words import Words


class UseIndex:
    """LoRAs by position 0…n-1, of which copies of one content share the first; never changed once made.

    `about` compares what is said of LoRAs, `prompts` the prompts they were used for, `company` the LoRAs they were used
    with.
    """

    def __init__(
        self,
        loras: Sequence[LoraText],
        prompts: Sequence[Prompt],
        baskets: Sequence[Basket],
        naming: Naming,
        words: Words | None = None,
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        words = words or Words()
        self.loras = loras
        self.naming = naming
        self.places = Places(loras)
        self.position = {lora.id: place for place, lora in enumerate(loras)}
        self.is_first = np.zeros(len(loras), bool)
        self.is_first[list(self.places.by_id.values())] = True
        self.counts = Counts(len(loras), baskets)
        about, _ = words.of_loras(loras, rest)
        self.about = Cosines(about)
        self.prompts = Cosines(words.of_prompts(loras, prompts, rest))
        self.company = Cosines(
            [
                (places.astype(np.uint32), evidence)
                for places, evidence in map(self.counts.companions, range(len(loras)))
            ]
        )
        bases = [lora.base_model for lora in loras]
        self._bases, self._base_of = np.unique(np.array(bases, object), return_inverse=True)

    def find(self, name: str) -> int | None:
        """The position of the LoRA that a name means."""
        return self.places.by_id.get(self.naming.find(name) or -1)

    def fitting(self, place: int, *, unknown: bool) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which LoRAs load on the same checkpoints as the one at `place`; `unknown`: what counts where nobody can tell."""
        told = [fits(str(base), self.loras[place].base_model) for base in self._bases]
        works = np.array([unknown if one is None else one for one in told], bool)
        found: np.ndarray[tuple[int], np.dtype[np.bool_]] = works[self._base_of]
        return found


def make_index(database: Database, words: Words, rest: Callable[[], None] = lambda: None) -> UseIndex:
    """Read everything anew; `words` remembers what has been taken apart before."""
    loras = read_loras(database)
    naming = read_naming(database)
    baskets = read_baskets(database, Places(loras), naming, rest)
    return UseIndex(loras, read_prompts(database, loras), baskets, naming, words, rest)
