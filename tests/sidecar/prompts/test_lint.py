"""Lint: each problem is found on the host that has it, where it is, and its fix mends it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conftest import Ask
from starlette.testclient import TestClient

SDNEXT = {"host": "sdnext", "facts": {"options": {"lora_apply_te": False}, "lora_dir": "/loras"}}
REFORGE = {"host": "reforge", "facts": {"comments": True, "extensions": ["adetailer"]}}


def apply(text: str, negative: str, fix: dict[str, Any]) -> tuple[str, str]:
    """What the page does when a fix is clicked."""
    texts = {"prompt": text, "negative_prompt": negative}
    for change in sorted(fix["changes"], key=lambda one: -one["start"]):
        before = texts[change["field"]]
        texts[change["field"]] = before[: change["start"]] + change["text"] + before[change["end"] :]
    return texts["prompt"], texts["negative_prompt"]


@pytest.mark.parametrize(
    ("host", "prompt", "code", "level", "mended"),
    [
        (REFORGE, "<lora:InkWsh:1>", "unknown_lora", "error", "<lora:InkWash:1>"),
        (SDNEXT, "a, <lora:nowhere:1>, b", "unknown_lora", "error", "a, b"),
        (REFORGE, "<lora::1>", "unknown_lora", "error", ""),
        (REFORGE, "<lora:inkwash:1>", "inexact_name", "error", "<lora:InkWash:1>"),
        (SDNEXT, "<lora: InkWash:1>", "inexact_name", "error", "<lora:InkWash:1>"),
        (REFORGE, "<lora:plain_v1:1>", "inexact_name", "error", "<lora:plain.v1:1>"),
        (SDNEXT, "<lora:inkwash-000010:1>", "inexact_name", "error", "<lora:InkWash:1>"),
        (REFORGE, "<lora:styles/InkWash:1>", "inexact_name", "error", "<lora:InkWash:1>"),
        (SDNEXT, "<lyco:InkWash:1>", "unknown_kind", "error", "<lora:InkWash:1>"),
        (REFORGE, "<LORA:InkWash:1>", "unknown_kind", "error", "<lora:InkWash:1>"),
        (SDNEXT, "<lora:twin:1>", "same_stem", "warning", "<lora:a/twin:1>"),
        (REFORGE, "<lora:twin:1>", "same_stem", "warning", None),
        (REFORGE, "<lora:InkWash:0,8>", "decimal_comma", "error", "<lora:InkWash:0.8>"),
        (SDNEXT, "<lora:InkWash:0,8>", "decimal_comma", "warning", "<lora:InkWash:0.8>"),
        (REFORGE, "<lora:InkWash:1x>", "bad_number", "error", "<lora:InkWash:1>"),
        (SDNEXT, "<lora:InkWash:1:dyn=x>", "bad_number", "error", "<lora:InkWash:0.7>"),
        (REFORGE, "<lora:InkWash:nan>", "bad_number", "error", "<lora:InkWash:0.7>"),
        (SDNEXT, "<lora:InkWash:1:0.5>", "ignored_syntax", "warning", "<lora:InkWash:0.5>"),
        (SDNEXT, "<lora:InkWash:1:lbw=ALL>", "ignored_syntax", "warning", "<lora:InkWash:1>"),
        (REFORGE, "<lora:InkWash:1:lbw=ALL>", "ignored_syntax", "warning", "<lora:InkWash:1>"),
        (REFORGE, "<lora:InkWash:1:out=1>", "ignored_syntax", "warning", "<lora:InkWash:1>"),
        (SDNEXT, "<lora:InkWash:1:te=0.5>", "te_sets_all", "warning", "<lora:InkWash:1>"),
        (REFORGE, "<lora:InkWash:1:te=0.5>", "te_sets_all", "warning", "<lora:InkWash:1:te=0.5:unet=1>"),
        (SDNEXT, "<lora:InkWash:1:te=0.5:unet=1>", "te_not_applied", "warning", "<lora:InkWash:1:unet=1>"),
        (SDNEXT, "<lora:InkWash:1@0.5,0@1>", "only_first_step", "warning", None),
        (SDNEXT, "<lora:InkWash:0>", "no_weight", "info", ""),
        (REFORGE, "<lora:InkWash:1> <lora:InkWash:0.5>", "twice", "warning", "<lora:InkWash:1> "),
        (REFORGE, "<lora:InkWash:1", "unclosed_tag", "error", "<lora:InkWash:1>"),
        (REFORGE, "<lora:one:1, (a)", "unclosed_tag", "error", "<lora:one:1>, (a)"),
        (REFORGE, "<lora：InkWash：1>", "wide_colon", "error", "<lora:InkWash:1>"),
        (SDNEXT, "<lora:InkWash=1>", "unknown_lora", "error", "<lora:InkWash>"),
        (SDNEXT, "<lora:InkWash:strong>", "ignored_syntax", "warning", "<lora:InkWash>"),
        (SDNEXT, "<lora:InkWash:inf>", "bad_number", "error", "<lora:InkWash:0.7>"),
        (REFORGE, "((a) \\( b", "unbalanced_brackets", "warning", "(a) \\( b"),
        (REFORGE, "a] b", "unbalanced_brackets", "warning", "a b"),
        (REFORGE, "[a:<lora:one:1>:0.5]", "lora_in_schedule", "warning", None),
        (REFORGE, "a # <lora:one:1>", "in_comment", "info", None),
        (SDNEXT, "a /* <lora:one:1> */ b /* c */", "in_comment", "info", None),
        (REFORGE, "<lora:one:1> <lora:a#b:1>", "cut_by_comment", "error", "<lora:one:1> "),
        (REFORGE, "<lora:InkWash:1>", "trigger_missing", "info", "<lora:InkWash:1>, ink wash, soft brush"),
        (REFORGE, "<lora:one:1> <lora:two:1> <lora:Careful:1.5>", "weight_sum", "info", "<lora:one:0.8571> <lora:two:0.8571> <lora:Careful:1.2857>"),
        (REFORGE, "<set:nobody>", "unknown_set", "error", ""),
        (REFORGE, "<lora:?tag:nowhere>", "nothing_drawn", "error", ""),
        (REFORGE, "<lora:?(ink>", "bad_query", "error", None),
    ],
)  # fmt: skip
def test_a_problem_is_found_and_its_fix_mends_it(
    lint: Ask, host: dict[str, Any], prompt: str, code: str, level: str, mended: str | None
) -> None:
    found = [one for one in lint(prompt, **host)["problems"] if one["code"] == code]
    assert [one["level"] for one in found] == [level]
    assert 0 <= found[0]["start"] <= found[0]["end"] <= len(prompt)
    if mended is None:
        assert code == "lora_in_schedule" or not found[0]["fixes"]
        return
    after, _ = apply(prompt, "", found[0]["fixes"][0])
    assert after == mended
    assert code not in [one["code"] for one in lint(after, **host)["problems"]]


@pytest.mark.parametrize(
    "prompt",
    [
        "a cat, (masterpiece:1.2), [b:c:0.5] BREAK d AND e, {f|g}, __h__, <hypernet:x:1>, \\(escaped\\)",
        "<lora:one:0.8>",
        "<lora:one:0.8:te=0.5:unet=1> # not for SD.Next",
        "<lora:InkWash:1>, ink wash, soft brush",
        "<lora:__any__:1>",
        "",
        "مرحبا 🦊 <lora:one:1>",
    ],
)
def test_a_prompt_without_problems_has_none(lint: Ask, prompt: str) -> None:
    facts = {"options": {"lora_apply_te": True}}
    assert lint(prompt, host="sdnext", facts=facts)["problems"] == []


def test_a_lora_for_another_base_model_is_an_error_and_a_related_one_is_told(lint: Ask) -> None:
    def codes(base: str | None, checkpoint: str | None = None) -> list[tuple[str, str]]:
        answer = lint(
            "<lora:Outfits:1>, smile, miku, hat, red dress",
            facts={"checkpoint_base": base},
            checkpoint=checkpoint,
        )
        return [(one["code"], one["level"]) for one in answer["problems"]]

    assert codes("SD 1.x") == [("other_base_model", "error")]
    assert codes("SDXL") == []
    assert codes("Pony") == [("related_base_model", "info")]
    assert codes(None) == codes("Unknown") == []
    assert codes(None, "v1-5-pruned-emaonly") == [("other_base_model", "error")]


def test_a_lora_in_the_negative_prompt_can_be_moved(lint: Ask) -> None:
    answer = lint("a cat", negative_prompt="bad, <lora:one:1>, ugly")
    problem = answer["problems"][0]
    assert (problem["code"], problem["field"], problem["start"]) == ("lora_in_negative", "negative_prompt", 5)
    assert apply("a cat", "bad, <lora:one:1>, ugly", problem["fixes"][0]) == (
        "a cat <lora:one:1>",
        "bad, ugly",
    )


def test_places_count_characters_not_bytes(lint: Ask) -> None:
    problem = lint("🦊🦊 مرحبا <lora:nowhere:1>")["problems"][0]
    assert (problem["start"], problem["end"]) == (9, 25)


def test_tags_are_described_for_the_page(lint: Ask, make_set: Callable[..., Any]) -> None:
    make_set("Ink", "InkWash")
    tags = lint("ink wash <lora:InkWash:0.5:te=0.2> <set:ink:0.7> <lora:?ink:0.5-0.9> <lora:nope>")["tags"]
    assert [(tag["kind"], tag["name"], tag["weight"]) for tag in tags] == [
        ("lora", "InkWash", 0.5), ("set", "ink", 0.7), ("draw", "ink", None), ("lora", "nope", None),
    ]  # fmt: skip
    assert tags[2]["weights"] == [0.5, 0.9]
    first = tags[0]
    assert first["lora"]["name"] == "InkWash" and first["te"] == 0.2
    assert "ink wash <lora:InkWash:0.5:te=0.2>"[first["weight_start"] : first["weight_end"]] == "0.5"
    assert [(word["text"], word["present"]) for word in first["words"]] == [
        ("ink wash", True),
        ("soft brush", False),
    ]
    assert tags[1]["set"]["name"] == "Ink" and tags[3]["lora"] is None
    assert tags[3]["weight_start"] == tags[3]["weight_end"] == tags[3]["end"] - 1


def test_the_loras_are_those_that_the_host_would_have(lint: Ask) -> None:
    def names(prompt: str, host: str) -> list[tuple[str, float]]:
        return [(lora["name"], lora["weight"]) for lora in lint(prompt, host=host)["loras"]]

    prompt = "<lora:one:0.5> <lora:nowhere:1>"
    assert names(prompt, "sdnext") == [("one", 0.5)]
    assert names(prompt, "reforge") == []
    assert names("<lyco:one:0.5>", "sdnext") == []
    assert names("<lyco:one:0.5>", "reforge") == [("one", 0.5)]
    assert names("<lora:plain_v1:1>", "sdnext") == [("plain.v1", 1.0)]
    assert names("<lora:plain_v1:1>", "reforge") == []
    assert names("<lora:inkwash-000010:1>", "reforge") == [("InkWash", 1.0)]
    assert names("<lora:shared:1>", "reforge") == []


def test_what_the_host_told_counts_when_nothing_else_is_said(lint: Ask, api: TestClient) -> None:
    api.put("prompts/host", json={"host": "sdnext", "checkpoint": "x", "facts": {"checkpoint_base": "SDXL"}})
    assert api.get("prompts/host").json()["host"] == "sdnext"
    codes = {one["code"] for one in lint("<lora:one:1> <lyco:one:1>")["problems"]}
    assert {"other_base_model", "unknown_kind"} <= codes
    assert "other_base_model" not in {one["code"] for one in lint("<lora:one:1>", facts={})["problems"]}


@pytest.mark.parametrize(
    "facts", [{"options": 5, "extensions": "x", "batch_size": "many", "checkpoint_base": []}, {}]
)
def test_facts_of_a_wrong_type_count_as_not_told(lint: Ask, compose: Ask, facts: dict[str, Any]) -> None:
    assert lint("<lora:one:1>", facts=facts)["problems"] == []
    assert compose("<lora:one:1>", facts=facts)["prompt"] == "<lora:one:1>"


def test_sdnext_keeps_a_weight_and_that_is_told_only_when_it_will_be_wrong(
    lint: Ask, api: TestClient
) -> None:
    stale = {"host": "sdnext", "facts": {"options": {"lora_fuse_native": True, "lora_in_memory_limit": 1}}}
    assert lint("<lora:one:0.5>", **stale)["problems"] == []
    api.post(
        "generations",
        json={"uuid": "12345678", "host": "sdnext", "prompt": "x", "loras": [{"name": "one", "weight": 0.8}]},
    ).raise_for_status()
    assert [one["code"] for one in lint("<lora:one:0.5>", **stale)["problems"]] == ["stale_weight"]
    assert lint("<lora:one:0.8>", **stale)["problems"] == []
    mended = {"host": "sdnext", "facts": {"options": {"lora_fuse_native": False, "lora_in_memory_limit": 1}}}
    assert lint("<lora:one:0.5>", **mended)["problems"] == []


def test_a_prompt_with_ten_thousand_tags_is_answered(lint: Ask) -> None:
    answer = lint("<lora:one:1><lora:nowhere:1>" * 5_000)
    assert len(answer["problems"]) == 200 and len(answer["tags"]) == 1_000


@pytest.mark.parametrize(
    ("prompt", "on_a1111", "on_reforge"),
    [
        ("<lora:nowhere:1> <lora:InkWash:0.5>", [0.5], []),
        ("https://x <lora:InkWash:0.5>", [0.5], []),
        ("a # <lora:InkWash:0.5>", [], []),
        ("<lora:InkWash:0.5> <lora:InkWash:0.2>", [0.2, 0.2], [0.5, 0.2]),
    ],
)
def test_a1111_itself_reads_some_things_otherwise_than_its_forks(
    lint: Ask, prompt: str, on_a1111: list[float], on_reforge: list[float]
) -> None:
    for host, weights in (("a1111", on_a1111), ("reforge", on_reforge)):
        found = lint(prompt, host=host, facts={"comments": True})["loras"]
        assert [one["weight"] for one in found] == weights, host
