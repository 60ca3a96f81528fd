"""Measures recommendations on the corpus's questions: real prompts, of which the LoRAs are known.

    python benchmarks/recommend.py [--corpus DIR] [--ablate]

Prints how often a LoRA of the prompt is among the first ten and the first, for the whole prompt, for the prompt without
its LoRAs' words and names, and of those LoRAs alone whose page the prompt was not posted on. LoRAs with the same score count
as ranked before.
Text embeddings take part where sentence-transformers is installed. `--ablate` leaves one source out at a time.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from corpus import Question, about, embed, lay_out, read_catalogue, read_questions
from library import ROOT

sys.path.insert(0, str(ROOT))
from sidecar.recommend.fusion import fuse
from sidecar.recommend.index import Index
from sidecar.recommend.making import make_index
from sidecar.recommend.signals import EMBEDDED, Signals, Vectors, read_signals

Ask = Callable[[int, str, str], Signals]
SOURCES = {
    "example prompts": ("words", "words_three", "twos", "parts", "hand", "hand_three", "pairs", "words_covered", "words_mutual",
                        "hand_covered", "hand_mutual", "vote", "nearest", "examples", "has_examples", "kin",
                        "kin_vote", "paired"),
    "names, titles, tags": ("names", "stem", "title"),
    "examples of other versions": ("kin", "kin_vote"),
    "descriptions": ("about",),
    "trigger words": ("triggers", "phrase"),
    "embeddings": EMBEDDED,
}  # fmt: skip


def ranks(
    questions: list[Question], kind: str, score: Callable[[int, str], tuple[np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    """For each question how many LoRAs stand before its best placed one; the same for those whose page it was not posted on,
    where there are any."""
    found, elsewhere = [], []
    for at, question in enumerate(questions):
        loras, scores = score(at, getattr(question, kind))
        found.append(_rank(loras, scores, question.targets))
        if question.elsewhere:
            elsewhere.append(_rank(loras, scores, question.elsewhere))
    return np.array(found), np.array(elsewhere)


def _rank(loras: np.ndarray, scores: np.ndarray, targets: list[int]) -> int:
    of_targets = scores[np.isin(loras, targets)]
    return int((scores >= of_targets.max()).sum()) - 1 if len(of_targets) else len(loras) + 1000


def report(
    name: str,
    questions: list[Question],
    score_for: Callable[[str], Callable[[int, str], tuple[np.ndarray, np.ndarray]]],
) -> None:
    (whole, elsewhere), (bare, _) = (ranks(questions, kind, score_for(kind)) for kind in ("prompt", "bare"))
    figures = ((whole < 10).mean(), (bare < 10).mean(), (elsewhere < 10).mean(), (whole < 1).mean())
    print(f"| {name} | " + " | ".join(f"{figure:.3f}" for figure in figures) + " |", flush=True)


def metadata_only(index: Index) -> Callable[[str], Callable[[int, str], tuple[np.ndarray, np.ndarray]]]:
    """The peer: BM25 over all that is written about a LoRA."""
    from sidecar.recommend.tokens import hashed, words_of

    everything = np.arange(len(index.loras))
    return lambda kind: (
        lambda at, text: (everything, index.about.shared(hashed(words_of(text))) * index.about.bm25)
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, default=Path("/tmp/lora-manager-corpus"))
    parser.add_argument("--ablate", action="store_true")
    options = parser.parse_args()
    lay_out(options.corpus)
    index = make_index(read_catalogue(options.corpus), options.corpus)
    questions = read_questions(options.corpus, index)
    print(f"{len(index.loras)} LoRAs, {len(index.prompts)} known prompts, {len(questions)} questions\n")
    asked = {
        kind: embed([getattr(one, kind) for one in questions], options.corpus / f"asked-{kind}.npy")
        for kind in ("prompt", "bare")
    }
    prompts = embed([one.text for one in index.prompts], options.corpus / "prompts.npy")
    loras = embed([about(one) for one in index.loras], options.corpus / "loras.npy")

    def score_for(
        kind: str, *, embedded: bool, without: tuple[str, ...] = ()
    ) -> Callable[[int, str], tuple[np.ndarray, np.ndarray]]:
        def score(at: int, text: str) -> tuple[np.ndarray, np.ndarray]:
            vectors = Vectors(asked[kind][at], prompts, loras) if embedded else None  # type: ignore[index, arg-type]
            signals = read_signals(index, text, vectors)
            for name in without:
                if name in signals.names:
                    signals.column(name)[:] = 0
            return signals.loras, fuse(signals)

        return score

    print(
        "| | whole prompt, top 10 | without words and names | posted elsewhere | top 1 |\n|---|---|---|---|---|"
    )
    report("metadata alone (BM25)", questions, metadata_only(index))
    report("without the text model", questions, lambda kind: score_for(kind, embedded=False))
    if prompts is not None:
        report("with the text model", questions, lambda kind: score_for(kind, embedded=True))
    if options.ablate:
        for source, names in SOURCES.items():
            report(
                f"… less {source}",
                questions,
                lambda kind, names=names: score_for(kind, embedded=prompts is not None, without=names),
            )  # type: ignore[misc]
    times = []
    for question in questions[:300]:
        begun = time.perf_counter()
        fuse(read_signals(index, question.prompt))
        times.append(1000 * (time.perf_counter() - begun))
    print(
        f"\none answer without the text model: p50 {np.median(times):.1f} ms, p95 {np.percentile(times, 95):.1f} ms"
    )


if __name__ == "__main__":
    main()
