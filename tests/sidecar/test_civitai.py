"""Civitai on request: lookups, updates and downloads against a local server that behaves as the API does."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sidecar.library.civitai import client, downloads
from sidecar.state import State
from tests.civitai_server import CivitaiServer, Seen
from tests.lora_files import add_side_file, make_lora, picture

Scan = Callable[[], None]
KEY = "the-users-secret-key"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are for the real Civitai."""
    monkeypatch.setattr(client, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(client, "BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(client, "READ_SECONDS", 5.0)


@pytest.fixture
def civitai(state: State) -> Iterator[CivitaiServer]:
    """A Civitai of our own; the archive is on the same server."""
    server = CivitaiServer().start()
    state.settings.civitai_url = server.url
    state.settings.civitai_archive_url = server.url
    yield server
    server.stop()


@pytest.fixture
def ids(civitai: CivitaiServer, loras: Path, scan: Scan, api: TestClient, state: State) -> dict[str, int]:
    """Three LoRAs, hashed; Civitai knows `a` (model 1, version 11) and `b` (model 2, version 21), not `c`."""
    for name in "abc":
        make_lora(loras / f"{name}.safetensors")
    civitai.add(1, 11, (loras / "a.safetensors").read_bytes())
    civitai.add(2, 21, (loras / "b.safetensors").read_bytes(), baseModel="Pony")
    scan()
    hash_all(state)
    return {item["name"]: item["id"] for item in api.get("loras").json()["items"]}


def hash_all(state: State) -> None:
    if not state.library.hasher.started:
        state.library.hasher.start()
    state.library.hasher.wake()
    until(lambda: not state.library.hasher.status()["pending"])


def until(true: Callable[[], Any], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


def finish(api: TestClient, answer: Any, state: State) -> dict[str, Any]:
    """Wait for the task of an answer, and for the scan after it."""
    assert answer.status_code == 202, answer.text
    task = answer.json()["task"]
    until(lambda: api.get(f"tasks/{task}").json()["state"] != "running")
    state.library.scanner.idle.wait(20)
    found: dict[str, Any] = api.get(f"tasks/{task}").json()
    return found


def look_up(api: TestClient, state: State, **request: Any) -> dict[str, Any]:
    return finish(api, api.post("civitai/lookup", json=request or {"missing": True}), state)


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
    assert look_up(api, state)["result"] == {"found": 2, "not_found": 1, "skipped": 0, "known": 0}
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
    state.settings.civitai_archive_url = None
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


def download(api: TestClient, **request: Any) -> int:
    answer = api.post("civitai/downloads", json=request)
    assert answer.status_code == 202, answer.text
    number: int = answer.json()["id"]
    return number


def ended(api: TestClient, number: int) -> dict[str, Any]:
    def now() -> dict[str, Any]:
        found: list[dict[str, Any]] = api.get("civitai/downloads").json()["items"]
        return next(item for item in found if item["id"] == number)

    until(lambda: now()["state"] not in ("waiting", "running"))
    return now()


def a_lora(folder: Path) -> bytes:
    """A LoRA's content that is not in the library."""
    return make_lora(folder / "outside" / "new.safetensors", width=2048).read_bytes()


def test_a_download_comes_to_the_folder_of_its_model_with_its_data(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, state: State, loras: Path, tmp_path: Path
) -> None:
    look_up(api, state)
    api.post("files/move", json={"selection": {"ids": [ids["a"]]}, "folder": "loras/mine"})
    content = a_lora(tmp_path)
    civitai.add(1, 12, content)
    start = state.events.last
    done = ended(api, download(api, version_id=12))
    assert (done["state"], done["folder"]) == ("done", "loras/mine")
    assert (loras / "mine" / "model12.safetensors").read_bytes() == content
    assert list((loras / "mine").glob(".*")) == []
    detail = api.get(f"loras/{done['lora_id']}").json()
    until(lambda: api.get(f"loras/{done['lora_id']}").json()["title"] in ("Model 1", "model12"))
    hash_all(state)
    until(lambda: api.get(f"loras/{done['lora_id']}").json()["title"] == "Model 1")
    assert detail["state"] == "ok"
    assert "files.changed" in [event.type for event in state.events.after(start) or []]


def test_a_new_model_goes_where_the_template_says(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, state: State, loras: Path, tmp_path: Path
) -> None:
    civitai.add(5, 51, a_lora(tmp_path), baseModel="Pony")
    state.settings.organise_template = "{base_model}/{author}/{name}"
    done = ended(api, download(api, url="https://civitai.com/models/5/some-name?modelVersionId=51"))
    assert done["folder"] == "loras/Pony/mira"
    assert (loras / "Pony" / "mira" / "model51.safetensors").exists()


@pytest.mark.parametrize(
    "address",
    [
        "https://civitai.com/models/5",
        "civitai.com/models/5/with-a-name",
        "https://civitai.com/api/download/models/51",
        "urn:air:sdxl:lora:civitai:5@51",
        "urn:air:sdxl:lora:civitai:5",
    ],
)
def test_a_download_is_meant_by_any_address_of_it(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, tmp_path: Path, address: str
) -> None:
    civitai.add(5, 51, a_lora(tmp_path))
    assert ended(api, download(api, url=address, folder="loras"))["state"] == "done"


def test_the_key_goes_to_civitai_alone_and_into_no_address_log_or_event(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, state: State, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    civitai.key_needed = KEY
    civitai.storage = CivitaiServer().start()
    civitai.add(5, 51, a_lora(tmp_path))
    start = state.events.last
    refused = ended(api, download(api, version_id=51, folder="loras"))
    assert refused["state"] == "failed" and "key" in refused["message"]
    api.patch("settings", json={"civitai_key": KEY})
    assert api.get("settings").json()["civitai_key_set"] is True
    api.post(f"civitai/downloads/{refused['id']}/resume")
    assert ended(api, refused["id"])["state"] == "done"
    look_up(api, state)
    assert civitai.asked("/api/download")[-1].headers["authorization"] == f"Bearer {KEY}"
    assert all("authorization" not in seen.headers for seen in civitai.storage.seen), "not after the redirect"
    assert all("authorization" not in seen.headers for seen in civitai.asked("/api/v1")[:1])
    assert KEY not in caplog.text
    assert KEY not in repr([(seen.path, seen.query) for seen in civitai.seen])
    assert KEY not in repr(state.events.after(start)) + api.get("settings").text + api.get("tasks").text
    civitai.storage.stop()


def test_a_download_that_broke_off_is_resumed_where_it_stopped(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, tmp_path: Path, loras: Path
) -> None:
    content = a_lora(tmp_path) + bytes(300_000)
    civitai.add(5, 51, content)
    cut = len(content) // 2

    def break_off(seen: Seen) -> Any:
        return (200, {}, content, cut) if "download" in seen.path and "range" not in seen.headers else None

    civitai.trouble = break_off
    failed = ended(api, download(api, version_id=51, folder="loras"))
    assert failed["state"] == "failed" and "broke off" in failed["message"]
    assert 0 < failed["received"] <= cut
    assert not (loras / "model51.safetensors").exists()
    api.post(f"civitai/downloads/{failed['id']}/resume")
    assert ended(api, failed["id"])["state"] == "done"
    assert civitai.asked("download")[-1].headers["range"] == f"bytes={failed['received']}-"
    assert (loras / "model51.safetensors").read_bytes() == content


def test_a_server_that_cannot_resume_sends_all_again(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, tmp_path: Path, loras: Path
) -> None:
    content = a_lora(tmp_path)
    civitai.add(5, 51, content)
    civitai.ranges = False
    civitai.trouble = lambda seen: (200, {}, content, 100) if "download" in seen.path else None
    failed = ended(api, download(api, version_id=51, folder="loras"))
    civitai.trouble = lambda seen: None
    api.post(f"civitai/downloads/{failed['id']}/resume")
    assert ended(api, failed["id"])["state"] == "done"
    assert (loras / "model51.safetensors").read_bytes() == content


def test_a_file_with_a_wrong_hash_never_appears(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, tmp_path: Path, loras: Path
) -> None:
    content = a_lora(tmp_path)
    civitai.add(5, 51, content)
    civitai.files[51] = content[:-1] + b"?"
    failed = ended(api, download(api, version_id=51, folder="loras"))
    assert failed["state"] == "failed" and "SHA256" in failed["message"]
    assert [path.name for path in loras.iterdir() if "51" in path.name or path.name.endswith(".part")] == []


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_refused_download_says_why(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, tmp_path: Path, status: int
) -> None:
    civitai.add(5, 51, a_lora(tmp_path))
    civitai.trouble = lambda seen: (status, {}, b"", None) if "download" in seen.path else None
    failed = ended(api, download(api, version_id=51, folder="loras"))
    assert failed["state"] == "failed" and failed["message"].endswith(".")


def test_a_login_page_instead_of_a_file_is_no_file(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, tmp_path: Path
) -> None:
    civitai.add(5, 51, a_lora(tmp_path))
    civitai.trouble = lambda seen: (
        (200, {"Content-Type": "text/html"}, b"<html>sign in", None) if "download" in seen.path else None
    )
    failed = ended(api, download(api, version_id=51, folder="loras"))
    assert failed["state"] == "failed" and "key" in failed["message"]


def test_a_name_that_is_taken_and_a_file_that_is_owned_are_refused(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, tmp_path: Path, loras: Path
) -> None:
    owned = api.post("civitai/downloads", json={"version_id": 11})
    assert owned.status_code == 409 and "already" in owned.json()["error"]["message"]
    civitai.add(5, 51, a_lora(tmp_path))
    make_lora(loras / "model51.safetensors")
    taken = api.post("civitai/downloads", json={"version_id": 51, "folder": "loras"})
    assert taken.status_code == 409
    outside = api.post("civitai/downloads", json={"version_id": 51, "folder": "loras/../.."})
    assert outside.status_code == 400
    assert api.post("civitai/downloads", json={"version_id": 999}).status_code == 502
    assert api.post("civitai/downloads", json={"url": "https://example.org/x"}).status_code == 400


def test_a_hostile_file_name_stays_in_its_folder(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, tmp_path: Path, loras: Path
) -> None:
    version = civitai.add(5, 51, a_lora(tmp_path))
    version["files"][0]["name"] = "../../evil:name.safetensors"
    done = ended(api, download(api, version_id=51, folder="loras"))
    assert done["state"] == "done"
    assert (loras / done["file"]).exists() and "/" not in done["file"] and ":" not in done["file"]


def test_a_cancelled_download_leaves_nothing(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, tmp_path: Path, loras: Path
) -> None:
    content = a_lora(tmp_path)
    civitai.add(5, 51, content)
    civitai.trouble = lambda seen: (200, {}, content, 100) if "download" in seen.path else None
    failed = ended(api, download(api, version_id=51, folder="loras"))
    assert list(loras.glob(".*.part")) != []
    assert api.post(f"civitai/downloads/{failed['id']}/cancel").status_code == 200
    assert list(loras.glob(".*.part")) == []
    assert api.get("civitai/downloads").json()["items"] == []


def test_a_full_disk_is_noticed_before_the_download(
    ids: dict[str, int],
    civitai: CivitaiServer,
    api: TestClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    civitai.add(5, 51, a_lora(tmp_path))
    monkeypatch.setattr(downloads, "SPARE_BYTES", 1 << 60)
    failed = ended(api, download(api, version_id=51, folder="loras"))
    assert failed["state"] == "failed" and "space" in failed["message"]
    assert civitai.asked("download") == []


def test_downloads_that_a_stop_interrupted_wait_for_the_user(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, tmp_path: Path, state: State
) -> None:
    from sidecar.library.civitai.stored import pause_all

    content = a_lora(tmp_path)
    civitai.add(5, 51, content)
    number = download(api, version_id=51, folder="loras")
    ended(api, number)
    state.database.write(
        lambda connection: connection.execute("UPDATE civitai_downloads SET state = 'running'")
    )
    pause_all(state.database)
    assert ended(api, number)["state"] == "paused"
