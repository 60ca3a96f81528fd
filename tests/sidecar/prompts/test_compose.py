"""Composing prompts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lora_files import add_side_file, make_lora
from starlette.testclient import TestClient

from sidecar.prompts.grammar import find_tags, replace_tags
from sidecar.prompts.words import has_words

Compose = Callable[..., dict[str, Any]]


@pytest.fixture
def compose(loras: Path, scan: Callable[[], None], api: TestClient) -> Compose:
    path = make_lora(loras / "styles" / "InkWash.safetensors", ss_output_name="inkwash-000010")
    add_side_file(path, ".json", {"activation text": "ink wash, soft brush", "preferred weight": 0.7})
    make_lora(loras / "plain.v1.safetensors")
    make_lora(loras / "one.safetensors", ss_output_name="shared")
    make_lora(loras / "two.safetensors", ss_output_name="shared")
    make_lora(loras / "a" / "twin.safetensors", modelspec__trigger_phrase="first")
    make_lora(loras / "b" / "twin.safetensors", width=2048, modelspec__trigger_phrase="second")
    (loras / "cut.safetensors").write_bytes(b"")
    scan()

    def ask(prompt: Any, **more: Any) -> dict[str, Any]:
        answer = api.post("prompts/compose", json={"prompt": prompt, **more})
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result

    return ask


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
def test_composed(compose: Compose, typed: str, composed: str) -> None:
    assert compose(typed)["prompt"] == composed


def test_what_was_done_is_said(compose: Compose) -> None:
    answer = compose("<lora:inkwash> <lora:nowhere:1>", host="reforge")
    assert [note["code"] for note in answer["notes"]] == ["renamed_lora", "weight_filled", "unknown_lora"]
    assert "every LoRA" in answer["notes"][2]["message"]
    assert [(lora["name"], lora["weight"]) for lora in answer["loras"]] == [("InkWash", 0.7)]


def test_trigger_words_are_added_when_asked_and_never_doubled(compose: Compose) -> None:
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


def test_a_path_chooses_between_two_files_of_one_stem(compose: Compose) -> None:
    assert compose("<lora:b/twin:1>", add_trigger_words=True)["prompt"] == "<lora:twin:1>, second"


def test_a_batch_comes_back_in_its_shape(compose: Compose) -> None:
    answer = compose(["<lora:inkwash:1>", "plain"], negative_prompt=["n1", "n2"])
    assert answer["prompt"] == ["<lora:InkWash:1>", "plain"]
    assert answer["negative_prompt"] == ["n1", "n2"]
    assert compose([])["prompt"] == []


def test_an_unread_library_drops_nothing(api: TestClient, loras: Path) -> None:
    answer = api.post("prompts/compose", json={"prompt": "<lora:any:1>"}).json()
    assert answer["prompt"] == "<lora:any:1>"
    assert answer["notes"][0]["code"] == "unknown_lora_kept"


def test_an_unreachable_folder_drops_nothing(compose: Compose, loras: Path, scan: Callable[[], None]) -> None:
    loras.rename(loras.with_name("unplugged"))
    scan()
    assert compose("<lora:InkWash:1>")["prompt"] == "<lora:InkWash:1>"


@pytest.mark.parametrize("body", [{}, {"prompt": 5}, {"prompt": ["a", 1]}, {"prompt": "x" * 1_000_001}])
def test_a_wrong_request_is_422(api: TestClient, body: dict[str, Any]) -> None:
    assert api.post("prompts/compose", json=body).status_code == 422


def test_many_tags_are_composed(compose: Compose) -> None:
    assert compose("<lora:inkwash:1>" * 10_000)["prompt"] == "<lora:InkWash:1>" * 10_000
    assert compose("a, <lora:nowhere:1>, " * 10_000 + "b")["prompt"] == "a, " * 10_000 + "b"


pieces = st.sampled_from(
    ["<lora:", ">", ":", "a", "<", "0.5", ",", " ", "🦊", "\n", "<lora:x:1>", "مرحبا", "(", "BREAK"]
)


@given(st.lists(pieces).map("".join))
def test_untouched_tags_come_back_byte_for_byte(prompt: str) -> None:
    tags = find_tags(prompt)
    assert replace_tags(prompt, tags, [prompt[tag.start : tag.end] for tag in tags]) == prompt


@given(st.text(), st.text())
def test_words_are_looked_for_without_ever_failing(text: str, words: str) -> None:
    assert isinstance(has_words(text, words), bool)
