"""Settings that change while everything runs: kept, checked, and secrets never shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from sidecar.settings import load_settings
from sidecar.state import State


def test_a_change_holds_now_and_at_the_next_start(api: TestClient, state: State, data: Path) -> None:
    (data / "settings.json").write_text('{"log_level": "DEBUG", "of another program": [1]}')
    answer = api.patch("settings", json={"trash_days": 7, "write_back": "a1111"})
    assert answer.json()["trash_days"] == state.settings.trash_days == 7
    assert load_settings(data=data).write_back == "a1111"
    kept = json.loads((data / "settings.json").read_text())
    assert kept["of another program"] == [1] and kept["log_level"] == "DEBUG"
    api.patch("settings", json={"trash_days": None})
    assert state.settings.trash_days == load_settings(data=data).trash_days == 30


def test_the_key_is_kept_for_its_owner_alone_and_never_shown(
    api: TestClient, state: State, data: Path
) -> None:
    answer = api.patch("settings", json={"civitai_key": "a-secret-key"})
    assert answer.json()["civitai_key_set"] is True
    assert "a-secret-key" not in answer.text + api.get("settings").text + repr(state.settings)
    assert (data / "settings.json").stat().st_mode & 0o077 == 0
    assert api.patch("settings", json={"civitai_key": None}).json()["civitai_key_set"] is False
    assert "civitai_key" not in (data / "settings.json").read_text()


@pytest.mark.parametrize(
    "change",
    [
        {"trash_days": -1},
        {"trash_days": "soon"},
        {"write_back": "everywhere"},
        {"organise_template": "../{name}"},
        {"organise_template": "{nothing}/{name}"},
        {"civitai_url": "ftp://example.org"},
        {"data": "/elsewhere"},
        {"token": "another"},
    ],
)
def test_a_wrong_value_changes_nothing(
    api: TestClient, state: State, data: Path, change: dict[str, object]
) -> None:
    before = api.get("settings").json()
    refused = api.patch("settings", json={"blur_from": 4, **change})
    assert refused.status_code == 400 and refused.json()["error"]["message"]
    assert api.get("settings").json() == before
    assert not (data / "settings.json").exists()


def test_the_archive_can_be_left_out(api: TestClient, state: State) -> None:
    assert api.patch("settings", json={"civitai_archive_url": ""}).json()["civitai_archive_url"] == ""
