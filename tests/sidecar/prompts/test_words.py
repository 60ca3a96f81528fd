"""Trigger words: which groups a LoRA has, what a prompt says already, where words go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Ask
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from sidecar.library.word_groups import groups_of, split_words
from sidecar.prompts.words import Said, has_words, put_words


@pytest.mark.parametrize(
    ("prompt", "word", "there"),
    [
        ("a red dress", "red dress", True),
        ("a Red_Dress", "red dress", True),
        ("a (red dress:1.2)", "red dress", True),
        ("((red dress))", "red dress", True),
        ("[red dress]", "red dress", True),
        ("red, dress", "red dress", False),
        ("red\ndress", "red dress", False),
        ("red dresses", "red dress", False),
        ("miku \\(vocaloid\\)", "miku (vocaloid)", True),
        ("b, a", "a, b", True),
        ("a", "a, b", False),
        ("an end.", "end", True),
        ("<lora:ink:1>", "ink", False),
        ("a BREAK b", "a b", False),
        ("日本 ink", "日本", True),
        ("c++", "c++", True),
        ("", "", False),
    ],
)
def test_a_word_stands_there_however_it_is_written(prompt: str, word: str, there: bool) -> None:
    assert has_words(prompt, word) is there


@given(st.text(), st.text())
def test_words_are_looked_for_without_ever_failing(text: str, words: str) -> None:
    assert isinstance(has_words(text, words), bool)


@given(st.text(max_size=40), st.lists(st.text(max_size=15), max_size=4), st.sampled_from(["start", "end"]))
def test_what_was_put_in_is_not_lacking_any_more(prompt: str, words: list[str], place: str) -> None:
    missing = [
        word
        for word in words
        if Said(prompt).lacks(word) and "<" not in word + prompt and "BREAK" not in prompt
    ]
    said = Said(put_words(prompt, missing, place))
    assert not [word for word in missing if said.lacks(word) and not any(c in word for c in "\\()[]{}:")]


def test_tags_among_trigger_words_are_no_words() -> None:
    assert split_words("ink, <lora:ink:1>, (a, b:1.2), ") == ["ink", "(a, b:1.2)"]
    assert groups_of(["<lora:ink:1>"], "", None) == []


def test_several_lists_are_outfits_and_the_first_is_used() -> None:
    groups = groups_of(["miku, red dress", "miku, armor", "smile"], "blurry", None)
    assert [(group.words, group.mode, group.outfit, group.negative) for group in groups] == [
        (("smile",), "always", False, False),
        (("miku", "red dress"), "always", True, False),
        (("miku", "armor"), "ask", True, False),
        (("blurry",), "always", False, True),
    ]
    assert [group.words for group in groups_of(["a, b"], "", None)] == [("a", "b")]


@pytest.mark.parametrize(
    ("typed", "composed"),
    [
        ("<lora:Outfits:1>", "<lora:Outfits:1>, smile, miku, red dress, hat"),
        ("<lora:Outfits:1> silver armor", "<lora:Outfits:1> silver armor, smile, miku"),
        ("<lora:Outfits:1> hat, smile", "<lora:Outfits:1> hat, smile, miku, red dress"),
        ("<lora:Careful:1>", "<lora:Careful:1>, careful"),
        ("a <lora:Careful:1> BREAK", "a <lora:Careful:1> BREAK careful"),
        ("{<lora:Careful:1>|b}", "{<lora:Careful:1>|b}"),
    ],
)
def test_words_are_added_and_outfits_are_not_mixed(compose: Ask, typed: str, composed: str) -> None:
    assert compose(typed, add_trigger_words=True)["prompt"] == composed


def test_negative_words_go_into_the_negative_prompt_once(compose: Ask) -> None:
    answer = compose("<lora:Careful:1>", negative_prompt="Blurry, ugly", add_trigger_words=True)
    assert answer["negative_prompt"] == "Blurry, ugly, lowres"
    assert compose("<lora:Careful:1>", negative_prompt="ugly")["negative_prompt"] == "ugly"
    answer = compose(["<lora:Careful:1>", "x"], negative_prompt=["a", "b"], add_trigger_words=True)
    assert answer["negative_prompt"] == ["a, blurry, lowres", "b"]
    answer = compose(["<lora:Careful:1>", "x"], negative_prompt="a", add_trigger_words=True)
    assert answer["negative_prompt"] == "a, blurry, lowres"


@pytest.fixture
def say_groups(api: TestClient, prompt_library: Path) -> Callable[..., dict[str, Any]]:
    """Arrange the words of a LoRA."""

    def say(name: str, groups: list[dict[str, Any]] | None) -> dict[str, Any]:
        lora = api.get("loras", params={"q": f"name:{name}"}).json()["items"][0]
        answer = api.patch(f"loras/{lora['id']}", json={"word_groups": groups})
        assert answer.status_code == 200, answer.text
        detail: dict[str, Any] = answer.json()
        return detail

    return say


def test_what_the_user_arranges_counts(
    say_groups: Callable[..., dict[str, Any]], compose: Ask, api: TestClient
) -> None:
    detail = say_groups(
        "Careful",
        [
            {"name": "base", "words": ["first"], "place": "start"},
            {"words": ["near"], "place": "beside"},
            {"words": ["asked"], "mode": "ask"},
            {"words": ["never"], "mode": "never"},
            {"words": ["bad"], "negative": True},
        ],
    )
    assert [group["words"] for group in detail["word_groups"]] == [
        ["first"],
        ["near"],
        ["asked"],
        ["never"],
        ["bad"],
    ]
    assert detail["values"]["word_groups"][0]["source"] == "user"
    answer = compose("a <lora:Careful:1> b", negative_prompt="x", add_trigger_words=True)
    assert answer["prompt"] == "first, a <lora:Careful:1>, near, b"
    assert answer["negative_prompt"] == "x, bad"
    again = compose(answer["prompt"], negative_prompt=answer["negative_prompt"], add_trigger_words=True)
    assert (again["prompt"], again["negative_prompt"]) == (answer["prompt"], answer["negative_prompt"])
    api.post(f"actions/{detail['action']}/undo").raise_for_status()
    assert compose("<lora:Careful:1>", add_trigger_words=True)["prompt"] == "<lora:Careful:1>, careful"


def test_groups_go_back_to_what_the_files_say(say_groups: Callable[..., dict[str, Any]]) -> None:
    say_groups("Careful", [])
    detail = say_groups("Careful", None)
    assert [group["words"] for group in detail["word_groups"]] == [["careful"], ["blurry", "lowres"]]
    assert "word_groups" not in detail["values"]


@pytest.mark.parametrize(
    "groups", [[{"words": ["a"], "mode": "often"}], [{"words": "a"}], {"words": ["a"]}, [{}]]
)
def test_groups_that_mean_nothing_are_refused(api: TestClient, prompt_library: Path, groups: Any) -> None:
    lora = api.get("loras", params={"q": "name:Careful"}).json()["items"][0]
    assert api.patch(f"loras/{lora['id']}", json={"word_groups": groups}).status_code == 422
