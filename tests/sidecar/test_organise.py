"""Bulk edits, undo, tags, collections, hidden and missing LoRAs: what the user makes of the library."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sidecar.state import State
from tests.lora_files import add_side_file, make_lora

Scan = Callable[[], None]


@pytest.fixture
def ids(loras: Path, scan: Scan, api: TestClient) -> dict[str, int]:
    """Six LoRAs, three of them with tags from their files; ids by name."""
    for number in range(6):
        path = make_lora(loras / f"lora{number}.safetensors")
        if number < 3:
            version = {
                "id": number,
                "modelId": 1,
                "trainedWords": [],
                "model": {"tags": ["Anime", "style/line art"]},
            }
            add_side_file(path, ".civitai.info", version)
    scan()
    return {item["name"]: item["id"] for item in api.get("loras").json()["items"]}


def tags_of(api: TestClient, ids: dict[str, int]) -> dict[str, list[str]]:
    return {name: api.get(f"loras/{lora}").json()["tags"] for name, lora in ids.items()}


def bulk(api: TestClient, **request: Any) -> dict[str, Any]:
    answer = api.post("loras/bulk", json=request)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_bulk_edit_is_one_action_that_can_be_undone(api: TestClient, ids: dict[str, int]) -> None:
    api.patch(f"loras/{ids['lora5']}", json={"rating": 2, "notes": "mine"})
    before = tags_of(api, ids)
    answer = bulk(
        api,
        filter={},
        add_tags=["new"],
        remove_tags=["anime"],
        set={"rating": 5, "label": "blue", "hidden": False},
    )
    assert (answer["changed"], answer["total"]) == (6, 6)
    assert all("new" in tags and "Anime" not in tags for tags in tags_of(api, ids).values())
    assert api.get("loras", params={"q": "tag:new rating:5 label:blue"}).json()["total"] == 6
    undone = api.post(f"actions/{answer['action']}/undo").json()
    assert undone["skipped"] == 0
    assert tags_of(api, ids) == before
    assert api.get("loras", params={"q": "rating:>0"}).json()["total"] == 1
    assert api.get(f"loras/{ids['lora5']}").json()["rating"] == 2
    assert api.post(f"actions/{answer['action']}/undo").status_code == 409


def test_bulk_takes_ids_a_query_or_a_filter_but_only_one(api: TestClient, ids: dict[str, int]) -> None:
    assert bulk(api, ids=[ids["lora0"], ids["lora0"], 99_999], add_tags=["one"])["changed"] == 1
    assert bulk(api, query="tag:anime", add_tags=["two"])["changed"] == 3
    assert bulk(api, filter={"not_tag": ["anime"]}, add_tags=["three"])["changed"] == 3
    assert api.post("loras/bulk", json={"add_tags": ["x"]}).status_code == 400
    assert api.post("loras/bulk", json={"ids": [1], "query": "a", "add_tags": ["x"]}).status_code == 400
    assert api.post("loras/bulk", json={"query": "", "add_tags": ["x"]}).status_code == 400
    assert api.post("loras/bulk", json={"ids": [1]}).status_code == 400


def test_bulk_progress_reaches_the_pages_as_a_task(
    api: TestClient, ids: dict[str, int], state: State
) -> None:
    start = state.events.last
    bulk(api, filter={}, set={"favorite": True})
    told = [event.data for event in state.events.after(start) or [] if event.type == "task"]
    assert told[-1]["state"] == "done"
    assert (told[-1]["done"], told[-1]["total"]) == (6, 6)


def test_undo_leaves_alone_what_was_changed_again_since(api: TestClient, ids: dict[str, int]) -> None:
    action = bulk(api, filter={}, add_tags=["a"], set={"rating": 3})["action"]
    api.patch(f"loras/{ids['lora0']}", json={"rating": 5, "add_tags": ["b"]})
    assert api.post(f"actions/{action}/undo").json()["skipped"] == 1
    detail = api.get(f"loras/{ids['lora0']}").json()
    assert detail["rating"] == 5
    assert "b" in detail["tags"] and "a" not in detail["tags"]
    assert api.get(f"loras/{ids['lora1']}").json()["rating"] is None


def test_every_edit_is_listed_with_what_it_did(api: TestClient, ids: dict[str, int]) -> None:
    api.patch(f"loras/{ids['lora0']}", json={"rating": 4})
    bulk(api, filter={}, add_tags=["x", "y"])
    api.patch(f"loras/{ids['lora0']}", json={"rating": 4})  # nothing new: no action
    summaries = [action["summary"] for action in api.get("actions").json()["items"]]
    assert summaries == ["Add x, y (6 LoRAs)", "Rating 4 (1 LoRA)"]


def test_of_two_browsers_editing_one_lora_the_later_is_told(api: TestClient, ids: dict[str, int]) -> None:
    address = f"loras/{ids['lora0']}"
    first = api.patch(address, json={"notes": "from the first", "was": {"notes": ""}})
    assert first.status_code == 200
    second = api.patch(address, json={"notes": "from the second", "was": {"notes": ""}})
    assert second.status_code == 409
    assert second.json()["error"]["detail"] == {"notes": "from the first"}
    assert api.get(address).json()["notes"] == "from the first"
    assert api.patch(address, json={"rating": 3, "was": {"rating": None, "notes": ""}}).status_code == 200
    merged = api.patch(address, json={"notes": "both", "was": {"notes": "from the first"}})
    assert merged.json()["notes"] == "both"


def test_a_users_edit_wins_over_the_files_until_taken_back(
    api: TestClient, ids: dict[str, int], loras: Path, scan: Scan
) -> None:
    address = f"loras/{ids['lora0']}"
    api.patch(address, json={"base_model": "Flux", "nsfw": 8, "title": "Mine", "tags": ["only this"]})
    add_side_file(
        loras / "lora0.safetensors",
        ".civitai.info",
        {
            "id": 1,
            "modelId": 1,
            "baseModel": "SDXL 1.0",
            "trainedWords": [],
            "model": {"name": "Theirs", "tags": ["t"]},
        },
    )
    scan()
    detail = api.get(address).json()
    assert (detail["base_model"], detail["nsfw"], detail["title"]) == ("Flux", 8, "Mine")
    assert detail["tags"] == ["t", "only this"], "the files' new tag was never taken away"
    back = api.patch(address, json={"base_model": None, "title": None, "tags": None}).json()
    assert (back["base_model"], back["title"], back["tags"]) == ("SDXL", "Theirs", ["t"])


def test_renaming_a_tag_holds_for_files_that_come_later(
    api: TestClient, ids: dict[str, int], loras: Path, scan: Scan
) -> None:
    bulk(api, ids=[ids["lora4"]], add_tags=["anime"])
    answer = api.post("tags/rename", json={"from": ["anime"], "to": "Japan/Animation"}).json()
    assert answer["changed"] == 4
    assert api.get("loras", params={"tag": "japan"}).json()["total"] == 4
    path = make_lora(loras / "later.safetensors")
    add_side_file(path, ".metadata.json", {"tags": ["ANIME", "other"]})
    scan()
    later = api.get("loras", params={"q": "later"}).json()["items"][0]
    assert later["tags"] == ["Japan/Animation", "other"]
    api.post(f"actions/{answer['action']}/undo")
    assert api.get("loras", params={"tag": "anime"}).json()["total"] == 5
    assert api.get("tags/rules").json()["items"] == []


def test_merging_tags_counts_each_lora_once(api: TestClient, ids: dict[str, int]) -> None:
    bulk(api, ids=[ids["lora0"], ids["lora5"]], add_tags=["cartoon"])
    api.post("tags/rename", json={"from": ["anime", "cartoon"], "to": "drawn"})
    tags = {tag["name"]: tag for tag in api.get("tags").json()["items"]}
    assert tags["drawn"]["count"] == 4
    assert sorted(tags["drawn"]["becomes_from"]) == ["anime", "cartoon"]
    assert "Anime" not in tags


def test_renaming_a_tag_takes_those_below_it_along(api: TestClient, ids: dict[str, int]) -> None:
    bulk(api, ids=[ids["lora5"]], add_tags=["style"])
    api.post("tags/rename", json={"from": ["style"], "to": "look"})
    names = [tag["name"] for tag in api.get("tags", params={"sort": "name"}).json()["items"]]
    assert names == ["Anime", "look", "look/line art"]
    assert api.post("tags/rename", json={"from": ["nothing"], "to": "x"}).status_code == 404


def test_a_tag_can_be_renamed_back_or_only_in_its_case(api: TestClient, ids: dict[str, int]) -> None:
    api.post("tags/rename", json={"from": ["anime"], "to": "cartoon"})
    api.post("tags/rename", json={"from": ["cartoon"], "to": "Anime"})
    assert api.get(f"loras/{ids['lora0']}").json()["tags"] == ["Anime", "style/line art"]
    api.post("tags/rename", json={"from": ["Anime"], "to": "ANIME"})
    assert api.get(f"loras/{ids['lora0']}").json()["tags"] == ["ANIME", "style/line art"]
    refused = api.post("tags/rename", json={"from": ["anime"], "to": "anime/sub"})
    assert refused.status_code == 400


def test_a_tag_taken_away_stays_away_until_its_rule_is_dropped(
    api: TestClient, ids: dict[str, int], scan: Scan
) -> None:
    bulk(api, ids=[ids["lora5"]], add_tags=["anime"])
    api.post("tags/remove", json={"names": ["Anime"]})
    scan()
    assert api.get("loras", params={"tag": "anime"}).json()["total"] == 0
    assert api.get("tags/rules").json()["items"] == [{"name": "anime", "becomes": None}]
    api.delete("tags/rules/anime")
    assert api.get("loras", params={"tag": "anime"}).json()["total"] == 3
    assert api.delete("tags/rules/anime").status_code == 404


def test_tags_have_colours(api: TestClient, ids: dict[str, int]) -> None:
    action = api.post("tags/color", json={"name": "anime", "color": "green"}).json()["action"]
    facets = api.get("loras", params={"facets": 1}).json()["facets"]
    assert {"value": "Anime", "count": 3, "color": "green"} in facets["tag"]
    api.post("tags/rename", json={"from": ["anime"], "to": "drawn"})
    assert api.get("tags", params={"q": "drawn"}).json()["items"][0]["color"] == "green"
    api.post(f"actions/{action}/undo")
    assert api.post("tags/color", json={"name": "anime", "color": "#fff"}).status_code == 422


def test_an_import_of_100_000_tag_entries_is_one_action(api: TestClient, ids: dict[str, int]) -> None:
    items = [{"name": f"lora{number % 6}", "tags": [f"t{number % 50}"]} for number in range(60_000)]
    items += [{"name": f"unknown{number}", "tags": ["x"]} for number in range(40_000)]
    task = api.post("tags/import", json={"items": items, "colors": {"t1": "red"}}).json()["task"]
    deadline = time.monotonic() + 60
    while api.get(f"tasks/{task}").json()["state"] == "running" and time.monotonic() < deadline:
        time.sleep(0.05)
    found = api.get(f"tasks/{task}").json()
    assert found["state"] == "done", found["message"]
    assert found["result"]["unknown_total"] == 40_000
    assert "t49" in " ".join(api.get(f"loras/{ids['lora1']}").json()["tags"])
    api.post(f"actions/{found['result']['action']}/undo")
    assert api.get("loras", params={"tag": "t1"}).json()["total"] == 0
    too_many = api.post("tags/import", json={"items": [{"name": "a", "tags": []}] * 100_001})
    assert too_many.status_code == 422


def test_exported_tags_can_be_imported_again(api: TestClient, ids: dict[str, int]) -> None:
    exported = api.get("tags/export").json()
    before = tags_of(api, ids)
    bulk(api, filter={}, set={}, remove_tags=["anime", "style/line art"])
    task = api.post("tags/import", json=exported).json()["task"]
    while api.get(f"tasks/{task}").json()["state"] == "running":
        time.sleep(0.02)
    assert tags_of(api, ids) == before


def test_a_hand_picked_collection_keeps_loras_and_comes_back_when_deleted(
    api: TestClient, ids: dict[str, int]
) -> None:
    collection = api.post("collections", json={"name": "Night", "color": "blue"}).json()
    picked = [ids["lora1"], ids["lora4"]]
    api.post(f"collections/{collection['id']}/items", json={"add": {"ids": picked}})
    assert api.get("loras", params={"collection": collection["id"]}).json()["total"] == 2
    assert api.get("loras", params={"q": "collection:night"}).json()["total"] == 2
    taken = api.post(f"collections/{collection['id']}/items", json={"remove": {"ids": [ids["lora1"]]}}).json()
    assert api.get("collections").json()["items"][0]["count"] == 1
    api.post(f"actions/{taken['action']}/undo")
    assert api.get("collections").json()["items"][0]["count"] == 2
    deleted = api.delete(f"collections/{collection['id']}").json()["action"]
    assert api.get("collections").json()["items"] == []
    api.post(f"actions/{deleted}/undo")
    assert api.get("collections").json()["items"][0]["count"] == 2
    assert api.post("collections", json={"name": "NIGHT"}).status_code == 409


def test_a_smart_collection_is_a_saved_search(api: TestClient, ids: dict[str, int]) -> None:
    saved = api.post("collections", json={"name": "Drawn", "query": "tag:anime", "sort": "-added"}).json()
    assert (saved["count"], saved["sort"]) == (3, "-added")
    bulk(api, ids=[ids["lora5"]], add_tags=["anime"])
    assert api.get("collections").json()["items"][0]["count"] == 4
    assert api.get("loras", params={"collection": saved["id"], "q": "lora5"}).json()["total"] == 1
    assert api.get("loras", params={"q": "collection:Drawn -lora5"}).json()["total"] == 3
    assert api.post(f"collections/{saved['id']}/items", json={"add": {"ids": [1]}}).status_code == 400
    assert (
        api.post("collections", json={"name": "Bad", "query": "tga:x"}).json()["error"]["code"] == "bad_query"
    )
    itself = api.patch(f"collections/{saved['id']}", json={"query": "collection:Drawn OR tag:anime"}).json()
    assert itself["count"] == 4


def test_a_missing_lora_stays_listed_until_it_is_forgotten_and_is_remembered_then(
    api: TestClient, ids: dict[str, int], loras: Path, scan: Scan, state: State
) -> None:
    hash_all(state, api)
    api.patch(f"loras/{ids['lora0']}", json={"notes": "keep me", "rating": 5})
    content = (loras / "lora0.safetensors").read_bytes()
    (loras / "lora0.safetensors").unlink()
    scan()
    assert api.get("loras", params={"q": "is:missing"}).json()["total"] == 1
    assert api.post("loras/forget", json={"filter": {}}).json() == {"forgotten": 1}
    assert api.get("loras").json()["total"] == 5
    (loras / "back.safetensors").write_bytes(content)
    scan()
    hash_all(state, api)
    back = api.get("loras", params={"q": "back"}).json()["items"][0]
    assert back["rating"] == 5
    assert api.get(f"loras/{back['id']}").json()["notes"] == "keep me"


def test_a_lora_copied_elsewhere_and_removed_is_not_missing(
    api: TestClient, ids: dict[str, int], loras: Path, scan: Scan, state: State
) -> None:
    hash_all(state, api)
    collection = api.post("collections", json={"name": "Kept"}).json()["id"]
    api.post(f"collections/{collection}/items", json={"add": {"ids": [ids["lora3"]]}})
    added = api.get(f"loras/{ids['lora3']}").json()["added"]
    (loras / "other").mkdir()
    (loras / "other" / "renamed.safetensors").write_bytes((loras / "lora3.safetensors").read_bytes())
    (loras / "lora3.safetensors").unlink()
    scan()
    hash_all(state, api)
    assert api.get("loras", params={"q": "is:missing"}).json()["total"] == 0
    found = api.get("loras", params={"collection": collection}).json()["items"]
    assert [(item["name"], item["added"]) for item in found] == [("renamed", added)]


def test_a_copy_that_was_hashed_first_shares_what_is_said_of_its_content(
    api: TestClient, loras: Path, scan: Scan, state: State
) -> None:
    content = make_lora(loras / "first.safetensors").read_bytes()
    scan()
    hash_all(state, api)
    state.library.hasher.pause(True)
    (loras / "second.safetensors").write_bytes(content)
    scan()
    ids = {item["name"]: item["id"] for item in api.get("loras").json()["items"]}
    api.patch(f"loras/{ids['second']}", json={"notes": "of both", "rating": 4})
    state.library.hasher.pause(False)
    hash_all(state, api)
    assert api.get(f"loras/{ids['first']}").json()["notes"] == "of both"
    assert bulk(api, filter={}, add_tags=["x"])["total"] == 2


def test_lists_answer_while_a_large_edit_is_written(
    api: TestClient, ids: dict[str, int], state: State
) -> None:
    answers: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answers.append(api.get("loras", params={"q": "lora"}).status_code)

    thread = threading.Thread(target=ask)
    thread.start()
    for number in range(10):
        bulk(api, filter={}, add_tags=[f"n{number}"])
    stop.set()
    thread.join()
    assert set(answers) == {200}


def hash_all(state: State, api: TestClient) -> None:
    """Wait until every file's hashes are known."""
    if not state.library.hasher.started:
        state.library.hasher.start()
    state.library.hasher.wake()
    deadline = time.monotonic() + 20
    while state.library.hasher.status()["pending"] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not state.library.hasher.status()["pending"]
