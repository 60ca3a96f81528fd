"""Composing and lint agree: what lint calls an error is mended by composing, or noted by it; and what sets bring counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

Ask = Callable[..., dict[str, Any]]

NASTY = (
    "<lora:nowhere:1>", "<lora:inkwash:0.8>", "<lora: InkWash :0.8>", "<lyco:InkWash:0.8>", "<LORA:InkWash:1>",
    "<lora:InkWash:0,8>", "<lora:InkWash:1x>", "<lora:InkWash:nan>", "<lora:InkWash:0.8@0.2,0.1@0.9>",
    "<lora:InkWash:1:0.5>", "<lora:InkWash:1:te=0.5>", "<lora:InkWash:0>", "<lora:InkWash:0.8", "<lora：InkWash：0.8>",
    "<lora:InkWash:1> <lora:InkWash:1>", "<lora:Outfits:1>", "<lora:twin:1>", "<lora:styles/InkWash:1>",
    "<lora:InkWash.safetensors:1>", "((a <lora:InkWash:1>", "<set:nowhere>", "<set:Pair:abc>", "<set:Pair>",
    "<lora:?tag:nothing_like_it>", "<lora:?tag:{a|b}:0.5>", "# <lora:InkWash:1>", "[<lora:InkWash:1>:0.5]",
    "{<lora:InkWash:1>|<lora:one:1>}", "<lora:one,:1>", "<lora::1>", "<lora:Cut:1>",
)  # fmt: skip
HOSTS = (
    {"host": "sdnext", "facts": {"checkpoint_base": "SD 1.x", "lora_dir": "/loras"}},
    {"host": "sdnext", "facts": {"options": {"lora_apply_te": False}}},
    {"host": "a1111", "facts": {"checkpoint_base": "SD 1.x", "comments": True}},
    {"host": "reforge", "facts": {"checkpoint_base": "SDXL", "comments": True}},
)


@pytest.fixture
def pair(prompt_library: object, api: TestClient) -> None:
    """The set Pair: one with a weight, one without."""
    ids = {one["name"]: one["id"] for one in api.get("loras?limit=100").json()["items"]}
    loras = [{"lora_id": ids["one"], "weight": 0.6}, {"lora_id": ids["two"]}]
    api.post("sets", json={"name": "Pair", "loras": loras}).raise_for_status()


@pytest.mark.parametrize("mode", ["tell", "fix", "stop"])
@pytest.mark.parametrize("host", HOSTS, ids=["sdnext", "sdnext no te", "a1111", "reforge"])
def test_no_error_that_lint_tells_is_lost(
    compose: Ask, lint: Ask, api: TestClient, pair: None, host: dict[str, Any], mode: str
) -> None:
    api.patch("settings", json={"before_generating": mode}).raise_for_status()
    for prompt in NASTY:
        composed = compose(prompt, **host)
        noted = {note["code"] for note in composed["notes"]}
        left = [one for one in lint(composed["prompt"], **host)["problems"] if one["level"] == "error"]
        assert {one["code"] for one in left} <= noted, (prompt, composed)
        errors = [note for note in composed["notes"] if note["level"] == "error"]
        assert composed["stop"] == (mode == "stop" and bool(errors)), (prompt, composed)
        if mode == "tell":
            wrong = {one["code"] for one in lint(prompt, **host)["problems"] if one["level"] == "error"}
            assert wrong <= noted, (prompt, composed)


def test_a_lora_that_a_set_brings_stands_once_however_it_is_written(compose: Ask, pair: None) -> None:
    for name in ("one", "ONE", "one.safetensors"):
        prompt = compose(f"<lora:{name}:0.8> <set:Pair>", host="sdnext")["prompt"]
        assert prompt == "<lora:one:0.8> <lora:two:1>", name


def test_a_scaled_set_scales_what_the_host_would_take(compose: Ask, pair: None) -> None:
    facts = {"options": {"extra_networks_default_multiplier": 0.4}}
    assert compose("<set:Pair:0.5>", host="sdnext", facts=facts)["prompt"] == "<lora:one:0.3><lora:two:0.2>"
    assert compose("<set:Pair:0.5>", host="reforge")["prompt"] == "<lora:one:0.3><lora:two:0.5>"


@pytest.mark.parametrize("query", ["tag:{anime|ink}", "__style__", "tag:$kind"])
def test_a_draw_that_is_still_to_be_filled_in_is_left(
    compose: Ask, lint: Ask, pair: None, query: str
) -> None:
    prompt = f"a <lora:?{query}:0.5> b"
    assert compose(prompt)["prompt"] == prompt
    assert lint(prompt)["problems"] == []


def test_the_limit_counts_what_the_picture_shows(
    compose: Ask, lint: Ask, api: TestClient, pair: None
) -> None:
    api.patch("settings", json={"weight_cap": 1.5}).raise_for_status()
    assert compose("<lora:one:2:unet=0.2>", host="reforge")["prompt"] == "<lora:one:2:unet=0.2>"
    assert compose("<lora:one:0.1:2>", host="reforge")["prompt"] == "<lora:one:0.075:1.5>"
    assert lint("<set:Pair>", host="reforge")["sum"] == 1.6
    (problem,) = lint("<set:Pair>", host="reforge")["problems"]
    assert problem["code"] == "weight_sum"
    assert [one["text"] for one in problem["fixes"][0]["changes"]] == ["<set:Pair:0.9375>"]


def test_a_misspelt_set_and_one_scaled_by_no_number_are_mended(lint: Ask, pair: None) -> None:
    (problem,) = lint("<set:Pairr:0.5>")["problems"]
    assert problem["fixes"][0]["changes"][0]["text"] == "<set:Pair:0.5>"
    problem = next(one for one in lint("<set:Pair:abc>")["problems"] if one["code"] == "bad_number")
    assert problem["fixes"][0]["changes"][0]["text"] == "<set:Pair>"


def test_words_that_outfits_share_are_said_once(compose: Ask, api: TestClient, pair: None) -> None:
    draft = api.post("sets/draft", json={"prompt": "miku, red dress <lora:Outfits:1>"}).json()
    assert draft["loras"][0]["words"] == ["miku", "red dress"]
    ids = {one["name"]: one["id"] for one in api.get("loras?limit=100").json()["items"]}
    loras = [{"lora_id": ids["Outfits"], "weight": 1, "words": ["miku", "hat", "miku"]}]
    api.post("sets", json={"name": "Twice", "loras": loras}).raise_for_status()
    assert compose("<set:Twice>")["prompt"] == "<lora:Outfits:1>, miku, hat"


def test_a_hint_never_ends_a_tag(lint: Ask, pair: None) -> None:
    for query in ("weight:x", "size:big", "rating:>", "(tag:a"):
        for problem in lint(f"<lora:?{query}>")["problems"]:
            assert ">" not in problem["message"].replace("<lora", ""), problem


def test_thousands_of_draws_are_not_all_made(compose: Ask, pair: None) -> None:
    composed = compose("<lora:?one:0.5>" * 5_000, seed=1)
    assert len(composed["draws"]) == 200
    assert "too_many_draws" in {note["code"] for note in composed["notes"]}
