"""Which LoRAs fit a prompt: signals, weighed by the fusion, then by what the user likes and what the checkpoint takes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from sidecar.database import Database
from sidecar.library.queries import read_items
from sidecar.prompts.facts import fits
from sidecar.prompts.grammar import find_tags
from sidecar.prompts.resolve import resolve_all
from sidecar.recommend.fusion import fuse
from sidecar.recommend.index import Index
from sidecar.recommend.personal import Taste, personal
from sidecar.recommend.postings import Floats
from sidecar.recommend.reasons import Explainer
from sidecar.recommend.signals import Vectors, read_signals
from sidecar.recommend.texts import plain_prompt
from sidecar.recommend.use.opinions import read_opinions, shifts_of
from sidecar.recommend.use.told import opinion


@dataclass(frozen=True)
class Asked:
    """A prompt, for which base model (None: any), and the names that are not to be recommended."""

    prompt: str
    limit: int
    base_model: str | None = None
    exclude: Collection[str] = ()


def recommend(
    database: Database, index: Index, asked: Asked, vectors: Vectors | None = None, taste: Taste | None = None
) -> list[dict[str, Any]]:
    """Up to `limit` items, the best first: {"lora", "score", "weight", "reasons"}.

    `score` is how likely it is among all that were looked at, 0 to 1; one without reasons has nothing but its popularity. LoRAs that stand in the prompt already, that cannot
    work with the base model, or that have nothing to do with the prompt are left out. An empty prompt has no answer.
    """
    text = plain_prompt(asked.prompt)
    if not text or not index.loras:
        return []
    signals = read_signals(index, text, vectors)
    if not len(signals.loras):
        return []
    scores = fuse(signals) + personal(database, index, signals) @ (taste or Taste()).weights()
    shifts = shifts_of(text, read_opinions(database))
    scores = scores + np.array(
        [shifts.get(index.loras[place].id, 0.0) for place in signals.loras], np.float32
    )
    left_out = _left_out(database, index, asked)
    scores[
        [index.loras[place].id in left_out or not _works(index, int(place), asked) for place in signals.loras]
    ] = -np.inf
    likely = _probabilities(scores)
    best = [int(row) for row in np.argsort(-likely)[: asked.limit] if likely[row] > 0]
    explainer = Explainer(index, signals, text)
    items = {
        item["id"]: item
        for item in read_items(database.reader(), [index.loras[signals.loras[row]].id for row in best])
    }
    answer = []
    for row in best:
        item = items.get(index.loras[signals.loras[row]].id)
        if item is None:  # deleted since
            continue
        weight = explainer.weight(row)
        reasons = [reason.to_json() for reason in explainer.reasons(row)] + opinion(
            shifts.get(item["id"], 0.0)
        )
        answer.append(
            {
                "lora": item,
                "score": round(float(likely[row]), 4),
                "weight": item["weight"] if item["weight"] is not None else weight,
                "reasons": reasons,
            }
        )
    return answer


def _left_out(database: Database, index: Index, asked: Asked) -> set[int]:
    """Ids of LoRAs that stand in the prompt already, or were excluded by name."""
    names = {tag.name for tag in find_tags(asked.prompt) if tag.is_lora and not tag.is_draw} | set(
        asked.exclude
    )
    found = resolve_all(database.reader(), sorted(names))
    return {one.id for one in found.values() if one}


def _works(index: Index, position: int, asked: Asked) -> bool:
    return fits(index.loras[position].base_model, asked.base_model) is not False


def _probabilities(scores: Floats) -> Floats:
    """Softmax; LoRAs of -inf get 0."""
    top = scores.max()
    if not np.isfinite(top):
        return np.zeros(len(scores), np.float32)
    powers = np.exp(scores - top)
    likely: Floats = powers / powers.sum()
    return likely
