"""The hosts that the suite runs on: the simulated ones always, real ones where their folders are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from host_environment import NoRegistry, make_environment
from host_process import SIMULATOR, Host, Kind, start_host

REAL = {
    "sdnext": ("sdnext", "Standard"),
    "sdnext-modern": ("sdnext", "Modern"),
    "reforge": ("a1111", "Standard"),
    "forge": ("a1111", "Standard"),
}
NAMES = ("simulated-sdnext", "simulated-a1111", *REAL)


@pytest.fixture(scope="module", params=NAMES)
def kind(request: pytest.FixtureRequest) -> Kind:
    name: str = request.param
    if name.startswith("simulated-"):
        try:
            return Kind(name, name.removeprefix("simulated-"), SIMULATOR, make_environment())
        except NoRegistry as error:
            pytest.skip(f"the simulator's packages cannot be fetched: {error}")
    program = name.split("-")[0]
    folder = request.config.getoption(f"--{program}-dir")
    python = request.config.getoption(f"--{program}-python")
    if folder is None or python is None:
        pytest.skip(f"give --{program}-dir and --{program}-python to run on a real {program}")
    grammar, theme = REAL[name]
    return Kind(name, grammar, folder.absolute(), python.absolute(), theme, start_seconds=180)


@pytest.fixture(scope="module")
def host(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One host without a login, for all tests that leave it as it was."""
    running = start_host(kind, tmp_path_factory.mktemp(kind.name))
    yield running
    running.stop()


@pytest.fixture
def start(kind: Kind, tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """Starts a host of one's own; takes what start_host takes."""
    started: list[Host] = []

    def starter(login: bool = False, subpath: str = "") -> Host:
        started.append(start_host(kind, tmp_path / f"host{len(started)}", login, subpath))
        return started[-1]

    yield starter
    for running in started:
        running.stop()


@pytest.fixture
def shots(request: pytest.FixtureRequest) -> Path | None:
    folder: Path | None = request.config.getoption("--shots")
    return folder
