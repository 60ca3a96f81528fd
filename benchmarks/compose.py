"""Measures composing and lint: `python benchmarks/compose.py --loras DIR [--data KEEP] [--prompts 500] [--profile]`.

Prompts of 2,000 characters with 20 LoRAs, each prompt another one: all names right; and with one wrong case, one without a
weight and one misspelt name each. First over HTTP, on one connection to a real sidecar; then what the sidecar itself does
of it, in this process: the body read, the route, the answer written. Where other programs keep the cores busy, the figures
of the processor's time tell what the work takes; those of the clock, what it takes there and then.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from library import Sidecar, say  # noqa: E402

from sidecar.database import Database  # noqa: E402
from sidecar.events import Events  # noqa: E402
from sidecar.library.service import Library  # noqa: E402
from sidecar.prompts.routes import (  # noqa: E402
    ComposeRequest,
    LintRequest,
    compose_prompt,
    lint_prompt,
)
from sidecar.recommend.service import Recommender  # noqa: E402
from sidecar.settings import Settings  # noqa: E402
from sidecar.state import State  # noqa: E402
from sidecar.tasks import Tasks  # noqa: E402

LENGTH, LORAS = 2_000, 20
TEXT = "a wide view over (roofs:1.2), rain, [lanterns|candles], reflections in the street, BREAK soft light, "
HOST = {"host": "reforge", "checkpoint": "ponyXL", "facts": {"checkpoint_base": "Pony", "comments": True}}


def make_prompt(names: list[str], rng: random.Random, *, slips: bool) -> str:
    """2,000 characters with 20 tags among them; `slips` are what users do wrong."""
    tags = [f"<lora:{name}:{rng.uniform(0.1, 0.6):.2f}>" for name in rng.sample(names, LORAS)]
    if slips:
        wrong = rng.choice(names)
        letter = rng.randrange(1, len(wrong) - 7)  # not in the number at its end
        tags[3] = f"<lora:{wrong[:letter]}q{wrong[letter + 1 :]}:0.5>"
        tags[7] = tags[7].upper().replace("<LORA", "<lora")
        tags[11] = f"<lora:{rng.choice(names)}>"
    missing = LENGTH - sum(map(len, tags)) - 2 * len(tags)
    text = (TEXT * (missing // len(TEXT) + 1))[: max(0, missing)]
    return ", ".join([text, *tags])


def bodies(names: list[str], count: int, *, slips: bool) -> dict[str, list[dict[str, Any]]]:
    """What is posted to each route."""
    rng = random.Random(f"{slips}")
    prompts = [make_prompt(names, rng, slips=slips) for _ in range(count)]
    given: list[dict[str, Any]] = [
        {"prompt": prompt, "negative_prompt": "blurry, lowres", **HOST} for prompt in prompts
    ]
    return {
        "compose": [{**one, "seed": at, "add_trigger_words": True} for at, one in enumerate(given)],
        "lint": given,
    }


def spread(what: str, times: list[float]) -> None:
    times = sorted(times)
    say(f"{what}: p50", times[len(times) // 2], "ms")
    say(f"{what}: p95", times[int(len(times) * 0.95)], "ms")


def measure_http(sidecar: Sidecar, posted: dict[str, list[dict[str, Any]]], label: str) -> None:
    for route, all_bodies in posted.items():
        sidecar.ask(f"prompts/{route}", "POST", all_bodies[0])
        times = [sidecar.time(f"prompts/{route}", "POST", body) for body in all_bodies[1:]]
        spread(f"{route}, {label}, over HTTP", times)


def measure_inside(state: State, posted: dict[str, list[dict[str, Any]]], label: str, profile: bool) -> None:
    routes: dict[str, Callable[[bytes], Any]] = {
        "compose": lambda body: compose_prompt(ComposeRequest.model_validate_json(body), state),
        "lint": lambda body: lint_prompt(LintRequest.model_validate_json(body), state),
    }
    for route, answer in routes.items():
        sent = [json.dumps(body).encode() for body in posted[route]]
        answer(sent[0])
        profiler = cProfile.Profile() if profile else None
        clock, processor = [], []
        for body in sent[1:]:
            began, used = time.perf_counter(), time.thread_time()
            if profiler:
                profiler.runcall(answer, body)
            else:
                answer(body)
            processor.append(1000 * (time.thread_time() - used))
            clock.append(1000 * (time.perf_counter() - began))
        spread(f"{route}, {label}, in the sidecar, processor", processor)
        spread(f"{route}, {label}, in the sidecar, clock", clock)
        if profiler:
            pstats.Stats(profiler).sort_stats("cumtime").print_stats(30)


def open_state(data: Path) -> State:
    """The sidecar's parts over a catalogue that is complete, with no thread at work."""
    database, events, settings = Database(data), Events(), Settings(data=data)
    library = Library(database, events, settings, watch=False)
    library.scanner.first_done.set()
    recommender = Recommender(database, events, settings.data, lambda: False)
    return State(settings, "", database, events, library, Tasks(events), recommender)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--loras", type=Path, required=True, help="a folder of LoRAs")
    parser.add_argument(
        "--data", type=Path, help="keep the data folder here, and use it again when it is there"
    )
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--profile", action="store_true", help="where the time goes in the sidecar")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        data = given.data or Path(temporary) / "data"
        data.mkdir(parents=True, exist_ok=True)
        sidecar = Sidecar(data, given.loras.absolute())
        try:
            sidecar.ask("library/hashing", "POST", {"paused": True})
            sidecar.wait_for_scan()
            total = sidecar.ask("loras?limit=1")["total"]
            names = [item["name"] for item in sidecar.ask("loras?limit=1000&sort=random&seed=1")["items"]]
            print(f"{total} files; prompts of {LENGTH:,} characters with {LORAS} LoRAs")
            kinds = {"all right": False, "with slips": True}
            posted = {label: bodies(names, given.prompts, slips=slips) for label, slips in kinds.items()}
            for label, of_routes in posted.items():
                measure_http(sidecar, of_routes, label)
            sidecar.ask("library/hashing", "POST", {"paused": False})
        finally:
            sidecar.stop()
        state = open_state(data)
        for label, of_routes in posted.items():
            measure_inside(state, of_routes, label, given.profile)
        state.tasks.stop()
        state.database.close()


if __name__ == "__main__":
    main()
