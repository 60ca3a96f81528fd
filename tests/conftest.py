"""Options of the test run, known wherever it is started from."""

from __future__ import annotations

from pathlib import Path

import pytest

HOSTS = ("sdnext", "reforge", "forge")
BROWSING = ("hosts", "web")
TESTS = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests run one after another, and no two browsers at a time."""
    for item in items:
        place = item.path.relative_to(TESTS)
        group = "browser" if place.parts[0] in BROWSING else str(place)
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hosts", "real hosts for tests/hosts, besides the simulated ones")
    for name in HOSTS:
        group.addoption(f"--{name}-dir", type=Path, metavar="DIR", help=f"folder of a working {name}")
        group.addoption(f"--{name}-python", type=Path, metavar="PYTHON", help=f"the Python that runs {name}")
    group.addoption(
        "--table",
        type=Path,
        metavar="FILE",
        help="write the page of prompts and what hosts made of them (docs/prompt-table.md)",
    )
    group.addoption("--shots", type=Path, metavar="DIR", help="save pictures of the hosts' pages here")
