"""The scan: every file listed, changes followed, nothing lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deadly
import pytest
from lora_files import add_side_file, make_lora, picture
from starlette.testclient import TestClient

from sidecar.database import Database
from sidecar.errors import Unavailable
from sidecar.library import readers, scanning, store
from sidecar.state import State

Scan = Callable[[], None]


def listed(api: TestClient, **query: Any) -> dict[str, dict[str, Any]]:
    items = api.get("loras", params={"limit": 1000, **query}).json()["items"]
    return {item["name"]: item for item in items}


def test_files_in_all_folders_are_listed_with_their_states(loras: Path, scan: Scan, api: TestClient) -> None:
    make_lora(loras / "good.safetensors")
    make_lora(loras / "sub" / "deep" / "deeper.safetensors", width=2048)
    (loras / "cut.safetensors").write_bytes(make_lora(loras / "x.safetensors").read_bytes()[:50])
    (loras / "old.pt").write_bytes(b"\x80\x02never unpickled")
    (loras / "notes.txt").write_text("no model")
    scan()
    found = listed(api)
    assert {name: item["state"] for name, item in found.items()} == {
        "good": "ok", "deeper": "ok", "x": "ok", "cut": "broken", "old": "legacy",
    }  # fmt: skip
    assert found["deeper"]["folder"] == "loras/sub/deep"
    assert found["deeper"]["base_model"] == "SDXL"
    detail = api.get(f"loras/{found['cut']['id']}").json()
    assert "cut off" in detail["state_reason"]


def test_side_files_give_title_words_weight_tags_and_examples(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    path = make_lora(
        loras / "style.safetensors", modelspec__trigger_phrase="from header", modelspec__tags="one, Two"
    )
    add_side_file(
        path, ".json", {"activation text": "inkwash, brush", "preferred weight": 0.7, "notes": "mine"}
    )
    add_side_file(path, ".civitai.info", {
        "id": 2, "modelId": 1, "name": "v2", "baseModel": "Pony", "trainedWords": ["other,"],
        "model": {"name": "Ink Wash", "tags": ["two", "style"], "description": "<p>Soft <b>ink</b></p>"},
        "images": [{"url": "https://example.com/1.png", "meta": {"prompt": "a hill", "steps": 20}}, {"meta": None}],
    })  # fmt: skip
    scan()
    item = listed(api)["style"]
    assert item["title"] == "Ink Wash"
    assert item["trigger_words"] == ["inkwash", "brush"]
    assert item["weight"] == 0.7
    assert item["base_model"] == "Pony"
    assert item["tags"] == ["two", "style", "one"]
    detail = api.get(f"loras/{item['id']}").json()
    assert detail["notes"] == "mine"
    assert detail["description"] == "<p>Soft <b>ink</b></p>"
    assert detail["url"] == "https://civitai.com/models/1?modelVersionId=2"
    assert [example["prompt"] for example in detail["examples"]] == ["a hill"]
    assert detail["sources"] == {
        "title": "info", "trigger_words": "a1111", "weight": "a1111", "notes": "a1111", "description": "info",
        "tags": "info", "base_model": "info", "url": "info", "version": "info", "examples": "info",
    }  # fmt: skip
    assert detail["side_files"] == ["style.civitai.info", "style.json"]


def test_sdnext_copy_of_a_civitai_model_is_read_as_one(loras: Path, scan: Scan, api: TestClient) -> None:
    path = make_lora(loras / "b.safetensors")
    versions = [
        {
            "id": 9,
            "baseModel": "SDXL 1.0",
            "trainedWords": ["newer"],
            "files": [{"name": "other.safetensors"}],
        },
        {"id": 8, "baseModel": "SD 1.5", "trainedWords": ["mine"], "files": [{"name": "b.safetensors"}]},
    ]
    add_side_file(path, ".json", {"id": 4, "name": "Model", "tags": ["t"], "modelVersions": versions})
    scan()
    item = listed(api)["b"]
    assert (item["title"], item["base_model"], item["trigger_words"]) == ("Model", "SD 1.x", ["mine"])


BAD_SIDE_FILES: dict[str, bytes] = {
    "no JSON": b"{broken",
    "a list": b"[1, 2]",
    "wrong types": b'{"activation text": 5, "preferred weight": [], "notes": {"a": 1}, "description": true}',
    "empty": b"",
    "deep": b'{"a":' * 5000,
    "not UTF-8": b'{"notes": "\xff\xfe"}',
    "infinite weight": b'{"preferred weight": "inf", "activation text": "kept"}',
}


@pytest.mark.parametrize("name", BAD_SIDE_FILES)
def test_a_bad_side_file_leaves_the_lora_listed(loras: Path, scan: Scan, api: TestClient, name: str) -> None:
    add_side_file(make_lora(loras / "a.safetensors"), ".json", BAD_SIDE_FILES[name])
    add_side_file(
        make_lora(loras / "b.safetensors"),
        ".civitai.info",
        b'{"modelId": {}, "model": 5, "images": 7, "trainedWords": "x"}',
    )
    scan()
    assert {item["state"] for item in listed(api).values()} == {"ok"}
    detail = api.get(f"loras/{listed(api)['a']['id']}").json()
    assert bool(detail["warnings"]) == (name in ("no JSON", "a list", "deep", "not UTF-8"))


def test_a_side_file_of_200_mb_is_left_unread(loras: Path, scan: Scan, api: TestClient) -> None:
    side_file = add_side_file(make_lora(loras / "a.safetensors"), ".json", {})
    os.truncate(side_file, 200 * 2**20)
    scan()
    detail = api.get(f"loras/{listed(api)['a']['id']}").json()
    assert detail["state"] == "ok"
    assert "larger than 16 MB" in detail["warnings"][0]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows allows few of these names")
def test_strange_names_are_listed_as_they_are(loras: Path, scan: Scan, api: TestClient) -> None:
    names = ["a:b", "<x>", 'it\'s "quoted"', "emoji 🦊", "n" * 236, "%2e%2e", "a.b.c", "-dash", "名前"]
    for name in names:
        make_lora(loras / f"{name}.safetensors")
    scan()
    assert sorted(listed(api)) == sorted(names)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names that are no Unicode")
def test_a_name_that_is_no_unicode_is_left_out_and_the_rest_goes_on(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    make_lora(loras / "good.safetensors")
    shutil.copy(loras / "good.safetensors", os.fsencode(loras) + b"/bad\xff.safetensors")
    scan()
    assert list(listed(api)) == ["good"]


def test_two_files_of_one_stem_are_both_listed_and_marked(loras: Path, scan: Scan, api: TestClient) -> None:
    make_lora(loras / "one" / "same.safetensors")
    make_lora(loras / "two" / "same.safetensors", width=1024)
    make_lora(loras / "other.safetensors")
    scan()
    items = api.get("loras").json()["items"]
    assert [(item["name"], item["shadowed"]) for item in items] == [
        ("other", False),
        ("same", True),
        ("same", True),
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links_are_followed_once_and_loops_end(
    loras: Path, tmp_path: Path, scan: Scan, api: TestClient
) -> None:
    make_lora(tmp_path / "elsewhere" / "linked.safetensors")
    (loras / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(loras)
    (loras / "self").symlink_to(loras)
    (loras / "nowhere.safetensors").symlink_to(tmp_path / "gone")
    scan()
    assert list(listed(api)) == ["linked"]


def test_a_deleted_file_stays_listed_as_missing_with_what_was_noted(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    path = make_lora(loras / "a.safetensors")
    scan()
    lora_id = listed(api)["a"]["id"]
    api.patch(f"loras/{lora_id}", json={"notes": "keep me"})
    path.unlink()
    scan()
    detail = api.get(f"loras/{lora_id}").json()
    assert (detail["state"], detail["notes"]) == ("missing", "keep me")
    make_lora(path)
    scan()
    assert listed(api)["a"]["state"] == "ok"


def test_a_folder_that_vanishes_loses_nothing(loras: Path, scan: Scan, api: TestClient) -> None:
    make_lora(loras / "sub" / "a.safetensors")
    scan()
    loras.rename(loras.with_name("unplugged"))
    scan()
    assert listed(api)["a"]["state"] == "missing"
    folder = api.get("library/folders").json()["items"][0]
    assert not folder["online"] and "not there" in folder["message"]
    loras.with_name("unplugged").rename(loras)
    scan()
    assert listed(api)["a"]["state"] == "ok"
    assert api.get("library/status").json()["read"] == 0, "unchanged files were read again"


def test_a_folder_that_cannot_be_listed_keeps_its_files(
    loras: Path, scan: Scan, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_lora(loras / "sub" / "a.safetensors")
    make_lora(loras / "b.safetensors")
    scan()
    real = os.scandir

    def failing(path: str) -> Any:
        if str(path).endswith("sub"):
            raise OSError(5, "Input/output error")
        return real(path)

    monkeypatch.setattr(os, "scandir", failing)
    scan()
    assert {item["state"] for item in listed(api).values()} == {"ok"}


def test_a_moved_file_keeps_its_row_and_what_was_noted(loras: Path, scan: Scan, api: TestClient) -> None:
    path = make_lora(loras / "a.safetensors")
    make_lora(loras / "b.safetensors")
    scan()
    lora_id = listed(api)["a"]["id"]
    api.patch(f"loras/{lora_id}", json={"favorite": True, "tags": ["kept"]})
    (loras / "new").mkdir()
    path.rename(loras / "new" / "renamed.safetensors")
    scan()
    found = listed(api)
    assert sorted(found) == ["b", "renamed"]
    assert found["renamed"]["id"] == lora_id
    assert found["renamed"]["favorite"] and found["renamed"]["tags"] == ["kept"]
    assert list(listed(api, q="renamed")) == ["renamed"]


def test_a_changed_side_file_is_read_again(loras: Path, scan: Scan, api: TestClient) -> None:
    path = make_lora(loras / "a.safetensors")
    scan()
    add_side_file(path, ".json", {"activation text": "new word"})
    add_side_file(path, ".preview.png", picture())
    scan()
    item = listed(api)["a"]
    assert item["trigger_words"] == ["new word"]
    assert item["preview"]["kind"] == "image"
    assert list(listed(api, q="new word")) == ["a"]


def test_many_files_go_through_reader_processes(loras: Path, scan: Scan, api: TestClient) -> None:
    for number in range(450):
        make_lora(loras / f"lora_{number:03}.safetensors", modelspec__title=f"Title {number}")
    scan()
    answer = api.get("loras", params={"limit": 1000}).json()
    assert answer["total"] == 450
    assert answer["items"][449]["title"] == "Title 449"
    assert list(listed(api, q="title 449")) == ["lora_449"]


def test_a_disk_full_in_the_middle_keeps_what_was_there(
    loras: Path, scan: Scan, api: TestClient, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_lora(loras / "a.safetensors")
    scan()
    make_lora(loras / "b.safetensors")

    def full(*_: object, **__: object) -> None:
        raise Unavailable("The database did not take the change: database or disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(store, "save_records", full)
        scan()
    assert list(listed(api)) == ["a"]
    assert "disk is full" in api.get("library/status").json()["message"]
    scan()
    assert list(listed(api)) == ["a", "b"]


def test_a_really_full_database_answers_503_and_loses_nothing(
    loras: Path, scan: Scan, api: TestClient, database: Database
) -> None:
    make_lora(loras / "a.safetensors")
    scan()
    lora_id = listed(api)["a"]["id"]
    pages = database.write(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
    database.write(lambda connection: connection.execute(f"PRAGMA max_page_count={pages}"))
    answer = api.patch(f"loras/{lora_id}", json={"notes": "x" * 90_000})
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "unavailable"
    assert "full" in answer.json()["error"]["message"]
    assert api.get(f"loras/{lora_id}").json()["notes"] == ""


def test_a_locked_database_answers_503_and_works_again_after(
    loras: Path, scan: Scan, api: TestClient, database: Database
) -> None:
    make_lora(loras / "a.safetensors")
    scan()
    lora_id = listed(api)["a"]["id"]
    database.write(lambda connection: connection.execute("PRAGMA busy_timeout=50"))
    other = sqlite3.connect(database.path)
    other.execute("BEGIN IMMEDIATE")
    answer = api.patch(f"loras/{lora_id}", json={"notes": "x"})
    assert answer.status_code == 503
    assert "locked" in answer.json()["error"]["message"]
    assert api.get("loras").json()["total"] == 1, "reading goes on"
    other.rollback()
    other.close()
    assert api.patch(f"loras/{lora_id}", json={"notes": "x"}).json()["notes"] == "x"


def test_a_file_whose_reading_ends_its_process_is_listed_as_broken(
    loras: Path, scan: Scan, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(readers.INLINE + 30):
        make_lora(loras / f"lora_{number:03}.safetensors")
    make_lora(loras / "deadly.safetensors")
    monkeypatch.setattr(scanning, "read_lora", deadly.read_lora)
    monkeypatch.setattr(readers, "BATCH", 15)
    monkeypatch.setattr(readers, "FIRST_BATCH", 15)
    scan()
    found = listed(api)
    assert found.pop("deadly")["state"] == "broken"
    assert len(found) == readers.INLINE + 30
    assert {item["state"] for item in found.values()} == {"ok"}
