"""The code keeps its own rules: linted, formatted, typed; and the documents name what there is."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.app import ROUTERS
from sidecar.cli import make_parser
from sidecar.settings import Settings

ROOT = Path(__file__).parents[1]


def run(*command: str) -> None:
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_ruff_finds_nothing() -> None:
    run(sys.executable, "-m", "ruff", "check", ".")


def test_the_format_is_ruffs() -> None:
    run(sys.executable, "-m", "ruff", "format", "--check", ".")


def test_types_are_strict() -> None:
    run(sys.executable, "-m", "mypy")


def test_javascript_is_typed_and_linted() -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed: the JavaScript was neither type-checked nor linted")
    if not (ROOT / "node_modules" / "typescript").exists():
        installed = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--no-package-lock"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        if installed.returncode:
            pytest.skip(f"npm could not install the checkers: {installed.stderr[-200:]}")
    run(npm, "run", "--silent", "check")


def addresses() -> Iterator[str]:
    for part in ROUTERS:
        for route in part.routes:
            for method in sorted(getattr(route, "methods", None) or {"WS"}):
                yield f"{method} {getattr(route, 'path', '').lstrip('/').replace(':path', '')}"


@pytest.mark.parametrize("path", list(addresses()))
def test_every_address_is_documented(path: str) -> None:
    method, address = path.split()
    assert f"`{method} {address}`" in (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_every_setting_is_documented(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


def test_every_command_and_option_is_documented() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    commands = next(a for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction))
    for name, command in commands.choices.items():
        assert f"sidecar {name}" in text
        for action in command._actions:
            for option in action.option_strings:
                assert option in ("-h", "--help") or f"`{option}" in text, f"{name} {option}"


def test_files_stay_short_enough_for_one_purpose() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.js", "*.css"], cwd=ROOT, capture_output=True, text=True
    )
    long = [name for name in listed.stdout.split() if len((ROOT / name).read_bytes().splitlines()) > 460]
    assert not long
