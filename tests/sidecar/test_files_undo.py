"""Undo of file operations: everything that can be goes back, the rest is told with a reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from files_library import full_set, id_of, listed, make_set, message, move, names_in, on_disk, other_device
from lora_files import add_side_file, make_lora, picture
from starlette.testclient import TestClient

from sidecar.database import Database
from sidecar.errors import BadRequest, Conflict, NotFound
from sidecar.library.files.operations import change_side_files, delete_loras
from sidecar.library.files.plans import TRASH
from sidecar.library.organise.actions import begin, note_changes
from sidecar.state import State

Scan = Callable[[], None]


def undo(api: TestClient, action: int) -> dict[str, Any]:
    answer = api.post(f"actions/{action}/undo")
    assert answer.status_code == 200, answer.text
    outcome: dict[str, Any] = answer.json()
    return outcome


def last_action(api: TestClient) -> dict[str, Any]:
    action: dict[str, Any] = api.get("actions").json()["items"][0]
    return action


def test_each_operation_can_be_undone_once(loras: Path, scan: Scan, api: TestClient) -> None:
    for name in ("a", "b"):
        make_set(loras / f"{name}.safetensors")
    scan()
    before = on_disk(loras)
    ids = [id_of(api, name) for name in ("a", "b")]
    done = [
        api.post(f"loras/{ids[0]}/rename", json={"name": "c"}).json()["action"],
        move(api, *ids, to="loras/sub")["action"],
        api.post("files/delete", json={"selection": {"ids": ids}}).json()["action"],
    ]
    entries = [entry["id"] for entry in api.get("trash").json()["items"]]
    done.append(api.post("trash/restore", json={"ids": entries}).json()["action"])
    kinds = [(action["kind"], action["summary"]) for action in api.get("actions").json()["items"][::-1]]
    assert kinds == [
        ("files", "Renamed a to c"), ("files", "Moved 2 LoRAs to loras/sub"), ("files", "Deleted 2 LoRAs"),
        ("files", "Restored 2 LoRAs"),
    ]  # fmt: skip
    for action, count in zip(done[::-1], (2, 2, 2, 1)):
        assert undo(api, action) == {"action": action, "undone": count, "skipped": 0, "failed": []}
        assert "undone already" in message(api.post(f"actions/{action}/undo"))
    assert on_disk(loras) == before
    assert sorted(listed(api)) == ["a", "b"] and id_of(api, "a") == ids[0]
    assert not (loras / "sub").exists() and not (loras / TRASH).exists()


def test_what_cannot_be_moved_back_is_told_and_can_be_tried_again(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    for name in ("a", "b"):
        make_set(loras / f"{name}.safetensors")
    scan()
    lora_id = id_of(api, "a")
    action = move(api, lora_id, id_of(api, "b"), to="loras/sub")["action"]
    (loras / "a.safetensors").write_bytes(b"a new one")
    outcome = undo(api, action)
    assert outcome["undone"] == 1
    assert outcome["failed"] == [
        {
            "id": lora_id,
            "name": "a",
            "reason": "a.safetensors is there already; choose another name or folder.",
        }
    ]
    assert names_in(loras) == sorted(["a.safetensors", *full_set("b")])
    (loras / "a.safetensors").unlink()
    assert undo(api, action)["undone"] == 1
    assert names_in(loras) == sorted([*full_set("a"), *full_set("b")])


def test_what_was_moved_again_or_deleted_since_stays_where_it_is(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    for name in ("a", "b"):
        make_lora(loras / f"{name}.safetensors")
    scan()
    action = move(api, id_of(api, "a"), id_of(api, "b"), to="loras/sub")["action"]
    move(api, id_of(api, "a"), to="loras/elsewhere")
    api.delete(f"loras/{id_of(api, 'b')}")
    reasons = sorted(one["reason"] for one in undo(api, action)["failed"])
    assert reasons == [
        "It is no longer in the library.",
        "It was moved again since, to loras/elsewhere/a.safetensors.",
    ]


def test_a_deletion_that_was_emptied_from_the_trash_cannot_be_undone(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    make_lora(loras / "a.safetensors")
    scan()
    action = api.delete(f"loras/{id_of(api, 'a')}").json()["action"]
    api.post("trash/empty")
    assert undo(api, action)["failed"][0]["reason"] == "It is no longer in the trash."


def test_a_side_file_that_came_since_goes_back_with_its_lora(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    make_lora(loras / "a.safetensors")
    scan()
    action = move(api, id_of(api, "a"), to="loras/sub")["action"]
    add_side_file(loras / "sub" / "a.safetensors", ".json", {"notes": "new"})
    undo(api, action)
    assert names_in(loras) == ["a.json", "a.safetensors"]


def test_copies_of_shared_side_files_are_taken_back(loras: Path, scan: Scan, api: TestClient) -> None:
    make_set(loras / "a.safetensors")
    (loras / "a.pt").write_bytes(b"legacy")
    scan()
    before = on_disk(loras)
    legacy = next(item["id"] for item in api.get("loras").json()["items"] if item["state"] == "legacy")
    action = api.post(f"loras/{legacy}/rename", json={"name": "b"}).json()["action"]
    outcome = undo(api, action)
    assert (outcome["undone"], outcome["failed"]) == (1, [])
    assert {name: content for name, content in on_disk(loras).items() if TRASH not in name} == before


def test_changing_side_files_replaces_adds_and_copies_and_undo_takes_all_of_it_back(
    loras: Path, tmp_path: Path, scan: Scan, api: TestClient, state: State
) -> None:
    make_set(loras / "a.safetensors")
    make_set(loras / "b.safetensors")
    scan()
    before = on_disk(loras)
    lora_id = id_of(api, "a")
    temporary = loras / ".new-preview"
    temporary.write_bytes(picture((50, 50), colour="red"))
    action = change_side_files(
        state,
        lora_id,
        summary="New preview of a",
        remove=["a.preview.png", "a.png", "a.civitai.info"],
        add={"a.preview.png": temporary},
        copy={"a.civitai.info": loras / "b.civitai.info"},
    )
    assert not temporary.exists()
    assert (loras / "a.preview.png").read_bytes() == picture((50, 50), colour="red")
    assert (loras / "a.civitai.info").read_bytes() == before["loras/b.civitai.info"]
    assert names_in(loras) == sorted({*full_set("a"), *full_set("b")} - {"a.png"})
    assert last_action(api)["summary"] == "New preview of a"
    state.library.scanner.idle.wait(10)
    entry = api.get("trash").json()["items"][0]
    assert (entry["kind"], sorted(entry["files"])) == ("files", ["a.civitai.info", "a.png", "a.preview.png"])
    api.post(f"loras/{lora_id}/rename", json={"name": "renamed"})
    assert undo(api, action)["undone"] == 1
    assert names_in(loras) == sorted(full_set("renamed") + full_set("b"))
    for name in full_set("a"):
        assert (loras / name.replace("a", "renamed", 1)).read_bytes() == before[f"loras/{name}"]
    entry = api.get("trash").json()["items"][0]
    assert sorted(entry["files"]) == ["renamed.civitai.info", "renamed.preview.png"], (
        "what was new is in the trash"
    )


def test_new_side_files_may_come_from_another_device(
    loras: Path, scan: Scan, api: TestClient, state: State
) -> None:
    make_set(loras / "a.safetensors")
    scan()
    before = on_disk(loras)
    with other_device(loras) as other:
        (other / "made").write_bytes(b"{}")
        action = change_side_files(
            state, id_of(api, "a"), summary="x", remove=["a.json"], add={"a.json": other / "made"}
        )
        assert (loras / "a.json").read_bytes() == b"{}" and list(other.iterdir()) == []
        undo(api, action)
        assert {name: content for name, content in on_disk(loras).items() if TRASH not in name} == before


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"remove": ["b.json"]}, Conflict), ({"remove": ["a.safetensors"]}, Conflict), ({"remove": ["nothing.png"]}, Conflict),
        ({"add": {"b.png": "x"}}, Conflict), ({"add": {"a.exe": "x"}}, Conflict), ({"add": {"a.json": "x"}}, Conflict),
        ({"add": {"a.gif": "no such file"}}, Conflict), ({"copy": {"../a.gif": "x"}}, Conflict), ({}, BadRequest),
    ],
)  # fmt: skip
def test_side_files_of_another_or_names_that_are_none_are_refused(
    loras: Path,
    tmp_path: Path,
    scan: Scan,
    api: TestClient,
    state: State,
    change: dict[str, Any],
    error: type[Exception],
) -> None:
    make_set(loras / "a.safetensors")
    make_set(loras / "b.safetensors")
    scan()
    (tmp_path / "x").write_bytes(b"x")
    before = on_disk(tmp_path)
    given = {
        key: value if key == "remove" else {name: tmp_path / path for name, path in value.items()}
        for key, value in change.items()
    }
    with pytest.raises(error):
        change_side_files(state, id_of(api, "a"), summary="x", **given)
    with pytest.raises((NotFound, BadRequest)):
        change_side_files(state, 99, summary="x", **given)
    del before[next(name for name in before if name.endswith(".db-wal"))]
    assert {
        name: content for name, content in on_disk(tmp_path).items() if name in before and "data" not in name
    } == {name: content for name, content in before.items() if "data" not in name}
    assert api.get("actions").json()["items"] == []


def test_several_changes_can_be_parts_of_one_action_with_edits_and_are_undone_together(
    loras: Path, scan: Scan, api: TestClient, state: State, database: Database
) -> None:
    for name in ("keep", "copy"):
        make_set(loras / f"{name}.safetensors")
    scan()
    before = on_disk(loras)
    keep, copy = id_of(api, "keep"), id_of(api, "copy")
    api.patch(f"loras/{keep}", json={"notes": "before"})
    identity = database.reader().execute("SELECT identity_id FROM loras WHERE id = ?", (keep,)).fetchone()[0]

    def start(connection: Any) -> int:
        action = begin(connection, "files", "Kept one of two", 2)
        note_changes(connection, action, [(f"identity:{identity}", "notes", "before", "merged")])
        connection.execute("UPDATE identities SET notes = 'merged' WHERE id = ?", (identity,))
        return action

    action = database.write(start)
    change_side_files(
        state, keep, summary="", remove=["keep.json"], copy={"keep.json": loras / "copy.json"}, action=action
    )
    change_side_files(
        state, keep, summary="", remove=["keep.json"], copy={"keep.json": loras / "copy.txt"}, action=action
    )
    outcome = delete_loras(state, [copy], action=action)
    assert (outcome.action, outcome.count("done")) == (action, 1)
    assert (last_action(api)["id"], last_action(api)["count"]) == (action, 2)
    assert undo(api, action)["failed"] == []
    assert {name: content for name, content in on_disk(loras).items() if TRASH not in name} == before
    assert api.get(f"loras/{keep}").json()["notes"] == "before"
    assert last_action(api)["state"] == "undone"
