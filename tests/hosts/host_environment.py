"""The simulator's own environment: real gradio at the hosts' version, made on first use and kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import platformdirs
from filelock import FileLock

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


class NoRegistry(Exception):
    """The packages cannot be fetched here."""


def make_environment() -> Path:
    """The environment's Python. A change of the requirements or of Python's version makes a new environment.

    Raises:
        NoRegistry: no connection to a package index.
        RuntimeError: pip failed for another reason.
    """
    key = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.split()[0].encode()).hexdigest()[:12]
    cache = Path(platformdirs.user_cache_dir("lora-manager", appauthor=False)) / "tests"
    folder = cache / f"simulator-{key}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = folder / "done"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "simulator.lock"):
        if done.exists():
            return python
        shutil.rmtree(folder, ignore_errors=True)
        base = getattr(sys, "_base_executable", sys.executable)
        subprocess.run([base, "-m", "venv", folder], check=True)
        command = [python, "-m", "pip", "install", "--no-deps", "--retries", "1", "-r", REQUIREMENTS]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            reason = (result.stdout + result.stderr)[-1500:]
            if any(sign in reason for sign in ("Max retries", "NewConnectionError", "NameResolutionError")):
                raise NoRegistry(reason)
            raise RuntimeError(reason)
        done.touch()
    return python
