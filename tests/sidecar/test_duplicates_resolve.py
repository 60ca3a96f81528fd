"""Resolving duplicates: one stays and gets what only the others had, the others go to the trash, and all of it is undone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from files_library import names_in, on_disk
from lora_files import add_side_file, make_lora, picture
from starlette.testclient import TestClient
from waiting import wait_until
from weight_files import kohya, make_weights, save_tensors

from sidecar.state import State

Scan = Callable[[], None]
Work = Callable[[], None]
LORA = make_weights(1, rank=8)


@pytest.fixture
def work(scan: Scan, state: State) -> Work:
    """Scan, hash and compare everything there is."""

    def run() -> None:
        scan()
        hasher = state.library.hasher
        hasher.wake() if hasher.started else hasher.start()
        wait_until(lambda: not hasher.status()["pending"])
        state.library.weights.work_off()

    return run


@pytest.fixture
def pair(loras: Path, work: Work, api: TestClient) -> tuple[int, int]:
    """The same weights in float32 and, in a folder of their own, float16."""
    save_tensors(loras / "keep.safetensors", kohya(LORA))
    save_tensors(loras / "old" / "gone.safetensors", kohya(LORA), "F16")
    work()
    known = ids_of(api)
    return known["keep"], known["gone"]


def ids_of(api: TestClient) -> dict[str, int]:
    return {item["name"]: item["id"] for item in api.get("loras", params={"limit": 1000}).json()["items"]}


def resolve(api: TestClient, keep: int, *remove: int, **more: Any) -> dict[str, Any]:
    answer = api.post("duplicates/resolve", json={"keep": keep, "remove": list(remove), **more})
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


def undo(api: TestClient, action: int) -> dict[str, Any]:
    answer = api.post(f"actions/{action}/undo")
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


def edit(api: TestClient, lora_id: int, **changes: Any) -> dict[str, Any]:
    answer = api.patch(f"loras/{lora_id}", json=changes)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


def detail(api: TestClient, lora_id: int) -> dict[str, Any]:
    answer = api.get(f"loras/{lora_id}")
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


def use(api: TestClient, name: str, number: int) -> None:
    """One picture made with a LoRA."""
    answer = api.post(
        "generations",
        json={
            "uuid": f"picture-{name}-{number}",
            "host": "test",
            "kind": "txt2img",
            "prompt": f"<lora:{name}:0.8>",
            "negative_prompt": "",
            "images": [],
            "loras": [{"name": name, "weight": 0.8}],
        },
    )
    assert answer.status_code in (200, 201), answer.text


def test_the_others_go_to_the_trash_and_their_space_is_told(
    loras: Path, api: TestClient, pair: tuple[int, int]
) -> None:
    keep, gone = pair
    size = (loras / "old" / "gone.safetensors").stat().st_size
    answer = resolve(api, keep, gone)
    assert (answer["done"], answer["freed"], answer["failed"]) == (1, size, [])
    assert answer["in_trash_days"] > 0
    assert list(ids_of(api)) == ["keep"]
    assert api.get("duplicates").json()["items"] == []
    assert [item["name"] for item in api.get("trash").json()["items"]] == ["gone"]
    assert api.get("actions").json()["items"][0]["summary"] == "Kept keep, removed 1 duplicate"


def test_what_the_user_said_of_the_others_fills_what_the_kept_one_lacks(
    api: TestClient, pair: tuple[int, int]
) -> None:
    keep, gone = pair
    edit(api, keep, title="My title", rating=2, tags=["mine"], notes="first note")
    edit(
        api, gone, title="Other title", rating=5, tags=["theirs", "Mine"], notes="second note", favorite=True,
        weight=0.7, trigger_words=["magic"], label="red", nsfw=4, base_model="Pony", negative_prompt="blurry",
    )  # fmt: skip
    resolve(api, keep, gone)
    kept = detail(api, keep)
    assert kept["title"] == "My title" and kept["rating"] == 5 and kept["favorite"] is True
    assert kept["tags"] == ["mine", "theirs"]
    assert kept["notes"] == "first note\n\nsecond note"
    assert kept["weight"] == 0.7 and kept["trigger_words"] == ["magic"]
    assert (kept["label"], kept["nsfw"], kept["base_model"]) == ("red", 4, "Pony")
    assert api.get("loras", params={"q": "theirs"}).json()["total"] == 1  # and is found by it


def test_a_tag_that_the_user_took_away_does_not_come_back(loras: Path, work: Work, api: TestClient) -> None:
    keep = save_tensors(loras / "keep.safetensors", kohya(LORA), **{"modelspec.tags": "anime, style"})
    shutil.copy(keep, loras / "gone.safetensors")
    save_tensors(loras / "gone.safetensors", kohya(LORA), "F16", **{"modelspec.tags": "anime, person"})
    work()
    known = ids_of(api)
    edit(api, known["keep"], remove_tags=["anime"])
    resolve(api, known["keep"], known["gone"])
    assert detail(api, known["keep"])["tags"] == ["style", "person"]


def test_side_files_that_the_kept_one_lacks_are_copied_to_its_name(
    loras: Path, work: Work, api: TestClient, pair: tuple[int, int]
) -> None:
    keep, gone = pair
    mine, theirs = loras / "keep.safetensors", loras / "old" / "gone.safetensors"
    add_side_file(mine, ".json", {"activation text": "mine"})
    add_side_file(theirs, ".json", {"activation text": "theirs"})
    add_side_file(theirs, ".civitai.info", {"id": 7, "modelId": 5, "trainedWords": ["x"]})
    add_side_file(theirs, ".preview.png", picture())
    add_side_file(theirs, ".mp4", b"video")
    work()
    resolve(api, keep, gone)
    assert names_in(loras) == [
        "keep.civitai.info", "keep.json", "keep.mp4", "keep.preview.png", "keep.safetensors",
    ]  # fmt: skip
    assert b"mine" in (loras / "keep.json").read_bytes()
    wait_until(lambda: detail(api, keep)["preview"] is not None)


def test_a_kept_preview_stays_the_only_one(
    loras: Path, work: Work, api: TestClient, pair: tuple[int, int]
) -> None:
    add_side_file(loras / "keep.safetensors", ".jpg", picture(form="JPEG"))
    add_side_file(loras / "old" / "gone.safetensors", ".preview.png", picture())
    work()
    resolve(api, *pair)
    assert names_in(loras) == ["keep.jpg", "keep.safetensors"]


def test_collections_and_history_of_use_follow(api: TestClient, pair: tuple[int, int]) -> None:
    keep, gone = pair
    collection = api.post("collections", json={"name": "Best"}).json()["id"]
    added = api.post(f"collections/{collection}/items", json={"add": {"ids": [gone]}})
    assert added.status_code == 200, added.text
    for number in range(3):
        use(api, "gone", number)
    use(api, "keep", 1)
    assert detail(api, keep)["used"] == 1
    action = resolve(api, keep, gone)["action"]
    assert detail(api, keep)["used"] == 4
    assert len(api.get(f"loras/{keep}/history").json()["items"]) == 4
    assert [item["name"] for item in api.get("loras", params={"collection": collection}).json()["items"]] == [
        "keep"
    ]

    undo(api, action)
    known = ids_of(api)
    assert detail(api, known["keep"])["used"] == 1 and detail(api, known["gone"])["used"] == 3
    assert len(api.get(f"loras/{known['gone']}/history").json()["items"]) == 3
    listed = api.get("loras", params={"collection": collection}).json()["items"]
    assert [item["name"] for item in listed] == ["gone"]


def test_undo_brings_everything_back(loras: Path, work: Work, api: TestClient, pair: tuple[int, int]) -> None:
    keep, gone = pair
    theirs = loras / "old" / "gone.safetensors"
    add_side_file(theirs, ".civitai.info", {"id": 7, "modelId": 5, "trainedWords": ["x"]})
    work()
    edit(api, keep, notes="first", rating=1)
    edit(api, gone, notes="second", rating=3, favorite=True, tags=["theirs"])
    before = on_disk(loras)
    facts = ("title", "notes", "rating", "favorite", "tags", "weight", "trigger_words", "used")
    said = [{fact: detail(api, lora_id)[fact] for fact in facts} for lora_id in pair]
    action = resolve(api, keep, gone)["action"]
    assert detail(api, keep)["rating"] == 3
    outcome = undo(api, action)
    assert outcome["failed"] == [] and outcome["skipped"] == 0
    there = {name: blob for name, blob in on_disk(loras).items() if "/.trash/" not in name}
    assert there == before  # and the copies of side files are in the trash
    known = ids_of(api)
    assert [{fact: detail(api, known[name])[fact] for fact in facts} for name in ("keep", "gone")] == said
    work()
    assert api.get("duplicates").json()["total"] == 1


def test_without_merge_nothing_is_taken_over(
    loras: Path, work: Work, api: TestClient, pair: tuple[int, int]
) -> None:
    keep, gone = pair
    edit(api, gone, notes="theirs", favorite=True)
    add_side_file(loras / "old" / "gone.safetensors", ".json", {})
    work()
    resolve(api, keep, gone, merge=False)
    assert detail(api, keep)["notes"] == "" and detail(api, keep)["favorite"] is False
    assert names_in(loras) == ["keep.safetensors"]


def test_copies_of_one_file_share_what_the_user_said(loras: Path, work: Work, api: TestClient) -> None:
    path = make_lora(loras / "a.safetensors")
    for name in ("b", "c"):
        shutil.copy(path, loras / f"{name}.safetensors")
    work()
    known = ids_of(api)
    edit(api, known["b"], notes="said once", rating=4)
    answer = resolve(api, known["a"], known["b"], known["c"])
    assert answer["done"] == 2 and answer["freed"] == 2 * path.stat().st_size
    assert detail(api, known["a"])["notes"] == "said once"
    assert names_in(loras) == ["a.safetensors"]


def test_what_only_the_other_header_says_is_not_lost(loras: Path, work: Work, api: TestClient) -> None:
    save_tensors(loras / "keep.safetensors", kohya(LORA))
    save_tensors(loras / "gone.safetensors", kohya(LORA), **{"modelspec.trigger_phrase": "magic word"})
    work()
    known = ids_of(api)
    assert api.get("duplicates").json()["items"][0]["kind"] == "weights"
    resolve(api, known["keep"], known["gone"])
    assert detail(api, known["keep"])["trigger_words"] == ["magic word"]


# Refusals


def test_only_known_duplicates_are_removed(loras: Path, work: Work, api: TestClient) -> None:
    make_lora(loras / "a.safetensors")
    make_lora(loras / "b.safetensors")
    work()
    known = ids_of(api)
    answer = api.post("duplicates/resolve", json={"keep": known["a"], "remove": [known["b"]]})
    assert answer.status_code == 400 and "not known to be a duplicate" in answer.json()["error"]["message"]
    assert names_in(loras) == ["a.safetensors", "b.safetensors"]


def test_nothing_is_removed_when_the_kept_file_is_gone_or_another_by_now(
    loras: Path, api: TestClient, pair: tuple[int, int]
) -> None:
    keep, gone = pair
    path = loras / "keep.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    answer = api.post("duplicates/resolve", json={"keep": keep, "remove": [gone]})
    assert answer.status_code == 409 and "has changed" in answer.json()["error"]["message"]
    path.unlink()
    answer = api.post("duplicates/resolve", json={"keep": keep, "remove": [gone]})
    assert answer.status_code == 409 and "cannot be reached" in answer.json()["error"]["message"]
    assert (loras / "old" / "gone.safetensors").exists()


def test_a_link_to_the_file_itself_is_no_copy(loras: Path, work: Work, api: TestClient) -> None:
    path = make_lora(loras / "a.safetensors")
    (loras / "link.safetensors").symlink_to(path)
    os.link(path, loras / "hard.safetensors")
    work()
    known = ids_of(api)
    answer = api.post("duplicates/resolve", json={"keep": known["link"], "remove": [known["a"]]})
    assert answer.status_code == 409 and "one file, by a link" in answer.json()["error"]["message"]
    assert path.exists()
    outcome = resolve(api, known["a"], known["hard"])
    assert (outcome["done"], outcome["freed"]) == (1, 0)


def test_a_file_whose_side_files_cannot_be_copied_stays(
    loras: Path, work: Work, api: TestClient, pair: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sidecar.errors import Conflict
    from sidecar.library.weights import resolving

    keep, gone = pair
    add_side_file(loras / "old" / "gone.safetensors", ".json", {"notes": "the only copy"})
    work()

    def full(*arguments: object, **more: object) -> int:
        raise Conflict("The disk is full.")

    monkeypatch.setattr(resolving, "change_side_files", full)
    answer = resolve(api, keep, gone)
    assert answer["done"] == 0 and answer["freed"] == 0 and answer["action"] is None
    assert answer["failed"] == [{"id": gone, "reason": "It stays, for its side files: The disk is full."}]
    assert (loras / "old" / "gone.safetensors").exists() and (loras / "old" / "gone.json").exists()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"keep": 1, "remove": []}, 422),
        ({"keep": 1, "remove": [1]}, 400),
        ({"keep": 4711, "remove": [4712]}, 404),
        ({"keep": "x", "remove": [1]}, 422),
    ],
)
def test_a_request_that_means_nothing_is_refused(
    api: TestClient, request_: dict[str, Any], status: int
) -> None:
    assert api.post("duplicates/resolve", json=request_).status_code == status
