"""Composing prompts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Ask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lora_files import make_lora
from starlette.testclient import TestClient

from sidecar.prompts.grammar import find_tags


@pytest.mark.parametrize(
    ("typed", "composed"),
    [
        ("a cat", "a cat"),
        ("a <lora:InkWash:0.5> b", "a <lora:InkWash:0.5> b"),
        ("<lora:inkwash:1>", "<lora:InkWash:1>"),
        ("<lora:styles/InkWash:1>", "<lora:InkWash:1>"),
        ("<lora:styles\\inkwash:1>", "<lora:InkWash:1>"),
        ("<lora:InkWash.safetensors:1>", "<lora:InkWash:1>"),
        ("<lora:inkwash-000010:1>", "<lora:InkWash:1>"),
        ("<lora:plain_v1:1>", "<lora:plain.v1:1>"),
        ("<lora:InkWash>", "<lora:InkWash:0.7>"),
        ("<lora:one>", "<lora:one:1>"),
        ("<lora:InkWash:te=0.5>", "<lora:InkWash:te=0.5>"),
        ("<lora:InkWash:０.８>", "<lora:InkWash:０.８>"),
        ("<lora:InkWash:>", "<lora:InkWash:0.7>"),
        ("<lora:InkWash:dyn=4>", "<lora:InkWash:0.7:dyn=4>"),
        ("<lora:InkWash:1:0.5>", "<lora:InkWash:1:0.5>"),
        ("<lora:InkWash:0.8:lbw=ALL>", "<lora:InkWash:0.8:lbw=ALL>"),
        ("<lora:InkWash:0,8>", "<lora:InkWash:0.8>"),
        ("<lyco:inkwash:1>", "<lyco:InkWash:1>"),
        ("a, <lora:nowhere:1>, b", "a, b"),
        ("<lora:nowhere:1>, b", "b"),
        ("a <lora:nowhere:1>", "a "),
        ("<lora:shared:1>x", "x"),
        ("<lora:cut:1>x", "x"),
        (
            "<hypernet:x:1> (a:1.2) [b] BREAK {c|d} __e__ <lora",
            "<hypernet:x:1> (a:1.2) [b] BREAK {c|d} __e__ <lora",
        ),
        ("<lora:>", "<lora:>"),
    ],
)
def test_composed(compose: Ask, typed: str, composed: str) -> None:
    assert compose(typed)["prompt"] == composed


def test_a_damaged_file_is_called_so(compose: Ask, lint: Ask) -> None:
    assert [note["message"] for note in compose("<lora:cut:1>")["notes"]] == [
        "The file of cut is damaged; it was left out."
    ]
    (problem,) = lint("<lora:Cut:1>")["problems"]
    assert problem["code"] == "damaged_lora" and problem["fixes"][0]["label"] == "Leave it out"


@pytest.mark.parametrize(
    ("weight", "taken"),
    [("0.8@0.2,0.1@0.9", "0.8"), ("0.5\\", "0.5"), ("-.5x", "-.5"), ("strong", "0.7"), ("nan", "0.7")],
)
def test_of_a_weight_that_the_host_cannot_read_its_beginning_is_taken(
    compose: Ask, weight: str, taken: str
) -> None:
    assert compose(f"<lora:InkWash:{weight}>", host="reforge")["prompt"] == f"<lora:InkWash:{taken}>"


def test_without_a_weight_of_its_own_a_lora_gets_the_hosts_usual_one(compose: Ask) -> None:
    facts = {"options": {"extra_networks_default_multiplier": 0.4}}
    composed = compose("<lora:one> <lora:InkWash>", host="sdnext", facts=facts)["prompt"]
    assert composed == "<lora:one:0.4> <lora:InkWash:0.7>"
    assert compose("<lora:one>", host="reforge", facts=facts)["prompt"] == "<lora:one:1>"


def test_what_was_done_is_said(compose: Ask) -> None:
    answer = compose("<lora:inkwash> <lora:nowhere:1>", host="reforge")
    assert [note["code"] for note in answer["notes"]] == ["renamed_lora", "weight_filled", "unknown_lora"]
    assert "every LoRA" in answer["notes"][2]["message"]
    assert [(lora["name"], lora["weight"]) for lora in answer["loras"]] == [("InkWash", 0.7)]


def test_trigger_words_are_added_when_asked_and_never_doubled(compose: Ask) -> None:
    tag = "<lora:InkWash:1>"
    assert compose(f"a cat {tag}")["prompt"] == f"a cat {tag}"
    assert compose(f"a cat {tag}", add_trigger_words=True)["prompt"] == f"a cat {tag}, ink wash, soft brush"
    assert (
        compose(f"Ink_Wash cat {tag}", add_trigger_words=True)["prompt"] == f"Ink_Wash cat {tag}, soft brush"
    )
    full = f"(ink wash:1.2), soft brush {tag}"
    assert compose(full, add_trigger_words=True)["prompt"] == full
    assert compose(f"inky wash {tag},", add_trigger_words=True)["prompt"].endswith(", ink wash, soft brush")
    assert compose(f"{tag}{tag}", add_trigger_words=True)["prompt"] == f"{tag}{tag}, ink wash, soft brush"


def test_a_path_chooses_between_two_files_of_one_stem(compose: Ask) -> None:
    assert compose("<lora:b/twin:1>", add_trigger_words=True)["prompt"] == "<lora:twin:1>, second"


def test_a_batch_comes_back_in_its_shape(compose: Ask) -> None:
    answer = compose(["<lora:inkwash:1>", "plain"], negative_prompt=["n1", "n2"])
    assert answer["prompt"] == ["<lora:InkWash:1>", "plain"]
    assert answer["negative_prompt"] == ["n1", "n2"]
    assert compose([])["prompt"] == []


def test_an_unread_library_drops_nothing(api: TestClient, loras: Path) -> None:
    answer = api.post("prompts/compose", json={"prompt": "<lora:any:1>"}).json()
    assert answer["prompt"] == "<lora:any:1>"
    assert answer["notes"][0]["code"] == "unknown_lora_kept"


def test_an_unreachable_folder_drops_nothing(compose: Ask, loras: Path, scan: Callable[[], None]) -> None:
    loras.rename(loras.with_name("unplugged"))
    scan()
    assert compose("<lora:InkWash:1>")["prompt"] == "<lora:InkWash:1>"


@pytest.mark.parametrize("body", [{}, {"prompt": 5}, {"prompt": ["a", 1]}, {"prompt": "x" * 1_000_001}])
def test_a_wrong_request_is_422(api: TestClient, body: dict[str, Any]) -> None:
    assert api.post("prompts/compose", json=body).status_code == 422


def test_many_tags_are_composed(compose: Ask) -> None:
    assert compose("<lora:inkwash:1>" * 10_000)["prompt"] == "<lora:InkWash:1>" * 10_000
    assert compose("a, <lora:nowhere:1>, " * 10_000 + "b")["prompt"] == "a, " * 10_000 + "b"


PIECES = [
    "<lora:InkWash:0.5>", "<lora:inkwash>", "<lora:nowhere:1>", "<lora:InkWsh:1>", "<LYCO:one:0,8>", "<lora:Outfits:1:te=x>", "<lora:Careful:nan>",
    "<lora:plain_v1:1:0.5>", "<lora:shared:1>", "<set:Ink>", "<set:Loop:0.5>", "<set:none>", "<lora:?ink:0.1-0.9>", "<lora:?set:Ink>", "<lora:b/twin:1>",
    "<lora:", "<", ">", ":", "=", ",", " ", "\n", "(", ")", "[", "]", ":1.2)", "BREAK", "ink wash", "red dress", "silver armor", "careful", "{", "|", "}", "#",
    "//", "__w__", "🦊", "مرحبا", "<hypernet:x:1>", "\\",
]  # fmt: skip
HOSTS = [
    {"host": "sdnext", "facts": {"lora_dir": "/loras"}},
    {"host": "reforge", "facts": {"comments": True}},
    {"host": "a1111"},
    {},
]


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join), st.sampled_from(HOSTS), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
def test_composed_prompts_stay_as_they_are_and_are_understood(
    compose: Ask, lint: Ask, api: TestClient, prompt: str, host: dict[str, Any], words: bool
) -> None:
    """Composing again changes nothing, and the host has in effect what composing said."""
    api.post(
        "sets",
        json={"name": "Ink", "loras": [{"name": "InkWash", "words": ["moody"]}], "negative_prompt": "text"},
    )
    api.post("sets", json={"name": "Loop", "loras": [{"name": "one"}], "prompt": "<set:Ink>, <set:Loop>"})
    once = compose(prompt, add_trigger_words=words, seed=4, **host)
    done = [lora["name"] for lora in once["loras"]]
    more = {
        "negative_prompt": once["negative_prompt"],
        "add_trigger_words": words,
        "seed": 4,
        "words_done": done,
        **host,
    }
    again = compose(once["prompt"], **more)
    assert (again["prompt"], again["negative_prompt"]) == (once["prompt"], once["negative_prompt"])
    checked = lint(once["prompt"], **host)
    assert checked["loras"] == once["loras"] == again["loras"]
    left = {"unknown_kind", "inexact_name", "bad_number", "decimal_comma", "unknown_set", "nothing_drawn"}
    wrong = [one for one in checked["problems"] if one["code"] in left]
    assert not wrong, (prompt, once["prompt"], wrong)


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
def test_without_our_tags_not_a_byte_changes(compose: Ask, prompt: str) -> None:
    if not find_tags(prompt):
        assert compose(prompt, add_trigger_words=True)["prompt"] == prompt


def test_told_only_what_is_wrong_is_left_as_typed(compose: Ask, api: TestClient) -> None:
    api.patch("settings", json={"before_generating": "tell"}).raise_for_status()
    typed = "<lora:inkwash:1> <lora:InkWsh:1> <lora:nowhere:1> <lora:one:0,8> <lora:InkWash>"
    answer = compose(typed, host="reforge")
    assert answer["prompt"] == typed.replace("<lora:InkWash>", "<lora:InkWash:0.7>")
    assert {"unknown_lora", "decimal_comma"} <= {note["code"] for note in answer["notes"]}
    assert not answer["stop"] and answer["loras"] == []


def test_the_job_is_stopped_only_when_the_user_wants_that_and_an_error_is_left(
    compose: Ask, api: TestClient
) -> None:
    assert not compose("<lora:nowhere:1>")["stop"]
    api.patch("settings", json={"before_generating": "stop"}).raise_for_status()
    stopped = compose("<lora:nowhere:1>", host="reforge")
    assert stopped["stop"]
    assert [note["message"] for note in stopped["notes"]] == ["There is no LoRA 'nowhere'."], (
        "nothing was left out"
    )
    assert compose("<set:Nobody>")["notes"][0]["message"] == "There is no set 'Nobody'."
    assert compose("<lora:Outfits:1>", facts={"checkpoint_base": "SD 1.x"})["stop"]
    assert not compose("<lora:inkwash:0,8>", host="reforge")["stop"]
    assert api.patch("settings", json={"before_generating": "never"}).status_code == 400


def test_weights_are_scaled_to_the_limit(compose: Ask, api: TestClient) -> None:
    api.patch("settings", json={"weight_cap": 1.2}).raise_for_status()
    answer = compose("<lora:one:1> <lora:two:0.9:te=0.3:unet=0.5> <lora:Careful:-0.5>")
    assert answer["prompt"] == "<lora:one:0.6> <lora:two:0.54:te=0.18:unet=0.3> <lora:Careful:-0.3>"
    assert "weights_capped" in [note["code"] for note in answer["notes"]]
    assert compose(answer["prompt"])["prompt"] == answer["prompt"]
    assert compose("<lora:one:1.2>")["prompt"] == "<lora:one:1.2>"


def test_different_loras_in_one_batch_are_told(compose: Ask) -> None:
    prompts = ["<lora:one:1>", "<lora:two:1>"]
    for host, used in (("sdnext", "two"), ("reforge", "one")):
        answer = compose(prompts, host=host, facts={"batch_size": 2})
        assert "batch_differs" in [note["code"] for note in answer["notes"]]
        assert [lora["name"] for lora in answer["loras"]] == [used]
        alone = compose(prompts, host=host, facts={"batch_size": 1})
        assert "batch_differs" not in [note["code"] for note in alone["notes"]]
        assert [lora["name"] for lora in alone["loras"]] == ["one", "two"]


def test_a_name_that_no_tag_can_hold_is_told(
    compose: Ask, lint: Ask, loras: Path, scan: Callable[[], None]
) -> None:
    make_lora(loras / "a=b.safetensors", ss_output_name="plain name")
    scan()
    answer = compose("<lora:plain name:1>", host="sdnext")
    assert answer["prompt"] == "" and answer["notes"][0]["code"] == "name_cannot_be_written"
    assert compose("<lora:plain name:1>", host="reforge")["prompt"] == "<lora:plain name:1>"
    assert lint("<lora:plain name:1>", host="sdnext")["problems"][0]["code"] == "name_cannot_be_written"
