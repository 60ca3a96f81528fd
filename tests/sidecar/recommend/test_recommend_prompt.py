"""Recommendations for a prompt: from what is said of a LoRA, from authors' examples, and from the user's own images."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from lora_files import add_side_file, make_lora
from waiting import wait_until

from sidecar.errors import Unavailable
from sidecar.recommend.indexer import Indexer
from sidecar.state import State

Ask = Callable[..., list[dict[str, Any]]]


def civitai(
    path: Path,
    title: str,
    words: list[str],
    examples: list[str],
    description: str = "",
    tags: list[str] | None = None,
) -> None:
    info = {
        "id": 1,
        "modelId": 7,
        "name": "v1",
        "trainedWords": words,
        "model": {"name": title, "type": "LORA", "tags": tags or [], "description": description},
        "images": [
            {"url": f"https://example.com/{at}.png", "meta": {"prompt": text}}
            for at, text in enumerate(examples)
        ],
    }
    add_side_file(path, ".civitai.info", info)


@pytest.fixture
def ask(loras: Path, scan: Callable[[], None], api: TestClient, state: State) -> Ask:
    """Asks for recommendations; the library has LoRAs for several things, and forty that are for nothing."""
    for number in range(40):
        path = make_lora(loras / f"plain_{number:02}.safetensors")
        civitai(path, f"Plain {number}", [], [f"a photo of thing {number}, daylight, simple"])
    harbour = make_lora(loras / "harbour.safetensors")
    civitai(
        harbour,
        "Old Harbour",
        ["harbour view"],
        ["harbour view, fishing boats, gulls, ((morning mist))", "boats, quay"],
    )
    ink = make_lora(loras / "ink_wash.safetensors")
    civitai(ink, "Ink Wash", ["sumi-e"], [], "Paintings with brush and ink on rice paper.", ["painting"])
    make_lora(loras / "large_one.safetensors", width=2048)
    civitai(loras / "large_one.safetensors", "Harbour XL", ["harbour view"], ["harbour view, boats, quay"])
    scan()
    state.recommender.refresh()

    def post(prompt: str, **more: Any) -> list[dict[str, Any]]:
        answer = api.post("recommendations/prompt", json={"prompt": prompt, **more})
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    return post


def names(items: list[dict[str, Any]]) -> list[str]:
    return [item["lora"]["name"] for item in items]


def kinds(item: dict[str, Any]) -> list[str]:
    return [reason["kind"] for reason in item["reasons"]]


def test_an_example_like_the_prompt_is_found_and_said(ask: Ask) -> None:
    best = ask("fishing boats, gulls, ((morning mist)), sunrise", base_model="SD 1.x")[0]
    assert best["lora"]["name"] == "harbour"
    assert "example" in kinds(best)
    assert "gulls" in next(one for one in best["reasons"] if one["kind"] == "example")["text"]
    assert 0 < best["score"] <= 1


def test_trigger_words_names_and_descriptions_are_found_and_said(ask: Ask) -> None:
    best = ask("a castle, sumi-e", base_model="SD 1.x")[0]
    assert best["lora"]["name"] == "ink_wash" and "trigger" in kinds(best)
    assert "sumi e" in best["reasons"][0]["text"]
    assert ask("an old harbour at night", base_model="SD 1.x")[0]["lora"]["name"] == "harbour"
    best = ask("brush and ink on paper")[0]
    assert best["lora"]["name"] == "ink_wash" and "text" in kinds(best)


def test_only_what_the_checkpoint_takes_is_recommended(ask: Ask, api: TestClient) -> None:
    assert "large_one" not in names(ask("harbour view, boats, quay", base_model="SD 1.x"))
    assert names(ask("harbour view, boats, quay", base_model="SDXL"))[0] == "large_one"
    api.put("prompts/host", json={"host": "a1111", "checkpoint": "x", "facts": {"checkpoint_base": "SDXL"}})
    assert names(ask("harbour view, boats, quay"))[0] == "large_one"


def test_what_the_prompt_has_already_is_not_recommended(ask: Ask) -> None:
    assert "harbour" not in names(ask("harbour view, boats <lora:Harbour:0.8>", base_model="SD 1.x"))
    assert "harbour" not in names(ask("harbour view, boats", base_model="SD 1.x", exclude=["harbour"]))


def test_the_users_own_images_count_most(ask: Ask, api: TestClient, state: State) -> None:
    prompt = "two foxes in the snow, watercolour"
    assert "plain_07" not in names(ask(prompt))[:1]
    for number in range(3):
        made = {
            "uuid": f"00000000-0000-4000-8000-00000000000{number}", "host": "sdnext", "kind": "txt2img",
            "prompt": f"two foxes in the snow, watercolour, night <lora:plain_07:0.{6 + number}>", "negative_prompt": "",
            "loras": [{"name": "plain_07", "weight": 0.6 + number / 10}], "images": [],
        }  # fmt: skip
        answer = api.post("generations", json=made)
        assert answer.status_code < 300, answer.text
    state.recommender.refresh()
    best = ask(prompt)[0]
    assert best["lora"]["name"] == "plain_07"
    assert best["reasons"][0] == {"kind": "own", "text": "Used in 3 of your images like this", "detail": []}
    assert best["weight"] == 0.8


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "   ",
        "<lora:harbour:1>",
        "、、、",
        "🌃" * 50,
        "a" * 100_000,
        "夜の街, 雨",
        "\ud800x",
        ",,,,(((",
        "masterpiece, best quality",
    ],
)
def test_prompts_of_any_kind_have_an_answer(ask: Ask, prompt: str) -> None:
    assert isinstance(ask(prompt.encode("utf-8", "replace").decode()), list)


def test_an_empty_library_and_one_that_is_not_read_yet(api: TestClient, state: State) -> None:
    assert api.post("recommendations/prompt", json={"prompt": "x"}).json()["error"]["code"] == "unavailable"
    state.recommender.refresh()
    assert api.post("recommendations/prompt", json={"prompt": "x"}).json()["items"] == []
    assert api.get("recommendations/status").json()["index"] == {
        "loras": 0,
        "examples": 0,
        "building": False,
        "learned": None,
    }


def test_kept_tokens_that_are_damaged_are_made_anew(ask: Ask, state: State) -> None:
    before = ask("fishing boats, gulls")
    file = state.settings.data / "recommend-prompts.npz"
    assert file.exists()
    for damage in (b"", b"PK\x03\x04 no", file.read_bytes()[:200]):
        file.write_bytes(damage)
        state.recommender.refresh()
        assert ask("fishing boats, gulls") == before


def test_feedback_changes_later_rankings_and_is_taken_back(ask: Ask, api: TestClient) -> None:
    prompt = "harbour view, boats, quay"
    first, second = ask(prompt)[:2]
    assert {first["lora"]["name"], second["lora"]["name"]} == {"harbour", "large_one"}
    for _ in range(3):
        said = {"verdict": "down", "kind": "prompt", "lora_id": first["lora"]["id"], "subject": prompt}
        assert api.post("recommendations/feedback", json=said).status_code == 201
    refused, other = {item["lora"]["name"]: item for item in ask(prompt)}, second["lora"]["name"]
    after = refused[first["lora"]["name"]]
    assert after["score"] < first["score"] and refused[other]["score"] > second["score"]
    assert after["reasons"][-1]["kind"] == "feedback"
    api.delete("recommendations/feedback").raise_for_status()
    assert ask(prompt)[:2] == [first, second]


def test_what_was_used_with_the_prompts_loras_is_found_and_said(ask: Ask, api: TestClient) -> None:
    prompt = "a photo, daylight <lora:harbour:1>"
    assert "plain_23" not in names(ask(prompt, limit=100))
    for number in range(5):
        loras = [{"name": "harbour", "weight": 1.0}, {"name": "plain_23", "weight": 0.4}]
        made = {
            "uuid": f"10000000-0000-4000-8000-00000000000{number}",
            "host": "sdnext",
            "kind": "txt2img",
            "images": [],
        }
        made |= {"prompt": f"{number} zebras", "negative_prompt": "", "loras": loras}
        assert api.post("generations", json=made).status_code < 300
    ask(prompt)  # co-use is read in the background
    for _ in range(100):
        found = {item["lora"]["name"]: item for item in ask(prompt, limit=100)}
        if "plain_23" in found:
            break
        time.sleep(0.05)
    reason = next(one for one in found["plain_23"]["reasons"] if one["kind"] == "use")
    assert reason["own"] == 5 and "5 of your images" in reason["text"]


def test_the_tags_it_was_trained_with_are_found_and_said(
    ask: Ask, scan: Callable[[], None], loras: Path, state: State
) -> None:
    counts = {"1_set": {"velvet curtains": 30, "brass telescope": 12}}
    make_lora(loras / "unnamed.safetensors", ss_tag_frequency=json.dumps(counts))
    scan()
    state.recommender.refresh()
    found = {item["lora"]["name"]: item for item in ask("a room, brass telescope", limit=20)}
    reason = next(one for one in found["unnamed"]["reasons"] if one["kind"] == "training")
    assert reason["detail"] == ["brass telescope"]


def test_the_first_who_asks_waits_for_the_index(ask: Ask, state: State) -> None:
    indexer = Indexer(state.database, state.events, state.settings.data, lambda: False)
    indexer.start()
    try:
        assert len(indexer.get().loras) == 43
    finally:
        indexer.stop()


def test_who_has_waited_long_enough_is_told_to_come_again(
    ask: Ask, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.recommend.indexer.FIRST_SECONDS", 0.05)
    indexer = Indexer(state.database, state.events, state.settings.data, lambda: True)
    indexer.start()
    try:
        with pytest.raises(Unavailable, match="being prepared"):
            indexer.get()
    finally:
        indexer.stop()


def test_a_prompt_counts_for_all_loras_that_it_names(
    ask: Ask, scan: Callable[[], None], loras: Path, state: State
) -> None:
    """On whose page it stands matters only where its tags tell nothing."""
    make_lora(loras / "glow.safetensors")
    page = make_lora(loras / "lantern.safetensors")
    civitai(page, "Lantern", [], ["a paper kite <lora:glow:0.4>", "a bamboo raft <lora:lantern-v1:0.6>"])
    scan()
    state.recommender.refresh()
    kite = {item["lora"]["name"]: item for item in ask("paper kite, evening")}
    assert kite["glow"]["weight"] == 0.4 and "lantern" not in kite
    raft = {item["lora"]["name"]: item for item in ask("bamboo raft, evening")}
    assert raft["lantern"]["weight"] == 0.6 and "glow" not in raft


def test_another_version_of_a_lora_is_found_by_its_examples(
    ask: Ask, scan: Callable[[], None], loras: Path, state: State
) -> None:
    civitai(make_lora(loras / "moth_v1.safetensors"), "Paper Moths", [], ["folded moths, origami, white"])
    civitai(make_lora(loras / "moth_v2.safetensors"), "Paper Moths", [], [])
    civitai(make_lora(loras / "kite-000010.safetensors"), "", [], ["kites, origami, red thread"])
    make_lora(loras / "kite-000020.safetensors")
    scan()
    state.recommender.refresh()
    found = {item["lora"]["name"]: item for item in ask("origami, folded")}
    reason = next(one for one in found["moth_v2"]["reasons"] if one["kind"] == "example")
    assert reason["detail"] == ["moth_v1"]
    reason = next(one for one in ask("kites, red thread")[1]["reasons"] if one["kind"] == "example")
    assert reason["detail"] == ["kite-000010"]


def test_a_mark_counts_from_the_next_answer_on(ask: Ask, api: TestClient) -> None:
    def score() -> float:
        return float(
            next(item for item in ask("boats, quay") if item["lora"]["name"] == "large_one")["score"]
        )

    before = score()
    number = next(item["lora"]["id"] for item in ask("boats, quay") if item["lora"]["name"] == "large_one")
    assert api.patch(f"loras/{number}", json={"rating": 5, "favorite": True}).status_code == 200
    assert score() > before


def test_copies_are_one_and_not_company_for_themselves(
    ask: Ask, loras: Path, scan: Callable[[], None], state: State
) -> None:
    (loras / "again").mkdir()
    for copy in (loras / "again" / "harbour.safetensors", loras / "harbour_old.safetensors"):
        copy.write_bytes((loras / "harbour.safetensors").read_bytes())
    scan()
    state.library.hasher.start()
    wait_until(lambda: not state.library.hasher.status()["pending"])
    state.recommender.refresh()
    found = [item["lora"]["title"] for item in ask("harbour view, boats, gulls", base_model="SD 1.x")]
    assert found.count("Old Harbour") == 1
    found = names(ask("harbour view, boats, gulls <lora:harbour:1>", base_model="SD 1.x"))
    assert not [name for name in found if name.startswith("harbour")]
