"""Measures file operations over HTTP: 50 LoRAs with five side files each, moved, deleted, restored, organised, undone.

    python benchmarks/files.py [--loras DIR] [--other DIR]

With `--loras` they lie in a copy (by hard links) of that library, and lists are asked all the time meanwhile; with
`--other`, a folder on another device, they are also moved there and back. Prints one line a figure.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from library import ROOT, Sidecar, count_files, say
from organise import Meanwhile, settle

sys.path.insert(0, str(ROOT / "tests"))
from lora_files import add_side_file, make_lora, picture

COUNT = 50
ENDINGS = (".civitai.info", ".json", ".metadata.json", ".description.txt", ".preview.png")
ROUNDS = 5


def make_library(folder: Path, around: Path | None) -> None:
    """The 50 LoRAs, in a copy of the library `around` if there is one."""
    if around:
        shutil.copytree(around, folder, copy_function=_link)
    for number in range(COUNT):
        path = make_lora(folder / "from" / f"moved_{number:02}.safetensors")
        for ending in ENDINGS:
            content: Any = picture((256, 384)) if ending.endswith("png") else {"notes": "x" * 2_000}
            add_side_file(path, ending, content)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def run(sidecar: Sidecar, what: str, path: str, body: Any) -> dict[str, Any]:
    """One request, or the task that it starts, until it is over."""
    begin = time.perf_counter()
    answer: dict[str, Any] = sidecar.ask(path, "POST", body)
    if "task" in answer:
        task = {"state": "running"}
        while task["state"] == "running":
            time.sleep(0.01)
            task = sidecar.ask(f"tasks/{answer['task']}")
        answer = task["result"]
    say(what, time.perf_counter() - begin, "s")
    assert not answer.get("failed") and not answer.get("conflict"), answer
    return answer


def measure(sidecar: Sidecar, label: str, other: str | None, busy: bool) -> None:
    ids = [item["id"] for item in sidecar.ask("loras?q=name:moved&limit=1000")["items"]]
    assert len(ids) == COUNT, len(ids)
    chosen = {"selection": {"ids": ids}}
    files = COUNT * (len(ENDINGS) + 1)
    meanwhile: AbstractContextManager[None] = Meanwhile(sidecar, "moves") if busy else nullcontext()
    with meanwhile:
        for number in range(ROUNDS):
            run(sidecar, f"move of {COUNT} LoRAs with side files ({files} files)", "files/move",
                {**chosen, "folder": f"{label}/to {number}"})  # fmt: skip
    moved = run(sidecar, f"organise {COUNT} by template", "files/organise", {**chosen, "dry_run": False})
    run(sidecar, "undo of that", f"actions/{moved['action']}/undo", {})
    run(sidecar, f"delete {COUNT}", "files/delete", chosen)
    entries = [entry["id"] for entry in sidecar.ask(f"trash?limit={COUNT}")["items"]]
    run(sidecar, f"restore {COUNT}", "trash/restore", {"ids": entries})
    total = sidecar.ask("loras?limit=1")["total"]
    run(sidecar, f"dry run of organising all {total}", "files/organise", {"selection": {"filter": {}}})
    if busy:
        with Meanwhile(sidecar, "organising all"):
            everything = {
                "selection": {"filter": {}},
                "template": "all/{base_model}/{name}",
                "dry_run": False,
            }
            run(sidecar, f"organise all {total}", "files/organise", everything)
    if other:
        run(sidecar, f"move of {COUNT} to another device", "files/move", {**chosen, "folder": other})
        run(sidecar, f"move of {COUNT} back", "files/move", {**chosen, "folder": f"{label}/back"})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--loras", type=Path, help="a library to be in; it is left as it is")
    parser.add_argument("--other", type=Path, help="a folder on another device")
    options = parser.parse_args()
    beside = options.loras.absolute().parent if options.loras else None
    with tempfile.TemporaryDirectory(prefix="lora-manager-benchmark-", dir=beside) as folder:
        data, loras = Path(folder) / "data", Path(folder) / "loras"
        data.mkdir()
        make_library(loras, options.loras)
        say("LoRAs in the library", count_files(loras), "")
        sidecar = Sidecar(data, loras)
        other = tempfile.mkdtemp(dir=options.other) if options.other else None
        try:
            if other:
                sidecar.ask("library/folders", "POST", {"add": [other]})
            settle(sidecar)
            measure(sidecar, loras.name, Path(other).name if other else None, bool(options.loras))
        finally:
            sidecar.stop()
            if other:
                shutil.rmtree(other)


if __name__ == "__main__":
    main()
