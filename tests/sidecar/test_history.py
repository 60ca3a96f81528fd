"""The record of generations, and events."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lora_files import make_lora
from starlette.testclient import TestClient

from sidecar.events import KEPT, Events

RECORD: dict[str, Any] = {
    "uuid": "0000-1111-2222", "host": "sdnext", "kind": "txt2img", "prompt": "a <lora:ink:0.8>", "negative_prompt": "bad",
    "loras": [{"name": "ink", "weight": 0.8}, {"name": "unknown", "weight": 1}], "checkpoint": "model.safetensors",
    "sampler": "Euler a", "steps": 20, "cfg": 6.5, "seed": 4294967295, "width": 512, "height": 768, "duration": 3.2,
    "images": ["/out/1.png"], "interrupted": False, "created": 1700000000.5,
}  # fmt: skip


@pytest.fixture
def ink(loras: Path, scan: Callable[[], None], api: TestClient) -> int:
    make_lora(loras / "ink.safetensors")
    make_lora(loras / "other.safetensors")
    scan()
    found: int = api.get("loras", params={"q": "ink"}).json()["items"][0]["id"]
    return found


def test_a_generation_is_recorded_with_its_loras(ink: int, api: TestClient) -> None:
    answer = api.post("generations", json=RECORD)
    assert answer.status_code == 201
    item = api.get("generations").json()["items"][0]
    assert {name: item[name] for name in RECORD if name != "loras"} == {
        k: v for k, v in RECORD.items() if k != "loras"
    }
    assert item["loras"] == [
        {"name": "ink", "weight": 0.8, "id": ink},
        {"name": "unknown", "weight": 1.0, "id": None},
    ]
    assert api.get(f"loras/{ink}/history").json()["total"] == 1
    assert api.get(f"loras/{ink}").json()["used"] == 1
    assert [i["name"] for i in api.get("loras", params={"sort": "-used"}).json()["items"]] == ["ink", "other"]


def test_one_uuid_is_stored_once(ink: int, api: TestClient) -> None:
    first = api.post("generations", json=RECORD).json()
    again = api.post("generations", json=RECORD)
    assert (again.status_code, again.json()) == (200, first)
    assert api.get(f"loras/{ink}").json()["used"] == 1


def test_history_pages_newest_first(ink: int, api: TestClient) -> None:
    for number in range(5):
        api.post("generations", json={**RECORD, "uuid": f"uuid-000{number}", "created": 1000 + number // 2})
    seen: list[str] = []
    cursor = None
    while True:
        answer = api.get("generations", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        seen += [item["uuid"] for item in answer["items"]]
        cursor = answer["next_cursor"]
        if not cursor:
            break
    assert seen == [f"uuid-000{number}" for number in (4, 3, 2, 1, 0)]
    assert api.get("generations", params={"cursor": "bad"}).status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [{"uuid": ""}, {"seed": 2**70}, {"images": "one"}, {"duration": -1}, {"loras": [{}]}, {"prompt": None}],
)
def test_a_wrong_record_is_refused(ink: int, api: TestClient, wrong: dict[str, Any]) -> None:
    assert api.post("generations", json={**RECORD, **wrong}).status_code == 422
    assert api.get("generations").json()["total"] == 0


def test_a_client_that_reconnects_misses_no_event(ink: int, api: TestClient) -> None:
    url = "ws://127.0.0.1/api/v1/events"
    with api.websocket_connect(url) as socket:
        hello = socket.receive_json()
        assert hello["type"] == "hello" and hello["data"] == {"reset": False}
        api.patch(f"loras/{ink}", json={"favorite": True})
        seen = socket.receive_json()
        assert (seen["type"], seen["data"]) == ("lora.edited", {"id": ink})
    api.post("generations", json=RECORD)
    with api.websocket_connect(f"{url}?after={seen['n']}") as socket:
        assert socket.receive_json() == {"n": seen["n"], "type": "hello", "data": {"reset": False}}
        assert socket.receive_json()["type"] == "generation.recorded"
    with api.websocket_connect(f"{url}?after=5") as socket:
        assert socket.receive_json()["data"] == {"reset": True}


def test_events_are_numbered_without_gaps_and_forgotten_ones_are_said() -> None:
    events = Events()
    start = events.last
    for number in range(KEPT + 10):
        events.publish("tick", number=number)
    assert events.after(start) is None
    assert events.after(events.last + 1) is None
    kept = events.after(start + 10)
    assert kept is not None
    assert [event.n for event in kept] == list(range(start + 11, start + 11 + KEPT))
