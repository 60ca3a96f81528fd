"""LoRAs that are like one: by what is said of them, by how they are used, by their weights; each kind with its score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sidecar.database import Database
from sidecar.errors import NotFound
from sidecar.library.queries import read_items
from sidecar.recommend.likeness import UNLIKE
from sidecar.recommend.use import told
from sidecar.recommend.use.feedback import subject_text
from sidecar.recommend.use.index import UseIndex
from sidecar.recommend.use.meaning import Meant, mixed
from sidecar.recommend.use.opinions import read_opinions, shifts_of
from sidecar.recommend.use.scoring import Floats, best
from sidecar.recommend.weightspace.similar import similar_by_weights

TEXT, USE, WEIGHTS = "text", "use", "weights"
KINDS = (TEXT, USE, WEIGHTS)
COMPANY, PROMPTS = 0.8, 0.5
"""How much being used with the same others, and for prompts of the same words, count in likeness by use."""
SUREST = 0.98
"""A higher score counts as this much to what speaks against it, which could not move one of 1."""
CANDIDATES = 200
"""Of each kind the best so many are looked at."""


def find_similar(
    database: Database,
    index: UseIndex,
    lora_id: int,
    by: Sequence[str],
    limit: int,
    meant: Meant | None = None,
) -> dict[str, Any]:
    """{"items", "notes"}: up to `limit` LoRAs like this one by these kinds, the most alike first. `meant` adds the meaning of
    texts to likeness by text.

    An item is {"lora", "score", "weight", "reasons"}; a reason has the `score` (0 to 1) of its kind, and the item's is
    1 − Π (1 − score of a kind). Copies of the same content are not listed.

    Raises:
        NotFound: no such LoRA.
    """
    if database.reader().execute("SELECT 1 FROM loras WHERE id = ?", (lora_id,)).fetchone() is None:
        raise NotFound(f"There is no LoRA with the id {lora_id}.")
    place = index.places.by_id.get(lora_id)
    if place is None:
        return {"items": [], "notes": ["Nothing is known of it yet, or its file cannot be used."]}
    kinds, notes = _likeness(database, index, place, by)
    meaning = None
    if meant is not None and TEXT in kinds:
        meaning, note = meant.like(index, place)
        notes += [note] if note else []
        if meaning is not None:
            kinds[TEXT] = mixed(kinds[TEXT], meaning)
    parts = list(kinds.values())
    scores = (
        (1 - np.prod([1 - part for part in parts], axis=0)).astype(np.float32)
        if parts
        else np.zeros(0, np.float32)
    )
    if len(scores):
        scores[~index.is_first] = 0
        scores[place] = 0
    shifts = shifts_of(subject_text([index.loras[place].stem]), read_opinions(database))
    scores = _shifted(index, scores, shifts)
    places = [int(one) for one in best(scores, limit)]
    items = {
        item["id"]: item for item in read_items(database.reader(), [index.loras[one].id for one in places])
    }
    found = [
        {
            "lora": items[lora.id],
            "score": round(float(scores[one]), 4),
            "weight": items[lora.id]["weight"],
            "reasons": [
                *_reasons(index, place, one, kinds, meaning),
                *told.opinion(shifts.get(lora.id, 0.0)),
            ],
        }
        for one in places
        if (lora := index.loras[one]).id in items
    ]
    return {"items": found, "notes": notes}


def _likeness(
    database: Database, index: UseIndex, place: int, by: Sequence[str]
) -> tuple[dict[str, Floats], list[str]]:
    """The likeness of each LoRA by each kind, and what is missing."""
    kinds: dict[str, Floats] = {}
    notes = []
    if TEXT in by:
        kinds[TEXT] = index.about.like(place)
        if not len(index.about.row(place)[0]):
            notes.append("Nothing is written about it: no likeness by text.")
    if USE in by:
        kinds[USE] = 1 - (1 - COMPANY * index.company.like(place)) * (1 - PROMPTS * index.prompts.like(place))
        if not len(index.company.row(place)[0]) and not len(index.prompts.row(place)[0]):
            notes.append("No image, set or example with it is known: no likeness by use.")
    if WEIGHTS in by:
        kinds[WEIGHTS], said = _by_weights(database, index, place)
        notes += said
    return kinds, notes


def _by_weights(database: Database, index: UseIndex, place: int) -> tuple[Floats, list[str]]:
    """The cosine of the weights, of those that are alike by them, and what is to be said."""
    pairs, notes = similar_by_weights(database, index.loras[place].id, CANDIDATES)
    found = np.zeros(len(index.loras), np.float32)
    for lora_id, cosine in pairs:
        if (other := index.places.by_id.get(lora_id)) is not None:
            found[other] = max(found[other], min(1.0, cosine))
    return found, notes


def _shifted(index: UseIndex, scores: Floats, shifts: dict[int, float]) -> Floats:
    """Scores with the user's feedback: added to their logits, so that they stay between 0 and 1."""
    for lora_id, shift in shifts.items():
        place = index.position.get(lora_id)
        if place is None or place >= len(scores):
            continue
        score = float(scores[place])
        if shift < 0:
            score = min(score, SUREST)
        if 0 < score < 1:
            odds = score / (1 - score) * np.exp(shift)
            scores[place] = odds / (1 + odds)
    return scores


def _reasons(
    index: UseIndex, place: int, other: int, kinds: dict[str, Floats], meaning: Floats | None
) -> list[told.Reason]:
    """One reason a kind, the strongest first; that of the text tells the cosine of the meanings where it counts."""
    found: list[told.Reason] = []
    if TEXT in kinds and kinds[TEXT][other] > 0:
        words = told.shared_words(index, place, other)
        cosine = float(meaning[other]) if meaning is not None else 0.0
        means = cosine > UNLIKE
        if words:
            text = f"Both are about {', '.join(words)}" + ("; they mean much the same" if means else "")
        else:
            text = "What is said of both means much the same" if means else "What is said of both is alike"
        score = round(float(kinds[TEXT][other]), 4)
        found.append(
            {"kind": TEXT, "text": text, "score": score, "detail": words}
            | ({"meaning": round(cosine, 4)} if means else {})
        )
    if USE in kinds and kinds[USE][other] > 0:
        company = index.company.like_one(place, other)
        names = told.shared_company(index, place, other) if company else []
        text = (
            f"Both are used with {', '.join(names)}"
            if names
            else "It is used for prompts like those of this one"
        )
        found.append(
            {"kind": USE, "text": text, "score": round(float(kinds[USE][other]), 4), "detail": names}
        )
    if WEIGHTS in kinds and kinds[WEIGHTS][other] > 0:
        cosine = round(float(kinds[WEIGHTS][other]), 4)
        found.append(
            {
                "kind": WEIGHTS,
                "text": f"Their weights point the same way: cosine {cosine:.2f}",
                "score": cosine,
            }
        )
    return sorted(found, key=lambda reason: -reason["score"])
