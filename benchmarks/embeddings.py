"""Measures text embeddings on the CPU: texts a second in the background, the vector of a prompt, memory, looking over all texts.

    python benchmarks/embeddings.py --data KEPT [--texts 1500] [--asked 300]

KEPT is a data folder with a catalogue (benchmarks/library.py --data KEPT makes one); it is copied, not changed. The model is the
one that the app would find. Prompts asked for are the library's own examples, each changed a little, one after the other. The
load of the machine is told, since nothing else says what the times are worth.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil
from library import ROOT

sys.path.insert(0, str(ROOT))
from sidecar.database import FILE_NAME, Database
from sidecar.events import Events
from sidecar.recommend.documents import each_example
from sidecar.recommend.embeddings import filling
from sidecar.recommend.embeddings.filling import Filling
from sidecar.recommend.embeddings.finding import find_model
from sidecar.recommend.embeddings.holder import Holder
from sidecar.recommend.embeddings.placement import Placement
from sidecar.recommend.embeddings.service import Embedder
from sidecar.recommend.embeddings.texts import each_text
from sidecar.recommend.texts import plain_prompt
from sidecar.settings import Settings

MEGABYTE = 1024 * 1024


def measure(folder: Path, texts: int, asked: int) -> None:
    database = Database(folder)
    database.write(lambda connection: connection.execute("DELETE FROM embeddings"))
    settings = Settings(data=folder)
    rng = random.Random(1)
    sample = list(each_text(database))
    rng.shuffle(sample)
    sample = sample[:texts]
    embedder = Embedder(database, Events(), settings, lambda: sample, lambda: False)
    try:
        if embedder.model is None:
            raise SystemExit(str(embedder.reason))
        print(f"{embedder.model.name}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        prompts = [plain_prompt(one.prompt) for one in itertools.islice(each_example(database), 5_000)]
        ask(embedder, rng, prompts, asked)
        fill(embedder, sample)
        look_over(database, settings)
    finally:
        embedder.stop()
        database.close()


def ask(embedder: Embedder, rng: random.Random, prompts: list[str], asked: int) -> None:
    begin = time.perf_counter()
    while embedder.embed_query("a first prompt").vector is None:
        time.sleep(0.05)
    print(
        f"  from the first prompt to the first vector (torch and model are loaded): {time.perf_counter() - begin:.1f} s"
    )
    times = []
    for number in range(asked):
        text = f"{rng.choice(prompts)}, take {number}"
        begin = time.perf_counter()
        if embedder.embed_query(text).vector is None:
            raise SystemExit("a prompt got no vector")
        times.append(1_000 * (time.perf_counter() - begin))
    cuts = statistics.quantiles(times, n=20)
    print(
        f"  vector of a prompt, warm: p50 {statistics.median(times):.0f} ms, p95 {cuts[18]:.0f} ms ({asked} prompts)"
    )


def fill(embedder: Embedder, sample: list[str]) -> None:
    filling.TYPING_SECONDS = 0.0  # nobody is typing any more
    begin = time.perf_counter()
    embedder.work_off()
    seconds = time.perf_counter() - begin
    status = embedder.status()
    length = statistics.mean(map(len, sample))
    print(
        f"  in the background: {status['done'] / seconds:.0f} texts/s, rests included ({status['done']} texts of {length:.0f} "
        f"characters, {status['pending']} left)"
    )
    if embedder.pid is not None:
        worker = psutil.Process(embedder.pid).memory_info().rss
        print(f"  memory: {worker / MEGABYTE:.0f} MB in the model's process, {_own():.0f} MB in this one")


def look_over(database: Database, settings: Settings) -> None:
    """What it costs to see that there is nothing to do, with all texts of the library."""
    parts = Filling(database, Events(), Holder(), Placement(Events(), settings), lambda: False)
    model = find_model()
    begin, used = time.perf_counter(), time.process_time()
    found = parts._look_over(model, each_text(database))
    count = len(found.wanted) if found else 0
    print(
        f"  looking over {count} texts: {time.perf_counter() - begin:.1f} s, of which {time.process_time() - used:.1f} s work; "
        f"{_own():.0f} MB in this process then"
    )


def _own() -> float:
    return float(psutil.Process().memory_info().rss) / MEGABYTE


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=1_500)
    parser.add_argument("--asked", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(options.data / FILE_NAME, Path(folder) / FILE_NAME)
        measure(Path(folder), options.texts, options.asked)


if __name__ == "__main__":
    main()
