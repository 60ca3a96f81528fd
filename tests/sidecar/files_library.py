"""What the tests of file operations share: LoRAs with all their side files, and what lies on disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from lora_files import add_side_file, make_lora, picture
from starlette.testclient import TestClient

ENDINGS = (
    ".civitai.info",
    ".json",
    ".metadata.json",
    ".txt",
    ".description.txt",
    ".preview.png",
    ".png",
    ".thumb.jpg",
    ".mp4",
)


def make_set(path: Path, **metadata: str) -> Path:
    """A LoRA with every kind of side file, each with a content of its own."""
    make_lora(path, **metadata)
    for ending in ENDINGS:
        content: Any = {"notes": f"{path.stem}{ending}"}
        if ending.endswith((".png", ".jpg")):
            content = picture((20 + len(path.stem), 30), "PNG")
        elif ending.endswith((".txt", ".mp4")):
            content = f"{path.stem} {ending}".encode()
        add_side_file(path, ending, content)
    return path


def on_disk(*folders: Path) -> dict[str, bytes]:
    """Every file below these folders by its path: what is nowhere, or twice, is seen."""
    return {
        str(path.relative_to(folder.parent)): path.read_bytes()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() or path.is_symlink()
    }


def contents(*folders: Path) -> list[bytes]:
    """The contents of all files, whatever they are called."""
    return sorted(on_disk(*folders).values())


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def full_set(stem: str, extension: str = ".safetensors") -> list[str]:
    return sorted(stem + ending for ending in (*ENDINGS, extension))


def listed(api: TestClient, **query: Any) -> dict[str, dict[str, Any]]:
    """LoRAs in the list by name."""
    items = api.get("loras", params={"limit": 1000, **query}).json()["items"]
    return {item["name"]: item for item in items}


def id_of(api: TestClient, name: str) -> int:
    return int(listed(api)[name]["id"])


def move(api: TestClient, *ids: int, to: str) -> dict[str, Any]:
    answer = api.post("files/move", json={"selection": {"ids": list(ids)}, "folder": to})
    assert answer.status_code == 200, answer.text
    outcome: dict[str, Any] = answer.json()
    return outcome


def reasons(outcome: dict[str, Any]) -> list[str]:
    """Why LoRAs were not moved."""
    return [item["reason"] for item in outcome["items"] if item["reason"]]


def message(answer: Any, status: int = 409) -> str:
    """What a refusal says."""
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"]["message"])


@contextmanager
def other_device(beside: Path) -> Iterator[Path]:
    """A folder on another device than `beside`, or the test is skipped."""
    shm = Path("/dev/shm")
    if not shm.is_dir() or shm.stat().st_dev == beside.stat().st_dev or not os.access(shm, os.W_OK):
        pytest.skip("this machine has no second device to move files to")
    folder = Path(tempfile.mkdtemp(prefix="lora-manager-", dir=shm)) / "other"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder.parent, ignore_errors=True)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own at `folder`; skipped where mounting is not permitted."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small disk wants root on Linux")
    folder.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"mounting is not permitted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], capture_output=True)


@contextmanager
def drive_of(stored: Path, folder: Path) -> Iterator[tuple[Any, Any]]:
    """`stored` as a drive at `folder`, with two functions that unplug it and plug it in; skipped where not permitted."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("plugging drives in and out wants root on Linux")
    stored.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)

    def plug() -> None:
        if subprocess.run(["mount", "--bind", stored, folder], capture_output=True).returncode:
            pytest.skip("mounting is not permitted here")

    def unplug() -> None:
        subprocess.run(["umount", "-l", folder], capture_output=True)

    plug()
    try:
        yield unplug, plug
    finally:
        unplug()
