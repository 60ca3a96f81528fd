"""A sidecar killed while it writes side files: every file is the old one or the new one, and the rest is written later."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from lora_files import add_side_file, make_lora
from waiting import wait_until

ROOT = Path(__file__).parents[2]
LORAS = 300


def serve(data: Path, loras: Path) -> subprocess.Popen[bytes]:
    (data / "sidecar.json").unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "sidecar", "serve", "--data", str(data), "--loras", str(loras), "--port", "0"],
        cwd=ROOT, stderr=subprocess.DEVNULL, env={**os.environ, "LORA_MANAGER_WRITE_BACK": "a1111"},
    )  # fmt: skip
    wait_until((data / "sidecar.json").exists)
    return process


def ask(data: Path, path: str, body: Any = None) -> Any:
    url = json.loads((data / "sidecar.json").read_text())["url"]
    headers = {"Authorization": f"Bearer {(data / 'token').read_text()}", "Content-Type": "application/json"}
    content = None if body is None else json.dumps(body).encode()
    with urlopen(Request(f"{url}/api/v1/{path}", content, headers), timeout=30) as answer:
        return json.load(answer)


def test_a_kill_while_side_files_are_written_breaks_none_and_loses_no_word(data: Path, loras: Path) -> None:
    files = [make_lora(loras / f"l{number}.safetensors") for number in range(LORAS)]
    for file in files[::2]:
        add_side_file(file, ".json", {"notes": "theirs", "preferred weight": 0})
    rng = random.Random(5)

    def weights() -> list[Any]:
        """What stands in the files, each of which is whole."""
        found = [json.loads(path.read_text()) for path in sorted(loras.glob("*.json"))]
        assert all(content.keys() <= {"notes", "preferred weight"} for content in found)
        return [content.get("preferred weight") for content in found]

    def seen(weight: float) -> bool:
        return weight in weights()

    said, ever = 0.0, {0.0}
    killed_amid = 0
    for number in range(6):
        process = serve(data, loras)
        wait_until(lambda: ask(data, "loras?limit=1")["total"] == LORAS)
        before, said = set(ever), 0.1 + number / 10
        ever.add(said)
        ask(data, "loras/bulk", {"filter": {"q": ""}, "set": {"weight": said}})
        wait_until(partial(seen, said))
        time.sleep(rng.random() * 0.2 * (number % 2))  # every other one right after the first file
        process.kill()
        process.wait()
        there = weights()
        assert set(there) <= ever
        killed_amid += not before.isdisjoint(there) or len(there) < LORAS
    assert killed_amid
    process = serve(data, loras)
    try:
        wait_until(lambda: weights() == [said] * LORAS)
    finally:
        process.kill()
        process.wait()
    assert {
        json.loads((loras / f"l{number}.json").read_text()).get("notes") for number in range(0, LORAS, 2)
    } == {"theirs"}
    assert not [name for name in os.listdir(loras) if name.endswith("-tmp")]
