"""Draws: a LoRA out of a search, a weight out of a range, the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conftest import Ask

from sidecar.prompts.draws import read_draw
from sidecar.prompts.grammar import find_tags


@pytest.mark.parametrize(
    ("tag", "query", "set_name", "weights", "arguments"),
    [
        ("<lora:?ink>", "ink", None, None, ()),
        ("<lora:?ink:0.5>", "ink", None, (0.5, 0.5), ()),
        ("<lora:?tag:anime base:sdxl:0.5-0.9>", "tag:anime base:sdxl", None, (0.5, 0.9), ()),
        ("<lora:? tag:anime : 0.9 - 0.5 >", "tag:anime", None, (0.5, 0.9), ()),
        ("<lora:?ink:-1--0.5>", "ink", None, (-1.0, -0.5), ()),
        ("<lora:?ink:0,5-0,9>", "ink", None, (0.5, 0.9), ()),
        ("<lora:?rating:4>", "rating:4", None, None, ()),
        ("<lora:?rating:4:0.8>", "rating:4", None, (0.8, 0.8), ()),
        ("<lora:?ink -rating:4>", "ink -rating:4", None, None, ()),
        ("<lora:?ink:0.5:te=0:unet=1>", "ink", None, (0.5, 0.5), ("te=0", "unet=1")),
        ("<lora:?set:My set:0.7>", "set:My set", "My set", (0.7, 0.7), ()),
    ],
)
def test_a_draw_is_read_whatever_its_query_holds(
    tag: str, query: str, set_name: str | None, weights: Any, arguments: tuple[str, ...]
) -> None:
    assert tuple(read_draw(find_tags(tag)[0])) == (query, set_name, weights, arguments)


def test_the_same_seed_draws_the_same(compose: Ask) -> None:
    prompt = "a <lora:?type:lora:0.5-0.9> b <lora:?type:lora:0.5-0.9>"
    drawn = [compose(prompt, seed=seed)["prompt"] for seed in range(12)]
    assert drawn == [compose(prompt, seed=seed)["prompt"] for seed in range(12)]
    assert len(set(drawn)) > 6
    answer = compose(prompt, seed=3)
    assert [lora["name"] for lora in answer["draws"]] == [lora["name"] for lora in answer["loras"]]
    assert all(0.5 <= lora["weight"] <= 0.9 for lora in answer["draws"])
    assert [note["code"] for note in answer["notes"] if note["code"] == "drawn"]


def test_each_prompt_of_a_batch_draws_by_its_own_seed(compose: Ask) -> None:
    prompt = "<lora:?type:lora:0.1-0.9>"
    together = compose([prompt] * 4, seed=[5, 6, 7, 8])["prompt"]
    assert together == [compose(prompt, seed=seed)["prompt"] for seed in (5, 6, 7, 8)]


def test_a_set_is_taken_in_turn(compose: Ask, make_set: Callable[..., Any]) -> None:
    make_set("turns", {"name": "InkWash", "weight": 0.4, "words": ["moody"]}, "Careful", "one")
    drawn = [compose("<lora:?set:turns>", seed=seed)["loras"][0]["name"] for seed in range(4)]
    assert drawn == ["InkWash", "Careful", "one", "InkWash"]
    assert compose("<lora:?set:turns>", seed=0)["prompt"] == "<lora:InkWash:0.4>, moody"
    assert compose("<lora:?set:turns:0.9>", seed=0)["prompt"] == "<lora:InkWash:0.9>, moody"


def test_a_draw_fits_the_checkpoint(compose: Ask) -> None:
    facts = {"checkpoint_base": "SDXL"}
    drawn = {compose("<lora:?type:lora>", seed=seed, facts=facts)["draws"][0]["name"] for seed in range(30)}
    assert drawn == {"Outfits", "twin"} or drawn == {"Outfits"}
    answer = compose("<lora:?ink>", seed=1, facts=facts)
    assert answer["prompt"] == "" and answer["notes"][0]["code"] == "nothing_drawn"


@pytest.mark.parametrize(
    ("draw", "code"),
    [
        ("<lora:?nowhere_at_all>", "nothing_drawn"),
        ("<lora:?(tag:>", "bad_query"),
        ("<lora:?set:none>", "unknown_set"),
        ("<lora:?>", None),
    ],
)
def test_a_draw_that_cannot_be_made_is_left_out_and_told(compose: Ask, draw: str, code: str | None) -> None:
    answer = compose(f"a {draw} b", seed=1)
    assert "?" not in answer["prompt"]
    assert code is None or code in [note["code"] for note in answer["notes"]]


def test_without_a_seed_it_is_said_that_it_cannot_be_repeated(compose: Ask) -> None:
    assert "no seed" in compose("<lora:?ink>")["notes"][0]["message"]
