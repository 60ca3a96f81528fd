"""Measures what the extension's hook adds to one generation: the hook itself, in this process, against a real sidecar.

    python benchmarks/hook.py --loras DIR [--host sdnext|a1111] [--generations 500] [--pause 0.02]

`DIR` is a LoRA folder of any size. First generations with one to four LoRAs of it in a short prompt, some in the wrong
case or without a weight; then as many with 20 LoRAs in 2,000 characters. All ask for trigger words and tell the facts of
the host. Prints p50, p95 and the longest, in milliseconds.
"""

from __future__ import annotations

import argparse
import logging
import random
import statistics
import sys
import tempfile
import time
import types
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from library import TOKEN, Sidecar  # noqa: E402

from extension import host, host_facts  # noqa: E402
from extension.client import Client, Endpoint  # noqa: E402
from extension.generation import Choice, Generations  # noqa: E402
from extension.records import Recorder  # noqa: E402
from extension.settings import Settings  # noqa: E402


def be_host(name: str) -> None:
    """The host's modules, as far as the hook asks for them."""
    checkpoint = types.SimpleNamespace(
        name="sdxl-model.safetensors", title="sdxl-model.safetensors [31e35c80fc]"
    )
    model = types.SimpleNamespace(is_sd3=False, is_sdxl=True, sd_checkpoint_info=checkpoint)
    loaded = {"model_data": types.SimpleNamespace(sd_model=model)}
    options = {"sd_model_checkpoint": checkpoint.title, **dict.fromkeys(host_facts.OPTIONS, 1)}
    extensions = [types.SimpleNamespace(name=f"sd-extension-{number}") for number in range(30)]
    shared = {
        "opts": types.SimpleNamespace(data=options),
        "cmd_opts": types.SimpleNamespace(lora_dir="/loras"),
    }
    modules: dict[str, dict[str, Any]] = {
        "modules": {},
        "modules.shared": {**shared, "sd_model_type": "sdxl"},
        "modules.script_callbacks": {},
        "modules.sd_models": loaded,
        "modules.modeldata": loaded,
        "modules.extensions": {"active": lambda: extensions},
    }
    if name == "sdnext":
        modules["modules.cmd_args"] = {"parser": types.SimpleNamespace(description="SD.Next")}
        modules["modules.script_callbacks"] = {"on_before_process": None}
    for module, members in modules.items():
        sys.modules[module] = types.ModuleType(module)
        vars(sys.modules[module]).update(members)
    host.kind.cache_clear()


def make_prompt(names: list[str], rng: random.Random) -> str:
    parts = ["a portrait of a traveller in the rain", "detailed background", "soft light"]
    for name in rng.sample(names, min(len(names), rng.randint(1, 4))):
        written = name.upper() if rng.random() < 0.2 else name
        weight = "" if rng.random() < 0.3 else f":{rng.uniform(0.3, 1.2):.2f}"
        parts.append(f"<lora:{written}{weight}>")
    return ", ".join(parts)


def make_long_prompt(names: list[str], rng: random.Random) -> str:
    """2,000 characters with 20 LoRAs."""
    tags = [f"<lora:{name}:{rng.uniform(0.1, 0.6):.2f}>" for name in rng.sample(names, min(len(names), 20))]
    words = "a wide view over (roofs:1.2), rain, [lanterns|candles], reflections in the street, "
    missing = 2_000 - len(", ".join(tags)) - 2
    return (words * (missing // len(words) + 1))[: max(0, missing)] + ", " + ", ".join(tags)


def make_job(prompt: str, seed: int) -> Any:
    """What a host calls `p`."""
    fields = {"sampler_name": "Euler a", "steps": 20, "cfg_scale": 7.0, "width": 512, "height": 512}
    extra: dict[str, Any] = {
        "extra_generation_params": {},
        "override_settings": {},
        "batch_size": 1,
        "n_iter": 1,
    }
    return types.SimpleNamespace(
        prompt=prompt, negative_prompt="blurry", seed=seed, init=lambda *_: None, **fields, **extra
    )


def report(label: str, seconds: list[float]) -> None:
    cuts = statistics.quantiles([1000 * each for each in seconds], n=100)
    print(f"{label:34} p50 {cuts[49]:6.2f} ms   p95 {cuts[94]:6.2f} ms   max {1000 * max(seconds):6.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--loras", type=Path, required=True)
    parser.add_argument("--host", choices=("sdnext", "a1111"), default="sdnext")
    parser.add_argument("--generations", type=int, default=500)
    parser.add_argument("--pause", type=float, default=0.02, help="seconds between two generations")
    options = parser.parse_args()
    be_host(options.host)
    with tempfile.TemporaryDirectory() as data:
        sidecar = Sidecar(Path(data), options.loras.absolute())
        try:
            while sidecar.ask("library/status")["scanning"]:
                time.sleep(0.1)
            sidecar.ask("library/hashing", "POST", {"paused": True})
            total = sidecar.ask("health")["loras"]
            query = "loras?limit=1000&sort=random&seed=1&q=base:sdxl"
            names = [item["name"] for item in sidecar.ask(query)["items"]]
            address = f"http://{sidecar.connection.host}:{sidecar.connection.port}"
            measure(options, total, names, Endpoint(address, TOKEN), Path(data))
        finally:
            sidecar.process.terminate()
            sidecar.process.wait(10)


def measure(options: Any, total: int, names: list[str], endpoint: Endpoint, data: Path) -> None:
    settings = Settings((), data, "", "", True, True, False, ())
    client = Client(lambda: endpoint)
    recorder = Recorder(client)
    generations = Generations(client, recorder, lambda: settings)
    logging.disable()  # what it says of single LoRAs
    print(f"{total} LoRAs, {options.generations} generations each on {host.kind()}")
    for label, make in (("one to four LoRAs", make_prompt), ("20 LoRAs, 2,000 characters", make_long_prompt)):
        rng, before, last, after, changed = random.Random(1), [], [], [], 0
        for number in range(options.generations + 1):
            p = make_job(make(names, rng), number)
            began = time.perf_counter()
            generations.before(p, Choice(True, True))
            composed = time.perf_counter()
            p.all_prompts, p.all_negative_prompts, p.all_seeds = [p.prompt], [p.negative_prompt], [p.seed]
            p.init(p.all_prompts)
            finished = time.perf_counter()
            generations.after(p)
            done = time.perf_counter()
            changed += "LoRA Manager" in p.extra_generation_params
            if number == 0:
                print(f"{label}; the first: {1000 * (done - began):.1f} ms")
            else:
                before.append(composed - began)
                last.append(finished - composed)
                after.append(done - finished)
            time.sleep(options.pause)
        report("before (compose, one round trip)", before)
        report("last moment (nothing new to ask)", last)
        report("after (record, put in a queue)", after)
        report("added to one generation", [sum(each) for each in zip(before, last, after)])
        if not changed:
            raise SystemExit("no prompt was composed; these figures mean nothing")
    recorder.stop()


if __name__ == "__main__":
    main()
