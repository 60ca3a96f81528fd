"""Other devices, full disks, drives that go away, missing rights: nothing is ever lost."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from files_library import (
    contents,
    drive_of,
    full_set,
    id_of,
    listed,
    make_set,
    message,
    move,
    names_in,
    on_disk,
    other_device,
    reasons,
    small_disk,
)
from lora_files import make_lora
from starlette.testclient import TestClient
from waiting import wait_until

from sidecar.database import Database
from sidecar.library import folders
from sidecar.library.files import disk, journal
from sidecar.library.files.recovery import recover
from sidecar.state import State

Scan = Callable[[], None]


@pytest.fixture
def other(state: State, loras: Path) -> Iterator[Path]:
    """A second LoRA folder, on another device."""
    with other_device(loras) as folder:
        folders.activate(state.database, [folder])
        yield folder


def test_to_another_device_everything_is_copied_verified_and_only_then_removed(
    loras: Path, other: Path, scan: Scan, api: TestClient
) -> None:
    path = make_set(loras / "a.safetensors")
    os.utime(path, ns=(1_600_000_000_123_456_789, 1_600_000_000_123_456_789))
    scan()
    lora_id = id_of(api, "a")
    api.patch(f"loras/{lora_id}", json={"notes": "kept"})
    before = contents(loras)
    assert move(api, lora_id, to="other/sub")["done"] == 1
    assert contents(loras, other) == before and on_disk(loras) == {}
    assert (other / "sub" / "a.safetensors").stat().st_mtime_ns == 1_600_000_000_123_456_789
    detail = api.get(f"loras/{lora_id}").json()
    assert (detail["folder"], detail["notes"], detail["state"]) == ("other/sub", "kept", "ok")
    scan()
    assert api.get("library/status").json()["read"] == 0


def test_a_file_that_is_write_protected_moves_to_another_device_too(
    loras: Path, other: Path, scan: Scan, api: TestClient
) -> None:
    path = make_lora(loras / "a.safetensors")
    path.chmod(0o444)
    scan()
    assert move(api, id_of(api, "a"), to="other")["done"] == 1
    assert (other / "a.safetensors").stat().st_mode & 0o777 == 0o444


def test_a_copy_that_does_not_read_back_as_its_hash_is_thrown_away(
    loras: Path, other: Path, scan: Scan, api: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_set(loras / "a.safetensors")
    scan()
    database.write(lambda connection: connection.execute("UPDATE loras SET sha256 = ?", ("0" * 64,)))
    before = on_disk(loras)
    outcome = move(api, id_of(api, "a"), to="other")
    assert outcome["failed"] == 1 and "does not read back" in reasons(outcome)[0]
    assert on_disk(loras) == before and on_disk(other) == {}


def test_a_disk_that_is_too_small_is_told_with_how_much_is_missing(
    state: State, loras: Path, tmp_path: Path, scan: Scan, api: TestClient
) -> None:
    with small_disk(tmp_path / "small", "64k") as small:
        folders.activate(state.database, [small])
        path = make_set(loras / "a.safetensors")
        path.write_bytes(path.read_bytes() + b"x" * 300_000)
        scan()
        before = on_disk(loras)
        outcome = move(api, id_of(api, "a"), to="small/sub")
        assert outcome["failed"] == 1 and outcome["action"] is None
        assert "is full: " in reasons(outcome)[0] and "KB more are needed" in reasons(outcome)[0]
        assert on_disk(loras) == before
        assert list(small.iterdir()) == [], "temporaries and the folder made for it are gone"


def test_a_disk_that_is_full_in_the_middle_of_a_move_loses_nothing(
    state: State, loras: Path, tmp_path: Path, scan: Scan, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "small", "256k") as small:
        folders.activate(state.database, [small])
        path = make_set(loras / "a.safetensors")
        path.write_bytes(path.read_bytes() + b"x" * 150_000)
        scan()
        before = on_disk(loras)
        copy = disk.make_copy

        def fill_up_on_the_way(source: str, target: str, sha256: str | None) -> None:
            if source.endswith("a.safetensors"):  # somebody else writes to that disk at the same time
                (small / "other.bin").write_bytes(b"x" * 180_000)
            copy(source, target, sha256)

        monkeypatch.setattr(disk, "make_copy", fill_up_on_the_way)
        outcome = move(api, id_of(api, "a"), to="small")
        assert outcome["failed"] == 1 and "is full: " in reasons(outcome)[0]
        assert on_disk(loras) == before
        assert names_in(small) == ["other.bin"]
        assert journal.open_operations(state.database) == []
        scan()
        assert listed(api)["a"]["folder"] == "loras"


def test_a_pulled_drive_in_the_middle_of_a_move_to_it_leaves_all_files_where_they_were(
    state: State, loras: Path, tmp_path: Path, scan: Scan, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "drive", "8m") as drive:
        folders.activate(state.database, [drive])
        make_set(loras / "a.safetensors")
        scan()
        before = on_disk(loras)
        copy, copied = disk.make_copy, []

        def pull(source: str, target: str, sha256: str | None) -> None:
            copied.append(source)
            if len(copied) == 4:
                subprocess.run(["umount", "-l", drive], check=True)
                drive.rmdir()
            copy(source, target, sha256)

        monkeypatch.setattr(disk, "make_copy", pull)
        outcome = move(api, id_of(api, "a"), to="drive/sub")
        assert outcome["failed"] == 1
        assert on_disk(loras) == before
        scan()
        assert (listed(api)["a"]["folder"], listed(api)["a"]["state"]) == ("loras", "ok")


def test_a_pulled_drive_in_the_middle_of_a_move_from_it_is_settled_when_it_is_back(
    state: State, loras: Path, tmp_path: Path, scan: Scan, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All copies are whole when the sources begin to be removed; then the drive goes read-only, later it works again."""
    with small_disk(tmp_path / "drive", "8m") as drive:
        folders.activate(state.database, [drive])
        make_set(drive / "a.safetensors")
        before = contents(drive)
        scan()
        lora_id = id_of(api, "a")
        unlink, removed = os.unlink, []

        def pull(path: str, **options: Any) -> None:
            if str(path).startswith(str(drive)):
                removed.append(path)
                if len(removed) > 3:
                    raise OSError(errno.EIO, "Input/output error", path)
            unlink(path, **options)

        with monkeypatch.context() as patched:
            patched.setattr(os, "unlink", pull)
            assert move(api, lora_id, to="loras")["done"] == 1
            assert api.get(f"loras/{lora_id}").json()["folder"] == "loras"
            assert contents(loras) == before, "the copies are whole"
            assert on_disk(drive), "the sources could not be removed"
        scan()
        wait_until(lambda: not journal.open_operations(state.database))
        assert on_disk(drive) == {} and contents(loras) == before
        scan()
        assert [(item["id"], item["folder"]) for item in api.get("loras").json()["items"]] == [
            (lora_id, "loras")
        ]


def test_a_pulled_drive_in_the_middle_of_renames_on_it_is_settled_when_it_is_back(
    state: State, tmp_path: Path, scan: Scan, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, drive = tmp_path / "stored", tmp_path / "drive"
    with drive_of(stored, drive) as (unplug, plug):
        folders.activate(state.database, [drive])
        make_set(drive / "a.safetensors")
        scan()
        lora_id = id_of(api, "a")
        before = contents(drive)
        rename, renamed = disk.rename_new, []

        def pull(source: str, target: str) -> None:
            renamed.append(source)
            if len(renamed) == 4:
                unplug()
            rename(source, target)

        with monkeypatch.context() as patched:
            patched.setattr(disk, "rename_new", pull)
            answer = api.post(f"loras/{lora_id}/rename", json={"name": "b"})
        assert "tried again later, nothing is lost" in message(answer)
        assert recover(state.database) == 0, "while the drive is away nothing is known of its files"
        scan()
        assert len(journal.open_operations(state.database)) == 1
        plug()
        assert {path.name[0] for path in drive.iterdir()} == {"a", "b"}, "half of the files have the new name"
        scan()
        wait_until(lambda: not journal.open_operations(state.database))
        assert names_in(drive) == full_set("b") and contents(drive) == before
        scan()
        assert (id_of(api, "b"), len(listed(api))) == (lora_id, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="wants a read-only mount")
def test_a_read_only_disk_refuses_and_says_so(
    state: State, loras: Path, tmp_path: Path, scan: Scan, api: TestClient
) -> None:
    with small_disk(tmp_path / "fixed", "8m") as fixed:
        make_set(fixed / "b.safetensors")
        make_set(loras / "a.safetensors")
        folders.activate(state.database, [fixed])
        scan()
        subprocess.run(["mount", "-o", "remount,ro", fixed], check=True)
        before = on_disk(loras, fixed)
        for name, folder in (("a", "fixed"), ("b", "fixed/sub"), ("b", "loras")):
            outcome = move(api, id_of(api, name), to=folder)
            assert outcome["failed"] == 1 and "read-only" in reasons(outcome)[0], (name, folder)
        assert "read-only" in message(api.post(f"loras/{id_of(api, 'b')}/rename", json={"name": "c"}))
        assert "read-only" in message(api.delete(f"loras/{id_of(api, 'b')}"))
        assert on_disk(loras, fixed) == before


def test_missing_rights_refuse_and_say_so(
    loras: Path, scan: Scan, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_set(loras / "a.safetensors")
    scan()
    before = on_disk(loras)

    def refuse(source: str, target: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", source)

    monkeypatch.setattr(disk, "rename_new", refuse)
    outcome = move(api, id_of(api, "a"), to="loras/sub")
    assert "permission" in reasons(outcome)[0]
    assert on_disk(loras) == before and not (loras / "sub").exists()


def test_a_drive_that_is_not_there_refuses(
    loras: Path, tmp_path: Path, state: State, scan: Scan, api: TestClient
) -> None:
    away = tmp_path / "away"
    make_set(away / "b.safetensors")
    make_set(loras / "a.safetensors")
    folders.activate(state.database, [away])
    scan()
    ids = {name: id_of(api, name) for name in ("a", "b")}
    away.rename(tmp_path / "unplugged")
    assert "cannot be reached" in reasons(move(api, ids["b"], to="loras"))[0]
    assert move(api, ids["a"], to="away")["done"] == 0
    assert not away.exists(), "a folder made in place of a drive would take its files"
    assert names_in(loras) == full_set("a")
