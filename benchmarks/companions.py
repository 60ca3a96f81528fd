"""Measures companions on the corpus's stacks: LoRAs that authors used together, of which one is hidden.

    python benchmarks/companions.py [--corpus DIR] [--fit] [--large]

Every LoRA of every stack is hidden in turn, and asked for by the others of it; the stack itself, its images and its prompts
are taken out of the index, and the other stacks are known as authors' examples. Prints how often the hidden one is among the
first ten, against the LoRAs that stand together with others most (popularity), against plain counts of standing together,
and against these two one after the other. LoRAs with the same score count as ranked before. Half of the stacks (every second one in the
order of their hashes) was for tuning; the other half is for reporting. `--fit` prints the numbers of scoring.py that the
first half teaches. `--large` measures time at 50,000 LoRAs and 100,000 prompts.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
from corpus import SCRIPT, lay_out, read_catalogue
from library import ROOT

sys.path.insert(0, str(ROOT))
from sidecar.recommend.documents import LoraText, Prompt, Use, read_loras, read_prompts
from sidecar.recommend.naming import Named, Naming, read_naming
from sidecar.recommend.use.baskets import EXAMPLE, Basket, Places, read_baskets
from sidecar.recommend.use.index import UseIndex
from sidecar.recommend.use.scoring import SIGNALS, WEIGHTS, signals_of
from sidecar.recommend.use.words import Words

STACKS = SCRIPT.parent / "corpus" / "stacks.jsonl.gz"
FITTED = ("popular", "text", "as_others", "like_known")
L2 = 2.0


class Question(NamedTuple):
    """A hidden LoRA, those that ask for it, the index without their stack, and whether the stack is for reporting."""

    hidden: int
    given: list[int]
    index: UseIndex
    reported: bool


def read_stacks(places: Places, loras: list[LoraText]) -> dict[frozenset[int], int]:
    """Stacks with their images; the same one on several pages is one."""
    by_name = {lora.stem: places.by_id[lora.id] for lora in loras}
    stacks: dict[frozenset[int], int] = {}
    with gzip.open(STACKS, "rt", encoding="utf-8") as lines:
        for one in map(json.loads, lines):
            members = frozenset(by_name[name.replace("/", "_")] for name in one["loras"])
            stacks[members] = stacks.get(members, 0) + one["images"]
    return stacks


def questions(folder: Path, *, library_only: bool) -> Iterator[Question]:
    """Every hidden LoRA. `library_only`: what is known is what the library's pages show, not the other stacks too."""
    database = read_catalogue(folder)
    loras = read_loras(database)
    places, naming, words = Places(loras), read_naming(database), Words()
    prompts = read_prompts(database, loras)
    baskets = read_baskets(database, places, naming)
    database.close()
    stacks = read_stacks(places, loras)
    names = {stack: " ".join(sorted(loras[place].stem for place in stack)) for stack in stacks}
    for stack in sorted(stacks, key=lambda one: names[one]):
        known = [one for one in baskets if not stack <= set(one.loras)]
        if not library_only:
            pairs = {frozenset(one.loras) for one in known}
            known += [
                Basket(EXAMPLE, tuple(sorted(one)), images, images)
                for one, images in stacks.items()
                if not stack <= one and one not in pairs
            ]
        texts = [one for one in prompts if not stack <= {places.by_id[use.lora] for use in one.uses}]
        index = UseIndex(loras, texts, known, naming, words)
        reported = sha256(names[stack].encode()).digest()[0] % 2 == 1
        for hidden in sorted(stack):
            yield Question(hidden, sorted(stack - {hidden}), index, reported)


Score = Callable[[Question, np.ndarray], np.ndarray]


def _together(asked: Question) -> np.ndarray:
    return np.sum([asked.index.counts.together(place) for place in asked.given], axis=0)


METHODS: dict[str, Score] = {
    "popularity": lambda asked, signals: asked.index.counts.paired,
    "co-use counts": lambda asked, signals: _together(asked),
    "co-use counts, then popularity": lambda asked, signals: (
        _together(asked) * 1000 + asked.index.counts.paired
    ),
    "likeness of text": lambda asked, signals: signals[:, SIGNALS.index("text")],
    "companions": lambda asked, signals: signals @ WEIGHTS,
    **{
        f"… less {name}": lambda asked, signals, at=at: signals @ np.where(np.arange(len(WEIGHTS)) == at, 0, WEIGHTS)
        for at, name in enumerate(SIGNALS)
    },
}  # fmt: skip


def rank(scores: np.ndarray, asked: Question) -> int:
    scores = np.where(asked.index.is_first, scores, -np.inf)
    scores[asked.given] = -np.inf
    return int((scores >= scores[asked.hidden]).sum()) - 1


def fit(samples: list[tuple[np.ndarray, int, list[int]]]) -> np.ndarray:
    """Weights of `FITTED`: conditional logit over all LoRAs, by Newton's steps, with a penalty on scaled weights."""
    columns = [SIGNALS.index(name) for name in FITTED]
    scale = np.mean([signals[:, columns].std(axis=0) for signals, _, _ in samples], axis=0)
    weights = np.zeros(len(columns))
    for _ in range(15):
        slope, bend = L2 * weights, L2 * np.eye(len(columns))
        for signals, hidden, given in samples:
            values = signals[:, columns] / scale
            scores = values @ weights
            scores[given] = -np.inf
            likely = np.exp(scores - scores.max())
            likely /= likely.sum()
            mean = likely @ values
            slope += mean - values[hidden]
            centred = values - mean
            bend += (centred * likely[:, None]).T @ centred
        step = np.linalg.solve(bend, slope)
        weights -= step * min(1.0, 3 / np.abs(step).max())
    return weights / scale


def measure_time() -> None:
    """p50 and p95 of an answer, and the seconds that the index takes, on made-up data of full size."""
    random = np.random.default_rng(7)
    vocabulary = [f"word{number}" for number in range(30_000)]

    def text(count: int) -> str:
        return ", ".join(vocabulary[int(at)] for at in 30_000 * random.random(count) ** 3)

    loras = [
        LoraText(one, None, f"lora_{one}", text(3), [text(2)], text(4).split(", "), text(60), "SD 1.x")
        for one in range(1, 50_001)
    ]
    stacks = [(50_000 * random.random(random.integers(1, 5)) ** 3).astype(int) + 1 for _ in range(100_000)]
    prompts = [Prompt(text(30), [Use(int(one), 0, None) for one in set(stack)]) for stack in stacks]
    baskets = [Basket(EXAMPLE, tuple(sorted({int(one) - 1 for one in stack})), 1, 1) for stack in stacks]
    begun = time.perf_counter()
    index = UseIndex(loras, prompts, baskets, Naming([Named(one.id, one.stem, "", None) for one in loras]))
    print(
        f"index of {len(loras)} LoRAs and {len(prompts)} prompts: {time.perf_counter() - begun:.1f} s, in the background"
    )
    for count in (1, 3):
        times = []
        for _ in range(200):
            given = [int(one) for one in 50_000 * random.random(count) ** 3]
            begun = time.perf_counter()
            signals_of(index, given) @ WEIGHTS
            times.append(1000 * (time.perf_counter() - begun))
        print(f"companions of {count}: p50 {np.median(times):.1f} ms, p95 {np.percentile(times, 95):.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, default=Path("/tmp/lora-manager-corpus"))
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--large", action="store_true")
    options = parser.parse_args()
    if options.large:
        return measure_time()
    lay_out(options.corpus)
    for library_only in (False, True):
        ranks: dict[str, list[int]] = {name: [] for name in METHODS}
        halves, samples = [], []
        for asked in questions(options.corpus, library_only=library_only):
            signals = signals_of(asked.index, asked.given)
            for name, method in METHODS.items():
                ranks[name].append(rank(method(asked, signals), asked))
            halves.append(asked.reported)
            if options.fit and not asked.reported:
                samples.append((signals, asked.hidden, asked.given))
        reported = np.array(halves)
        known = "only what the library's pages show" if library_only else "the other stacks"
        print(
            f"\nKnown: {known}. {len(reported)} hidden LoRAs, {reported.sum()} of them in the half that is reported.\n"
        )
        print("| | reported half, top 10 | tuned half | all |\n|---|---|---|---|")
        for name, found in ranks.items():
            hits = np.array(found) < 10
            print(
                f"| {name} | {hits[reported].mean():.3f} | {hits[~reported].mean():.3f} | {hits.mean():.3f} |"
            )
        if options.fit:
            print(dict(zip(FITTED, np.round(fit(samples), 2).tolist())), flush=True)


if __name__ == "__main__":
    main()
