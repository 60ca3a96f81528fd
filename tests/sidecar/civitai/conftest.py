"""A Civitai of our own, and a library of three LoRAs, hashed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from sidecar.library.civitai import client
from sidecar.state import State
from tests.civitai_server import CivitaiServer
from tests.civitai_steps import hash_all
from tests.lora_files import make_lora

Scan = Callable[[], None]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are for the real Civitai."""
    monkeypatch.setattr(client, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(client, "BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(client, "READ_SECONDS", 5.0)


@pytest.fixture
def civitai(state: State) -> Iterator[CivitaiServer]:
    """A Civitai of our own; the archive is on the same server."""
    server = CivitaiServer().start()
    state.settings.civitai_url = server.url
    state.settings.civitai_archive_url = server.url
    yield server
    server.stop()


@pytest.fixture
def ids(civitai: CivitaiServer, loras: Path, scan: Scan, api: TestClient, state: State) -> dict[str, int]:
    """Three LoRAs, hashed; Civitai knows `a` (model 1, version 11) and `b` (model 2, version 21), not `c`."""
    for name in "abc":
        make_lora(loras / f"{name}.safetensors")
    civitai.add(1, 11, (loras / "a.safetensors").read_bytes())
    civitai.add(2, 21, (loras / "b.safetensors").read_bytes(), baseModel="Pony")
    scan()
    hash_all(state)
    return {item["name"]: item["id"] for item in api.get("loras").json()["items"]}
