"""Steps of the Civitai tests: wait for hashes, tasks and scans."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from starlette.testclient import TestClient

from sidecar.state import State


def hash_all(state: State) -> None:
    if not state.library.hasher.started:
        state.library.hasher.start()
    state.library.hasher.wake()
    until(lambda: not state.library.hasher.status()["pending"])


def until(true: Callable[[], Any], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


def finish(api: TestClient, answer: Any, state: State) -> dict[str, Any]:
    """Wait for the task of an answer, and for the scan after it."""
    assert answer.status_code == 202, answer.text
    task = answer.json()["task"]
    until(lambda: api.get(f"tasks/{task}").json()["state"] != "running")
    state.library.scanner.idle.wait(20)
    found: dict[str, Any] = api.get(f"tasks/{task}").json()
    return found


def look_up(api: TestClient, state: State, **request: Any) -> dict[str, Any]:
    return finish(api, api.post("civitai/lookup", json=request or {"missing": True}), state)
