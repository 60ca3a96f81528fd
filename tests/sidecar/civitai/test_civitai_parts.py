"""A part file is written by one at a time: of two requests, two threads or two sidecars one is told to wait."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sidecar.errors import Conflict
from sidecar.library.civitai import downloads
from sidecar.library.civitai.parts import claim_part
from tests.civitai_server import CivitaiServer, Seen
from tests.civitai_steps import until
from tests.lora_files import make_lora

HOLD = """
import sys
from sidecar.library.civitai.parts import claim_part
with claim_part(sys.argv[1]) as part:
    part.file.write(b"theirs")
    part.file.flush()
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def content(tmp_path: Path, civitai: CivitaiServer) -> bytes:
    """Version 51, whose file is not in the library."""
    content = make_lora(tmp_path / "outside" / "new.safetensors", width=2048).read_bytes() + bytes(300_000)
    civitai.add(5, 51, content)
    return content


@pytest.fixture
def gate(civitai: CivitaiServer, content: bytes) -> Iterator[threading.Event]:
    """Files are sent once it is set."""
    gate = threading.Event()

    def wait(seen: Seen) -> Any:
        if "/api/download/" in seen.path:
            gate.wait(20)

    civitai.trouble = wait
    yield gate
    gate.set()


@pytest.fixture
def other_sidecar() -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """Starts another process that holds a part file."""
    processes: list[subprocess.Popen[str]] = []

    def hold(path: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        assert process.stdout and process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in processes:
        process.kill()
        process.communicate()


def state_of(api: TestClient, number: int) -> dict[str, Any]:
    items = api.get("civitai/downloads").json()["items"]
    return next(item for item in items if item["id"] == number)


def ask(api: TestClient) -> Any:
    return api.post("civitai/downloads", json={"version_id": 51, "folder": "loras"})


def ended(api: TestClient, number: int) -> dict[str, Any]:
    until(lambda: state_of(api, number)["state"] not in ("waiting", "running"))
    return state_of(api, number)


def test_the_same_file_asked_for_twice_comes_once(
    ids: dict[str, int],
    civitai: CivitaiServer,
    api: TestClient,
    content: bytes,
    gate: threading.Event,
    loras: Path,
) -> None:
    first, second = ask(api), ask(api)
    assert (first.status_code, second.status_code) == (202, 409)
    assert "already" in second.json()["error"]["message"]
    gate.set()
    assert ended(api, first.json()["id"])["state"] == "done"
    assert (loras / "model51.safetensors").read_bytes() == content
    assert len(civitai.asked("/api/download/")) == 1


def test_of_many_that_resume_at_once_one_does(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, content: bytes, loras: Path
) -> None:
    civitai.trouble = lambda seen: (200, {}, content, len(content) // 2) if "download" in seen.path else None
    number = ask(api).json()["id"]
    assert ended(api, number)["state"] == "failed"
    gate = threading.Event()
    civitai.seen.clear()

    def wait(seen: Seen) -> Any:
        if "download" in seen.path:
            gate.wait(20)

    civitai.trouble = wait
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(lambda _: api.post(f"civitai/downloads/{number}/resume").status_code, range(6))
        )
    gate.set()
    assert sorted(answers) == [202, 409, 409, 409, 409, 409]
    assert ended(api, number)["state"] == "done"
    assert len(civitai.asked("/api/download/")) == 1
    assert (loras / "model51.safetensors").read_bytes() == content


def test_a_part_that_another_sidecar_writes_is_left_alone(
    ids: dict[str, int],
    civitai: CivitaiServer,
    api: TestClient,
    content: bytes,
    loras: Path,
    other_sidecar: Callable[[Path], subprocess.Popen[str]],
) -> None:
    civitai.trouble = lambda seen: (200, {}, content, len(content) // 2) if "download" in seen.path else None
    number = ask(api).json()["id"]
    assert ended(api, number)["state"] == "failed"
    (part,) = loras.glob(".*.part")
    part.unlink()
    other = other_sidecar(part)
    civitai.trouble = lambda seen: None
    civitai.seen.clear()
    api.post(f"civitai/downloads/{number}/resume")
    refused = ended(api, number)
    assert refused["state"] == "failed" and "Another download" in refused["message"]
    assert civitai.seen == [] and part.read_bytes() == b"theirs"
    assert api.post(f"civitai/downloads/{number}/cancel").status_code == 200
    assert part.read_bytes() == b"theirs", "nor is it thrown away"
    other.kill()
    other.wait()
    part.unlink()
    assert ended(api, ask(api).json()["id"])["state"] == "done", "what was held ends with its process"


def test_a_download_that_is_slow_to_stop_leaves_nothing_either(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, content: bytes, gate: threading.Event,
    loras: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(downloads, "CANCEL_SECONDS", 0.0)
    number = ask(api).json()["id"]
    until(lambda: civitai.asked("/api/download/"))
    assert api.post(f"civitai/downloads/{number}/cancel").status_code == 200
    gate.set()
    until(lambda: all(task["state"] != "running" for task in api.get("tasks").json()["items"]))
    assert list(loras.glob(".*.part")) == [] and not (loras / "model51.safetensors").exists()
    assert api.get("civitai/downloads").json()["items"] == []


def test_one_claim_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "x.part"
    with claim_part(str(path)) as part:
        part.file.write(b"some")
        part.file.flush()
        with pytest.raises(Conflict), claim_part(str(path)):
            pass
    assert path.read_bytes() == b"some"
    with claim_part(str(path)) as part:
        assert part.size == 4
        part.drop()
        path.write_bytes(b"")  # somebody else's, made after ours was thrown away
    assert path.exists()


def test_a_claim_of_nothing_leaves_nothing(tmp_path: Path) -> None:
    with claim_part(str(tmp_path / "x.part")):
        assert (tmp_path / "x.part").exists()
    assert list(tmp_path.iterdir()) == []
