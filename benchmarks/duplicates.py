"""Measures duplicates and inspection over HTTP.

    python benchmarks/duplicates.py --loras DIR [--data KEEP] [--only request,weights,inspect]

request: the list of duplicates of `DIR`, once everything is hashed and compared; each after an edit, and as it is again.
weights: a library made here, of LoRAs with weights in them, some saved otherwise: how fast they are compared, and whether
all were found and no other. inspect: one file of 144 MB in the shape of SDXL's UNet.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from library import ROOT, Sidecar, say

sys.path.insert(0, str(ROOT / "tests"))
from weight_files import kohya, make_weights, resized, save_tensors, with_noise

RUNS = 30
LARGE = 144_000_000
# SDXL's transformer blocks: (places, depth, width)
SDXL = (
    (("input_blocks_4_1", "input_blocks_5_1", "output_blocks_3_1", "output_blocks_4_1", "output_blocks_5_1"), 2, 640),
    (("input_blocks_7_1", "input_blocks_8_1", "middle_block_1", "output_blocks_0_1", "output_blocks_1_1", "output_blocks_2_1"), 10, 1280),
)  # fmt: skip


def wait_for_duplicates(sidecar: Sidecar) -> dict[str, Any]:
    """The first page of duplicates, once nothing is pending."""
    sidecar.wait_for_scan()
    while (answer := sidecar.ask("duplicates"))["pending"]:
        time.sleep(0.1)
    return answer


def request(data: Path, loras: Path) -> None:
    """The request for duplicates."""
    sidecar = Sidecar(data, loras)
    answer = wait_for_duplicates(sidecar)
    total = sidecar.ask("loras?limit=1")["total"]
    lora = sidecar.ask("loras?limit=1")["items"][0]["id"]
    print(f"{total} files in {answer['total']} groups of duplicates, {answer['wasted'] / 1e6:.1f} MB wasted")
    sidecar.ask("library/hashing", "POST", {"paused": True})
    fresh, again = [], []
    for number in range(RUNS):
        sidecar.ask(f"loras/{lora}", "PATCH", {"notes": f"note {number}"})
        fresh.append(sidecar.time("duplicates"))
        again.append(sidecar.time("duplicates"))
    for name, times in (("after a change", fresh), ("again", again)):
        say(f"{total} files, duplicates {name}: p50", statistics.median(times), "ms")
        say(f"{total} files, duplicates {name}: p95", sorted(times)[int(RUNS * 0.95)], "ms")
    ids = ",".join(str(one["id"]) for one in answer["items"][0]["loras"]) if answer["items"] else ""
    if ids:
        say(f"{total} files, compare two", sidecar.time(f"duplicates/compare?ids={ids}"), "ms")
    sidecar.ask("library/hashing", "POST", {"paused": False})
    sidecar.stop()


def weights(count: int) -> None:
    """Background comparing of `count` LoRAs; every tenth is there a second time, saved otherwise."""
    folder = Path(tempfile.mkdtemp(prefix="lora-manager-benchmark-"))
    try:
        expected = set()
        for number in range(count):
            lora = make_weights(number, rank=16)
            save_tensors(folder / "loras" / f"{number}.safetensors", kohya(lora), "F16")
            if number % 10 == 0:
                other = resized(lora, 8) if number % 20 else lora
                save_tensors(folder / "loras" / f"{number} again.safetensors", kohya(other), "BF16")
                save_tensors(
                    folder / "loras" / f"{number} epoch.safetensors", kohya(with_noise(lora, 0.1)), "F16"
                )
                expected.add((f"{number}", f"{number} again"))
        (folder / "data").mkdir()
        sidecar = Sidecar(folder / "data", folder / "loras")
        sidecar.wait_for_scan()
        while sidecar.ask("library/status")["hashing"]["pending"]:
            time.sleep(0.05)
        begin = time.perf_counter()
        wait_for_duplicates(sidecar)
        total = sidecar.ask("loras?limit=1")["total"]
        say(f"{total} files compared by their weights, after hashing", time.perf_counter() - begin, "s")
        found: set[tuple[str, ...]] = set()
        cursor = ""
        while cursor is not None:
            page = sidecar.ask(f"duplicates?limit=200{f'&cursor={cursor}' if cursor else ''}")
            found |= {tuple(sorted(lora["name"] for lora in group["loras"])) for group in page["items"]}
            cursor = page["next_cursor"]
        print(
            f"saved otherwise: {len(expected)}, found {len(found & expected)}, wrong {len(found - expected)}"
        )
        say(f"{total} files, memory after comparing", sidecar.memory, "MiB")
        sidecar.stop()
    finally:
        shutil.rmtree(folder)


def inspect() -> None:
    """Inspection of one large file, from the first request to the answer, and from the catalogue."""
    folder = Path(tempfile.mkdtemp(prefix="lora-manager-benchmark-"))
    try:
        path = save_tensors(folder / "loras" / "large.safetensors", sdxl_tensors(), "F16")
        (folder / "data").mkdir()
        sidecar = Sidecar(folder / "data", folder / "loras")
        wait_for_duplicates(sidecar)
        size = path.stat().st_size / 1e6
        lora = sidecar.ask("loras?limit=1")["items"][0]["id"]
        begin = time.perf_counter()
        first = sidecar.time(f"loras/{lora}/inspect")
        while (answer := sidecar.ask(f"loras/{lora}/inspect"))["state"] == "working":
            time.sleep(0.005)
        seconds = time.perf_counter() - begin
        print(f"{answer['modules']} modules of rank {answer['rank']['max']}")
        say(f"inspect {size:.0f} MB: first answer", first, "ms")
        say(f"inspect {size:.0f} MB: ready", seconds, "s")
        times = [sidecar.time(f"loras/{lora}/inspect") for _ in range(RUNS)]
        say(f"inspect {size:.0f} MB: known, p95", sorted(times)[int(RUNS * 0.95)], "ms")
        sidecar.stop()
    finally:
        shutil.rmtree(folder)


def sdxl_tensors() -> dict[str, Any]:
    """kohya's tensors for every attention and feed-forward layer of SDXL's UNet, of the rank that makes `LARGE` bytes."""
    layers = {
        f"lora_unet_{place}_transformer_blocks_{block}_{layer}": (out, inner)
        for places, depth, width in SDXL
        for place in places
        for block in range(depth)
        for layer, out, inner in (
            *((f"attn1_to_{part}", width, width) for part in ("q", "k", "v", "out_0")),
            *(
                (f"attn2_to_{part}", width, 2048 if part in "kv" else width)
                for part in ("q", "k", "v", "out_0")
            ),
            ("ff_net_0_proj", 8 * width, width),
            ("ff_net_2", width, 4 * width),
        )
    }
    rank = round(LARGE / 2 / sum(out + inner for out, inner in layers.values()))
    rng = np.random.default_rng(1)
    tensors: dict[str, Any] = {}
    for name, (out, inner) in layers.items():
        tensors[f"{name}.alpha"] = np.array(rank / 2)
        tensors[f"{name}.lora_down.weight"] = rng.normal(size=(rank, inner), scale=0.02)
        tensors[f"{name}.lora_up.weight"] = rng.normal(size=(out, rank), scale=0.002)
    return tensors


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--loras", type=Path, help="for the request")
    parser.add_argument("--only", default="request,weights,inspect")
    parser.add_argument("--count", type=int, default=2_000, help="LoRAs to compare by their weights")
    parser.add_argument(
        "--data", type=Path, help="keep the data folder here, and use it again when it is there"
    )
    options = parser.parse_args()
    wanted = options.only.split(",")
    if "request" in wanted and not options.loras:
        parser.error("the request wants --loras")
    data = options.data or Path(tempfile.mkdtemp(prefix="lora-manager-benchmark-"))
    data.mkdir(parents=True, exist_ok=True)
    try:
        if "request" in wanted:
            request(data, options.loras)
        if "weights" in wanted:
            weights(options.count)
        if "inspect" in wanted:
            inspect()
    finally:
        if not options.data:
            shutil.rmtree(data)


if __name__ == "__main__":
    main()
