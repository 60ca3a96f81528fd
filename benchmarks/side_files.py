"""Measures what side files cost on top of the headers: a library scanned with them and without.

    python benchmarks/side_files.py --loras DIR [--runs 3]

`DIR` is a LoRA folder with side files, for instance one that make_loras.py makes with `--sidecar-ratio 1`. Without them
it is scanned as a tree of links beside it. Prints one line a figure; of several runs the quickest.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from library import ROOT, Sidecar, count_files, say


def bare_copy(loras: Path) -> Path:
    """The same models as links, in the same folders, without side files."""
    bare = Path(tempfile.mkdtemp(prefix="bare-", dir=loras.parent))
    for folder, _, names in os.walk(loras):
        target = bare / Path(folder).relative_to(loras)
        target.mkdir(parents=True, exist_ok=True)
        for name in names:
            if name.endswith(".safetensors"):
                os.link(os.path.join(folder, name), target / name)
    return bare


def scan(loras: Path) -> tuple[float, float]:
    """Seconds from the start of a process to the complete list, and to the full search, on an empty catalogue."""
    data = Path(tempfile.mkdtemp(prefix="lora-manager-benchmark-"))
    try:
        total = count_files(loras)
        sidecar = Sidecar(data, loras)
        sidecar.ask("library/hashing", "POST", {"paused": True})
        while sidecar.ask("loras?limit=1")["total"] < total:
            time.sleep(0.02)
        listed = sidecar.age
        sidecar.wait_for_scan()
        searchable = sidecar.age
        sidecar.stop()
        return listed, searchable
    finally:
        shutil.rmtree(data)


def read(loras: Path) -> tuple[int, float]:
    """How many sets of side files there are, and seconds to read all of them twice as a scan does, on one core."""
    from sidecar.library.record import read_lora
    from sidecar.library.sources import FileJob
    from sidecar.library.texts import read_texts
    from sidecar.library.walking import walk

    jobs = [
        FileJob(1, folder.relative, folder.path, *file)
        for folder in walk(str(loras))
        for file in folder.files
        if file.side_files
    ]
    bare = [job._replace(side_files={}) for job in jobs]
    seconds = []
    for some in (bare, jobs):  # the first also warms the disk's cache
        begin = time.process_time()
        for job in some:
            read_lora(job)
            read_texts(job)
        seconds.append(time.process_time() - begin)
    return len(jobs), seconds[1] - seconds[0]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--loras", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    sets, seconds = read(options.loras)
    say(f"{sets} sets of side files, read for list and details, one core", seconds, "s")
    bare = bare_copy(options.loras)
    try:
        runs = [(scan(bare), scan(options.loras)) for _ in range(options.runs)]
    finally:
        shutil.rmtree(bare)
    for at, what in enumerate(("start to complete list", "start to full search")):
        without, having = min(run[0][at] for run in runs), min(run[1][at] for run in runs)
        say(f"{what}, without side files", without, "s")
        say(f"{what}, with {sets} sets", having, "s")
        say("  more with them", having - without, "s")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
