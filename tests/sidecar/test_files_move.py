"""Moving into folders: all files of a LoRA or none, nothing overwritten, everything else refused with a reason."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from files_library import (
    contents,
    full_set,
    id_of,
    listed,
    make_set,
    message,
    move,
    names_in,
    on_disk,
    reasons,
)
from lora_files import make_lora
from starlette.testclient import TestClient
from waiting import wait_until

from sidecar.errors import Unavailable
from sidecar.library.files import disk, journal
from sidecar.state import State

Scan = Callable[[], None]


def test_a_move_takes_all_files_along_into_a_folder_that_is_made(
    loras: Path, scan: Scan, api: TestClient, state: State
) -> None:
    for name in ("a", "b", "c"):
        make_set(loras / f"{name}.safetensors")
    scan()
    before = contents(loras)
    outcome = move(api, id_of(api, "a"), id_of(api, "b"), to="loras/styles/ink")
    assert outcome["done"] == 2 and outcome["action"]
    assert names_in(loras / "styles" / "ink") == sorted(full_set("a") + full_set("b"))
    assert names_in(loras) == full_set("c")
    assert contents(loras) == before
    assert listed(api)["a"]["folder"] == "loras/styles/ink"
    assert list(listed(api, folder="loras/styles/ink")) == ["a", "b"]
    state.library.scanner.idle.wait(10)
    scan()
    assert {item["state"] for item in listed(api).values()} == {"ok"}
    assert api.get("library/status").json()["read"] == 0


@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        ("loras/../x", "leave"), ("loras/a/../../x", "leave"), ("../x", "in no LoRA folder"), ("/etc", "in no LoRA folder"),
        ("nowhere/x", "in no LoRA folder"), ("loras//x", "empty"), ("loras/./x", "leave"), ("loras/.trash/x", "not a folder for"),
        ("loras/a:b", ":"), ("loras/con", "reserved"), ("loras/x\\..\\..\\y", "\\"), ("loras/a\x00b", "control"), ("loras/.x", "hidden"),
        ("loras/" + "x" * 300, "too long"), ("loras/a.safetensors", "is a file"),
    ],
)  # fmt: skip
def test_a_folder_outside_or_one_that_cannot_be_is_refused(
    loras: Path, scan: Scan, api: TestClient, folder: str, reason: str
) -> None:
    make_set(loras / "a.safetensors")
    scan()
    before = on_disk(loras.parent)
    answer = api.post("files/move", json={"selection": {"ids": [id_of(api, "a")]}, "folder": folder})
    assert reason in message(answer, 400)
    assert on_disk(loras.parent).keys() == before.keys()


def test_an_existing_name_in_the_folder_is_refused_and_the_others_move(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    make_set(loras / "a.safetensors")
    make_set(loras / "b.safetensors")
    make_lora(loras / "sub" / "a.safetensors", width=1024)
    scan()
    items = api.get("loras").json()["items"]
    ids = [item["id"] for item in items if item["folder"] == "loras"]
    outcome = move(api, *ids, to="loras/sub")
    assert (outcome["done"], outcome["conflict"]) == (1, 1)
    assert reasons(outcome) == ["a.safetensors is there already; choose another name or folder."]
    assert names_in(loras) == full_set("a")
    assert names_in(loras / "sub") == sorted(["a.safetensors", *full_set("b")])


def test_two_of_one_name_do_not_both_fit_into_one_folder(loras: Path, scan: Scan, api: TestClient) -> None:
    make_set(loras / "one" / "a.safetensors")
    make_set(loras / "two" / "a.safetensors", modelspec__title="Two")
    scan()
    before = contents(loras)
    outcome = move(api, *(item["id"] for item in api.get("loras").json()["items"]), to="loras")
    assert (outcome["done"], outcome["conflict"]) == (1, 1)
    assert contents(loras) == before


def test_two_models_of_one_stem_move_together_with_their_side_files(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    make_set(loras / "a.safetensors")
    (loras / "a.pt").write_bytes(b"legacy")
    scan()
    before = contents(loras)
    outcome = move(api, *(item["id"] for item in api.get("loras").json()["items"]), to="loras/sub")
    assert outcome["done"] == 2
    assert names_in(loras) == [] and names_in(loras / "sub") == sorted([*full_set("a"), "a.pt"])
    assert contents(loras) == before


def test_a_move_to_where_it_is_changes_nothing(loras: Path, scan: Scan, api: TestClient) -> None:
    make_set(loras / "a.safetensors")
    scan()
    outcome = move(api, id_of(api, "a"), 99, to="loras")
    assert (outcome["same"], outcome["failed"], outcome["action"]) == (1, 1, None)


def test_a_selection_by_query_moves_what_it_finds(loras: Path, scan: Scan, api: TestClient) -> None:
    for name in ("ink_1", "ink_2", "oil"):
        make_lora(loras / f"{name}.safetensors")
    scan()
    answer = api.post("files/move", json={"selection": {"query": "ink"}, "folder": "loras/ink"})
    assert answer.json()["done"] == 2
    assert names_in(loras) == ["oil.safetensors"]


def test_many_are_a_task_with_progress(loras: Path, scan: Scan, api: TestClient, state: State) -> None:
    for number in range(230):
        make_lora(loras / f"l{number}.safetensors")
    scan()
    answer = api.post("files/move", json={"selection": {"filter": {}}, "folder": "loras/sub"})
    assert answer.status_code == 202
    task = state.tasks.get(answer.json()["task"])
    wait_until(lambda: task.state != "running")
    assert (task.state, task.done, task.total) == ("done", 230, 230)
    assert task.result["done"] == 230
    assert len(names_in(loras / "sub")) == 230
    action = api.get("actions").json()["items"][0]
    assert (action["count"], action["summary"]) == (230, "Moved 230 LoRAs to loras/sub")


def test_a_cancelled_task_keeps_what_it_did_and_that_can_be_undone(
    loras: Path, scan: Scan, api: TestClient, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(230):
        make_lora(loras / f"l{number:03}.safetensors")
    scan()
    before = on_disk(loras)
    settle = journal.settle

    def cancel_after_the_first(*arguments: Any) -> None:
        settle(*arguments)
        for task in state.tasks.all():
            task.cancel_asked.set()

    monkeypatch.setattr(journal, "settle", cancel_after_the_first)
    answer = api.post("files/move", json={"selection": {"filter": {}}, "folder": "loras/sub"})
    task = state.tasks.get(answer.json()["task"])
    wait_until(lambda: task.state == "cancelled")
    monkeypatch.undo()
    moved = len(names_in(loras / "sub"))
    action = api.get("actions").json()["items"][0]
    assert 0 < moved < 230 and action["count"] == moved
    assert api.post(f"actions/{action['id']}/undo").json()["undone"] == moved
    assert on_disk(loras) == before


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
@pytest.mark.parametrize("relative", [True, False])
def test_a_linked_model_moves_as_a_link_that_still_leads_to_it(
    loras: Path, tmp_path: Path, scan: Scan, api: TestClient, relative: bool
) -> None:
    real = make_lora(tmp_path / "store" / "real.safetensors")
    link = loras / "a.safetensors"
    link.symlink_to(os.path.relpath(real, loras) if relative else real)
    (loras / "a.json").write_text("{}")
    scan()
    assert move(api, id_of(api, "a"), to="loras/sub/deep")["done"] == 1
    moved = loras / "sub" / "deep" / "a.safetensors"
    assert moved.is_symlink() and moved.resolve() == real.resolve() and real.exists()
    scan()
    assert listed(api)["a"]["state"] == "ok"


def test_a_file_that_comes_into_the_way_at_the_last_moment_is_not_overwritten(
    loras: Path, scan: Scan, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_set(loras / "a.safetensors")
    scan()
    before = on_disk(loras)
    write_plans = journal.write_plans

    def meanwhile(*arguments: Any) -> Any:
        (loras / "sub").mkdir()
        (loras / "sub" / "a.safetensors").write_bytes(b"somebody else's")
        return write_plans(*arguments)

    monkeypatch.setattr(journal, "write_plans", meanwhile)
    outcome = move(api, id_of(api, "a"), to="loras/sub")
    assert reasons(outcome) == ["a.safetensors exists there already."]
    assert (loras / "sub" / "a.safetensors").read_bytes() == b"somebody else's"
    (loras / "sub" / "a.safetensors").unlink()
    assert on_disk(loras) == before


@pytest.mark.skipif(sys.platform != "linux", reason="takes Linux's rename away")
@pytest.mark.parametrize("links", [True, False])
def test_without_the_systems_exclusive_rename_nothing_is_overwritten_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    monkeypatch.setattr(disk, "_exclusive_rename", lambda: None)
    if not links:

        def no_links(*_: Any, **__: Any) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", no_links)
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    with pytest.raises(FileExistsError):
        disk.rename_new(str(one), str(two))
    assert (one.read_bytes(), two.read_bytes()) == (b"1", b"2")
    two.unlink()
    disk.rename_new(str(one), str(two))
    assert two.read_bytes() == b"1" and not one.exists()


def test_a_database_that_takes_no_plan_leaves_the_files_alone(
    loras: Path, scan: Scan, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_set(loras / "a.safetensors")
    scan()
    before = on_disk(loras)
    lora_id = id_of(api, "a")
    for function in ("write_plans", "settle"):

        def full(*_: Any) -> None:
            raise Unavailable("The database did not take the change: database or disk is full.")

        with monkeypatch.context() as patched:
            patched.setattr(journal, function, full)
            answer = api.post("files/move", json={"selection": {"ids": [lora_id]}, "folder": "loras/sub"})
            assert "full" in message(answer, 503)
        assert on_disk(loras) == before, function
    shutil.rmtree(loras / "sub", ignore_errors=True)
    assert move(api, lora_id, to="loras/sub")["done"] == 1
