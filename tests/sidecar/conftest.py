"""The sidecar over a small library: its parts in this process, or a real process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from sidecar.app import make_app
from sidecar.database import Database
from sidecar.events import Events
from sidecar.library import folders
from sidecar.library.service import Library
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
    yield State(settings, TOKEN, database, events, library, tasks)
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
