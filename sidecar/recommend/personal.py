"""What the user's own images, stars and marks add to a recommendation, as parts of its score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import orjson

from sidecar.database import Database
from sidecar.recommend.index import Index, Places
from sidecar.recommend.postings import Floats
from sidecar.recommend.signals import Signals

FEATURES = ("own", "used", "rating", "favorite")


@dataclass(frozen=True)
class Taste:
    """How much each part counts, in the fusion's scores, of which one is worth a factor e of probability.

    own: the nearest prompt (0 to about 1) that the user made an image with it for; used: the logarithm of 1 and its image
    batches; rating: each star above three; favorite: the mark. These are set by hand, low, so that what fits the prompt
    comes first.
    """

    own: float = 1.5
    used: float = 0.15
    rating: float = 0.25
    favorite: float = 0.3

    def weights(self) -> Floats:
        return np.array([self.own, self.used, self.rating, self.favorite], np.float32)


def personal(database: Database, index: Index, signals: Signals) -> Floats:
    """One row a LoRA of the signals, the columns of `FEATURES`."""
    marks = _marks(database, [index.loras[place].id for place in signals.loras])
    own = _own(index, signals.loras, signals.nearness)
    used, rating, favorite = marks.T
    return np.stack([own, np.log1p(used), np.where(rating > 0, rating - 3, 0), favorite], axis=1).astype(
        np.float32
    )


def _own(index: Index, loras: Places, nearness: Floats) -> Floats:
    """How near the nearest of the user's own prompts is that each LoRA was used for."""
    pairs, group = index.pairs_of(loras)
    found = np.zeros(len(loras), np.float32)
    mine = index.pair_own[pairs] > 0
    np.maximum.at(found, group[mine], nearness[index.pair_prompt[pairs[mine]]])
    return found


def _marks(database: Database, lora_ids: Sequence[int]) -> Floats:
    """(times used, rating, favourite) of each LoRA."""
    rows = database.reader().execute(
        "SELECT l.id, l.used, l.rating, l.favorite FROM json_each(?) wanted JOIN loras l ON l.id = wanted.value",
        (orjson.dumps(list(lora_ids)).decode(),),
    )
    known = {row["id"]: (row["used"], row["rating"], row["favorite"]) for row in rows}
    return np.array([known.get(lora_id, (0, 0, 0)) for lora_id in lora_ids], np.float32).reshape(-1, 3)
