"""What the user's feedback does to a ranking: bounded, stronger for subjects like the one it was said of, and gone when the
feedback is taken back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from sidecar.database import Database
from sidecar.memo import remember
from sidecar.recommend.texts import plain_prompt
from sidecar.recommend.tokens import words_of

Floats = npt.NDArray[np.float32]

STRENGTH = {"up": 2.0, "down": -3.0, "chosen": 1.0, "ignored": -0.25}
"""What one verdict adds to a score in logits (one is a factor e of likelihood), for the very same subject."""
GENERAL = 0.2
"""The part of it that counts for any other subject; between the two it rises with the words that both have."""
REPEATED = 0.7
"""Each older verdict counts this much of the one after it."""
LIMIT = 4.0
"""The most that feedback adds or takes away, in logits."""
MAX_ENTRIES = 5_000
"""So many of the newest count; what was merely ignored counts apart from the rest, so that it pushes nothing out."""


class Opinion(NamedTuple):
    """One verdict on a LoRA (the ids of all its copies), given for `subject`: a prompt, or LoRAs' names as JSON."""

    loras: tuple[int, ...]
    verdict: str
    subject: str


def read_opinions(database: Database) -> tuple[Opinion, ...]:
    """The newest feedback, newest first; remembered until anything changes."""

    def read() -> tuple[Opinion, ...]:
        rows = database.reader().execute(
            """SELECT (SELECT json_group_array(l.id) FROM loras l WHERE l.identity_id = f.identity_id), verdict, subject
               FROM feedback f WHERE id IN (
                   SELECT id FROM (SELECT id FROM feedback WHERE verdict != 'ignored' ORDER BY id DESC LIMIT :most)
                   UNION ALL
                   SELECT id FROM (SELECT id FROM feedback WHERE verdict = 'ignored' ORDER BY id DESC LIMIT :most)
               ) ORDER BY id DESC""",
            {"most": MAX_ENTRIES},
        )
        return tuple(Opinion(tuple(orjson.loads(row[0])), row[1], row[2]) for row in rows)

    return remember(database, "opinions", read)


def adjust(scores: Floats, subject: str, loras: Sequence[int], opinions: Sequence[Opinion]) -> Floats:
    """Scores with the user's feedback added to them; a pure function.

    Args:
        scores: (n,) in logits: a difference of 1 is a factor e of likelihood.
        subject: what is being asked for: a prompt, or LoRAs' names as JSON.
        loras: (n,) the id of each LoRA.
        opinions: the feedback, newest first (`read_opinions`).

    Returns:
        New scores, none further than `LIMIT` from what it was. Without opinions on these LoRAs they are the same.
    """
    shifts = shifts_of(subject, opinions)
    moved = np.array([shifts.get(one, 0.0) for one in loras], np.float32)
    adjusted: Floats = np.asarray(scores, np.float32) + moved
    return adjusted


def shifts_of(subject: str, opinions: Sequence[Opinion]) -> dict[int, float]:
    """What is added to the score of each LoRA, by id, for this subject, within ±`LIMIT`."""
    asked = _words(subject)
    sums: dict[int, float] = {}
    times: dict[tuple[tuple[int, ...], str], int] = {}
    for one in opinions:
        key = one.loras, one.verdict
        older = times.get(key, 0)
        times[key] = older + 1
        weight = STRENGTH[one.verdict] * (GENERAL + (1 - GENERAL) * _likeness(asked, _words(one.subject)))
        for lora_id in one.loras:
            sums[lora_id] = sums.get(lora_id, 0.0) + weight * REPEATED**older
    return {lora_id: max(-LIMIT, min(LIMIT, shift)) for lora_id, shift in sums.items()}


@lru_cache(maxsize=MAX_ENTRIES)
def _words(subject: str) -> frozenset[str]:
    return frozenset(words_of(plain_prompt(subject)))


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """The cosine of two sets of words, 0 to 1; of two empty ones 0."""
    return len(one & other) / math.sqrt(len(one) * len(other)) if one and other else 0.0
