"""Renaming: all files of a LoRA, or none; what no host or disk could take is refused with a reason."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from files_library import ENDINGS, contents, full_set, id_of, listed, make_set, message, names_in, on_disk
from lora_files import add_side_file, make_lora, picture
from starlette.testclient import TestClient

from sidecar.library.files import disk
from sidecar.state import State

Scan = Callable[[], None]


def rename(api: TestClient, lora_id: int, name: str) -> Any:
    return api.post(f"loras/{lora_id}/rename", json={"name": name})


def test_renaming_takes_every_side_file_and_preview_along(loras: Path, scan: Scan, api: TestClient) -> None:
    make_set(loras / "old.safetensors")
    make_set(loras / "other.safetensors")
    scan()
    before = contents(loras)
    answer = rename(api, id_of(api, "old"), "new name").json()
    assert (answer["done"], answer["items"][0]["from"], answer["items"][0]["to"]) == (
        1, "loras/old.safetensors", "loras/new name.safetensors",
    )  # fmt: skip
    assert names_in(loras) == sorted(full_set("new name") + full_set("other"))
    assert contents(loras) == before


def test_what_the_user_said_and_the_id_survive_and_the_list_knows_the_new_name_at_once(
    loras: Path, scan: Scan, api: TestClient, state: State
) -> None:
    make_set(loras / "old.safetensors")
    scan()
    lora_id = id_of(api, "old")
    api.patch(f"loras/{lora_id}", json={"notes": "mine", "favorite": True, "add_tags": ["kept"]})
    rename(api, lora_id, "new")
    item = listed(api)["new"]
    assert (item["id"], item["favorite"], item["state"]) == (lora_id, True, "ok")
    assert "kept" in item["tags"]
    assert list(listed(api, q="new")) == ["new"] and not listed(api, q="name:old")
    assert api.get(f"loras/{lora_id}").json()["notes"] == "mine"
    assert api.get(f"loras/{lora_id}/preview").status_code == 200
    assert (
        api.get(f"loras/{lora_id}/preview", params={"original": 1}).content
        == (loras / "new.preview.png").read_bytes()
    )
    state.library.scanner.idle.wait(10)
    scan()
    assert list(listed(api)) == ["new"]
    assert api.get("library/status").json()["read"] == 0, "files that were only renamed were read again"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a:b", ":"), ("a>b", ">"), ("a=b", "="), ("a<b", "<"), ("a/b", "/"), ("a\\b", "\\"), ("..", "dot"),
        ("../b", "/"), ("a\nb", "control"), ("a\x00b", "control"), ("", "needed"), ("   ", "needed"), ("CON", "reserved"),
        ("nul.txt", "reserved"), ("com1", "reserved"), ("LPT9.x", "reserved"), ("a.", "dot"), (" a", "space"),
        ("a ", "space"), (".a", "hidden"), ("x" * 300, "too long"), ("名" * 100, "too long"), ("a?b", "?"), ('a"b', '"'), ("a|b*", "|"),
    ],
)  # fmt: skip
def test_a_name_that_no_prompt_or_disk_takes_is_refused(
    loras: Path, scan: Scan, api: TestClient, name: str, reason: str
) -> None:
    make_set(loras / "a.safetensors")
    scan()
    before = on_disk(loras)
    assert reason in message(rename(api, id_of(api, "a"), name), 400)
    assert on_disk(loras) == before
    assert api.get("actions").json()["items"] == []


def test_a_name_that_fits_alone_but_not_with_its_longest_ending_is_refused(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    make_set(loras / "a.safetensors")
    scan()
    before = on_disk(loras)
    assert "too long" in message(rename(api, id_of(api, "a"), "x" * 242))
    assert on_disk(loras) == before


def test_a_typed_ending_is_not_doubled(loras: Path, scan: Scan, api: TestClient) -> None:
    make_lora(loras / "a.safetensors")
    scan()
    rename(api, id_of(api, "a"), "b.safetensors")
    assert names_in(loras) == ["b.safetensors"]


def test_moving_onto_an_existing_name_is_refused(loras: Path, scan: Scan, api: TestClient) -> None:
    make_set(loras / "a.safetensors")
    make_set(loras / "b.safetensors")
    scan()
    before = on_disk(loras)
    assert "b.safetensors is there already" in message(rename(api, id_of(api, "a"), "b"))
    assert on_disk(loras) == before


def test_a_side_file_in_the_way_is_refused_and_so_is_one_that_would_be_taken_over(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    make_lora(loras / "a.safetensors")
    add_side_file(loras / "a.safetensors", ".json", {})
    (loras / "b.json").write_text("in the way")
    (loras / "c.civitai.info").write_text("{}")
    scan()
    before = on_disk(loras)
    assert "b.json is there already" in message(rename(api, id_of(api, "a"), "b"))
    assert "c.civitai.info" in message(rename(api, id_of(api, "a"), "c"))
    assert on_disk(loras) == before


def test_another_ending_of_the_same_stem_is_an_existing_name(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    make_lora(loras / "a.safetensors")
    (loras / "b.pt").write_bytes(b"legacy")
    scan()
    assert "b.pt is there already" in message(rename(api, id_of(api, "a"), "b"))


def test_names_that_differ_only_in_case_are_one_name_where_the_disk_says_so(
    loras: Path, scan: Scan, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_lora(loras / "a.safetensors")
    make_lora(loras / "Taken.safetensors")
    scan()
    if not disk.folds_case(str(loras)):
        monkeypatch.setattr(disk, "folds_case", lambda folder: True)
    assert "is there already" in message(rename(api, id_of(api, "a"), "taken"))
    assert rename(api, id_of(api, "Taken"), "taken").json()["done"] == 1, "its own name in other letters"
    assert names_in(loras) == ["a.safetensors", "taken.safetensors"]


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="this disk tells a from A")
def test_names_that_differ_only_in_case_are_two_where_the_disk_says_so(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    make_set(loras / "a.safetensors")
    scan()
    assert rename(api, id_of(api, "a"), "A").json()["done"] == 1
    assert names_in(loras) == full_set("A")


def test_two_models_of_one_stem_part_with_a_copy_of_their_side_files(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    make_set(loras / "a.safetensors")
    (loras / "a.pt").write_bytes(b"legacy")
    scan()
    legacy = next(item["id"] for item in api.get("loras").json()["items"] if item["state"] == "legacy")
    assert rename(api, legacy, "b").json()["done"] == 1
    assert names_in(loras) == sorted(full_set("a") + full_set("b", ".pt"))
    for ending in ENDINGS:
        assert (loras / f"a{ending}").read_bytes() == (loras / f"b{ending}").read_bytes()


def test_a_preview_goes_with_the_stem_that_has_it_and_not_with_a_longer_one(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    make_lora(loras / "a.safetensors")
    make_lora(loras / "a.preview.safetensors", width=1024)
    (loras / "a.preview.png").write_bytes(picture((9, 9)))
    (loras / "a.preview.preview.png").write_bytes(picture((8, 8)))
    (loras / "a.preview.json").write_text("{}")
    scan()
    rename(api, id_of(api, "a.preview"), "b")
    assert names_in(loras) == ["a.preview.png", "a.safetensors", "b.json", "b.preview.png", "b.safetensors"]
    rename(api, id_of(api, "a"), "c")
    assert names_in(loras) == ["b.json", "b.preview.png", "b.safetensors", "c.preview.png", "c.safetensors"]


def test_a_name_that_would_give_its_preview_to_another_lora_is_refused(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    make_lora(loras / "a.safetensors")
    make_lora(loras / "b.safetensors")
    add_side_file(loras / "b.safetensors", ".png", picture())
    scan()
    before = on_disk(loras)
    assert "a.preview.png would be taken there for a file of a" in message(
        rename(api, id_of(api, "b"), "a.preview")
    )
    assert on_disk(loras) == before


def test_the_name_it_has_already_changes_nothing(loras: Path, scan: Scan, api: TestClient) -> None:
    make_set(loras / "a.safetensors")
    scan()
    answer = rename(api, id_of(api, "a"), "a").json()
    assert (answer["action"], answer["same"], answer["done"]) == (None, 1, 0)


def test_a_file_that_is_gone_or_unknown_is_told(loras: Path, scan: Scan, api: TestClient) -> None:
    path = make_lora(loras / "a.safetensors")
    scan()
    path.unlink()
    assert "no longer in its folder" in message(rename(api, id_of(api, "a"), "b"))
    assert "no LoRA" in message(rename(api, 99, "b"), 404)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not allow it, and says so")
def test_a_file_that_the_host_holds_open_is_renamed_under_its_hands(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    path = make_set(loras / "a.safetensors")
    content = path.read_bytes()
    scan()
    with path.open("rb") as held:
        assert held.read(8)
        assert rename(api, id_of(api, "a"), "b").json()["done"] == 1
        held.seek(0)
        assert held.read() == content
    assert names_in(loras) == full_set("b")


def test_a_file_that_is_held_open_on_windows_is_refused_and_all_others_go_back(
    loras: Path, scan: Scan, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_set(loras / "a.safetensors")
    scan()
    before = on_disk(loras)
    real = disk.rename_new

    def held_open(source: str, target: str) -> None:
        if source.endswith("a.safetensors"):
            error = PermissionError(13, "The process cannot access the file", source)
            error.winerror = 32  # type: ignore[attr-defined,unused-ignore]
            raise error
        real(source, target)

    monkeypatch.setattr(disk, "rename_new", held_open)
    assert "open in another program" in message(rename(api, id_of(api, "a"), "b"))
    assert on_disk(loras) == before
    assert api.get("actions").json()["items"] == []


def test_a_failure_in_the_middle_takes_back_what_was_renamed(
    loras: Path, scan: Scan, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_set(loras / "a.safetensors")
    scan()
    before = on_disk(loras)
    real = disk.rename_new
    for failing in full_set("a"):

        def fail(source: str, target: str, failing: str = failing) -> None:
            if os.path.basename(source) == failing and os.path.basename(target).startswith("b"):
                raise OSError(5, "Input/output error", source)
            real(source, target)

        with monkeypatch.context() as patched:
            patched.setattr(disk, "rename_new", fail)
            assert "does not answer" in message(rename(api, id_of(api, "a"), "b"))
        assert on_disk(loras) == before, failing
    assert rename(api, id_of(api, "a"), "b").json()["done"] == 1


def test_a_missing_lora_that_was_never_hashed_keeps_its_place_for_its_notes(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    make_lora(loras / "a.safetensors")
    gone = make_lora(loras / "b.safetensors")
    scan()
    api.patch(f"loras/{id_of(api, 'b')}", json={"notes": "precious"})
    gone.unlink()
    scan()
    assert "forget it first" in message(rename(api, id_of(api, "a"), "b"))
    assert api.get(f"loras/{id_of(api, 'b')}").json()["notes"] == "precious"
