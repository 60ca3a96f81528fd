"""The files of the app: checked types, lint, what the page loads."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WEB = ROOT / "sidecar" / "web"
MODULES = sorted(path.name for path in WEB.glob("*.js"))


@pytest.mark.parametrize(
    "command", [["tsc", "-p", "tsconfig.json"], ["eslint", "sidecar/web"]], ids=["types", "lint"]
)
def test_the_modules_pass(command: list[str]) -> None:
    tool = ROOT / "node_modules" / ".bin" / command[0]
    if not tool.exists() or not shutil.which("node"):
        pytest.skip("npm install was not run")
    done = subprocess.run([str(tool), *command[1:]], cwd=ROOT, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_names_every_module_so_that_they_load_at_once() -> None:
    named = re.findall(r'(?:src|href)="(\w+\.js)"', (WEB / "index.html").read_text())
    assert sorted(named) == [name for name in MODULES if name != "types.js"]


@pytest.mark.parametrize("path", sorted(WEB.iterdir()), ids=lambda path: path.name)
def test_a_file_is_short_and_loads_nothing_from_elsewhere(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 300
    assert re.findall(r"""(?:src|href|url\(|import\(?|from)\s*[=(]?\s*["']?https?://""", text) == []
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=", text) or path.suffix == ".js"
