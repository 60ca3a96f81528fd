"""The map of the library: how long a layout takes, and how many neighbours stay neighbours on it, beside a plain PCA.

    python benchmarks/map.py --data DATA [--by text|weights] [--model ID]    # of a library that has been scanned
    python benchmarks/map.py --vectors FILE.npy [--times 10]                 # of vectors, a row a LoRA

The figure is the share of a LoRA's 10 nearest (by cosine, among all) that are among the 30 nearest to it on the map; of 2,000 of
them at most. `--times N` makes N copies of each row with a little noise, for a larger library. One thread.
"""

# ruff: noqa: E402
from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before numpy is loaded

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from library import ROOT

sys.path.insert(0, str(ROOT))

from sidecar.database import Database
from sidecar.recommend.map.islands import to_disc
from sidecar.recommend.map.layout import lay_out, nearest_of
from sidecar.recommend.map.neighbours import find_nearest, squeeze, to_unit
from sidecar.recommend.map.spaces import Space, read_spaces
from sidecar.recommend.postings import Floats

ASKED = 2_000
NEAR = 10
ON_MAP = 30


def kept(vectors: Floats, points: Floats) -> float:
    """The share of the nearest in the space that are among the nearest on the map."""
    asked = np.random.default_rng(0).permutation(len(vectors))[:ASKED]
    nearest = find_nearest(vectors[asked], NEAR + 1, vectors).places
    shares = []
    for row, places in zip(asked, nearest):
        apart = ((points - points[row]) ** 2).sum(axis=1)
        apart[row] = np.inf
        on_map = np.argpartition(apart, min(ON_MAP, len(points) - 1))[:ON_MAP]
        wanted = places[places != row][:NEAR]
        shares.append(np.isin(wanted, on_map).mean())
    return float(np.mean(shares))


def measure(name: str, vectors: Floats) -> None:
    """Print one line about the layout of these."""
    begin = time.perf_counter()
    nearest = nearest_of(vectors)
    found = time.perf_counter()
    points, _ = to_disc(lay_out(vectors, nearest=nearest))
    end = time.perf_counter()
    print(
        f"{name:24} {len(vectors):7,} LoRAs   neighbours {found - begin:6.1f} s   layout {end - found:6.1f} s   "
        f"kept {kept(vectors, points):.3f}   PCA {kept(vectors, squeeze(vectors, 2)):.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="a data folder")
    source.add_argument("--vectors", type=Path, help="a .npy file")
    parser.add_argument("--by", default="text", choices=("text", "weights"))
    parser.add_argument("--model", default="", help="the text model's id")
    parser.add_argument("--times", type=int, default=1)
    options = parser.parse_args()
    if options.vectors:
        rows = np.load(options.vectors).astype(np.float32)
        spaces = [Space("vectors", np.arange(len(rows)), np.zeros(len(rows), np.uint64), to_unit(rows))]
    else:
        begin = time.perf_counter()
        spaces = read_spaces(Database(options.data, read_only=True), options.by, options.model)[0].spaces
        print(f"read in {time.perf_counter() - begin:.1f} s")
    chance = np.random.default_rng(1)
    for space in spaces:
        rows = space.vectors[np.abs(space.vectors).sum(axis=1) > 0]
        if options.times > 1:
            noise = 0.5 / np.sqrt(rows.shape[1])
            copies = [rows + chance.normal(0, noise, rows.shape) for _ in range(options.times)]
            rows = to_unit(np.concatenate(copies).astype(np.float32))
        measure(space.name or options.by, rows)


if __name__ == "__main__":
    main()
