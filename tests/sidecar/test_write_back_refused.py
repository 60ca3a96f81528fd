"""Writing back where it must not or cannot be: other dialects, broken files, full and read-only disks, races."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lora_files import add_side_file, make_lora
from starlette.testclient import TestClient
from waiting import wait_until
from write_back_steps import A1111, SAID, id_of, patch, state_of, wait_for

from sidecar.errors import Unavailable
from sidecar.library import write_back, written_files
from sidecar.library.written_files import Refused, replace_file
from sidecar.state import State

Scan = Callable[[], None]


LEFT_ALONE: dict[str, tuple[str, bytes, str]] = {
    "a Civitai model by SDNext": (
        "a1111", json.dumps({"id": 1, "name": "x", "modelVersions": [{"id": 2}]}).encode(), "written by SDNext"
    ),
    "what SDNext's save info leaves": (
        "a1111", json.dumps({"id": 1, "name": "x", "modelVersions": []}).encode(), "written by SDNext"
    ),
    "a Civitai version": ("a1111", json.dumps({"id": 1, "modelId": 2, "baseModel": "Pony"}).encode(), "model version"),
    "another program's": ("a1111", b'{"nodes": []}', "not of a kind known here"),
    "a list": ("a1111", b"[1]", "not of a kind known here"),
    "broken": ("a1111", b'{"notes": "cut of', "is not JSON"),
    "NaN": ("a1111", b'{"notes": "x", "preferred weight": NaN}', "is not JSON"),
    "UTF-16": ("a1111", '{"notes": "x"}'.encode("utf-16"), "is not JSON"),
    "nested too deeply": ("a1111", b'{"notes": ' + b"[" * 100_000, "is not JSON"),
    "huge": ("a1111", b'{"notes": "' + b"x" * 17_000_000 + b'"}', "larger than 16 MB"),
    "broken metadata": ("metadata", b"{", "is not JSON"),
    "metadata that LoRA Manager cannot read": ("metadata", b'{"tags": ["x"]}', "LoRA Manager could not read|not one that"),
}  # fmt: skip


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_a_file_of_another_dialect_or_a_broken_one_is_left_alone_with_a_reason(
    loras: Path, scan: Scan, api: TestClient, mode: Callable[[str], None], name: str
) -> None:
    kind, blob, reason = LEFT_ALONE[name]
    path = make_lora(loras / "a.safetensors")
    side_file = add_side_file(path, written_files.ENDINGS[kind], blob)
    before = side_file.stat()
    scan()
    mode(kind)
    patch(api, **SAID)
    said = wait_for(api, "refused")
    assert said and any(part in said for part in reason.split("|")), said
    assert said.startswith(side_file.name)
    assert side_file.read_bytes() == blob
    assert side_file.stat().st_mtime_ns == before.st_mtime_ns and side_file.stat().st_ino == before.st_ino


def test_a_refused_file_that_is_mended_is_written(
    loras: Path, scan: Scan, api: TestClient, mode: Callable[[str], None], state: State
) -> None:
    side_file = add_side_file(make_lora(loras / "a.safetensors"), ".json", b"{")
    scan()
    mode("a1111")
    patch(api, weight=0.8)
    wait_for(api, "refused")
    side_file.write_text('{"notes": "mended"}')
    assert state_of(api)["state"] == "due"
    state.library.write_back.wake(again=True)
    wait_for(api, "written")
    assert json.loads(side_file.read_text()) == {"notes": "mended", "preferred weight": 0.8}


def test_an_edit_of_a_refused_one_is_tried_again(
    loras: Path, scan: Scan, api: TestClient, mode: Callable[[str], None]
) -> None:
    side_file = add_side_file(make_lora(loras / "a.safetensors"), ".json", b"{")
    scan()
    mode("a1111")
    patch(api, weight=0.8)
    wait_for(api, "refused")
    side_file.unlink()
    patch(api, weight=0.9)
    wait_for(api, "written")
    assert json.loads(side_file.read_text()) == {"preferred weight": 0.9}


def test_a_file_that_changes_while_it_is_written_is_read_again(
    loras: Path,
    scan: Scan,
    api: TestClient,
    mode: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    nudged: Callable[[str], Any],
) -> None:
    path = make_lora(loras / "a.safetensors")
    side_file = add_side_file(path, ".json", {"notes": "x"})
    scan()
    real = write_back.replace_file
    times = 0

    def meanwhile(target: str, blob: bytes, before: bytes | None, *, like: str) -> bool:
        nonlocal times
        times += 1
        if times == 1:
            side_file.write_text('{"notes": "x", "activation text": "from the host"}')
        return real(target, blob, before, like=like)

    monkeypatch.setattr(write_back, "replace_file", meanwhile)
    mode("a1111")
    patch(api, weight=0.8)
    wait_until(lambda: nudged("a") == "written")
    assert json.loads(side_file.read_text()) == {
        "notes": "x", "activation text": "from the host", "preferred weight": 0.8,
    }  # fmt: skip
    assert times == 2


def test_a_word_said_while_the_file_is_written_is_written_too(
    loras: Path, scan: Scan, api: TestClient, mode: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_lora(loras / "a.safetensors")
    scan()
    real = write_back.replace_file
    done = False

    def meanwhile(*arguments: Any, **more: Any) -> bool:
        nonlocal done
        if not done:
            done = True
            patch(api, notes="second thought")
        return real(*arguments, **more)

    monkeypatch.setattr(write_back, "replace_file", meanwhile)
    mode("a1111")
    patch(api, notes="first thought")
    wait_until(lambda: done and state_of(api)["state"] == "written")
    assert json.loads((loras / "a.json").read_text()) == {"notes": "second thought"}


def test_a_lora_that_is_moved_meanwhile_leaves_no_stray_file(
    loras: Path,
    scan: Scan,
    api: TestClient,
    mode: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    nudged: Callable[[str], Any],
) -> None:
    path = make_lora(loras / "a.safetensors")
    scan()
    real = write_back.plan_write
    moved = False

    def then_move(*arguments: Any) -> Any:
        nonlocal moved
        plan = real(*arguments)
        if not moved:
            moved = True
            api.post(f"loras/{id_of(api)}/rename", json={"name": "b"}).raise_for_status()
        return plan

    monkeypatch.setattr(write_back, "plan_write", then_move)
    mode("a1111")
    patch(api, weight=0.8)
    wait_until(lambda: moved and not path.exists())
    wait_until(lambda: nudged("b") == "written")
    assert sorted(name for name in os.listdir(loras) if not name.startswith(".")) == [
        "b.json",
        "b.safetensors",
    ]


def test_what_was_written_goes_along_when_a_rename_is_undone(
    loras: Path, scan: Scan, api: TestClient, mode: Callable[[str], None]
) -> None:
    make_lora(loras / "a.safetensors")
    scan()
    action = api.post(f"loras/{id_of(api)}/rename", json={"name": "b"}).json()["action"]
    mode("a1111")
    patch(api, "b", weight=0.8)
    wait_for(api, "written", "b")
    assert (loras / "b.json").exists()
    api.post(f"actions/{action}/undo").raise_for_status()
    assert sorted(name for name in os.listdir(loras) if not name.startswith(".")) == [
        "a.json",
        "a.safetensors",
    ]


def test_a_missing_file_is_written_when_it_is_back(
    loras: Path, scan: Scan, api: TestClient, mode: Callable[[str], None]
) -> None:
    path = make_lora(loras / "a.safetensors")
    scan()
    away = path.with_name("away")
    path.rename(away)
    mode("a1111")
    patch(api, weight=0.8)
    scan()
    assert state_of(api) == {"state": "due", "file": "a.json", "reason": None}
    assert not (loras / "a.json").exists()
    away.rename(path)
    scan()
    wait_for(api, "written")
    assert json.loads((loras / "a.json").read_text()) == {"preferred weight": 0.8}


def test_a_file_downloaded_again_is_told_what_was_said(
    loras: Path,
    scan: Scan,
    api: TestClient,
    mode: Callable[[str], None],
    hash_all: Callable[[], None],
    nudged: Callable[[str], Any],
) -> None:
    make_lora(loras / "a.safetensors", body=b"w" * 3072)
    scan()
    hash_all()
    mode("a1111")
    patch(api, weight=0.8)
    wait_for(api, "written")
    make_lora(loras / "sub" / "again.safetensors", body=b"w" * 3072, modelspec__title="other header")
    scan()
    hash_all()
    wait_until(lambda: nudged("again") == "written" and (loras / "sub" / "again.json").exists())
    assert json.loads((loras / "sub" / "again.json").read_text()) == {"preferred weight": 0.8}


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Callable[[], Path]]:
    """Mounts a small disk of its own, filled by the test, and then makes it read-only."""
    place = tmp_path / "mounted"
    place.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("there is no mount command here")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(place)], capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"a read-only disk cannot be mounted here: {made.stderr.strip()}")

    def freeze() -> Path:
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        return place

    yield freeze
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_nothing_is_written_on_a_read_only_disk(
    tmp_path: Path, scan: Scan, api: TestClient, mode: Callable[[str], None], read_only: Callable[[], Path]
) -> None:
    place = tmp_path / "mounted"
    add_side_file(make_lora(place / "a.safetensors"), ".json", A1111)
    make_lora(place / "b.safetensors")
    read_only()
    api.post("library/folders", json={"add": [str(place)]}).raise_for_status()
    scan()
    mode("a1111")
    for name in "ab":
        patch(api, name, weight=0.9)
        assert "mounted read-only" in (wait_for(api, "refused", name) or "")
    assert json.loads((place / "a.json").read_text()) == A1111
    assert sorted(os.listdir(place)) == ["a.json", "a.safetensors", "b.safetensors"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_text("{}")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(written_files.os, "fsync", full)
    with pytest.raises(Refused, match="full"):
        replace_file(str(path), b"new", b"{}", like=str(path))
    assert path.read_text() == "{}" and os.listdir(tmp_path) == ["a.json"]


def test_a_file_that_appears_or_goes_meanwhile_is_not_touched(tmp_path: Path) -> None:
    path, like = tmp_path / "a.json", tmp_path / "a.safetensors"
    like.write_text("")
    path.write_text("theirs")
    assert replace_file(str(path), b"new", None, like=str(like)) is False
    assert path.read_text() == "theirs"
    path.unlink()
    assert replace_file(str(path), b"new", b"old", like=str(like)) is False
    assert os.listdir(tmp_path) == ["a.safetensors"]


def test_a_locked_database_makes_it_wait(
    loras: Path,
    scan: Scan,
    api: TestClient,
    state: State,
    mode: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    nudged: Callable[[str], Any],
) -> None:
    make_lora(loras / "a.safetensors")
    scan()
    patch(api, weight=0.8)
    real, failures = state.database.write, 2

    def sometimes(work: Any, **more: Any) -> Any:
        nonlocal failures
        if work.__qualname__.startswith("WriteBack") and failures:
            failures -= 1
            raise Unavailable("busy")
        return real(work, **more)

    monkeypatch.setattr(state.database, "write", sometimes)
    mode("a1111")
    wait_until(lambda: nudged("a") == "written")
    assert not failures
    assert json.loads((loras / "a.json").read_text()) == {"preferred weight": 0.8}
