"""The sidecar over a small library: its parts in this process, or a real process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from waiting import wait_until
from write_back_steps import state_of

from sidecar.app import make_app
from sidecar.database import Database
from sidecar.events import Events
from sidecar.library import folders
from sidecar.library.service import Library
from sidecar.recommend.service import Recommender
from sidecar.settings import Settings
from sidecar.state import State
from sidecar.tasks import Tasks

TOKEN = "a-token-for-tests-only"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def loras(tmp_path: Path) -> Path:
    folder = tmp_path / "loras"
    folder.mkdir()
    return folder


@pytest.fixture
def database(data: Path) -> Iterator[Database]:
    database = Database(data)
    yield database
    database.close()


@pytest.fixture
def state(database: Database, data: Path, loras: Path) -> Iterator[State]:
    """A library over `loras`, not started: tests fill the folder first, then call `scan`."""
    folders.activate(database, [loras])
    events = Events()
    settings = Settings(data=data)
    library = Library(database, events, settings, watch=False)
    tasks = Tasks(events)
    recommender = Recommender(database, events, settings.data, lambda: False, settings)
    yield State(settings, TOKEN, database, events, library, tasks, recommender)
    recommender.embedder.stop()
    tasks.stop()
    library.stop()


@pytest.fixture
def scan(state: State) -> Callable[[], None]:
    """Bring the catalogue in line with the disk and wait until that is done."""

    def run() -> None:
        scanner = state.library.scanner
        scanner.request()
        if not scanner.started:
            scanner.start()
        assert scanner.idle.wait(30)

    return run


@pytest.fixture
def api(state: State) -> Iterator[TestClient]:
    """A client that has the token."""
    with TestClient(
        make_app(state), base_url="http://127.0.0.1/api/v1", headers={"Authorization": f"Bearer {TOKEN}"}
    ) as client:
        yield client


@pytest.fixture
def hash_all(state: State, api: TestClient) -> Callable[[], None]:
    """Hash whatever is pending and wait for it."""

    def run() -> None:
        if not state.library.hasher.started:
            state.library.hasher.start()
        state.library.hasher.wake()
        wait_until(lambda: api.get("library/status").json()["hashing"]["pending"] == 0)

    return run


@pytest.fixture
def mode(api: TestClient, state: State) -> Callable[[str | None], None]:
    """Set whether and how side files are written, with the worker running."""
    state.library.write_back.start()

    def change(value: str | None) -> None:
        api.patch("settings", json={"write_back": value}).raise_for_status()

    return change


@pytest.fixture
def nudged(api: TestClient, state: State) -> Callable[[str], Any]:
    """Wake the worker, and tell the state of a LoRA by its name."""

    def look(name: str) -> Any:
        state.library.write_back.wake()
        return state_of(api, name)["state"]

    return look


@pytest.fixture
def detail(scan: Callable[[], None], api: TestClient) -> Callable[[str], dict[str, Any]]:
    """Scan, then the detail of one LoRA by name."""

    def look(name: str) -> dict[str, Any]:
        scan()
        items = api.get("loras", params={"limit": 1000}).json()["items"]
        lora_id = next(item["id"] for item in items if item["name"] == name)
        answer: dict[str, Any] = api.get(f"loras/{lora_id}").json()
        return answer

    return look
