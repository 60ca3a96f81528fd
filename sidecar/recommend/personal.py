"""What the user's own images, stars and marks add to a recommendation, as parts of its score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sidecar.database import Database
from sidecar.library.columns import Ids, columns_of
from sidecar.recommend.documents import Prompt
from sidecar.recommend.index import Index
from sidecar.recommend.postings import Floats
from sidecar.recommend.ranges import Places
from sidecar.recommend.signals import Signals
from sidecar.recommend.use.index import UseIndex
from sidecar.recommend.use.scoring import used_together

MARKS = {"own": 0.9, "used": 0.05, "rating": 0.25, "favorite": 0.3}
"""What each part counts, in the fusion's scores, of which one is worth a factor e of likelihood.

own: the nearest prompt (0 to about 1) that the user made an image with it for; used: the logarithm of 1 and its image batches;
rating: each star above three; favorite: the mark. These are set by hand, low, so that what fits the prompt comes first, until
there is a history to learn them from (learning.py).
"""
CORRECTED = (
    "nearest",
    "vote",
    "examples",
    "names",
    "about",
    "triggers",
    "phrase",
    "meaning",
    "meaning_about",
)
"""Signals, as parts of their highest, of which a user's history may say that they are worth more, or less, than what was
fitted for all."""
FEATURES = (*MARKS, *CORRECTED)


@dataclass(frozen=True)
class Taste:
    """What the fusion counts, and what each of `FEATURES` does."""

    fusion: float = 1.0
    features: tuple[float, ...] = (*MARKS.values(), *[0.0] * len(CORRECTED))


TOGETHER = np.array([0.7, 0.3], np.float32)
"""What the logarithm of the evidence of baskets shared with LoRAs of the prompt counts, and that of its lift."""


def personal(database: Database, index: Index, signals: Signals, left_out: Sequence[Prompt] = ()) -> Floats:
    """One row a LoRA of the signals, the columns of `FEATURES`; as if the user had not used the prompts `left_out`."""
    marks = _marks(database, index.ids[signals.loras])
    own = _own(index, signals.loras, signals.nearness)
    used, rating, favorite = marks.T
    if left_out:
        uses = Counter[int]()
        for prompt in left_out:
            uses.update({use.lora: use.own for use in prompt.uses})
        used = np.maximum(used - [uses[index.loras[place].id] for place in signals.loras], 0)
    columns = [own, np.log1p(used), np.where(rating > 0, rating - 3, 0), favorite]
    columns += [
        _part(signals.column(name)) if name in signals.names else np.zeros(len(own)) for name in CORRECTED
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def together(index: Index, signals: Signals, use: UseIndex, given: Sequence[int]) -> Floats:
    """What co-use with the given LoRAs (their positions in `use`) adds to the score of each LoRA of the signals."""
    worth = used_together(use, given) @ TOGETHER
    known = [use.places.by_id.get(index.loras[place].id) for place in signals.loras]
    return np.array([0.0 if place is None else worth[place] for place in known], np.float32)


def _part(values: Floats) -> Floats:
    part: Floats = values / max(float(values.max(initial=0)), 1e-6)
    return part


def _own(index: Index, loras: Places, nearness: Floats) -> Floats:
    """How near the nearest of the user's own prompts is that each LoRA was used for."""
    pairs, group = index.pairs_of(loras)
    found = np.zeros(len(loras), np.float32)
    mine = index.pair_own[pairs] > 0
    np.maximum.at(found, group[mine], nearness[index.pair_prompt[pairs[mine]]])
    return found


def _marks(database: Database, ids: Ids) -> Floats:
    """(times used, rating, favourite) of each LoRA."""
    columns = columns_of(database)
    marks = np.stack([columns.rank(name, ids, int) for name in ("used", "rating", "favorite")], axis=1)
    return np.maximum(marks, 0).astype(np.float32)
