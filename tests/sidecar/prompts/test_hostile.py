"""Bad input to the routes for prompts and sets: an answer that says so, in good time, and never a failure inside."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Ask
from starlette.testclient import TestClient

from sidecar.prompts.grammar import mask_tags
from sidecar.prompts.words import Said

MakeSet = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("number", [2**63, 10**20, -1])
@pytest.mark.parametrize(
    ("method", "ending"),
    [
        ("GET", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/versions"), ("POST", "/restore"),
        ("GET", "/preview"), ("PUT", "/preview"), ("DELETE", "/preview"),
    ],
)  # fmt: skip
def test_a_number_that_no_set_can_have(api: TestClient, method: str, ending: str, number: int) -> None:
    answer = api.request(method, f"sets/{number}{ending}", json={"name": "x"})
    assert 400 <= answer.status_code < 500, answer.text


@pytest.mark.parametrize("version", [2**63, 10**30, -1])
def test_a_version_that_no_set_can_have(api: TestClient, make_set: MakeSet, version: int) -> None:
    number = make_set("Ink")["id"]
    assert 400 <= api.post(f"sets/{number}/restore", json={"version": version}).status_code < 500
    change = {"name": "Ink", "version": version}
    assert 400 <= api.put(f"sets/{number}", json=change).status_code < 500


@pytest.mark.parametrize("cursor", ["9" * 30, "-1", "x", "²"])
def test_a_cursor_of_no_list(api: TestClient, cursor: str) -> None:
    assert api.get("sets", params={"cursor": cursor}).status_code == 400


@pytest.mark.parametrize("told", ["\ud800", "SD\udfff", 7, [], {}, None])
def test_a_checkpoint_that_is_no_text_counts_as_not_told(api: TestClient, compose: Ask, told: object) -> None:
    body = json.dumps({"prompt": "<lora:Outfits:1>", "facts": {"checkpoint_base": told}})
    for route in ("compose", "lint"):
        answer = api.post(f"prompts/{route}", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "piece", ["<lora:", "<a:", "{a|", "{" + "|" * 20, "[a:", "(", "<lora\uff1a", "a\\", "/*"]
)
def test_a_prompt_of_a_million_characters_that_never_end(compose: Ask, lint: Ask, piece: str) -> None:
    prompt = piece * (1_000_000 // len(piece))
    composed = compose(f"{prompt}", negative_prompt=prompt, add_trigger_words=True)
    assert composed["prompt"] == composed["negative_prompt"] == prompt
    assert len(lint(prompt, negative_prompt=prompt)["problems"]) <= 200


def test_one_brace_before_a_million_bars(compose: Ask) -> None:
    prompt = "<lora:InkWash:1> {" + "|" * 990_000
    assert compose(prompt, add_trigger_words=True)["prompt"].startswith(prompt)


def test_tags_are_masked_up_to_the_last_that_ends() -> None:
    assert mask_tags("a <lora:b:1> c <x:y <z:w> d <e:f", lambda _: "-") == "a - c - d <e:f"
    assert mask_tags("<lora:a", lambda _: "-") == "<lora:a"
    assert Said("<lora:ink:1> wash").lacks("ink")


def test_sets_that_multiply_end(compose: Ask, lint: Ask, make_set: MakeSet) -> None:
    for level in range(30):
        inner = f"<set:L{level + 1}> " * 20
        make_set(f"L{level}", prompt=inner, negative_prompt=inner)
    for sent in ({"prompt": "<set:L0>"}, {"prompt": "a", "negative_prompt": "<set:L0>"}):
        assert "set_too_large" in [note["code"] for note in compose(**sent)["notes"]]
    assert "set_too_large" in [problem["code"] for problem in lint("<set:L0>")["problems"]]


def test_a_long_chain_of_sets(compose: Ask, make_set: MakeSet) -> None:
    for level in range(120):
        make_set(
            f"L{level}", prompt=f"<set:L{level + 1}> p{level}", negative_prompt=f"<set:L{level + 1}> n{level}"
        )
    composed = compose("<set:L0>", negative_prompt="<set:L0>")
    assert "p0" in composed["prompt"] and "n0" in composed["negative_prompt"]
    assert "set_too_large" in [note["code"] for note in composed["notes"]]


def test_each_prompt_of_a_batch_may_bring_as_many_sets(compose: Ask, make_set: MakeSet) -> None:
    make_set("Bad", negative_prompt="blurry")
    composed = compose(["a"] * 300, negative_prompt=["<set:Bad>"] * 300)
    assert composed["negative_prompt"] == ["blurry"] * 300
    assert composed["notes"] == []


def test_a_set_within_itself_is_told_before_the_image(lint: Ask, compose: Ask, make_set: MakeSet) -> None:
    make_set("A", "one", prompt="<set:B>", negative_prompt="<set:B>")
    make_set("B", "two", prompt="<set:A> <set:Gone>", negative_prompt="<set:A>")
    problems = lint("x, <set:A>, y")["problems"]
    assert {problem["code"] for problem in problems} == {"set_in_itself", "unknown_set"}
    assert all(problem["fixes"] for problem in problems)
    assert "A → B → A" in problems[0]["message"] + problems[1]["message"]
    notes = compose("x", negative_prompt="<set:A>")["notes"]
    assert [note["code"] for note in notes] == ["set_in_itself"]


@pytest.mark.parametrize(
    "facts",
    ['{"a": 1' + "0" * 30 + "}", '{"a": "\\ud800"}', '{"\\ud800": 1}', '{"a": ' * 300 + "1" + "}" * 300],
)
def test_what_a_host_cannot_mean_is_refused_and_not_kept(api: TestClient, facts: str) -> None:
    api.put("prompts/host", json={"host": "reforge", "facts": {}})
    body = f'{{"host": "sdnext", "facts": {facts}}}'
    answer = api.put("prompts/host", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert api.get("prompts/host").json()["host"] == "reforge"


def test_half_a_character_in_a_hosts_name(api: TestClient) -> None:
    headers = {"Content-Type": "application/json"}
    for key in ("host", "checkpoint"):
        answer = api.put("prompts/host", content=f'{{"{key}": "\\ud800"}}', headers=headers)
        assert 400 <= answer.status_code < 500
        assert api.get("prompts/host").status_code == 200


def test_each_of_many_unknown_names_is_noted_once(compose: Ask) -> None:
    composed = compose("".join(f"<lora:n{number % 20_000}:1>" for number in range(40_000)))
    assert len(composed["notes"]) == 20_000
