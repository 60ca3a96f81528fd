"""Completion in a prompt. `|` in a prompt is the cursor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lora_files import add_side_file, make_lora, picture
from starlette.testclient import TestClient

Complete = Callable[..., dict[str, Any]]


@pytest.fixture
def complete(loras: Path, scan: Callable[[], None], api: TestClient) -> Complete:
    """Asks for completion at the `|` in a text; `base` is the loaded checkpoint's base model."""
    samurai = make_lora(loras / "neon_samurai.safetensors", width=2048, modelspec__title="Glow Warrior")
    add_side_file(
        samurai, ".json", {"activation text": "n3on samurai, glowing katana", "preferred weight": 0.8}
    )
    add_side_file(samurai, ".preview.png", picture())
    make_lora(loras / "neon_alley.safetensors", width=768)
    make_lora(loras / "old_neon_sign.safetensors", width=768)
    ink = make_lora(loras / "ink wash.safetensors", width=768)
    add_side_file(ink, ".json", {"activation text": "ink wash, glowing ink"})
    add_side_file(
        make_lora(loras / "more_ink.safetensors", width=2048), ".json", {"activation text": "ink wash"}
    )
    scan()

    def ask(text: str, base: str | None = None, **more: Any) -> dict[str, Any]:
        facts = {"checkpoint_base": base} if base else {}
        api.put(
            "prompts/host", json={"host": "sdnext", "checkpoint": None, "facts": facts}
        ).raise_for_status()
        at = text.index("|")
        answer = api.post("prompts/complete", json={"text": text.replace("|", "", 1), "at": at, **more})
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result

    return ask


def texts(answer: dict[str, Any]) -> list[str]:
    return [item["text"] for item in answer["items"]]


def written(text: str, answer: dict[str, Any], index: int = 0) -> str:
    """The prompt after taking a suggestion."""
    plain = text.replace("|", "", 1)
    chosen: str = answer["items"][index]["text"]
    return plain[: answer["start"]] + chosen + plain[answer["end"] :]


def change(api: TestClient, name: str, **values: Any) -> None:
    items = api.get("loras", params={"limit": 1000}).json()["items"]
    lora_id = next(item["id"] for item in items if item["name"] == name)
    api.patch(f"loras/{lora_id}", json=values).raise_for_status()


def test_names_that_begin_so_come_before_those_that_contain_it(complete: Complete) -> None:
    assert texts(complete("a castle, <lora:neon|")) == [
        "<lora:neon_alley:1>",
        "<lora:neon_samurai:0.8>",
        "<lora:old_neon_sign:1>",
    ]


def test_a_lora_says_all_that_a_list_shows(complete: Complete) -> None:
    answer = complete("<lora:neon_sa|")
    assert (answer["start"], answer["end"]) == (0, len("<lora:neon_sa"))
    (item,) = answer["items"]
    assert item["lora"].pop("preview")["kind"] == "image"
    assert item["lora"].pop("id")
    assert (item["lora"].pop("nsfw"), item["lora"].pop("blurred")) == (0, False)
    assert item == {
        "kind": "lora",
        "text": "<lora:neon_samurai:0.8>",
        "label": "neon_samurai",
        "detail": "Glow Warrior",
        "lora": {"name": "neon_samurai", "title": "Glow Warrior", "base_model": "SDXL", "weight": 0.8},
        "set": None,
        "fits": None,
    }


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("<lora:warrior glow|", ["neon_samurai"]),  # its title
        ("<lora:katana|", ["neon_samurai"]),  # a trigger word
        ("<lora:neon sam|", ["neon_samurai"]),  # a space for `_`
        ("<LORA:NEON_SAM|", ["neon_samurai"]),
        ("<lora:murai|", ["neon_samurai"]),  # a part of a word
        ("<lora:samuria|", ["neon_samurai"]),  # a typo
        ("<lora:ink w|", ["ink wash", "more_ink"]),
        ("<lora:neon s|", ["neon_samurai", "old_neon_sign"]),  # a single letter counts as well
        ("<lora:unheard_of|", []),
        ("<lora:\x00|", []),
        ("<lora:neon_samurai:0.|", []),  # its weight
        ("<lora:neon_samurai:1>|", []),  # behind it
    ],
)
def test_what_is_typed_of_a_name(complete: Complete, typed: str, names: list[str]) -> None:
    assert [item["label"] for item in complete(typed)["items"]] == names


def test_what_fits_the_checkpoint_comes_first_and_the_rest_is_marked(complete: Complete) -> None:
    answer = complete("<lora:neon|", base="Pony")
    assert [(item["label"], item["fits"]) for item in answer["items"]] == [
        ("neon_samurai", True),
        ("neon_alley", False),
        ("old_neon_sign", False),
    ]
    exact = complete("<lora:neon_alley|", base="Pony")
    assert exact["items"][0]["label"] == "neon_alley"


def test_liked_and_used_ones_come_first_among_equals(complete: Complete, api: TestClient) -> None:
    assert complete("<lora:|")["items"][0]["label"] == "ink wash"
    used = [{"name": "neon_samurai", "weight": 1}]
    record = {"uuid": "first-picture", "host": "sdnext", "prompt": "a night", "loras": used}
    answer = api.post("generations", json=record)
    assert answer.status_code == 201, answer.text
    assert [item["label"] for item in complete("<lora:neon|")["items"][:2]] == ["neon_samurai", "neon_alley"]
    assert complete("<lora:|")["items"][0]["label"] == "neon_samurai"
    change(api, "neon_alley", favorite=True)
    assert [item["label"] for item in complete("<lora:neon|")["items"][:2]] == ["neon_alley", "neon_samurai"]


def test_a_weight_of_the_users_own_goes_before_the_authors(complete: Complete, api: TestClient) -> None:
    change(api, "neon_samurai", weight=0.55)
    assert texts(complete("<lora:neon_sa|")) == ["<lora:neon_samurai:0.55>"]


@pytest.mark.parametrize(
    ("typed", "after"),
    [
        ("a <lora:neon_s|>, b", "a <lora:neon_samurai>, b"),
        ("a <lora:neon_s|ign:0.5:te=0>, b", "a <lora:neon_samurai:0.5:te=0>, b"),
        ("a <lyco:neon_s|:0.5>", "a <lyco:neon_samurai:0.5>"),
        ("a <lyco:neon_s|", "a <lyco:neon_samurai:0.8>"),
        ("a <lora:neon_s|, b > c", "a <lora:neon_samurai:0.8>, b > c"),
        ("a <lora:neon_s| <lora:other:1>", "a <lora:neon_samurai:0.8> <lora:other:1>"),
        ("a <lora:neon_s|\nb>", "a <lora:neon_samurai:0.8>\nb>"),
        ("x < y <lora:neon_s|", "x < y <lora:neon_samurai:0.8>"),
    ],
)
def test_in_a_whole_tag_only_the_name_is_replaced(complete: Complete, typed: str, after: str) -> None:
    assert written(typed, complete(typed)) == after


def test_names_that_no_tag_can_hold_and_files_that_no_host_loads_are_not_offered(
    complete: Complete, loras: Path, scan: Callable[[], None], api: TestClient
) -> None:
    for name in ("odd=one", "odd>two", "odd:three", "?odd four", "odd five"):
        make_lora(loras / f"{name}.safetensors")
    (loras / "odd_broken.safetensors").write_bytes(b"")
    make_lora(loras / "odd_hidden.safetensors")
    make_lora(loras / "again" / "odd five.safetensors")
    scan()
    change(api, "odd_hidden", hidden=True)
    assert texts(complete("<lora:odd|")) == ["<lora:odd five:1>"]
    (loras / "odd five.safetensors").unlink()
    (loras / "again" / "odd five.safetensors").unlink()
    scan()
    assert texts(complete("<lora:odd|")) == []


def test_places_count_characters(complete: Complete) -> None:
    typed = "👩‍🎨 ночь, שלום, <lora:neon_s|> 🏙"
    assert written(typed, complete(typed)) == "👩‍🎨 ночь, שלום, <lora:neon_samurai> 🏙"


def test_a_draw_is_completed_as_a_search(complete: Complete, api: TestClient) -> None:
    change(api, "neon_samurai", tags=["anime"])
    typed = "a <lora:?tag:an|"
    assert written(typed, complete(typed)) == "a <lora:?tag:anime"
    typed = "a <lora:?tag:anime bas|"
    assert written(typed, complete(typed)) == "a <lora:?tag:anime base:"
    typed = "<lora:?base:sd|:0.5-0.9>"
    assert written(typed, complete(typed)) == '<lora:?base:"SD 1.x":0.5-0.9>'
    fields = complete("<lora:?|")["items"]
    assert [item["text"] for item in fields[:3]] == ["set:", "tag:", "base:"]
    assert all(item["kind"] == "field" and item["detail"] for item in fields)
    assert complete("<lora:?se|")["items"][0]["text"] == "set:"


def test_sets_are_completed_by_name(complete: Complete, api: TestClient) -> None:
    items = api.get("loras", params={"q": "neon_samurai"}).json()["items"]
    lora_id = items[0]["id"]
    api.post("sets", json={"name": "Night city", "loras": [{"lora_id": lora_id}]}).raise_for_status()
    api.post("sets", json={"name": "City walls", "prompt": "walls"}).raise_for_status()
    answer = complete("x <set:city|", base="SD 1.x")
    assert texts(answer) == ["<set:City walls>", "<set:Night city>"]
    walls, night = answer["items"]
    assert (walls["detail"], walls["fits"], walls["set"]["base_model"]) == ("text only", None, None)
    assert (night["detail"], night["fits"], night["set"]["base_model"]) == ("1 LoRA", False, "SDXL")
    assert night["set"]["previews"] == [lora_id]
    assert not night["set"]["preview"]
    typed = "<set:ni|ght:0.7> b"
    assert written(typed, complete(typed)) == "<set:Night city:0.7> b"
    typed = "<lora:?set:ni|:0.7>"
    assert written(typed, complete(typed)) == "<lora:?set:Night city:0.7>"
    api.delete(f"sets/{night['set']['id']}").raise_for_status()
    assert texts(complete("<set:|")) == ["<set:City walls>"]


def test_trigger_words_of_loras_in_the_prompt_come_first(complete: Complete) -> None:
    answer = complete("<lora:neon_samurai:1> night, glow|")
    assert [(item["text"], item["detail"]) for item in answer["items"]] == [
        ("glowing katana", "of neon_samurai"),
        ("glowing ink", "not in the prompt: ink wash"),
    ]
    assert answer["items"][0]["lora"]["name"] == "neon_samurai"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("glow|", ["glowing ink", "glowing katana"]),
        ("<lora:neon_samurai:1>, glowing katana, glow|", ["glowing ink"]),  # one is there already
        ("<lora:neon_samurai:1>, (glowing_katana:1.2), glow|", ["glowing ink"]),
        ("a night with glow|", []),  # in the midst of a sentence only of LoRAs in the prompt
        ("<lora:neon_samurai:1> a night with glow|", ["glowing katana"]),
        ("<lora:neon_samurai:1> a night with glowing kat|", ["glowing katana"]),
        ("(glowing_k|:1.2)", ["glowing katana"]),
        ("glowing katana|", []),
        ("g|", []),
        ("|", []),
        ("a castle, |", []),
        ("glow|er", []),
        ("katana|", []),
        ("<glow|", []),
        ("123|", []),
        ("👩‍🎨|", []),
        ("', \"|", []),
    ],
)
def test_plain_words(complete: Complete, typed: str, words: list[str]) -> None:
    assert sorted(texts(complete(typed))) == words


def test_a_word_of_several_loras_says_how_many(complete: Complete) -> None:
    for base, name in (("SDXL", "more_ink"), ("SD 1.x", "ink wash")):
        (item,) = complete("ink|", base=base)["items"]
        assert (item["text"], item["fits"]) == ("ink wash", True)
        assert item["detail"] == f"not in the prompt: {name} and 1 more"


def test_the_words_of_the_users_groups_count(complete: Complete, api: TestClient) -> None:
    group = {"name": "armour", "words": ["steel plates"], "mode": "ask", "place": "end", "negative": False}
    change(api, "neon_samurai", word_groups=[group])
    assert texts(complete("<lora:neon_samurai:1>, stee|")) == ["steel plates"]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("<lora:ne", -7),
        ("<lora:ne", 10**30),
        ("", 0),
        ("<lora:ne" * 125_000, 500_000),
        ("<" * 1_000_000, 999_999),
        ("glow" * 250_000, 1_000_000),
        ("(" * 100_000, 50_000),
        ("<lora:" + "ne " * 100_000, 200_000),
    ],
)
def test_no_text_and_no_cursor_is_an_error(api: TestClient, complete: Complete, text: str, at: int) -> None:
    answer = api.post("prompts/complete", json={"text": text, "at": at})
    assert answer.status_code == 200
    place = answer.json()
    assert 0 <= place["start"] <= place["end"] <= len(text)


def test_half_a_character_is_no_error(api: TestClient, complete: Complete) -> None:
    body = b'{"text": "\\ud83d <lora:neon_s", "at": 14}'
    answer = api.post("prompts/complete", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 422)


def test_a_long_prompt_is_completed_where_the_cursor_is(complete: Complete) -> None:
    typed = "word, " * 150_000 + "<lora:neon_sa|" + ", word" * 10_000
    answer = complete(typed)
    assert (answer["start"], texts(answer)) == (900_000, ["<lora:neon_samurai:0.8>"])


def test_as_many_as_asked_for(complete: Complete, api: TestClient) -> None:
    assert len(complete("<lora:|", limit=2)["items"]) == 2
    assert api.post("prompts/complete", json={"text": "", "at": 0, "limit": 0}).status_code == 422


def test_pictures_above_the_users_level_are_blurred(complete: Complete, api: TestClient) -> None:
    change(api, "neon_samurai", nsfw=16)
    assert complete("<lora:neon_samurai|")["items"][0]["lora"]["blurred"]
    api.patch("settings", json={"blur_from": 0}).raise_for_status()
    assert not complete("<lora:neon_samurai|")["items"][0]["lora"]["blurred"]
