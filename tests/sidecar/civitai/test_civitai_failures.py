"""What is no answer is not remembered as one; odd ids and keys are refused in words, and the key is in none of them."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sidecar.errors import StartError
from sidecar.library.civitai import lookup
from sidecar.settings import load_settings
from sidecar.state import State
from tests.civitai_server import CivitaiServer, Seen
from tests.civitai_steps import finish, look_up

KEY = "SECRETKEY"


def check(api: TestClient, state: State) -> dict[str, Any]:
    return finish(api, api.post("civitai/updates/check", json={}), state)


def left_out(seen: Seen) -> Any:
    """Civitai's list of models without those it does not show."""
    return (200, {}, b'{"items":[]}', None) if seen.path == "/api/v1/models" else None


def test_models_that_the_list_leaves_out_are_not_gone(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, state: State
) -> None:
    look_up(api, state)
    civitai.add(1, 12, b"newer")
    civitai.trouble = left_out
    assert check(api, state)["result"] == {"checked": 2, "updates": 1, "gone": 0}
    del civitai.models[1]
    assert check(api, state)["result"] == {"checked": 2, "updates": 0, "gone": 1}


@pytest.mark.parametrize("status", [403, 405, 410])
def test_a_model_that_is_refused_stays_as_it_was_known(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, state: State, status: int
) -> None:
    look_up(api, state)
    civitai.add(1, 12, b"newer")
    assert check(api, state)["result"]["updates"] == 1
    civitai.trouble = lambda seen: (
        (status, {}, b"{}", None) if seen.path == "/api/v1/models/1" else left_out(seen)
    )
    assert check(api, state)["result"] == {"checked": 2, "updates": 1, "gone": 0}


def test_an_archived_version_without_files_is_found_by_its_own_hash(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, state: State
) -> None:
    archived = {**civitai.versions[11], "files": []}
    hash_of_a = civitai.versions[11]["files"][0]["hashes"]["SHA256"].lower()

    def without_files(seen: Seen) -> Any:
        if seen.path.endswith("by-hash"):
            return 200, {}, json.dumps([archived, civitai.versions[21]]).encode(), None
        if seen.path.lower().endswith(hash_of_a) and "by-hash" in seen.path:
            return 200, {}, json.dumps(archived).encode(), None
        return None

    civitai.trouble = without_files
    assert look_up(api, state)["result"]["found"] == 2
    answer = api.get(f"loras/{ids['a']}/civitai").json()
    assert (answer["state"], answer["version"]["id"]) == ("found", 11)


@pytest.mark.parametrize(
    "answer",
    [(403, {}, b"", None), (405, {}, b"", None), (500, {}, b"", None), (200, {}, b"<html>", None), (200, {}, b"[]", None)],
    ids=["403", "405", "500", "html", "list"],
)  # fmt: skip
def test_an_archive_that_fails_is_no_answer(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, state: State, answer: Any
) -> None:
    civitai.trouble = lambda seen: answer if "/api/sha256" in seen.path else None
    ended = look_up(api, state)
    assert ended["state"] == "done" and "archive failed" in ended["message"]
    assert (ended["result"]["found"], ended["result"]["not_found"], ended["result"]["unanswered"]) == (
        2,
        0,
        1,
    )
    assert api.get(f"loras/{ids['c']}/civitai").json()["state"] == "unknown"
    civitai.trouble = lambda seen: None
    again = look_up(api, state)["result"]
    assert (again["known"], again["not_found"]) == (2, 1)
    assert api.get(f"loras/{ids['c']}/civitai").json()["source"] == "civitai"


def test_one_failure_of_the_archive_stops_no_other_lookup(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, state: State
) -> None:
    civitai.versions.clear()
    asked: list[str] = []

    def fail_once(seen: Seen) -> Any:
        if "/api/sha256" in seen.path:
            asked.append(seen.path)
            return (403, {}, b"", None) if len(asked) == 1 else None
        return None

    civitai.trouble = fail_once
    result = look_up(api, state)["result"]
    assert (result["not_found"], result["unanswered"], len(asked)) == (2, 1, 3)


def test_an_archive_that_is_down_is_not_asked_for_every_file(
    ids: dict[str, int],
    civitai: CivitaiServer,
    api: TestClient,
    state: State,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lookup, "ARCHIVE_FAILURES", 2)
    civitai.versions.clear()
    civitai.trouble = lambda seen: (403, {}, b"", None) if "/api/sha256" in seen.path else None
    assert look_up(api, state)["result"]["unanswered"] == 3
    assert len(civitai.asked("/api/sha256")) == 2


@pytest.mark.parametrize("key", [f"{KEY}\nx", f"{KEY}€", f"{KEY} x", f"{KEY}\x7f", KEY * 100])
def test_a_key_that_no_header_can_hold_is_refused_and_not_told(
    ids: dict[str, int], civitai: CivitaiServer, api: TestClient, state: State, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch, data: Path, key: str,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    refused = api.patch("settings", json={"civitai_key": key})
    assert refused.status_code == 422 and refused.json()["error"]["code"] == "invalid"
    assert "printable ASCII" in refused.json()["error"]["message"]
    assert api.get("settings").json()["civitai_key_set"] is False
    assert look_up(api, state)["state"] == "done"
    monkeypatch.setenv("LORA_MANAGER_CIVITAI_KEY", key)
    with pytest.raises(StartError) as error:
        load_settings(data=data)
    assert KEY not in caplog.text + refused.text + str(error.value)


def test_a_key_pasted_with_a_line_break_is_taken_without_it(api: TestClient, state: State) -> None:
    assert api.patch("settings", json={"civitai_key": f" {KEY}\n"}).status_code == 200
    assert state.settings.civitai_key and state.settings.civitai_key.get_secret_value() == KEY
    assert api.patch("settings", json={"civitai_key": ""}).json()["civitai_key_set"] is False
