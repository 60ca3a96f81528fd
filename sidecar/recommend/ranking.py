"""Which LoRAs fit a prompt: signals, weighed by the fusion, then by what the user likes and what the checkpoint takes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sidecar.database import Database
from sidecar.library.queries import read_items
from sidecar.prompts.grammar import find_tags
from sidecar.prompts.resolve import resolve_all
from sidecar.recommend.fusion import fuse
from sidecar.recommend.index import Index
from sidecar.recommend.personal import Taste, personal, together
from sidecar.recommend.postings import Floats
from sidecar.recommend.ranges import Places
from sidecar.recommend.reasons import Explainer
from sidecar.recommend.signals import Signals, Vectors, read_signals
from sidecar.recommend.texts import plain_prompt
from sidecar.recommend.use import told
from sidecar.recommend.use.index import UseIndex
from sidecar.recommend.use.opinions import read_opinions, shifts_of

COMPANY = 10
"""Of each LoRA in the prompt so many companions are looked at."""


@dataclass(frozen=True)
class Asked:
    """A prompt, for which base model (None: any), and the names that are not to be recommended."""

    prompt: str
    limit: int
    base_model: str | None = None
    exclude: Collection[str] = ()


@dataclass(frozen=True)
class Known:
    """What a ranking may use beside the index: `vectors` of the prompt and of the index, the co-use of LoRAs, and what was
    learned from the user's history."""

    vectors: Vectors | None = None
    use: UseIndex | None = None
    taste: Taste = field(default_factory=Taste)


def recommend(
    database: Database, index: Index, asked: Asked, known: Known | None = None
) -> list[dict[str, Any]]:
    """Up to `limit` items, the best first: {"lora", "score", "weight", "reasons"}.

    `score` is how likely it is among all that were looked at, 0 to 1; one without reasons has nothing but its popularity.
    LoRAs that stand in the prompt already, that cannot work with the base model, or that have nothing to do with the prompt
    are left out. An empty prompt has no answer.
    """
    text, known = plain_prompt(asked.prompt), known or Known()
    if not text or not index.loras:
        return []
    names = {tag.name for tag in find_tags(asked.prompt) if tag.is_lora and not tag.is_draw}
    given = [place for place in map(known.use.find, names) if place is not None] if known.use else []
    company = _company(index, known.use, given) if known.use and given else None
    signals = read_signals(index, text, known.vectors, also=company)
    if not len(signals.loras):
        return []
    shifts = shifts_of(text, read_opinions(database))
    scores = _scores(database, index, signals, known, given, shifts)
    scores[_left_out(database, index, signals.loras, {*names, *asked.exclude})] = -np.inf
    scores[~index.works(signals.loras, asked.base_model)] = -np.inf
    likely = _probabilities(scores)
    best = _best(likely, index.contents[signals.loras], asked.limit)
    explainer = Explainer(index, signals, text)
    found = read_items(database.reader(), [index.loras[signals.loras[row]].id for row in best])
    items = {item["id"]: item for item in found}
    answer = []
    for row in best:
        item = items.get(index.loras[signals.loras[row]].id)
        if item is None:  # deleted since
            continue
        reasons = [reason.to_json() for reason in explainer.reasons(row)]
        reasons += _together(known.use, given, item["id"]) + told.opinion(shifts.get(item["id"], 0.0))
        answer.append(
            {
                "lora": item,
                "score": round(float(likely[row]), 4),
                "weight": item["weight"] if item["weight"] is not None else explainer.weight(row),
                "reasons": reasons,
            }
        )
    return answer


def _scores(
    database: Database,
    index: Index,
    signals: Signals,
    known: Known,
    given: list[int],
    shifts: dict[int, float],
) -> Floats:
    taste = known.taste
    scores: Floats = taste.fusion * fuse(signals) + personal(database, index, signals) @ np.array(
        taste.features, np.float32
    )
    if known.use and given:
        scores += together(index, signals, known.use, given)
    if shifts:
        said = [shifts.get(one, 0.0) for one in index.ids[signals.loras].tolist()]
        scores += np.array(said, np.float32)
    return scores


def _company(index: Index, use: UseIndex, given: list[int]) -> Places:
    """Where those LoRAs stand that were most often used with the given ones."""
    places = []
    for one in given:
        others, evidence = use.counts.companions(one)
        places += [use.loras[other].id for other in others[np.argsort(-evidence)[:COMPANY]]]
    return np.array([index.position[one] for one in places if one in index.position], np.int64)


def _together(use: UseIndex | None, given: list[int], lora_id: int) -> list[dict[str, Any]]:
    """In what it stands together with LoRAs that are in the prompt."""
    place = use.places.by_id.get(lora_id) if use else None
    return told.together(use, given, place) if use and given and place is not None else []


def _left_out(database: Database, index: Index, loras: Places, names: set[str]) -> npt.NDArray[np.bool_]:
    """Which of these LoRAs the names mean, others whose tag would be the same, and copies of any of them."""
    if not names:
        return np.zeros(len(loras), bool)
    found = resolve_all(database.reader(), sorted(names))
    meant = [index.position[one.id] for one in found.values() if one and one.id in index.position]
    named = {name.casefold() for name in names} | {index.loras[place].stem.casefold() for place in meant}
    meant += [place for place in loras.tolist() if index.loras[place].stem.casefold() in named]
    return np.isin(index.contents[loras], index.contents[np.array(meant, np.int64)])


def _best(likely: Floats, contents: npt.NDArray[np.int64], limit: int) -> list[int]:
    """The likeliest rows, of copies of one content only the first."""
    found: dict[int, int] = {}
    for row in np.argsort(-likely, kind="stable").tolist():
        if len(found) == limit or likely[row] <= 0:
            break
        found.setdefault(int(contents[row]), row)
    return list(found.values())


def _probabilities(scores: Floats) -> Floats:
    """Softmax; LoRAs of -inf get 0."""
    top = scores.max()
    if not np.isfinite(top):
        return np.zeros(len(scores), np.float32)
    powers = np.exp(scores - top)
    likely: Floats = powers / powers.sum()
    return likely
