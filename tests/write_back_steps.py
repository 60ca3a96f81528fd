"""What tests of writing back do over HTTP, and what A1111's editor has written before."""

from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient
from waiting import wait_until

A1111 = {
    "description": "theirs", "sd version": "SD1", "activation text": "old", "preferred weight": 0.5, "negative text": "",
    "notes": "old notes", "an unknown key": {"nested": [1, 2.5, None, "ä"]}, "last": 1,
}  # fmt: skip
SAID = {
    "trigger_words": ["new", "words"],
    "weight": 0.8,
    "negative_prompt": "blurry",
    "notes": "mine\nreally ä",
}


def id_of(api: TestClient, name: str = "a") -> int:
    items = api.get("loras", params={"limit": 1000}).json()["items"]
    return int(next(item["id"] for item in items if item["name"] == name))


def state_of(api: TestClient, name: str = "a") -> dict[str, Any]:
    answer: dict[str, Any] = api.get(f"loras/{id_of(api, name)}").json()["write_back"]
    return answer


def patch(api: TestClient, name: str = "a", **changes: Any) -> None:
    answer = api.patch(f"loras/{id_of(api, name)}", json=changes)
    assert answer.status_code == 200, answer.text


def wait_for(api: TestClient, wanted: str, name: str = "a") -> str | None:
    """Wait for a state; returns its reason."""
    wait_until(lambda: state_of(api, name)["state"] == wanted)
    reason: str | None = state_of(api, name)["reason"]
    return reason
