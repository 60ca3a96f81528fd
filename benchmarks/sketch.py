"""Measures sketches of weights: seconds for one file of 144 MB on one core, and the cosine's error against the exact one.

    python benchmarks/sketch.py [--pairs 100]

The pairs are unrelated, related (one base, each trained on by other noise), resized and merged LoRAs of the layers of the
middle of SDXL's UNet, with singular values that fall as those of trained ones do.
"""

# ruff: noqa: E402
from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before numpy is loaded: one core

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from duplicates import sdxl_tensors
from library import ROOT

sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
from weight_files import Lora, Pair, kohya, make_weights, resized, save_tensors, with_noise

from sidecar.recommend.weightspace.interference import measure_files
from sidecar.recommend.weightspace.sketch import BITS, cosines, take_sketch

LAYERS = {
    f"unet.{place}.transformer_blocks.{block}.{layer}": shape
    for place in ("down_blocks.1.attentions.0", "mid_block.attentions.0", "up_blocks.1.attentions.2")
    for block in range(2)
    for layer, shape in (
        ("attn1.to_q", (320, 320)),
        ("attn1.to_out.0", (320, 320)),
        ("attn2.to_k", (320, 768)),
        ("ff.net.0.proj", (1280, 320)),
    )
}


def merged(one: Lora, other: Lora, part: float) -> Lora:
    """part · one + (1 − part) · other, as one LoRA of both ranks."""
    made = {}
    for name, first in one.items():
        second = other[name]
        ups = [
            part * first.up * first.alpha / first.rank,
            (1 - part) * second.up * second.alpha / second.rank,
        ]
        made[name] = Pair(np.hstack(ups), np.vstack([first.down, second.down]), first.rank + second.rank)
    return made


def families(seed: int) -> dict[str, tuple[Lora, Lora]]:
    """A pair of each kind."""
    base, other = (make_weights(2 * seed + k, rank=16, layers=LAYERS) for k in (0, 1))
    return {
        "unrelated": (base, other),
        "related": (with_noise(base, 0.7, seed), with_noise(base, 0.7, seed + 5_000)),
        "resized": (base, resized(base, 4)),
        "merged": (base, merged(base, other, 0.3)),
    }


def errors(folder: Path, pairs: int) -> None:
    """Print the error of each kind of pair."""
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in range(pairs):
        for kind, pair in families(seed).items():
            paths = [
                str(save_tensors(folder / f"{at}.safetensors", kohya(one), "F16"))
                for at, one in enumerate(pair)
            ]
            one, other = (take_sketch(path).bits for path in paths)
            assert one is not None and other is not None
            (sketched,) = cosines(np.frombuffer(one, np.uint64)[None], np.frombuffer(other, np.uint64))
            exact = np.sum(list(measure_files(paths).blocks.values()), axis=0)
            cosine = exact[0, 1] / np.sqrt(exact[0, 0] * exact[1, 1])
            found.setdefault(kind, []).append((float(cosine), float(sketched)))
    everything = []
    for kind, values in found.items():
        off = [abs(exact - sketched) for exact, sketched in values]
        everything += off
        mean = np.mean([exact for exact, _ in values])
        print(f"{kind:10} exact cosine {mean:.3f}: {_errors(off)}")
    print(f"all, {BITS:,} bits: {_errors(everything)}")


def _errors(off: list[float]) -> str:
    return f"error mean {np.mean(off):.4f}, 95 % below {np.percentile(off, 95):.4f}, largest {max(off):.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=100)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lora-manager-benchmark-") as temporary:
        path = save_tensors(Path(temporary) / "large.safetensors", sdxl_tensors(), "F16")
        times = []
        for _ in range(5):
            begin = time.perf_counter()
            take_sketch(str(path))
            times.append(time.perf_counter() - begin)
        print(
            f"one file of {path.stat().st_size / 1e6:.0f} MB: {np.median(times):.2f} s, slowest {max(times):.2f} s"
        )
        copies = [str(path)]
        for number in range(1, 4):
            copy = Path(temporary) / f"{number}.safetensors"
            copy.write_bytes(path.read_bytes())
            copies.append(str(copy))
        begin = time.perf_counter()
        measure_files(copies)
        print(f"interference of 4 such files: {time.perf_counter() - begin:.2f} s")
        errors(Path(temporary), arguments.pairs)


if __name__ == "__main__":
    main()
