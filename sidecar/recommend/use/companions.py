"""What goes with the LoRAs of a set or a prompt: from co-use, and from what is said of LoRAs where they never met."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np

from sidecar.database import Database
from sidecar.library.base_model import UNKNOWN
from sidecar.library.queries import read_items
from sidecar.recommend.use import told
from sidecar.recommend.use.feedback import subject_text
from sidecar.recommend.use.index import UseIndex
from sidecar.recommend.use.opinions import adjust, read_opinions, shifts_of
from sidecar.recommend.use.scoring import SIGNALS, WEIGHTS, Floats, best, signals_of

TELLING = 1.0
"""From which signal on co-use of other LoRAs is worth telling."""
LATEST = 25
"""Of the user's own images with a LoRA so many say its weight."""


def find_companions(database: Database, index: UseIndex, names: Sequence[str], limit: int) -> dict[str, Any]:
    """{"items", "notes"}: up to `limit` LoRAs that go with these, the best first.

    An item is {"lora", "score", "weight", "reasons"}; `score` is how likely it is among all that fit, 0 to 1. Never those
    given, nor one that cannot load on the same checkpoints; one of an unknown base model only where the two were used
    together.
    """
    found = {name: index.find(name) for name in dict.fromkeys(names)}
    given = list(dict.fromkeys(place for place in found.values() if place is not None))
    notes = [f"{name} is not in the library." for name, place in found.items() if place is None]
    if not given:
        return {"items": [], "notes": notes or ["Name the LoRAs that something should go with."]}
    if not index.counts.together_at_all:
        notes.append(
            "No image, set or example with two LoRAs is known yet: these are alike in what is said of them."
        )
    signals = signals_of(index, given)
    opinions, subject = read_opinions(database), subject_text([index.loras[place].stem for place in given])
    scores = adjust(signals @ WEIGHTS, subject, [lora.id for lora in index.loras], opinions)
    scores[~_allowed(index, given, signals) | ~signals.any(axis=1)] = -np.inf
    likely = _probabilities(scores)
    places = [int(place) for place in best(likely, limit)]
    return {
        "items": _items(database, index, given, places, likely, signals, shifts_of(subject, opinions)),
        "notes": notes,
    }


def _allowed(
    index: UseIndex, given: list[int], signals: Floats
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    allowed = index.is_first & (signals[:, SIGNALS.index("together")] > 0)
    strict = index.is_first.copy()
    for place in given:
        known = index.loras[place].base_model != UNKNOWN
        allowed &= index.fitting(place, unknown=True)
        strict &= index.fitting(place, unknown=not known)
    allowed |= strict
    allowed[given] = False
    return allowed


def _items(
    database: Database,
    index: UseIndex,
    given: list[int],
    places: list[int],
    likely: Floats,
    signals: Floats,
    shifts: dict[int, float],
) -> list[dict[str, Any]]:
    reader = database.reader()
    items = {item["id"]: item for item in read_items(reader, [index.loras[place].id for place in places])}
    answer = []
    for place in places:
        lora = index.loras[place]
        if lora.id not in items or items[lora.id]["state"] == "missing":  # since the index was made
            continue
        reasons = told.together(index, given, place)
        cosines = [float(index.about.like_one(one, place)) for one in given]
        nearest = int(np.argmax(cosines))
        reasons += told.alike(index, given[nearest], place, cosines[nearest])
        if not reasons or reasons[0]["kind"] != "use":
            reasons += _by_others(index, place, signals)
        reasons = reasons or told.alike(index, given[nearest], place, cosines[nearest], least=0)
        reasons += told.opinion(shifts.get(lora.id, 0.0))
        weight = items[lora.id]["weight"]
        if weight is None:
            weight = _usual_weight(database, lora.identity_id)
        answer.append(
            {
                "lora": items[lora.id],
                "score": round(float(likely[place]), 4),
                "weight": weight,
                "reasons": reasons,
            }
        )
    return answer


def _by_others(index: UseIndex, place: int, signals: Floats) -> list[told.Reason]:
    """What speaks for one that was never with the given ones."""
    found = []
    if signals[place, SIGNALS.index("as_others")] > TELLING:
        found.append({"kind": "use", "text": "LoRAs like yours are used with it", "support": 0, "lift": 0.0})
    if signals[place, SIGNALS.index("like_known")] > TELLING:
        found.append(
            {"kind": "use", "text": "It is like what yours are used with", "support": 0, "lift": 0.0}
        )
    return found or told.popular(index, place)


def _usual_weight(database: Database, identity: int | None) -> float | None:
    """The weight that the user gave it lately."""
    rows = database.reader().execute(
        """SELECT weight FROM generation_loras WHERE identity_id = ? AND weight IS NOT NULL
           ORDER BY generation_id DESC LIMIT ?""",
        (identity, LATEST),
    )
    weights = [row[0] for row in rows]
    return round(median(weights), 2) if weights else None


def _probabilities(scores: Floats) -> Floats:
    """Softmax; LoRAs of -inf get 0."""
    top = scores.max(initial=-np.inf)
    if not np.isfinite(top):
        return np.zeros(len(scores), np.float32)
    powers = np.exp(scores - top)
    likely: Floats = powers / powers.sum()
    return likely
