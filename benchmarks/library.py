"""Measures the sidecar as a user meets it: a process started from nothing, asked over HTTP.

    python benchmarks/library.py --loras DIR [--only new,warm,lists,hashing] [--hash-loras DIR]

`DIR` is a LoRA folder of any size, for instance one that make_loras.py makes. Prints one line a figure.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psutil

ROOT = Path(__file__).parents[1]
TOKEN = "benchmark-token-of-no-secret"


class Sidecar:
    """A sidecar process on a data folder, with the time since its start."""

    def __init__(self, data: Path, loras: Path) -> None:
        environment = {**os.environ, "LORA_MANAGER_TOKEN": TOKEN}
        command = [
            sys.executable,
            "-m",
            "sidecar",
            "serve",
            "--port",
            "0",
            "--data",
            str(data),
            "--loras",
            str(loras),
        ]
        (data / "sidecar.json").unlink(missing_ok=True)
        self.started = time.perf_counter()
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
        while not (data / "sidecar.json").exists():
            time.sleep(0.002)
        address = urlsplit(json.loads((data / "sidecar.json").read_text())["url"])
        self.connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)

    def ask(self, path: str, method: str = "GET", body: Any = None) -> Any:
        content = None if body is None else json.dumps(body)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        self.connection.request(method, f"/api/v1/{path}", content, headers)
        return json.loads(self.connection.getresponse().read())

    def time(self, path: str, method: str = "GET", body: Any = None) -> float:
        begin = time.perf_counter()
        self.ask(path, method, body)
        return (time.perf_counter() - begin) * 1000

    @property
    def age(self) -> float:
        return time.perf_counter() - self.started

    @property
    def memory(self) -> float:
        return float(psutil.Process(self.process.pid).memory_info().rss) / 2**20

    def wait_for_scan(self) -> None:
        while self.ask("library/status")["scanning"]:
            time.sleep(0.02)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def say(what: str, value: float, unit: str) -> None:
    print(
        f"{what:<66}{value:>10.1f} {unit}" if unit != "s" else f"{what:<66}{value:>10.2f} {unit}", flush=True
    )


def count_files(folder: Path) -> int:
    return sum(name.endswith(".safetensors") for _, _, names in os.walk(folder) for name in names)


def new_files(data: Path, loras: Path) -> None:
    """Start on an empty data folder until every file is listed, then until every word is searchable."""
    total = count_files(loras)
    sidecar = Sidecar(data, loras)
    while len(sidecar.ask("loras?limit=100")["items"]) < min(100, total):
        time.sleep(0.01)
    say(f"{total} new files: start to first page", sidecar.age, "s")
    while sidecar.ask("loras?limit=1")["total"] < total:
        time.sleep(0.02)
    say(f"{total} new files: start to complete list", sidecar.age, "s")
    sidecar.wait_for_scan()
    say(f"{total} new files: start to full search", sidecar.age, "s")
    sidecar.stop()


def warm_start(data: Path, loras: Path) -> None:
    """Start on a full catalogue: first list, then the disk reconciled."""
    sidecar = Sidecar(data, loras)
    total = sidecar.ask("loras?limit=100")["total"]
    say(f"{total} files, warm start to first list", sidecar.age, "s")
    sidecar.wait_for_scan()
    say(f"{total} files, warm start to reconciled with the disk", sidecar.age, "s")
    sidecar.stop()


def lists(data: Path, loras: Path) -> None:
    """Lists, filters, searches, typos, edits and memory, hashing paused."""
    sidecar = Sidecar(data, loras)
    sidecar.ask("library/hashing", "POST", {"paused": True})
    sidecar.wait_for_scan()
    rng = random.Random(1)
    facets = sidecar.ask("loras?limit=1&facets=1")["facets"]
    models = [entry["value"] for entry in facets["base_model"]]
    tags = [entry["value"] for entry in facets["tag"]]
    folders = [entry["value"] for entry in facets["folder"]]
    total = sidecar.ask("loras?limit=1")["total"]
    items = sidecar.ask("loras?limit=1000&sort=random")["items"]

    def words() -> str:
        return " ".join(rng.choice(items)["name"].split("_")[:2])

    def typo() -> str:
        word = list(rng.choice(items)["name"].split("_")[rng.randrange(2)])
        position = rng.randrange(1, len(word) - 1)
        word[position], word[position - 1] = word[position - 1], rng.choice("abcdefghijklmnopqrstuvwxyz")
        return "".join(word)

    sorts = ["name", "-name", "added", "-modified", "size", "-size", "used", "random"]
    kinds = {
        "list, any sort, anywhere": lambda: (
            f"sort={rng.choice(sorts)}&offset={rng.randrange(max(1, total - 100))}"
        ),
        "filter by base model": lambda: f"base_model={quote(rng.choice(models))}",
        "filter by tag": lambda: f"tag={quote(rng.choice(tags))}",
        "filter by base model and tag": lambda: (
            f"base_model={quote(rng.choice(models))}&tag={quote(rng.choice(tags))}"
        ),
        "filter by folder": lambda: f"folder={quote(rng.choice(folders))}",
        "search, two words": lambda: f"q={quote(words())}",
        "search as typed, two letters": lambda: f"q={quote(words()[:2])}",
        "search with a typo": lambda: f"q={quote(typo())}",
    }
    for kind, query in kinds.items():
        times = [sidecar.time(f"loras?limit=100&{query()}") for _ in range(100)]
        say(f"{total} files, {kind}: p50", statistics.median(times), "ms")
        say(f"{total} files, {kind}: p95", sorted(times)[94], "ms")
    times = [sidecar.time("loras?limit=1&facets=1&sort=name&q=" + quote(words())) for _ in range(40)]
    say(f"{total} files, counts of a search: p95", sorted(times)[37], "ms")
    edits = [
        sidecar.time(f"loras/{item['id']}", "PATCH", {"notes": f"note {number}", "favorite": True})
        for number, item in enumerate(items[:100])
    ]
    say(f"{total} files, one edit: p50", statistics.median(edits), "ms")
    say(f"{total} files, one edit: p95", sorted(edits)[94], "ms")
    composes = [
        sidecar.time(
            "prompts/compose", "POST", {"prompt": f"a <lora:{item['name']}>, b", "add_trigger_words": True}
        )
        for item in items[:100]
    ]
    say(f"{total} files, compose: p95", sorted(composes)[94], "ms")
    say(f"{total} files, memory", sidecar.memory, "MiB")
    sidecar.ask("library/hashing", "POST", {"paused": False})
    sidecar.stop()


def hashing(loras: Path) -> None:
    """Hashing's speed against sha256sum over the same files, as many at once as we hash."""
    from sidecar.library.hashing import hash_file

    files = [
        os.path.join(folder, name)
        for folder, _, names in os.walk(loras)
        for name in names
        if name.endswith(".safetensors")
    ]
    size = sum(map(os.path.getsize, files))
    for path in files:
        Path(path).read_bytes()
    begin = time.perf_counter()
    subprocess.run(
        ["xargs", "-0", "sha256sum"], input="\0".join(files).encode(), stdout=subprocess.DEVNULL, check=True
    )
    theirs = time.perf_counter() - begin
    begin = time.perf_counter()
    for path in files:
        hash_file(path)
    ours = time.perf_counter() - begin
    say(f"sha256sum, {size / 1e6:.0f} MB on one core", size / theirs / 1e6, "MB/s")
    say("all our hashes in one pass, on one core", size / ours / 1e6, "MB/s")
    say("  its speed as a share of sha256sum's", theirs / ours * 100, "%")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--loras", type=Path, required=True)
    parser.add_argument(
        "--hash-loras", type=Path, help="folder of large files for the hashing figure (default: --loras)"
    )
    parser.add_argument("--only", default="new,warm,lists,hashing")
    parser.add_argument(
        "--data", type=Path, help="keep the data folder here, and use it again when it is there"
    )
    options = parser.parse_args()
    wanted = options.only.split(",")
    data = options.data or Path(tempfile.mkdtemp(prefix="lora-manager-benchmark-"))
    data.mkdir(parents=True, exist_ok=True)
    try:
        if "new" in wanted:
            new_files(data, options.loras)
        if "warm" in wanted:
            warm_start(data, options.loras)
        if "lists" in wanted:
            lists(data, options.loras)
        if "hashing" in wanted:
            hashing(options.hash_loras or options.loras)
    finally:
        if not options.data:
            shutil.rmtree(data)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
