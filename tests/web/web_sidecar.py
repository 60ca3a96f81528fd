"""Starts a real sidecar for the browser tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

ROOT = Path(__file__).parents[2]


@dataclass
class Sidecar:
    """A running sidecar."""

    process: subprocess.Popen[bytes]
    url: str
    token: str
    data: Path
    loras: Path

    @property
    def door(self) -> str:
        """The address that signs in by itself."""
        return f"{self.url}/#token={self.token}"

    def ask(self, path: str) -> Any:
        """GET one of the API's addresses."""
        request = Request(f"{self.url}/api/v1/{path}", headers={"Authorization": f"Bearer {self.token}"})
        with urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_sidecar(data: Path, loras: Path, port: int = 0, *, text_model: bool = False) -> Sidecar:
    """Start `python -m sidecar serve` and wait until it has written where it serves. With `text_model`, the one that is
    installed here, if any, takes part."""
    command = [sys.executable, "-m", "sidecar", "serve", "--port", str(port), "--data", str(data)]
    environment = os.environ if text_model else {**os.environ, "LORA_MANAGER_EMBEDDING_DEVICE": "off"}
    with (data.parent / f"{data.name}.log").open("ab") as log:
        process = subprocess.Popen([*command, "--loras", str(loras)], cwd=ROOT, env=environment, stderr=log)
    limit = time.monotonic() + 30
    while not (data / "sidecar.json").exists():
        if process.poll() is not None or time.monotonic() > limit:
            raise RuntimeError((data.parent / f"{data.name}.log").read_text())
        time.sleep(0.05)
    url = json.loads((data / "sidecar.json").read_text())["url"]
    running = Sidecar(process, url, (data / "token").read_text().strip(), data, loras)
    while running.ask("library/status")["scanning"]:
        time.sleep(0.05)
    return running
