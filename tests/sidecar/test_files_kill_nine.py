"""SIGKILL in the middle of file operations and edits loses nothing; `tests/kill_nine.py --times 200` kills more often."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

if not hasattr(os, "fork"):
    pytest.skip("killing at every step wants a system with fork", allow_module_level=True)

import subprocess
import sys

ROOT = Path(__file__).parents[2]


def test_killed_at_steps_of_every_operation_nothing_is_lost() -> None:
    run = subprocess.run(
        [sys.executable, ROOT / "tests" / "kill_nine.py", "--times", "40"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "killed 40 times, something lost 0 times" in run.stdout
