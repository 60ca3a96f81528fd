"""How well each LoRA fits a prompt, in numbers that do not depend on the library's size: what the fusion weighs.

Of a prompt's tokens the most that a document can share is 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sidecar.recommend.index import Index
from sidecar.recommend.likeness import likeness
from sidecar.recommend.postings import Floats
from sidecar.recommend.ranges import Places
from sidecar.recommend.texts import plain_prompt
from sidecar.recommend.tokens import PROMPT_KINDS, Tokens, hashed, phrases_of, words_of

NEAREST = 30
"""Prompts that vote for their LoRAs."""
VOTE = 15.0
"""How much more a nearer prompt's vote counts."""
TOP_PROMPTS = 120
TOP_LORAS = 50
KIN_PROMPTS = 60
"""Of the LoRAs of so many prompts the other versions are looked at, too."""
PREPARED = 8
MAX_QUERY_WORDS = 400
RARE = 12.0
"""A trigger phrase counts no more than one of this idf, divided by `FULL`."""
FULL = 10.0

LEXICAL = (
    "words", "words_three", "twos", "parts", "hand", "hand_three", "pairs", "words_covered", "words_mutual", "hand_covered",
    "hand_mutual", "vote", "nearest", "names", "about", "stem", "title", "triggers", "phrase", "examples", "has_examples",
    "kin", "kin_vote", "paired",
)  # fmt: skip
EMBEDDED = ("meaning", "meaning_three", "meaning_about")


@dataclass(frozen=True)
class Vectors:
    """Embeddings: of the query (dimensions), of the index's prompts and LoRAs (one row each; zero where one is missing)."""

    query: Floats
    prompts: Floats
    loras: Floats


@dataclass(frozen=True)
class Signals:
    """The LoRAs worth ranking, by position, and one row of signals for each (float32, `names` are the columns)."""

    loras: Places
    values: Floats
    names: tuple[str, ...]
    nearness: Floats = field(repr=False)
    """How near each of the index's prompts is, 0 to about 1."""
    likeness: Floats = field(repr=False)
    """The same, where meaning counts only as far as it is nearer than what unrelated texts have: what may be told."""
    alike: Floats | None = field(repr=False, default=None)
    """How much what is said of each of these LoRAs means the same, by the same measure; None without a text model."""

    def column(self, name: str) -> Floats:
        values: Floats = self.values[:, self.names.index(name)]
        return values


def read_signals(
    index: Index,
    prompt: str,
    vectors: Vectors | None = None,
    leave_out: Places | None = None,
    also: Places | None = None,
) -> Signals:
    """Signals for the LoRAs that any of them finds.

    Args:
        leave_out: prompts (by position) that are not to be known, for training and measuring.
        also: LoRAs (by position) that are to be among the answer.
    """
    text = plain_prompt(prompt)
    tokens = {kind: hashed(take(text)) for kind, take in PROMPT_KINDS.items()}
    shared = {kind: index.by_prompt[kind].shared(tokens[kind]) for kind in tokens}
    meaning = np.maximum(vectors.prompts @ vectors.query, 0) if vectors else None
    if leave_out is not None:
        for one in (*shared.values(), *([meaning] if meaning is not None else [])):
            one[leave_out] = 0
    by_prompt = _by_prompt(index, tokens, shared)
    near: Floats = np.stack([by_prompt[kind] for kind in PROMPT_KINDS]).mean(axis=0)
    told, alike = near, None
    by_lora = _by_lora(index, text, tokens["words"])
    found = [
        _best(by_prompt[name], TOP_PROMPTS) for name in ("words_mutual", "twos", "parts", "hand", "pairs")
    ]
    found_loras = [_best(one, TOP_LORAS) for one in by_lora.values()]
    if vectors and meaning is not None:
        by_prompt["meaning"] = meaning
        near = near + np.float32(0.5) * meaning
        told = told + np.float32(0.5) * likeness(meaning)
        by_lora["meaning_about"] = vectors.loras @ vectors.query
        alike = likeness(by_lora["meaning_about"])
        found.append(_best(meaning, TOP_PROMPTS))
        found_loras.append(_best(by_lora["meaning_about"], TOP_LORAS))
    found_loras += [
        index.kin.of(index.uses_of(_best(near, KIN_PROMPTS))[0]),
        *([] if also is None else [also]),
    ]
    loras = np.unique(np.concatenate([index.uses_of(np.unique(np.concatenate(found)))[0], *found_loras]))
    columns = _columns(index, loras, by_prompt, by_lora, near, leave_out)
    names = (*LEXICAL, *(EMBEDDED if vectors else ()))
    values = np.stack([columns[name] for name in names], axis=1).astype(np.float32)
    return Signals(loras, values, names, near, told, None if alike is None else alike[loras])


def _by_prompt(index: Index, tokens: dict[str, Tokens], shared: dict[str, Floats]) -> dict[str, Floats]:
    """Of each prompt: how much of the query it has (BM25), how much of it the query has, and both together."""
    found = dict[str, Floats]()
    for kind, one in shared.items():
        postings = index.by_prompt[kind]
        most = postings.weight_of(tokens[kind])
        found[kind] = one * postings.bm25 / most
        if kind in ("words", "hand"):
            found[f"{kind}_covered"] = one / postings.total
            found[f"{kind}_mutual"] = one * found[f"{kind}_covered"] / most
    return found


def _by_lora(index: Index, text: str, words: Tokens) -> dict[str, Floats]:
    found = {
        name: 3 * postings.shared(words) * postings.bm25 / postings.weight_of(words)
        for name, postings in (("names", index.names), ("about", index.about))
    }
    for name, postings in zip(("stem", "title", "triggers"), index.covers):
        found[name] = postings.shared(words) / postings.total
    found["phrase"] = _phrases(index, text)
    return found


def _phrases(index: Index, text: str) -> Floats:
    """How rare the rarest trigger phrase of each LoRA is that stands in the prompt as a whole."""
    found = np.zeros(len(index.loras), np.float32)
    by_hash = {int(hashed([one])[0]): one for one in phrases_of(words_of(text)[:MAX_QUERY_WORDS])}
    query = np.array(sorted(by_hash), np.uint32)
    words = index.by_prompt["words"]
    for at, loras in index.phrases.owners_of(query):
        rarity = float(words.rarity(hashed(by_hash[int(query[at])].split())).sum())
        found[loras] = np.maximum(found[loras], min(rarity, RARE) / FULL / np.sqrt(len(loras)))
    return found


def _best(scores: Floats, count: int) -> Places:
    """Where the highest scores above 0 stand."""
    least: float | np.float32 = 0.0
    step = len(scores) // (PREPARED * count)
    if step > 1:  # of many, those below what a sample's best have need not be ordered
        least = np.partition(scores[::step], -count)[-count]
    places: Places = np.flatnonzero(scores >= least if least > 0 else scores > 0)
    if len(places) > count:
        places = places[np.argpartition(scores[places], -count)[-count:]]
    return places


def _columns(
    index: Index,
    loras: Places,
    by_prompt: dict[str, Floats],
    by_lora: dict[str, Floats],
    near: Floats,
    leave_out: Places | None,
) -> dict[str, Floats]:
    pairs, group = index.pairs_of(loras)
    prompts = index.pair_prompt[pairs]
    count = len(loras)
    columns = {name: scores[loras] for name, scores in by_lora.items()}
    for name, scores in by_prompt.items():
        columns[name] = _most(scores[prompts], group, count)
    for name in ("words", "hand", "meaning"):
        if name in by_prompt:
            columns[f"{name}_three"] = _three(by_prompt[name][prompts], group, count)
    highest = max(float(near.max(initial=0)), 1e-6)
    columns["nearest"] = _most(near[prompts], group, count) / highest
    votes = _votes(index, near)
    columns["vote"] = votes[loras]
    columns["kin"] = _kin(index, near, loras) / highest
    columns["kin_vote"] = _of_others(index, votes, loras)
    known = np.ones(len(pairs)) if leave_out is None else ~np.isin(prompts, leave_out)
    examples = np.bincount(group, known, count).astype(np.float32)
    columns["examples"] = np.log1p(examples)
    columns["has_examples"] = (examples > 0).astype(np.float32)
    columns["paired"] = np.log1p(np.bincount(group, known * index.pair_shared[pairs], count))
    return columns


def _most(scores: Floats, group: Places, count: int) -> Floats:
    found = np.zeros(count, np.float32)
    np.maximum.at(found, group, scores)
    return found


def _three(scores: Floats, group: Places, count: int) -> Floats:
    """The mean of each group's three highest, 0 for those that are missing."""
    order = np.lexsort((-scores, group))
    ranked = group[order]
    first = np.searchsorted(ranked, ranked)
    among = np.arange(len(ranked)) - first < 3
    return (np.bincount(ranked[among], scores[order][among], count) / 3).astype(np.float32)


def _votes(index: Index, near: Floats) -> Floats:
    """For each LoRA the nearest prompts' votes; all together 1 or more."""
    votes = np.zeros(len(index.loras), np.float32)
    nearest = _best(near, NEAREST)
    if len(nearest):
        weights = np.exp((near[nearest] - near[nearest].max()) * VOTE)
        loras, group = index.uses_of(nearest)
        votes += np.bincount(loras, (weights / weights.sum())[group], len(votes)).astype(np.float32)
    return votes


def _of_others(index: Index, votes: Floats, loras: Places) -> Floats:
    """Votes for the other versions of each LoRA."""
    family = index.kin.family
    voted = np.flatnonzero((votes > 0) & (family >= 0))
    sums = np.append(np.bincount(family[voted], votes[voted], index.kin.count), 0.0)
    of_others: Floats = np.where(family[loras] >= 0, sums[family[loras]] - votes[loras], 0).astype(np.float32)
    return of_others


def _kin(index: Index, near: Floats, loras: Places) -> Floats:
    """How near the nearest prompt of another version of each LoRA is."""
    members = index.kin.of(loras)
    pairs, group = index.pairs_of(members)
    nearest = _most(near[index.pair_prompt[pairs]], group, len(members))
    family = index.kin.family
    order = np.lexsort((-nearest, family[members]))
    members, nearest = members[order], nearest[order]
    found = np.zeros(len(loras), np.float32)
    rows = np.flatnonzero(family[loras] >= 0)
    first = np.searchsorted(family[members], family[loras[rows]])
    found[rows] = nearest[np.where(members[first] == loras[rows], first + 1, first)] if len(rows) else 0
    return found
