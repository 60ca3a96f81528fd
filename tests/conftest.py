"""Options of the test run, known wherever it is started from."""

from __future__ import annotations

from pathlib import Path

import pytest

HOSTS = ("sdnext", "reforge", "forge")
BROWSERS = {"web/": "web", "hosts/": "hosts", "extension/test_bridge.py": "hosts"}
TESTS = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A file's tests run one after another, and so do all that share a browser. What takes longest begins first, each on a
    worker of its own."""
    groups = {item: _group(item) for item in items}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    if hasattr(config, "workerinput"):
        first = list(BROWSERS.values())
        items.sort(key=lambda item: first.index(groups[item]) if groups[item] in first else len(first))


def _group(item: pytest.Item) -> str:
    place = item.path.relative_to(TESTS).as_posix()
    return next((group for start, group in BROWSERS.items() if place.startswith(start)), place)


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
