"""LoRAs that are like one: by text and by use, each with its reason and its score."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from lora_files import add_side_file, make_lora

Similar = Callable[..., dict[str, Any]]


@pytest.fixture
def similar(loras: Path, scan: Callable[[], None], api: TestClient) -> Similar:
    """Asks what is like a LoRA; there are two ship builders' LoRAs, a painter's, some others and one without text."""
    for name, title, text in (
        ("galleon", "Galleon", "A wooden sailing ship with three masts and cannon."),
        ("frigate", "Frigate", "A sailing ship of the navy, masts and cannon."),
        ("gouache", "Gouache", "Opaque paint on toned paper."),
    ):
        model = {"name": title, "type": "LORA", "tags": [], "description": text}
        add_side_file(make_lora(loras / f"{name}.safetensors"), ".civitai.info", {"id": 1, "model": model})
    for number in range(25):
        make_lora(loras / f"plain_{number:02}.safetensors")
    scan()

    def get(name: str, **parameters: Any) -> dict[str, Any]:
        items = api.get("loras", params={"limit": 100}).json()["items"]
        lora_id = next(item["id"] for item in items if item["name"] == name)
        answer = api.get(f"loras/{lora_id}/similar", params=parameters)
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result

    return get


def test_alike_in_text_with_the_words_that_both_have(similar: Similar) -> None:
    best = similar("galleon", by="text")["items"][0]
    assert best["lora"]["name"] == "frigate"
    reason = best["reasons"][0]
    assert reason["kind"] == "text" and "masts" in reason["text"] and 0 < reason["score"] <= 1
    assert best["score"] == pytest.approx(reason["score"], abs=1e-3)
    assert [item["lora"]["name"] for item in similar("gouache", by="text")["items"]] == []


def test_alike_in_use_are_those_that_are_used_with_the_same_others(similar: Similar, api: TestClient) -> None:
    for one in ("plain_01", "plain_02"):
        for _ in range(2):
            loras = [{"name": one}, {"name": "gouache"}]
            made = {"uuid": str(uuid4()), "host": "sdnext", "prompt": f"picture {one}", "loras": loras}
            api.post("generations", json=made).raise_for_status()
    best = similar("plain_01", by="use")["items"][0]
    assert best["lora"]["name"] == "plain_02"
    assert best["reasons"][0]["kind"] == "use" and "Gouache" in best["reasons"][0]["text"]


def test_every_kind_by_default_and_only_those_asked_for(similar: Similar, api: TestClient) -> None:
    assert {reason["kind"] for item in similar("galleon")["items"] for reason in item["reasons"]} <= {
        "text", "use", "weights",
    }  # fmt: skip
    assert similar("galleon", by="use")["items"] == []
    assert any("no likeness by use" in note for note in similar("galleon", by="use")["notes"])


def test_what_is_not_there_or_not_a_kind_is_refused(similar: Similar, api: TestClient) -> None:
    assert api.get("loras/999999/similar").status_code == 404
    assert api.get("loras/1/similar", params={"by": "colour"}).status_code == 422
    assert len(similar("galleon", limit=1)["items"]) <= 1


def test_feedback_moves_even_what_is_quite_the_same(
    similar: Similar, api: TestClient, loras: Path, scan: Callable[[], None]
) -> None:
    for number in (4, 6, 8):
        model = {"name": "Lighthouse", "type": "LORA", "tags": [], "description": "A lamp above the surf."}
        path = make_lora(loras / f"lighthouse-00000{number}.safetensors")
        add_side_file(path, ".civitai.info", {"id": number, "model": model})
    scan()
    scores = {one["lora"]["id"]: one["score"] for one in similar("lighthouse-000004", by="text")["items"]}
    number, before = max(scores.items(), key=lambda one: one[1])
    assert before == 1
    said = {"verdict": "up", "kind": "similar", "lora_id": number, "subject": ["lighthouse-000004"]}
    liked = api.post("recommendations/feedback", json=said).json()
    items = similar("lighthouse-000004", by="text")["items"]
    assert next(one["score"] for one in items if one["lora"]["id"] == number) == 1
    api.delete(f"recommendations/feedback/{liked['id']}").raise_for_status()
    for _ in range(6):
        said = {"verdict": "down", "kind": "similar", "lora_id": number, "subject": ["lighthouse-000004"]}
        assert api.post("recommendations/feedback", json=said).status_code == 201
    items = similar("lighthouse-000004", by="text")["items"]
    assert next(one["score"] for one in items if one["lora"]["id"] == number) < 0.6
