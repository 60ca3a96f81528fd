"""The trash: deleting loses nothing, restoring brings everything back, and what is old goes for good."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
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
    names_in,
    on_disk,
    other_device,
)
from lora_files import add_side_file, make_lora, picture
from starlette.testclient import TestClient
from waiting import wait_until

from sidecar.database import Database
from sidecar.library import folders
from sidecar.library.files import keeper, trash
from sidecar.library.files.keeper import keep_in_order
from sidecar.state import State

Scan = Callable[[], None]


def delete(api: TestClient, *names: str) -> dict[str, Any]:
    ids = [id_of(api, name) for name in names]
    answer = api.post("files/delete", json={"selection": {"ids": ids}})
    assert answer.status_code == 200, answer.text
    outcome: dict[str, Any] = answer.json()
    return outcome


def in_trash(api: TestClient) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = api.get("trash").json()["items"]
    return items


def restore(api: TestClient, **request: Any) -> dict[str, Any]:
    answer = api.post("trash/restore", json=request)
    assert answer.status_code == 200, answer.text
    outcome: dict[str, Any] = answer.json()
    return outcome


def test_deleting_puts_all_files_into_the_trash_where_no_host_lists_them(
    loras: Path, scan: Scan, api: TestClient, state: State
) -> None:
    make_set(loras / "sub" / "a.safetensors")
    make_set(loras / "b.safetensors")
    scan()
    before = contents(loras)
    assert delete(api, "a")["done"] == 1
    assert contents(loras) == before, "every file is still on the disk"
    assert names_in(loras / "sub") == []
    kept = [name for name in on_disk(loras) if "/.trash/" in name]
    assert len(kept) == len(full_set("a")) and all(name.endswith(".trashed") for name in kept)
    assert list(listed(api)) == ["b"]
    scan()
    assert list(listed(api)) == ["b"], "the scan does not find what is in the trash"
    entry = in_trash(api)[0]
    assert (entry["name"], entry["folder"], entry["kind"]) == ("a", "loras/sub", "lora")
    assert sorted(entry["files"]) == full_set("a")
    assert entry["size"] == sum(len(on_disk(loras)[name]) for name in kept) == api.get("trash").json()["size"]
    assert entry["expires"] == entry["deleted"] + state.settings.trash_days * 86_400
    assert api.get(f"trash/{entry['id']}/preview").headers["content-type"] == "image/png"


def test_restoring_brings_files_row_and_everything_the_user_said_back(
    loras: Path, scan: Scan, api: TestClient, state: State
) -> None:
    make_set(loras / "sub" / "a.safetensors", modelspec__tags="x, y")
    make_set(loras / "b.safetensors")
    scan()
    lora_id = id_of(api, "a")
    edit = {
        "notes": "mine",
        "rating": 4,
        "add_tags": ["kept"],
        "remove_tags": ["x"],
        "label": "red",
        "weight": 0.4,
    }
    api.patch(f"loras/{lora_id}", json=edit)
    before, detail = on_disk(loras), api.get(f"loras/{lora_id}").json()
    delete(api, "a")
    assert api.get(f"loras/{lora_id}").status_code == 404
    outcome = restore(api, ids=[in_trash(api)[0]["id"]])
    assert outcome["items"][0]["to"] == "loras/sub/a.safetensors"
    assert on_disk(loras) == before
    assert api.get(f"loras/{lora_id}").json() == detail
    assert list(listed(api, tag="kept")) == ["a"] == list(listed(api, q="mine"))
    assert in_trash(api) == [] and not (loras / ".trash").exists()
    state.library.scanner.idle.wait(10)
    scan()
    assert api.get("library/status").json()["read"] == 0, "what came back unchanged is not read again"
    assert api.get(f"loras/{lora_id}").json() == detail


def test_a_restored_lora_whose_id_is_taken_gets_a_new_one(loras: Path, scan: Scan, api: TestClient) -> None:
    make_lora(loras / "a.safetensors")
    scan()
    lora_id = id_of(api, "a")
    api.patch(f"loras/{lora_id}", json={"notes": "mine"})
    delete(api, "a")
    make_lora(loras / "b.safetensors", width=1024)
    scan()
    assert id_of(api, "b") == lora_id, "the id was free"
    outcome = restore(api, ids=[in_trash(api)[0]["id"]])
    new = id_of(api, "a")
    assert new != lora_id and outcome["items"][0]["id"] == new
    assert api.get(f"loras/{new}").json()["notes"] == "mine"


def test_a_restore_onto_a_name_that_is_taken_again_is_refused_and_works_under_another(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    make_set(loras / "a.safetensors")
    scan()
    api.patch(f"loras/{id_of(api, 'a')}", json={"notes": "old one"})
    delete(api, "a")
    make_lora(loras / "a.safetensors", width=1024)
    scan()
    before = on_disk(loras)
    entry = in_trash(api)[0]["id"]
    outcome = restore(api, ids=[entry])
    assert (outcome["conflict"], outcome["action"]) == (1, None)
    assert "a.safetensors is there already" in outcome["items"][0]["reason"]
    assert on_disk(loras) == before
    assert "reserved" in message(api.post("trash/restore", json={"ids": [entry], "name": "nul"}), 400)
    assert restore(api, ids=[entry], name="a old")["done"] == 1
    assert names_in(loras) == sorted(["a.safetensors", *full_set("a old")])
    assert api.get(f"loras/{id_of(api, 'a old')}").json()["notes"] == "old one"


def test_a_restore_makes_its_folder_again(loras: Path, scan: Scan, api: TestClient) -> None:
    make_set(loras / "deep" / "er" / "a.safetensors")
    scan()
    delete(api, "a")
    (loras / "deep" / "er").rmdir()
    (loras / "deep").rmdir()
    restore(api, ids=[in_trash(api)[0]["id"]])
    assert names_in(loras / "deep" / "er") == full_set("a")


def test_a_lora_that_shares_its_stem_leaves_the_side_files_to_the_other(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    make_set(loras / "a.safetensors")
    (loras / "a.pt").write_bytes(b"legacy")
    scan()
    before = on_disk(loras)
    ids = {item["state"]: item["id"] for item in api.get("loras").json()["items"]}
    assert api.delete(f"loras/{ids['legacy']}").json()["done"] == 1
    assert names_in(loras) == full_set("a")
    assert api.delete(f"loras/{ids['ok']}").json()["done"] == 1
    assert names_in(loras) == []
    assert restore(api, ids=[entry["id"] for entry in in_trash(api)])["done"] == 2
    assert on_disk(loras) == before


def test_both_of_a_shared_stem_deleted_at_once_come_back_at_once(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    make_set(loras / "a.safetensors")
    (loras / "a.pt").write_bytes(b"legacy")
    scan()
    before = on_disk(loras)
    api.post("files/delete", json={"selection": {"filter": {}}})
    assert names_in(loras) == []
    assert restore(api, ids=[entry["id"] for entry in in_trash(api)[::-1]])["done"] == 2
    assert on_disk(loras) == before


def test_deleting_a_missing_lora_takes_it_off_the_list_and_undo_lists_it_again(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    path = make_lora(loras / "a.safetensors")
    scan()
    lora_id = id_of(api, "a")
    api.patch(f"loras/{lora_id}", json={"notes": "mine"})
    path.unlink()
    scan()
    answer = api.delete(f"loras/{lora_id}").json()
    assert listed(api) == {} and in_trash(api) == []
    assert api.post(f"actions/{answer['action']}/undo").json()["undone"] == 1
    detail = api.get(f"loras/{lora_id}").json()
    assert (detail["state"], detail["notes"]) == ("missing", "mine")


def test_side_files_that_a_missing_model_left_behind_go_to_the_trash_with_it(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    path = make_set(loras / "a.safetensors")
    scan()
    path.unlink()
    scan()
    delete(api, "a")
    assert names_in(loras) == []
    restore(api, ids=[in_trash(api)[0]["id"]])
    assert names_in(loras) == [name for name in full_set("a") if name != "a.safetensors"]
    assert listed(api)["a"]["state"] == "missing"


def test_what_a_content_was_called_and_tagged_is_kept_when_its_files_are_gone_for_good(
    loras: Path, scan: Scan, api: TestClient, state: State
) -> None:
    path = make_lora(loras / "a.safetensors")
    content = path.read_bytes()
    scan()
    state.library.hasher.start()
    wait_until(lambda: api.get("library/status").json()["hashing"]["pending"] == 0)
    api.patch(f"loras/{id_of(api, 'a')}", json={"notes": "mine"})
    delete(api, "a")
    assert api.post("trash/empty").json()["removed"] == 1
    (loras / "downloaded again.safetensors").write_bytes(content)
    scan()
    wait_until(lambda: api.get("library/status").json()["hashing"]["pending"] == 0)
    assert api.get(f"loras/{id_of(api, 'downloaded again')}").json()["notes"] == "mine"


def test_emptying_removes_for_good_and_only_what_is_named(loras: Path, scan: Scan, api: TestClient) -> None:
    for name in ("a", "b", "c"):
        make_set(loras / f"{name}.safetensors")
    scan()
    delete(api, "a", "b")
    entries = {entry["name"]: entry for entry in in_trash(api)}
    outcome = api.post("trash/empty", json={"ids": [entries["a"]["id"]]}).json()
    assert outcome == {"removed": 1, "freed": entries["a"]["size"], "failed": []}
    assert [entry["name"] for entry in in_trash(api)] == ["b"]
    assert api.post("trash/empty", json={"ids": [99]}).json()["removed"] == 0
    assert api.post("trash/empty").json()["removed"] == 1
    assert sorted(on_disk(loras)) == sorted(f"loras/{name}" for name in full_set("c"))
    assert not (loras / ".trash").exists()


def age(database: Database, days: float) -> None:
    database.write(
        lambda connection: connection.execute("UPDATE trash SET deleted = deleted - ?", (days * 86_400,))
    )


def test_entries_expire_after_the_days_of_the_setting_and_never_with_0(
    loras: Path, scan: Scan, api: TestClient, state: State, database: Database
) -> None:
    make_set(loras / "a.safetensors")
    make_set(loras / "b.safetensors")
    scan()
    delete(api, "a")
    age(database, 8)
    delete(api, "b")
    api.patch("settings", json={"trash_days": 0})
    keep_in_order(state)
    assert len(in_trash(api)) == 2 and in_trash(api)[0]["expires"] is None
    api.patch("settings", json={"trash_days": 7})
    keep_in_order(state)
    assert [entry["name"] for entry in in_trash(api)] == ["b"]
    assert sorted({name.rsplit("/", 1)[1][0] for name in on_disk(loras)}) == ["b"]


def test_the_purge_goes_on_in_the_background(
    loras: Path,
    scan: Scan,
    api: TestClient,
    state: State,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_set(loras / "a.safetensors")
    scan()
    delete(api, "a")
    age(database, 1000)
    monkeypatch.setattr(keeper, "FIRST_SECONDS", 0.01)
    one = keeper.Keeper(state)
    one.start()
    wait_until(lambda: in_trash(api) == [] and on_disk(loras) == {})
    one.stop()
    assert not one._thread.is_alive()


def test_the_trash_of_a_drive_that_is_away_stays_and_can_be_restored_when_it_is_back(
    state: State, tmp_path: Path, scan: Scan, api: TestClient, database: Database
) -> None:
    drive = tmp_path / "drive"
    with drive_of(tmp_path / "stored", drive) as (unplug, plug):
        folders.activate(database, [drive])
        make_set(drive / "a.safetensors")
        scan()
        before = on_disk(drive)
        delete(api, "a")
        age(database, 1000)
        unplug()
        keep_in_order(state)
        failed = api.post("trash/empty").json()["failed"]
        assert len(failed) == 1 and "cannot be reached" in failed[0]["reason"]
        entry = in_trash(api)[0]["id"]
        assert "no longer in the trash" in restore(api, ids=[entry])["items"][0]["reason"]
        plug()
        assert restore(api, ids=[entry])["done"] == 1
        assert on_disk(drive) == before


def test_a_purge_that_was_interrupted_goes_on_and_what_is_half_removed_is_not_restored(
    loras: Path, scan: Scan, api: TestClient, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_set(loras / "a.safetensors")
    scan()
    delete(api, "a")
    entry = in_trash(api)[0]["id"]
    unlink, removed = os.unlink, []

    def fail(path: Any, **options: Any) -> None:
        removed.append(path)
        if len(removed) == 4:
            raise OSError(errno.EIO, "Input/output error", path)
        unlink(path, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", fail)
        assert api.post("trash/empty").json()["failed"][0]["name"] == "a"
    assert in_trash(api) == []
    assert "removed for good" in restore(api, ids=[entry])["items"][0]["reason"]
    keep_in_order(state)
    assert on_disk(loras) == {}


def test_a_purge_that_could_not_begin_leaves_the_entry_whole(
    loras: Path, scan: Scan, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_set(loras / "a.safetensors")
    scan()
    before = on_disk(loras)
    delete(api, "a")

    def fail(path: Any, **_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", fail)
        assert "permission" in api.post("trash/empty").json()["failed"][0]["reason"]
    assert restore(api, ids=[in_trash(api)[0]["id"]])["done"] == 1
    assert on_disk(loras) == before


def test_the_trash_lies_on_the_device_of_the_files_so_that_deleting_copies_nothing(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    with other_device(loras) as other:
        (loras / "linked").symlink_to(other)
        make_set(other / "sub" / "a.safetensors")
        scan()
        before = contents(other)
        delete(api, "a")
        assert contents(other) == before and (other / ".trash").is_dir() and not (loras / ".trash").exists()
        restore(api, ids=[in_trash(api)[0]["id"]])
        assert names_in(other / "sub") == full_set("a")


def test_a_trash_that_somebody_removed_by_hand_empties_to_nothing(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    make_lora(loras / "a.safetensors")
    make_lora(loras / "b.safetensors")
    scan()
    delete(api, "a")
    shutil.rmtree(loras / ".trash")
    assert api.post("trash/empty").json() == {"removed": 1, "freed": 0, "failed": []}
    assert in_trash(api) == []


def test_names_of_full_length_fit_into_the_trash(loras: Path, scan: Scan, api: TestClient) -> None:
    name = "n" * 238
    make_lora(loras / f"{name}.safetensors")
    add_side_file(loras / f"{name}.safetensors", ".preview.png", picture())
    scan()
    before = on_disk(loras)
    delete(api, name)
    restore(api, ids=[in_trash(api)[0]["id"]])
    assert on_disk(loras) == before


def test_the_trash_is_listed_in_pages(loras: Path, scan: Scan, api: TestClient) -> None:
    for number in range(5):
        make_lora(loras / f"l{number}.safetensors")
    scan()
    delete(api, *(f"l{number}" for number in range(5)))
    first = api.get("trash", params={"limit": 3}).json()
    second = api.get("trash", params={"limit": 3, "cursor": first["next_cursor"]}).json()
    names = [entry["name"] for entry in first["items"] + second["items"]]
    assert sorted(names) == [f"l{number}" for number in range(5)]
    assert (first["total"], second["next_cursor"]) == (5, None)


def test_an_entry_that_somebody_took_out_by_hand_is_told(loras: Path, scan: Scan, api: TestClient) -> None:
    make_lora(loras / "a.safetensors")
    scan()
    delete(api, "a")
    entry = in_trash(api)[0]["id"]
    next((loras / ".trash").rglob("*.trashed")).unlink()
    assert "no longer in the trash" in restore(api, ids=[entry, 99])["items"][0]["reason"]
    assert "no LoRA" in message(api.delete("loras/99"), 404)
    assert api.get("trash/99/preview").status_code == 404


def test_a_database_from_before_a_column_was_added_still_gives_its_trash_back(
    loras: Path, scan: Scan, api: TestClient, database: Database
) -> None:
    make_lora(loras / "a.safetensors")
    scan()
    delete(api, "a")
    database.write(
        lambda connection: connection.execute("ALTER TABLE loras ADD COLUMN later TEXT DEFAULT 'x'")
    )
    assert restore(api, ids=[in_trash(api)[0]["id"]])["done"] == 1
    assert listed(api)["a"]["state"] == "ok"
    assert trash.list_trash(database, 0, limit=10)["total"] == 0
