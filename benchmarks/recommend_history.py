"""Measures what recommendations learn from a user's own images.

    python benchmarks/recommend_history.py [--corpus DIR] [--without-model]

The corpus's questions, in an order drawn at random: the first half become the user's own images, the second half is asked:
before there are any images, with them, and with what was learned from them (sidecar/recommend/learning.py).
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import uuid
from pathlib import Path

import numpy as np
from corpus import Question, about, embed, lay_out, read_catalogue, read_questions
from library import ROOT

sys.path.insert(0, str(ROOT))
from sidecar.database import Database
from sidecar.generation.history import UsedLora, record_generation
from sidecar.recommend.fusion import fuse
from sidecar.recommend.index import Index
from sidecar.recommend.learning import learn
from sidecar.recommend.making import make_index
from sidecar.recommend.personal import Taste, personal
from sidecar.recommend.signals import Vectors, read_signals
from sidecar.recommend.texts import plain_prompt

SEED = 5


def make_images(database: Database, index: Index, questions: list[Question]) -> None:
    for number, question in enumerate(questions):
        names = [index.loras[place].stem for place in question.targets]
        values = {
            "uuid": str(uuid.UUID(int=number)), "created": 1e9 + number, "host": "sdnext", "kind": "txt2img", "prompt": question.prompt,
            "negative_prompt": "", "checkpoint": None, "sampler": None, "steps": None, "cfg": None, "seed": None,
            "width": None, "height": None, "duration": None, "images": [], "interrupted": False,
        }  # fmt: skip
        record_generation(database, values, [UsedLora(name, 1.0) for name in names])


def report(
    name: str,
    database: Database,
    index: Index,
    questions: list[Question],
    vectors: list[Vectors] | None,
    taste: Taste,
) -> None:
    ranks = []
    for at, question in enumerate(questions):
        signals = read_signals(index, question.prompt, vectors[at] if vectors else None)
        scores = taste.fusion * fuse(signals) + personal(database, index, signals) @ np.array(
            taste.features, np.float32
        )
        right = scores[np.isin(signals.loras, question.targets)]
        ranks.append(int((scores >= right.max()).sum()) - 1 if len(right) else 1_000)
    found = np.array(ranks)
    print(f"| {name} | {(found < 10).mean():.3f} | {(found < 1).mean():.3f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, default=Path("/tmp/lora-manager-corpus"))
    parser.add_argument("--without-model", action="store_true")
    options = parser.parse_args()
    lay_out(options.corpus)
    read_catalogue(options.corpus).close()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(options.corpus / "data", Path(folder) / "data")
        database = Database(Path(folder) / "data")
        index = make_index(database, options.corpus)
        questions = read_questions(options.corpus, index)
        order = np.random.default_rng(SEED).permutation(len(questions))
        images, asked = order[: len(order) // 2], order[len(order) // 2 :]
        kept = (
            None
            if options.without_model
            else embed([one.prompt for one in questions], options.corpus / "asked-prompt.npy")
        )

        def vectors_of(index: Index) -> tuple[np.ndarray, np.ndarray] | None:
            if kept is None:
                return None
            known = dict(zip([plain_prompt(one.prompt) for one in questions], kept))
            first = embed([one.text for one in plain.prompts], options.corpus / "prompts.npy")
            known.update(zip([one.text for one in plain.prompts], first))  # type: ignore[arg-type]
            prompts = np.stack([known[one.text] for one in index.prompts])
            loras = embed([about(one) for one in index.loras], options.corpus / "loras.npy")
            return prompts, loras  # type: ignore[return-value]

        def queries(index: Index) -> list[Vectors] | None:
            found = vectors_of(index)
            return None if found is None or kept is None else [Vectors(kept[at], *found) for at in asked]

        plain = index
        half = [questions[at] for at in asked]
        print(f"{len(images)} images, {len(asked)} questions\n\n| | top 10 | top 1 |\n|---|---|---|")
        report("no images", database, index, half, queries(index), Taste())
        make_images(database, index, [questions[at] for at in images])
        index = make_index(database, Path(folder))
        report("with the images", database, index, half, queries(index), Taste())
        found = vectors_of(index)
        learned = learn(
            database, index, (lambda at: Vectors(found[0][at], *found)) if found else lambda _: None
        )
        assert learned is not None
        report("and what was learned from them", database, index, half, queries(index), learned.taste)
        print(
            f"\nkept apart: {learned.loss:.4f} nats a prompt instead of {learned.loss_before:.4f}; {learned.taste}"
        )
        database.close()


if __name__ == "__main__":
    main()
