"""Measures how fast recommendations are answered by a sidecar with a large library.

    python benchmarks/recommend_speed.py --loras DIR [--data KEPT] [--examples 100000] [--asked 300]

Over HTTP, prompts as the library's own examples are, changed a little, without and with the text model (on the CPU, where
sentence-transformers and a model are installed). Examples that are missing are added to LoRAs of the library: those it has,
mixed. To have a vector for every text without waiting for the model to read them all, those that are missing are filled with
random directions: the answer takes as long. `--data` is a data folder with a whole catalogue of DIR; it is copied, not changed.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from library import ROOT, Sidecar, say

sys.path.insert(0, str(ROOT))
from sidecar.database import Database
from sidecar.recommend.documents import read_loras, read_prompts, text_key
from sidecar.recommend.embeddings.finding import NoModel, find_model
from sidecar.recommend.embeddings.texts import lora_text

DIMENSION = 384


def add_examples(database: Database, wanted: int) -> None:
    """Give LoRAs mixtures of the examples that there are until there are so many different ones."""
    loras = read_loras(database)
    texts = [prompt.text for prompt in read_prompts(database, loras)]
    rng = random.Random(1)
    added: dict[int, list[dict[str, Any]]] = {}
    for _ in range(wanted - len(texts)):
        parts = [rng.choice(rng.choice(texts).split(",")).strip() for _ in range(rng.randint(4, 12))]
        added.setdefault(rng.choice(loras).id, []).append(
            {"prompt": ", ".join([*parts, f"take {rng.random():.6f}"])}
        )
    rows = [
        (lora, json.loads(kept) + added[lora])
        for lora, kept in database.reader().execute("SELECT lora_id, examples FROM lora_texts").fetchall()
        if lora in added
    ]
    database.write(
        lambda connection: connection.executemany(
            "UPDATE lora_texts SET examples = ? WHERE lora_id = ?",
            [(json.dumps(examples), lora) for lora, examples in rows],
        )
    )


def fill_vectors(database: Database, model: str) -> int:
    loras = read_loras(database)
    texts = {prompt.text for prompt in read_prompts(database, loras)}
    texts |= {lora_text(one.title, one.trigger_words, one.tags, one.about) for one in loras}
    rng = np.random.default_rng(1)

    def vector() -> bytes:
        direction = rng.standard_normal(DIMENSION)
        return bytes((direction / np.linalg.norm(direction)).astype("<f2").tobytes())

    rows = [(text_key(text), model, vector()) for text in texts if text]
    database.write(
        lambda connection: connection.executemany(
            "INSERT OR IGNORE INTO embeddings (text_hash, model, vector) VALUES (?, ?, ?)", rows
        )
    )
    return len(rows)


def prompts_like(database: Database, count: int) -> list[str]:
    """Two thirds of a known prompt's parts, with one of another."""
    rng = random.Random(2)
    texts = [prompt.text for prompt in read_prompts(database, read_loras(database))]
    asked = []
    while len(asked) < count:
        parts = rng.choice(texts).split(",")
        kept = rng.sample(parts, max(1, 2 * len(parts) // 3))
        asked.append(", ".join([*kept, rng.choice(rng.choice(texts).split(","))]))
    return asked


def ask_all(sidecar: Sidecar, prompts: list[str], what: str) -> None:
    times = sorted(
        sidecar.time("recommendations/prompt", "POST", {"prompt": one, "limit": 6}) for one in prompts
    )
    say(f"{what}: p50", statistics.median(times), "ms")
    say(f"{what}: p95", times[int(0.95 * len(times))], "ms")


def wait_for(sidecar: Sidecar, prompt: str, *, model: bool) -> None:
    """Until the index is there, and the text model takes part or does not as it should."""
    while True:
        answer = sidecar.ask("recommendations/prompt", "POST", {"prompt": prompt})
        if "items" in answer and not (model and answer["notes"]):
            return
        time.sleep(0.2)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--loras", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--examples", type=int, default=100_000)
    parser.add_argument("--asked", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        if options.data:
            shutil.copytree(options.data, data)
        else:
            data.mkdir()
            first = Sidecar(data, options.loras)
            first.wait_for_scan()
            first.stop()
        database = Database(data)
        add_examples(database, options.examples)
        prompts = prompts_like(database, options.asked)
        try:
            model = find_model().id
        except NoModel as error:
            model, missing = "", str(error)
        for with_model in (False, True):
            if with_model and not model:
                print(f"Not measured with the text model. {missing}")
                break
            if with_model:
                say("texts with a vector", fill_vectors(database, model), "")
            chosen = "" if with_model else str(Path(folder) / "none")
            (data / "settings.json").unlink(missing_ok=True)
            sidecar = Sidecar(data, options.loras)
            sidecar.ask("library/hashing", "POST", {"paused": True})
            sidecar.ask("settings", "PATCH", {"embedding_model": chosen})
            sidecar.wait_for_scan()
            begun = time.perf_counter()
            wait_for(sidecar, prompts[0], model=with_model)
            say("from the first question to its answer", time.perf_counter() - begun, "s")
            status = sidecar.ask("recommendations/status")["index"]
            name = f"{status['loras']} LoRAs, {status['examples']} prompts, {'with' if with_model else 'without'} the text model"
            ask_all(sidecar, prompts, name)
            say("memory of the sidecar", sidecar.memory, "MB")
            sidecar.stop()
        database.close()


if __name__ == "__main__":
    main()
