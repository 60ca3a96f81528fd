"""The journal: whatever a crash leaves is finished or taken back at the next start; a scan that runs meanwhile harms nothing."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from files_library import contents, full_set, id_of, listed, make_set, move, names_in, on_disk
from lora_files import make_lora, picture
from starlette.testclient import TestClient
from waiting import wait_until

from sidecar.database import Database
from sidecar.events import Events
from sidecar.library import folders, reconcile, scanning, store
from sidecar.library.files import disk, journal
from sidecar.library.files.operations import change_side_files, move_loras, rename_lora
from sidecar.library.files.recovery import recover
from sidecar.library.record import Record, read_lora
from sidecar.library.service import Library
from sidecar.state import State

Scan = Callable[[], None]


class Crash(BaseException):
    """The process ends here."""


@pytest.fixture
def crash_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Any]:
    """A context in which the process "ends" after so many renames."""

    def context(renames: int) -> Any:
        patched = pytest.MonkeyPatch.context()
        real, done = disk.rename_new, []

        def rename(source: str, target: str) -> None:
            if len(done) == renames:
                raise Crash
            done.append(source)
            real(source, target)

        class Crashing:
            def __enter__(self) -> None:
                patched.__enter__().setattr(disk, "rename_new", rename)

            def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
                patched.__exit__(kind, error, trace)
                assert kind is Crash, "it did not come that far"
                return True

        return Crashing()

    return context


@pytest.mark.parametrize("renames", range(len(full_set("a")) + 1))
def test_a_crash_after_any_rename_is_finished_or_leaves_all_as_it_was(
    loras: Path, scan: Scan, api: TestClient, state: State, crash_after: Any, renames: int
) -> None:
    make_set(loras / "a.safetensors")
    make_set(loras / "b.safetensors")
    scan()
    lora_id, before = id_of(api, "a"), contents(loras)
    with crash_after(renames):
        move_loras(state, [lora_id, id_of(api, "b")], "loras/sub")
    assert recover(state.database) == 2
    assert journal.open_operations(state.database) == []
    assert contents(loras) == before
    moved = renames > 0
    assert names_in(loras) == sorted(([] if moved else full_set("a")) + full_set("b"))
    assert (loras / "sub").exists() == moved
    assert api.get(f"loras/{lora_id}").json()["folder"] == ("loras/sub" if moved else "loras")
    actions = api.get("actions").json()["items"]
    assert [action["count"] for action in actions] == ([1] if moved else [])
    scan()
    assert {item["state"] for item in listed(api).values()} == {"ok"} and len(listed(api)) == 2


def test_the_next_start_recovers_before_it_scans(
    loras: Path, data: Path, scan: Scan, api: TestClient, state: State, crash_after: Any
) -> None:
    make_set(loras / "a.safetensors")
    scan()
    lora_id = id_of(api, "a")
    with crash_after(3):
        rename_lora(state, lora_id, "b")
    library = Library(state.database, Events(), watch=False)
    library.start()
    try:
        assert library.scanner.idle.wait(30)
    finally:
        library.stop()
    assert names_in(loras) == full_set("b")
    assert (id_of(api, "b"), len(listed(api))) == (lora_id, 1)


def test_what_cannot_be_finished_because_a_name_is_taken_is_taken_back(
    loras: Path, scan: Scan, api: TestClient, state: State, crash_after: Any
) -> None:
    make_set(loras / "a.safetensors")
    scan()
    before = on_disk(loras)
    with crash_after(4):
        rename_lora(state, id_of(api, "a"), "b")
    (loras / "b.safetensors").write_bytes(b"somebody else's")
    assert recover(state.database) == 1
    assert (loras / "b.safetensors").read_bytes() == b"somebody else's"
    (loras / "b.safetensors").unlink()
    assert on_disk(loras) == before
    assert api.get("actions").json()["items"] == []


def test_when_both_names_are_taken_nothing_is_touched_until_one_is_free(
    loras: Path, scan: Scan, api: TestClient, state: State, crash_after: Any
) -> None:
    make_set(loras / "a.safetensors")
    scan()
    lora_id, before = id_of(api, "a"), contents(loras)
    with crash_after(4):
        rename_lora(state, lora_id, "b")
    moved = next(step for step in journal.open_operations(state.database)[0].steps)
    Path(moved.source).write_bytes(b"new")
    (loras / "b.safetensors").write_bytes(b"other")
    assert recover(state.database) == 0
    assert contents(loras) == sorted([*before, b"new", b"other"])
    Path(moved.source).unlink()
    (loras / "b.safetensors").unlink()
    assert recover(state.database) == 1
    assert contents(loras) == before


def test_a_file_that_the_host_wrote_anew_after_the_crash_is_kept(
    loras: Path, scan: Scan, api: TestClient, state: State, crash_after: Any
) -> None:
    make_set(loras / "a.safetensors")
    scan()
    with crash_after(6):
        rename_lora(state, id_of(api, "a"), "b")
    written = next(path for path in loras.iterdir() if path.name.startswith("b."))
    written.write_bytes(b"written by the host")
    assert recover(state.database) == 1
    assert names_in(loras) == full_set("b") and written.read_bytes() == b"written by the host"


def test_a_rename_by_two_links_that_was_cut_in_the_middle_is_finished(
    loras: Path, scan: Scan, api: TestClient, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_set(loras / "a.safetensors")
    scan()
    before = contents(loras)
    monkeypatch.setattr(disk, "_exclusive_rename", lambda: None)
    unlink, count = os.unlink, []

    def crash(path: Any, **options: Any) -> None:
        count.append(path)
        if len(count) == 3:
            raise Crash
        unlink(path, **options)

    with monkeypatch.context() as patched, pytest.raises(Crash):
        patched.setattr(os, "unlink", crash)
        rename_lora(state, id_of(api, "a"), "b")
    assert len(contents(loras)) == len(before) + 1, "one file has both names"
    assert recover(state.database) == 1
    assert names_in(loras) == full_set("b") and contents(loras) == before


@pytest.mark.parametrize("renames", range(3))
def test_a_replaced_side_file_is_safe_even_when_the_new_one_is_the_same(
    loras: Path, scan: Scan, api: TestClient, state: State, crash_after: Any, renames: int
) -> None:
    make_lora(loras / "a.safetensors")
    (loras / "a.png").write_bytes(picture())
    (loras / ".new").write_bytes(picture())
    os.utime(loras / "a.png", (1_700_000_000, 1_700_000_000))
    os.utime(loras / ".new", (1_700_000_000, 1_700_000_000))
    scan()
    with (
        crash_after(renames) if renames < 2 else pytest.raises(Crash),
        pytest.MonkeyPatch.context() as patched,
    ):
        if renames == 2:  # both are done, but not settled

            def crash(*_: Any) -> None:
                raise Crash

            patched.setattr(journal, "settle", crash)
        change_side_files(
            state, id_of(api, "a"), summary="x", remove=["a.png"], add={"a.png": loras / ".new"}
        )
    assert recover(state.database) == 1
    assert (loras / "a.png").read_bytes() == picture()
    assert len([content for content in contents(loras) if content == picture()]) == 2
    assert (loras / ".new").exists() == (renames == 0)
    assert api.get("trash").json()["total"] == (renames > 0)


def test_temporaries_of_a_copy_that_was_cut_are_removed(
    loras: Path, scan: Scan, api: TestClient, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_set(loras / "a.safetensors")
    scan()
    before = on_disk(loras)
    real = disk.make_copy

    def crash(source: str, target: str, sha256: str | None) -> None:
        real(source, target, sha256)
        Path(target).write_bytes(b"half")
        raise Crash

    def other_device(source: str, target: str) -> None:
        raise OSError(18, "Invalid cross-device link", source, None, target)

    with monkeypatch.context() as patched, pytest.raises(Crash):
        patched.setattr(disk, "make_copy", crash)
        patched.setattr(disk, "rename_new", other_device)
        move_loras(state, [id_of(api, "a")], "loras/sub")
    assert len(on_disk(loras)) == len(before) + 1
    assert recover(state.database) == 1
    assert on_disk(loras) == before and not (loras / "sub").exists()


def test_plans_and_outcomes_outlive_a_power_cut(
    loras: Path,
    scan: Scan,
    api: TestClient,
    state: State,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_set(loras / "a.safetensors")
    scan()
    levels = []
    for name in ("begin", "catalogue.apply_change"):
        where, _, function = name.rpartition(".")
        module = getattr(journal, where) if where else journal
        real = getattr(module, function)

        def look(connection: Any, *arguments: Any, real: Any = real) -> Any:
            levels.append(connection.execute("PRAGMA synchronous").fetchone()[0])
            return real(connection, *arguments)

        monkeypatch.setattr(module, function, look)
    rename_lora(state, id_of(api, "a"), "b")
    assert levels == [2, 2], "synchronous=FULL"
    assert database.write(lambda connection: connection.execute("PRAGMA synchronous").fetchone()[0]) == 1


# The scan, at the same time


def test_a_scan_that_listed_the_old_place_marks_the_moved_row_not_as_missing(
    loras: Path, scan: Scan, api: TestClient, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listing lacks the file, the rows still have it there; before they are marked, the move is settled."""
    make_set(loras / "a.safetensors")
    scan()
    lora_id = id_of(api, "a")
    settle_scan, states = scanning.Scanner._settle, list[str]()

    def late(scanner: Any, changes: Any) -> int:
        if names_in(loras) == full_set("a"):
            root = folders.active_roots(state.database)[0]
            changes.gone.extend(reconcile.present_rows(state.database.reader(), root))
            rename_lora(state, lora_id, "b")
        moved = settle_scan(scanner, changes)
        states.append(listed(api)["b"]["state"])
        return moved

    monkeypatch.setattr(scanning.Scanner, "_settle", late)
    scan()
    monkeypatch.undo()
    assert set(states) == {"ok"}
    assert (id_of(api, "b"), len(listed(api))) == (lora_id, 1)


@pytest.mark.parametrize("operation", ["rename", "delete"])
def test_a_scan_that_read_the_file_before_it_moved_lists_it_not_in_its_old_place(
    loras: Path, scan: Scan, api: TestClient, state: State, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    path = make_set(loras / "a.safetensors")
    scan()
    lora_id = id_of(api, "a")
    (loras / "a.json").write_text('{"notes": "so that it is read again"}')
    reading, moved = threading.Event(), threading.Event()

    def read_slowly(job: Any) -> Record:
        record = read_lora(job)
        reading.set()
        assert moved.wait(10)
        return record

    monkeypatch.setattr(scanning, "read_lora", read_slowly)
    state.library.scanner.request()
    assert reading.wait(10)
    if operation == "rename":
        rename_lora(state, lora_id, "b")
    else:
        api.delete(f"loras/{lora_id}")
    moved.set()
    assert state.library.scanner.idle.wait(10)
    monkeypatch.undo()
    assert sorted(listed(api)) == (["b"] if operation == "rename" else [])
    scan()
    assert sorted(listed(api)) == (["b"] if operation == "rename" else [])
    assert not path.exists()


def test_a_row_that_the_scan_made_in_the_new_place_is_joined_with_the_old_one(
    loras: Path, scan: Scan, api: TestClient, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_set(loras / "a.safetensors")
    scan()
    lora_id = id_of(api, "a")
    api.patch(f"loras/{lora_id}", json={"notes": "mine", "add_tags": ["kept"]})
    settle = journal.settle

    def scan_first(*arguments: Any) -> None:
        scan()
        settle(*arguments)

    for name, do in (
        ("b", lambda: rename_lora(state, lora_id, "b")),
        ("b", lambda: move_loras(state, [lora_id], "loras/sub")),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(journal, "settle", scan_first)
            do()
        assert (id_of(api, name), len(listed(api))) == (lora_id, 1)
        detail = api.get(f"loras/{lora_id}").json()
        assert (detail["state"], detail["notes"], "kept" in detail["tags"]) == ("ok", "mine", True)
        assert list(listed(api, q="name:b")) == ["b"]
    state.library.scanner.idle.wait(10)
    api.delete(f"loras/{lora_id}")
    entry = api.get("trash").json()["items"][0]["id"]
    with monkeypatch.context() as patched:
        patched.setattr(journal, "settle", scan_first)
        api.post("trash/restore", json={"ids": [entry]})
    assert len(listed(api)) == 1 and api.get(f"loras/{id_of(api, 'b')}").json()["notes"] == "mine"


def test_operations_and_scans_at_once_leave_every_lora_listed_once(
    loras: Path, scan: Scan, api: TestClient, state: State
) -> None:
    for number in range(40):
        make_set(loras / f"l{number:02}.safetensors")
    scan()
    ids = {name: item["id"] for name, item in listed(api).items()}
    before = contents(loras)
    stopped = threading.Event()

    def scan_all_the_time() -> None:
        while not stopped.is_set():
            state.library.scanner.request()
            state.library.scanner.idle.wait(10)

    thread = threading.Thread(target=scan_all_the_time)
    thread.start()
    try:
        for turn in range(4):
            for name, lora_id in list(ids.items())[turn::4]:
                assert rename_lora(state, lora_id, f"{name}_{turn}").count("done") == 1
            move(api, *ids.values(), to=f"loras/turn{turn}")
    finally:
        stopped.set()
        thread.join()
    state.library.scanner.idle.wait(10)
    scan()
    items = api.get("loras", params={"limit": 1000}).json()["items"]
    assert sorted(item["id"] for item in items) == sorted(ids.values())
    assert {item["state"] for item in items} == {"ok"} and {item["folder"] for item in items} == {
        "loras/turn3"
    }
    assert contents(loras) == before


def test_hashing_that_finds_a_file_moved_away_hashes_it_in_its_new_place(
    loras: Path, scan: Scan, api: TestClient, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_set(loras / "a.safetensors")
    scan()
    hasher = state.library.hasher
    jobs = hasher._next_jobs

    def jobs_then_move() -> Any:
        found = jobs()
        if names_in(loras):
            rename_lora(state, id_of(api, "a"), "b")
            move_loras(state, [id_of(api, "b")], "loras/sub")
        return found

    monkeypatch.setattr(hasher, "_next_jobs", jobs_then_move)
    hasher.start()
    wait_until(lambda: api.get("library/status").json()["hashing"]["pending"] == 0)
    assert api.get(f"loras/{id_of(api, 'b')}").json()["hashes"]["sha256"]


def test_rows_that_are_marked_missing_are_those_that_are_still_in_the_place(
    loras: Path, scan: Scan, api: TestClient, database: Database
) -> None:
    make_lora(loras / "a.safetensors")
    scan()
    lora_id = id_of(api, "a")
    root = folders.active_roots(database)[0].id
    database.write(lambda connection: store.mark_missing(connection, [(lora_id, root, "elsewhere", "a")]))
    assert listed(api)["a"]["state"] == "ok"
    database.write(lambda connection: store.mark_missing(connection, [(lora_id, root, "", "a")]))
    assert listed(api)["a"]["state"] == "missing"
