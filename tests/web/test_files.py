"""The files of the app: what the page loads, and from where."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WEB = ROOT / "sidecar" / "web"
MODULES = sorted(path.name for path in WEB.glob("*.js"))


def test_the_page_names_every_module_so_that_they_load_at_once() -> None:
    named = re.findall(r'(?:src|href)="(\w+\.js)"', (WEB / "index.html").read_text())
    assert sorted(named) == [name for name in MODULES if name != "types.js"]


@pytest.mark.parametrize("path", sorted(WEB.iterdir()), ids=lambda path: path.name)
def test_a_file_is_short_and_loads_nothing_from_elsewhere(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 300
    assert re.findall(r"""(?:src|href|url\(|import\(?|from)\s*[=(]?\s*["']?https?://""", text) == []
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=", text) or path.suffix == ".js"
