"""Measures counts, bulk edits and undo over HTTP, and what lists take meanwhile.

    python benchmarks/organise.py --loras DIR [--data KEEP]

Prints one line a figure. The lists are asked from a process of their own, all the time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any
from urllib.parse import quote

from library import TOKEN, Sidecar, say

ROUNDS = 5
LISTS = (
    "limit=100",
    "q=anime&limit=100",
    "sort=-added&limit=100",
    "q=tag:style&limit=100",
    "offset=20000&limit=100",
)


def poll(address: tuple[str, int], stop: Event, answer: Any) -> None:
    """Ask for lists until told to stop; answer with what each took, in milliseconds."""
    import http.client

    connection = http.client.HTTPConnection(*address, timeout=60)
    times = []
    while not stop.is_set():
        for query in LISTS:
            begin = time.perf_counter()
            connection.request("GET", f"/api/v1/loras?{query}", headers={"Authorization": f"Bearer {TOKEN}"})
            connection.getresponse().read()
            times.append((time.perf_counter() - begin) * 1000)
            time.sleep(0.005)
    answer.send(times)


class Meanwhile:
    """Lists asked while something else goes on; says the slowest at the end."""

    def __init__(self, sidecar: Sidecar, what: str) -> None:
        self._what = what
        self._stop = multiprocessing.Event()
        self._answer, theirs = multiprocessing.Pipe()
        address = (sidecar.connection.host, sidecar.connection.port)
        self._process = multiprocessing.Process(target=poll, args=(address, self._stop, theirs))

    def __enter__(self) -> None:
        self._process.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        times = sorted(self._answer.recv())
        self._process.join()
        say(f"  lists during {self._what} ({len(times)}): p50", times[len(times) // 2], "ms")
        say(f"  lists during {self._what}: slowest", times[-1], "ms")


def settle(sidecar: Sidecar) -> None:
    """Hashing and scanning over, so that figures are of what is measured."""
    sidecar.wait_for_scan()
    while sidecar.ask("health")["hashing"]["pending"] or sidecar.ask("library/status")["indexing"]["pending"]:
        time.sleep(0.2)


def count_facets(sidecar: Sidecar) -> None:
    """Counts beside lists of all kinds. Each follows an edit, so that no earlier answer serves."""
    facets = sidecar.ask("loras?limit=1&facets=1")["facets"]
    items = sidecar.ask("loras?limit=1000&sort=random")["items"]
    total = sidecar.ask("loras?limit=1")["total"]
    rng = random.Random(1)
    queries: list[Callable[[], str]] = [
        lambda: "",
        lambda: f"base_model={quote(rng.choice(facets['base_model'])['value'])}",
        lambda: f"tag={quote(rng.choice(facets['tag'])['value'])}",
        lambda: f"q={quote(rng.choice(items)['name'].split('_')[0])}",
        lambda: f"q={quote('tag:' + rng.choice(facets['tag'])['value'].split()[0])}",
        lambda: "q=weight:>0.5",
    ]
    times = []
    for number in range(120):
        query = rng.choice(queries)()
        sidecar.ask(f"loras/{items[number]['id']}", "PATCH", {"rating": number % 5 + 1})
        plain = sidecar.time(f"loras?limit=1&{query}")
        times.append(max(0.0, sidecar.time(f"loras?limit=1&facets=1&{query}") - min(plain, 2)))
    times.sort()
    say(f"{total} files, counts of a list: p50", times[60], "ms")
    say(f"{total} files, counts of a list: p95", times[114], "ms")


def edit_many(sidecar: Sidecar) -> None:
    """Tag 10,000 at once, take it back, rename the tag."""
    ids = [
        item["id"]
        for start in range(0, 10_000, 1_000)
        for item in sidecar.ask(f"loras?limit=1000&offset={start}")["items"]
    ]
    for number in range(ROUNDS):
        begin = time.perf_counter()
        answer = sidecar.ask("loras/bulk", "POST", {"ids": ids, "add_tags": [f"bulk {number}"]})
        say(f"bulk tag of {answer['changed']}", time.perf_counter() - begin, "s")
        settle(sidecar)
    with Meanwhile(sidecar, "bulk edit"):
        answer = sidecar.ask("loras/bulk", "POST", {"ids": ids, "add_tags": ["bulk"]})
    settle(sidecar)
    with Meanwhile(sidecar, "undo"):
        begin = time.perf_counter()
        sidecar.ask(f"actions/{answer['action']}/undo", "POST")
        took = time.perf_counter() - begin
    say(f"undo of {answer['changed']}", took, "s")
    with Meanwhile(sidecar, "tag rename"):
        begin = time.perf_counter()
        changed = sidecar.ask("tags/rename", "POST", {"from": ["bulk 0"], "to": "bulk"})["changed"]
        took = time.perf_counter() - begin
    say(f"rename of a tag of {changed}", took, "s")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--loras", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="use the data folder here; it is left as it was")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lora-manager-benchmark-") as folder:
        data = Path(folder) / "data"
        if options.data:
            shutil.copytree(options.data, data)
        else:
            data.mkdir()
        sidecar = Sidecar(data, options.loras)
        try:
            settle(sidecar)
            count_facets(sidecar)
            edit_many(sidecar)
        finally:
            sidecar.stop()


if __name__ == "__main__":
    main()
