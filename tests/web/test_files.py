"""The files of the app: what the page loads, and from where."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WEB = ROOT / "sidecar" / "web"
FILES = sorted(path for path in WEB.rglob("*") if path.is_file())


def needed_at_start() -> set[Path]:
    """The modules that app.js imports, and those that they import; pages come later, by `import()`."""
    found: set[Path] = set()
    waiting = [WEB / "app.js"]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            names = re.findall(
                r'^(?:import|export)\s(?:[^"]*?\sfrom\s)?"(\.[^"]+)"', path.read_text(), re.MULTILINE
            )
            waiting += [(path.parent / name).resolve() for name in names]
    return found


def test_the_page_names_every_module_it_starts_with_so_that_they_load_at_once() -> None:
    named = re.findall(r'(?:src|href)="([\w/-]+\.js)"', (WEB / "index.html").read_text())
    assert sorted(named) == sorted(path.relative_to(WEB).as_posix() for path in needed_at_start())


def test_a_module_that_comes_later_is_there() -> None:
    for path in WEB.rglob("*.js"):
        for name in re.findall(r'\bimport\("(\.[^"]+)"\)(?!\.)', path.read_text()):
            assert (path.parent / name).is_file(), f"{path.name} asks for {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_short_and_loads_nothing_from_elsewhere(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 300
    assert re.findall(r"""(?:src|href|url\(|import\(?|from)\s*[=(]?\s*["']?https?://""", text) == []
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=", text) or path.suffix == ".js"
