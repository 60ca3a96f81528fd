"""Downloads from Civitai: resumed, verified, never over another file; the key stays secret."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sidecar.library.civitai import downloads
from sidecar.state import State
from tests.civitai_server import CivitaiServer, Seen
from tests.civitai_steps import hash_all, look_up, until
from tests.lora_files import make_lora

KEY = "the-users-secret-key"


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
    content = a_lora(tmp_path) + bytes(300_000)
    civitai.add(5, 51, content)
    civitai.trouble = lambda seen: (200, {}, content, 200_000) if "download" in seen.path else None
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
