"""Civitai on request: lookups, updates and previews against a local server that behaves as the API does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sidecar.library.civitai import client
from sidecar.state import State
from tests.civitai_server import CivitaiServer, Seen
from tests.civitai_steps import finish, hash_all, look_up, until
from tests.lora_files import add_side_file, make_lora, picture

Scan = Callable[[], None]


def test_nothing_is_asked_before_the_user_asks(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient
) -> None:
    api.get("loras", params={"facets": 1})
    api.get(f"loras/{ids['a']}")
    api.get(f"loras/{ids['a']}/civitai")
    api.get("civitai/updates")
    assert civitai.seen == []


def test_all_missing_are_looked_up_in_one_batch_and_shown(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, state: State
) -> None:
    assert look_up(api, state)["result"] == {
        "found": 2, "not_found": 1, "skipped": 0, "known": 0, "unanswered": 0,
    }  # fmt: skip
    (batch,) = civitai.asked("by-hash")
    assert batch.method == "POST" and len(batch.body) == 3
    detail = api.get(f"loras/{ids['b']}").json()
    assert (detail["title"], detail["base_model"], detail["author"]) == ("Model 2", "Pony", "mira")
    assert detail["trigger_words"] == ["word 21"]
    assert detail["tags"] == ["style", "anime"]
    assert "<b>fine</b>" in detail["description"]
    assert detail["sources"]["trigger_words"] == "civitai"
    answer = api.get(f"loras/{ids['b']}/civitai").json()
    assert (answer["state"], answer["version"]["id"], answer["model"]["id"]) == ("found", 21, 2)


def test_the_preview_comes_from_civitai_when_asked_for(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, state: State, loras: Path
) -> None:
    assert api.post(f"loras/{ids['a']}/preview", json={"civitai": True}).status_code == 404
    civitai.versions[11]["images"] = [
        {"url": f"{civitai.url}/films/1.mp4", "type": "video"},
        {"url": f"{civitai.url}/pictures/1.png", "type": "image"},
    ]
    civitai.trouble = lambda seen: (
        (200, {"Content-Type": "image/png"}, picture(), None) if seen.path == "/pictures/1.png" else None
    )
    look_up(api, state)
    assert civitai.asked("/pictures/") == []
    answer = api.post(f"loras/{ids['a']}/preview", json={"civitai": True}).json()
    assert answer["preview"]["kind"] == "image"
    assert (loras / "a.preview.png").read_bytes() == picture()
    api.post(f"actions/{answer['action']}/undo")
    assert not (loras / "a.preview.png").exists()


def test_nothing_is_written_beside_the_files(
    ids: dict[str, int], loras: Path, api: TestClient, state: State
) -> None:
    before = sorted(path.name for path in loras.iterdir())
    look_up(api, state)
    assert sorted(path.name for path in loras.iterdir()) == before


def test_a_404_is_remembered_and_never_overwrites(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, state: State
) -> None:
    look_up(api, state)
    assert api.get(f"loras/{ids['c']}/civitai").json()["state"] == "not_found"
    assert look_up(api, state)["result"]["known"] == 3
    assert len(civitai.asked("by-hash")) == 1, "what was answered is not asked again"
    civitai.versions.clear()
    assert look_up(api, state, missing=True, again=True)["result"]["not_found"] == 3
    answer = api.get(f"loras/{ids['a']}/civitai").json()
    assert (answer["state"], answer["version"]["id"]) == ("found", 11)
    assert api.get(f"loras/{ids['a']}").json()["title"] == "Model 1"


def test_a_single_lora_is_looked_up_by_its_hash(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, state: State
) -> None:
    assert look_up(api, state, selection={"ids": [ids["a"]]})["result"]["found"] == 1
    assert civitai.asked("by-hash")[0].method == "GET"
    assert api.get("civitai/status").json() == {
        "owned": 3, "looked_up": 1, "not_found": 0, "unhashed": 0, "pending": 2,
    }  # fmt: skip


def test_a_lookup_that_broke_off_goes_on_where_it_was(
    civitai: CivitaiServer, loras: Path, scan: Scan, api: TestClient, state: State
) -> None:
    for number in range(230):
        make_lora(loras / f"many{number}.safetensors", width=768)
    scan()
    hash_all(state)
    batches = 0

    def fail_after_two(seen: Seen) -> Any:
        nonlocal batches
        batches += seen.path.endswith("by-hash")
        return (400, {}, b"{}", None) if batches > 2 else None

    civitai.trouble = fail_after_two
    failed = look_up(api, state)
    assert failed["state"] == "failed"
    assert api.get("civitai/status").json()["looked_up"] == 200
    civitai.trouble = lambda seen: None
    civitai.seen.clear()
    assert look_up(api, state)["result"]["not_found"] == 30
    assert [len(seen.body) for seen in civitai.asked("by-hash")] == [30]


@pytest.mark.parametrize(
    "answer",
    [
        (429, {"Retry-After": "0"}, b"{}", None),
        (429, {}, b"{}", None),
        (500, {}, b"oops", None),
        (503, {"Content-Type": "text/html"}, b"<html>down</html>", None),
        (200, {"Content-Type": "text/html"}, b"<html>please wait</html>", None),
        (200, {"Content-Type": "application/json"}, b'[{"id": 1, "na', None),
        (200, {"Content-Type": "application/json"}, b'[{"id": 1}]' * 5, 20),
    ],
    ids=["429", "429-bare", "500", "503", "html", "half-json", "cut-off"],
)
def test_trouble_that_passes_is_waited_out(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, state: State, answer: Any
) -> None:
    left = [2]

    def trouble(seen: Seen) -> Any:
        left[0] -= 1
        return answer if left[0] >= 0 else None

    civitai.trouble = trouble
    assert look_up(api, state)["result"]["found"] == 2


def test_trouble_that_stays_is_told_and_loses_nothing(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, state: State
) -> None:
    look_up(api, state, selection={"ids": [ids["a"]]})
    for status in (429, 500):
        civitai.trouble = lambda seen, status=status: (status, {}, b"", None)  # type: ignore[misc]
        civitai.seen.clear()
        failed = look_up(api, state)
        assert failed["state"] == "failed" and "try again later" in failed["message"]
        assert len(civitai.seen) == client.TIMES
    assert api.get(f"loras/{ids['a']}").json()["title"] == "Model 1"


def test_a_mirror_without_the_batch_is_asked_one_by_one(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, state: State
) -> None:
    civitai.trouble = lambda seen: (405, {}, b"", None) if seen.method == "POST" else None
    assert look_up(api, state)["result"]["found"] == 2


def test_hostile_answers_do_no_harm(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, state: State
) -> None:
    civitai.versions[11].update(
        trainedWords={"a": 1},
        baseModel=7,
        name=["x"],
        images="none",
        publishedAt=5,
        description="<script>alert(1)</script>",
    )
    civitai.models[1].update(
        tags="no list", creator=[], name=None, description="<img src=x onerror=alert(1)>ok"
    )
    assert look_up(api, state)["state"] == "done"
    detail = api.get(f"loras/{ids['a']}").json()
    assert (
        detail["state"] == "ok"
        and "script" not in detail["description"]
        and "onerror" not in detail["description"]
    )
    assert api.get(f"loras/{ids['a']}/civitai").status_code == 200
    assert finish(api, api.post("civitai/updates/check", json={}), state)["state"] == "done"
    assert api.get("civitai/updates").status_code == 200


def test_the_archive_is_asked_for_what_civitai_does_not_know(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, state: State, loras: Path
) -> None:
    sha256 = hashlib.sha256((loras / "c.safetensors").read_bytes()).hexdigest()
    civitai.archive[sha256] = {
        "data": {
            "id": 9, "name": "Gone from Civitai", "type": "LORA", "is_nsfw": False, "tags": ["rare"], "creator_username": "old",
            "version": {"id": 91, "modelId": 9, "name": "v1", "baseModel": "SD 1.5", "trigger": ["lost word"], "files": []},
        }
    }  # fmt: skip
    assert look_up(api, state)["result"]["found"] == 3
    detail = api.get(f"loras/{ids['c']}").json()
    assert (detail["title"], detail["trigger_words"], detail["tags"]) == (
        "Gone from Civitai",
        ["lost word"],
        ["rare"],
    )
    state.settings.civitai_archive_url = ""
    civitai.seen.clear()
    look_up(api, state, missing=True, again=True)
    assert civitai.asked("/api/sha256/") == []


def test_what_civitai_said_follows_a_file_that_comes_back(
    ids: dict[str, int], loras: Path, scan: Scan, api: TestClient, state: State
) -> None:
    look_up(api, state)
    content = (loras / "a.safetensors").read_bytes()
    (loras / "a.safetensors").unlink()
    scan()
    api.post("loras/forget", json={"filter": {}})
    (loras / "again.safetensors").write_bytes(content)
    scan()
    hash_all(state)
    until(lambda: api.get("loras", params={"q": "again"}).json()["items"][0]["title"] == "Model 1")


def test_newer_versions_are_told_and_may_be_ignored(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, state: State
) -> None:
    look_up(api, state)
    civitai.add(1, 12, b"newer", baseModel="Pony")
    civitai.add(1, 13, b"newest")
    civitai.add(1, 14, b"", publishedAt="2020-01-01T00:00:00.000Z")
    checked = finish(api, api.post("civitai/updates/check", json={}), state)
    assert checked["result"] == {"checked": 2, "updates": 1, "gone": 0}
    assert civitai.asked("/api/v1/models")[-1].query["ids"] == ["1,2"]
    (update,) = api.get("civitai/updates").json()["items"]
    assert update["lora"]["name"] == "a" and update["current"]["id"] == 11
    assert [version["id"] for version in update["newer"]] == [13, 12], "its own base model first"
    assert [version["id"] for version in api.get(f"loras/{ids['a']}/civitai").json()["newer"]] == [13, 12]
    ignored = api.post("civitai/updates/ignore", json={"model_id": 1, "version_id": 13}).json()
    assert [version["id"] for version in ignored["items"][0]["newer"]] == [12]
    assert api.post("civitai/updates/ignore", json={"model_id": 1}).json()["items"] == []
    back = api.post("civitai/updates/ignore", json={"model_id": 1, "ignore": False}).json()
    assert len(back["items"]) == 1


def test_updates_are_found_for_side_files_of_other_tools_too(
    civitai: CivitaiServer, loras: Path, scan: Scan, api: TestClient, state: State
) -> None:
    path = make_lora(loras / "old.safetensors")
    add_side_file(
        path, ".civitai.info", {"id": 31, "modelId": 3, "trainedWords": [], "baseModel": "SDXL 1.0"}
    )
    scan()
    civitai.add(3, 31, path.read_bytes())
    civitai.add(3, 32, b"newer")
    finish(api, api.post("civitai/updates/check", json={}), state)
    assert api.get("civitai/updates").json()["items"][0]["newer"][0]["id"] == 32
