"""Feedback: kept, listed, taken back; it changes later rankings, within bounds, and a reset undoes that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from lora_files import make_lora

from sidecar.recommend.use.opinions import LIMIT, Opinion, adjust, read_opinions, shifts_of
from sidecar.state import State

Say = Callable[..., dict[str, Any]]


@pytest.fixture
def ids(loras: Path, scan: Callable[[], None], api: TestClient) -> dict[str, int]:
    for name in (
        "winter_castle",
        "winter_tower",
        "winter_keep",
        "winter_wall",
        *(f"p{one}" for one in range(25)),
    ):
        make_lora(loras / f"{name}.safetensors")
    scan()
    items = api.get("loras", params={"limit": 100}).json()["items"]
    return {item["name"]: item["id"] for item in items}


@pytest.fixture
def say(api: TestClient, ids: dict[str, int]) -> Say:
    def post(
        name: str, verdict: str, subject: Any = "a castle in snow", kind: str = "prompt"
    ) -> dict[str, Any]:
        body = {"verdict": verdict, "kind": kind, "lora_id": ids[name], "subject": subject}
        answer = api.post("recommendations/feedback", json=body)
        assert answer.status_code == 201, answer.text
        entry: dict[str, Any] = answer.json()
        return entry

    return post


def test_it_is_kept_listed_and_counted(say: Say, api: TestClient, ids: dict[str, int]) -> None:
    entry = say("winter_castle", "up")
    assert entry["lora_id"] == ids["winter_castle"] and entry["name"] == "winter_castle"
    say("winter_tower", "down")
    say("winter_tower", "ignored", ["b", "a"], "companion")
    answer = api.get("recommendations/feedback", params={"limit": 2}).json()
    assert [item["verdict"] for item in answer["items"]] == ["ignored", "down"]
    assert answer["items"][0]["subject"] == '["a","b"]'
    assert answer["total"] == 3 and answer["counts"] == {"up": 1, "down": 1, "chosen": 0, "ignored": 1}
    rest = api.get("recommendations/feedback", params={"cursor": answer["next_cursor"]}).json()
    assert rest["items"] == [entry] and rest["next_cursor"] is None


def test_one_entry_and_all_are_taken_back(say: Say, api: TestClient) -> None:
    first = say("winter_castle", "up")
    say("winter_tower", "down")
    assert api.delete(f"recommendations/feedback/{first['id']}").json() == {"deleted": 1}
    assert api.delete(f"recommendations/feedback/{first['id']}").status_code == 404
    assert api.get("recommendations/feedback").json()["total"] == 1
    assert api.delete("recommendations/feedback").json() == {"deleted": 1}
    assert api.get("recommendations/feedback").json()["items"] == []


def test_what_makes_no_sense_is_refused(say: Say, api: TestClient) -> None:
    body = {"verdict": "up", "kind": "prompt", "lora_id": 10**9}
    assert api.post("recommendations/feedback", json=body).status_code == 404
    assert api.post("recommendations/feedback", json={**body, "verdict": "meh"}).status_code == 422
    assert api.get("recommendations/feedback", params={"cursor": "x"}).status_code == 400


def test_it_changes_later_companions_until_it_is_reset(say: Say, api: TestClient) -> None:
    def names() -> list[str]:
        body = {"loras": ["winter_castle"], "limit": 3}
        items = api.post("recommendations/companions", json=body).json()["items"]
        return [item["lora"]["name"] for item in items]

    before = names()
    assert len(before) == 3
    say(before[0], "down", ["winter_castle"], "companion")
    say(before[2], "up", ["winter_castle"], "companion")
    after = names()
    assert after[0] == before[2] and before[0] not in after[:2]
    api.delete("recommendations/feedback").raise_for_status()
    assert names() == before


def test_it_changes_what_is_similar_and_is_told(say: Say, api: TestClient, ids: dict[str, int]) -> None:
    address = f"loras/{ids['winter_castle']}/similar"
    before = [item["lora"]["name"] for item in api.get(address).json()["items"]]
    say(before[-1], "up", ["winter_castle"], "similar")
    best = api.get(address).json()["items"][0]
    assert best["lora"]["name"] == before[-1]
    assert "feedback" in [reason["kind"] for reason in best["reasons"]]


def test_verdicts_count_the_less_the_less_they_say() -> None:
    shift = {
        verdict: shifts_of("a castle in snow", [Opinion((1,), verdict, "a castle in snow")])[1]
        for verdict in ("up", "chosen", "ignored", "down")
    }
    assert shift["up"] > shift["chosen"] > -shift["ignored"] > 0 > shift["ignored"] > shift["down"]


def test_like_subjects_are_moved_more_than_others() -> None:
    said = [Opinion((1,), "up", "a castle in snow")]
    same, near, other = (
        shifts_of(one, said)[1] for one in ("a castle in snow", "a castle in rain", "two foxes, watercolour")
    )
    assert same > near > other > 0


def test_it_is_bounded_and_pure() -> None:
    scores = np.array([0.0, 5.0, -2.0], np.float32)
    said = [Opinion((7,), "down", "x")] * 100 + [Opinion((9,), "up", "x")] * 100
    moved = adjust(scores, "x", [7, 8, 9], said)
    assert moved.tolist() == [-LIMIT, 5.0, -2.0 + LIMIT]
    assert scores.tolist() == [0.0, 5.0, -2.0]
    assert adjust(scores, "x", [7, 8, 9], []).tolist() == scores.tolist()


def test_it_follows_the_content_and_its_copies(
    say: Say, api: TestClient, loras: Path, scan: Any, hash_all: Any
) -> None:
    say("winter_wall", "up", ["winter_castle"], "companion")
    (loras / "winter_wall.safetensors").rename(loras / "renamed.safetensors")
    scan()
    hash_all()
    (entry,) = api.get("recommendations/feedback").json()["items"]
    assert entry["verdict"] == "up" and entry["name"] in ("renamed", "winter_wall")


def test_what_was_passed_over_pushes_nothing_out(
    say: Say, state: State, ids: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.recommend.use.opinions.MAX_ENTRIES", 3)
    say("winter_castle", "down")
    for _ in range(5):
        say("winter_tower", "ignored")
    assert [one.verdict for one in read_opinions(state.database)] == ["ignored"] * 3 + ["down"]
