"""Ids beyond 64 bit, negative ones and things that are none: from requests told, from foreign answers passed over."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sidecar.library.civitai import asking, client
from sidecar.state import State
from tests.civitai_server import CivitaiServer, Seen
from tests.civitai_steps import finish, look_up
from tests.lora_files import add_side_file, make_lora

HUGE = 2**63


@pytest.mark.parametrize("number", [HUGE, 2**64, 10**30, -1, -HUGE - 1])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "loras/{0}/civitai", None),
        ("POST", "civitai/downloads/{0}/resume", None),
        ("POST", "civitai/downloads/{0}/cancel", None),
        ("POST", "civitai/downloads", {"version_id": 0}),
        ("POST", "civitai/downloads", {"version_id": 11, "file_id": 0}),
        ("POST", "civitai/updates/ignore", {"model_id": 0}),
        ("POST", "civitai/updates/ignore", {"model_id": 1, "version_id": 0}),
        ("POST", "civitai/lookup", {"selection": {"ids": [0]}}),
        ("POST", "civitai/lookup", {"selection": {"filter": {"collection": 0}}}),
        ("POST", "civitai/updates/check", {"selection": {"ids": [0]}}),
        ("POST", "civitai/downloads", {"url": "https://civitai.com/models/{0}"}),
        ("POST", "civitai/downloads", {"url": "https://civitai.com/models/1?modelVersionId={0}"}),
        ("POST", "civitai/downloads", {"url": "urn:air:sdxl:lora:civitai:1@{0}"}),
    ],
)
def test_an_id_that_none_can_be_is_told(
    ids: dict[str, int],
    civitai: CivitaiServer,
    api: TestClient,
    number: int,
    method: str,
    path: str,
    body: Any,
) -> None:
    del civitai.models[1], civitai.models[2]
    civitai.versions.clear()
    sent = (
        json.dumps(body)
        .replace(": 0", f": {number}")
        .replace("[0]", f"[{number}]")
        .replace("{0}", str(number))
    )
    answer = api.request(method, path.format(number), content=None if body is None else sent)
    assert answer.status_code in (400, 404, 422, 502), answer.text
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("digits", ["²", "٣", "9" * 1_500])
def test_digits_that_are_no_number_of_civitai_are_told(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, digits: str
) -> None:
    answer = api.post("civitai/downloads", json={"url": f"https://civitai.com/x?modelVersionId={digits}"})
    assert answer.status_code == 400 and civitai.seen == []


ODD = [HUGE, 2**64 - 1, 10**30, -5, 0, True, 1.5, "7", None, [1], {"a": 1}]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_ids_in_answers_do_no_harm(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, state: State, odd: Any
) -> None:
    look_up(api, state)
    civitai.add(1, 12, b"newer")
    newer = civitai.models[1]["modelVersions"][0]
    newer["files"] += [{"id": odd, "name": "odd.safetensors", "type": "Model", "sizeKB": odd}]
    civitai.models[1]["modelVersions"].append({**newer, "id": odd})
    civitai.models[2]["id"] = odd
    checked = finish(api, api.post("civitai/updates/check", json={}), state)
    assert checked["state"] == "done" and checked["result"]["updates"] == 1
    (update,) = api.get("civitai/updates").json()["items"]
    assert [version["id"] for version in update["newer"]] == [12]
    assert [file["id"] for file in update["newer"][0]["files"]] == [120, None]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_ids_in_a_looked_up_version_do_no_harm(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, state: State, odd: Any
) -> None:
    version = {**civitai.versions[11], "id": odd, "modelId": odd}
    archived = {"data": {"id": odd, "version": {"id": odd, "name": "v1"}}}

    def odd_answers(seen: Seen) -> Any:
        if seen.path.endswith("by-hash"):
            return 200, {}, json.dumps([version]).encode(), None
        return (200, {}, json.dumps(archived).encode(), None) if "/api/sha256" in seen.path else None

    civitai.trouble = odd_answers
    assert look_up(api, state)["result"]["found"] == 1
    assert api.get(f"loras/{ids['a']}/civitai").json()["state"] == "found"
    assert api.get(f"loras/{ids['a']}").status_code == 200
    assert finish(api, api.post("civitai/updates/check", json={}), state)["state"] == "done"
    assert api.get("civitai/updates").json()["items"] == []


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_ids_in_a_version_to_download_do_no_harm(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, state: State, tmp_path: Path, odd: Any
) -> None:
    version = civitai.add(5, 51, make_lora(tmp_path / "o" / "n.safetensors", width=2048).read_bytes())
    version["files"][0].update(id=odd, sizeKB=odd)
    told = {**version, "id": odd, "modelId": odd, "model": odd}
    civitai.trouble = lambda seen: (
        (200, {}, json.dumps(told).encode(), None) if seen.path.endswith("model-versions/51") else None
    )
    answer = api.post("civitai/downloads", json={"version_id": 51, "folder": "loras"})
    assert answer.status_code == 202, answer.text
    (item,) = api.get("civitai/downloads").json()["items"]
    assert item["version_id"] == 51 and 0 <= item["size"] < 2**53


@pytest.mark.parametrize("sha256", ["../../../../evil", "AB", "Z" * 64])
def test_a_hash_that_is_none_begins_no_download(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, sha256: str
) -> None:
    version = civitai.add(5, 51, b"content")
    version["files"][0]["hashes"] = {"SHA256": sha256}
    answer = api.post("civitai/downloads", json={"version_id": 51, "folder": "loras"})
    assert answer.status_code == 502 and "SHA256" in answer.json()["error"]["message"]


def test_a_side_file_with_odd_ids_is_passed_over(
    ids: dict[str, int], civitai: CivitaiServer, loras: Path, scan: Any, api: TestClient, state: State
) -> None:
    facts = {"id": 10**30, "modelId": 10**25, "trainedWords": []}
    add_side_file(loras / "c.safetensors", ".civitai.info", facts)
    state.database.write(
        lambda connection: connection.execute(
            "UPDATE lora_texts SET facts = ? WHERE lora_id = ?",
            (json.dumps({"url": f"https://civitai.com/models/{10**25}?modelVersionId={2**63}"}), ids["a"]),
        )
    )
    scan()
    for lora in ids.values():
        assert api.get(f"loras/{lora}/civitai").status_code == 200
    assert finish(api, api.post("civitai/updates/check", json={}), state)["state"] == "done"


def test_a_civitai_that_never_answers_is_told_in_time(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 0.3)
    gate = threading.Event()

    def hang(seen: Seen) -> Any:
        gate.wait(20)

    civitai.trouble = hang
    answer = api.post("civitai/downloads", json={"version_id": 11, "folder": "loras"})
    asked = len(civitai.seen)
    gate.set()
    assert asked < client.TIMES, "somebody waits: it is not asked again and again"
    assert answer.status_code == 502 and "try again" in answer.json()["error"]["message"]
    assert api.get("civitai/downloads").json()["items"] == []


def test_a_slower_pace_is_not_waited_for_by_a_request(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient
) -> None:
    civitai.trouble = lambda seen: (429, {"Retry-After": "60"}, b"{}", None)
    answer = api.post("civitai/downloads", json={"version_id": 11, "folder": "loras"})
    assert answer.status_code == 502 and "slower pace" in answer.json()["error"]["message"]
    assert len(civitai.seen) == 1
