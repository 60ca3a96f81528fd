"""Sets: kept by content, every save a version, used in prompts."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Ask
from PIL import Image
from starlette.testclient import TestClient

Make = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("typed", "composed"),
    [
        ("a, <set:ink>, b", "a, moody <lora:InkWash:0.8><lora:one:1>, b"),
        ("<set:Ink:0.5>", "moody <lora:InkWash:0.4><lora:one:0.5>"),
        ("<set: INK :0,5>", "moody <lora:InkWash:0.4><lora:one:0.5>"),
        ("<set:outer>", "moody <lora:InkWash:0.4><lora:one:0.5> night <lora:Careful:te=0.2:unet=1>"),
        ("<set:outer:0.5>", "moody <lora:InkWash:0.2><lora:one:0.25> night <lora:Careful:te=0.1:unet=0.5>"),
        ("<lora:InkWash:1> <set:ink>", "<lora:InkWash:1> moody <lora:one:1>"),
        ("<set:ink> <set:ink>", "moody <lora:InkWash:0.8><lora:one:1> moody"),
        ("<set:nobody> x", "x"),
        ("<set:>", "<set:>"),
    ],
)
def test_a_set_stands_for_what_is_in_it(make_set: Make, compose: Ask, typed: str, composed: str) -> None:
    make_set("Ink", {"name": "InkWash", "weight": 0.8}, "one", prompt="moody", negative_prompt="text")
    make_set("Outer", {"name": "Careful", "te": 0.2, "unet": 1}, prompt="<set:Ink:0.5> night")
    assert compose(typed)["prompt"] == composed


def test_a_set_brings_its_negative_text_and_its_words(make_set: Make, compose: Ask) -> None:
    make_set("Ink", {"name": "Outfits", "words": ["silver armor"]}, negative_prompt="text, <set:Bad>")
    make_set("Bad", negative_prompt="blurry")
    answer = compose("<set:Ink>", negative_prompt="ugly, <set:bad>")
    assert answer["prompt"] == "<lora:Outfits:1>, silver armor"
    assert answer["negative_prompt"] == "ugly, blurry, text"
    assert answer["sets"] == [{"name": "Ink", "version": 1, "weight": 1.0}]
    again = compose(answer["prompt"], negative_prompt=answer["negative_prompt"])
    assert (again["prompt"], again["negative_prompt"]) == (answer["prompt"], answer["negative_prompt"])


def test_a_set_follows_a_renamed_lora_and_tells_of_a_deleted_one(
    make_set: Make, compose: Ask, api: TestClient, hash_all: Callable[[], None], scan: Callable[[], None]
) -> None:
    made = make_set("Ink", "InkWash", "one")
    hash_all()
    lora = made["loras"][0]
    api.post(f"loras/{lora['lora_id']}/rename", json={"name": "Ink of the year"}).raise_for_status()
    assert compose("<set:Ink>")["prompt"] == "<lora:Ink of the year:0.7><lora:one:1>"
    api.delete(f"loras/{made['loras'][1]['lora_id']}").raise_for_status()
    answer = compose("<set:Ink>")
    assert answer["prompt"] == "<lora:Ink of the year:0.7>"
    assert ("set_lora_missing", "error") in [(note["code"], note["level"]) for note in answer["notes"]]
    kept = api.get(f"sets/{made['id']}").json()
    assert [(one["name"], one["state"]) for one in kept["loras"]] == [
        ("Ink of the year", "ok"),
        ("one", "missing"),
    ]


@pytest.mark.parametrize(
    ("sets", "codes"),
    [
        ({"a": "<set:a> x"}, {"set_in_itself"}),
        ({"a": "<set:b>", "b": "<set:c>", "c": "<set:a> x"}, {"set_in_itself"}),
        ({"a": "<set:b>" * 30, "b": "<set:c>" * 30, "c": "x" * 90}, {"set_too_large"}),
        ({"a": "<set:b>" * 150, "b": "x" * 90_000}, {"set_too_large"}),
    ],
)
def test_sets_that_hold_themselves_or_too_much_come_to_an_end(
    make_set: Make, compose: Ask, sets: dict[str, str], codes: set[str]
) -> None:
    for name, prompt in sets.items():
        make_set(name, prompt=prompt, negative_prompt=f"<set:{name}>{prompt[:1000]}")
    answer = compose("<set:a>", negative_prompt="<set:a>")
    assert codes <= {note["code"] for note in answer["notes"]}
    assert "<set:" not in answer["prompt"] and len(answer["prompt"]) < 2_000_000


def test_every_save_is_a_version_that_can_come_back(make_set: Make, api: TestClient) -> None:
    made = make_set("Ink", "InkWash", prompt="first")
    address = f"sets/{made['id']}"
    changed = api.put(
        address, json={**made, "name": "Blue ink", "prompt": "second", "loras": [], "version": 1}
    ).json()
    assert (changed["version"], changed["name"], changed["loras"]) == (2, "Blue ink", [])
    stale = api.put(address, json={**made, "prompt": "third", "version": 1})
    assert stale.status_code == 409 and stale.json()["error"]["detail"] == {"version": 2}
    assert [one["prompt"] for one in api.get(f"{address}/versions").json()["items"]] == ["second", "first"]
    restored = api.post(f"{address}/restore", json={"version": 1}).json()
    assert (restored["version"], restored["name"], restored["prompt"]) == (3, "Ink", "first")
    assert [one["name"] for one in restored["loras"]] == ["InkWash"]
    assert api.post(f"{address}/restore", json={"version": 9}).status_code == 404


def test_a_deleted_set_comes_back_unless_its_name_is_taken(
    make_set: Make, api: TestClient, compose: Ask
) -> None:
    made = make_set("Ink", "InkWash")
    assert api.delete(f"sets/{made['id']}").json()["deleted"]
    assert compose("<set:Ink>")["notes"][0]["code"] == "unknown_set"
    assert api.get("sets").json()["total"] == 0
    other = make_set("ink", "one")
    assert api.post(f"sets/{made['id']}/restore", json={}).status_code == 409
    api.delete(f"sets/{other['id']}").raise_for_status()
    assert not api.post(f"sets/{made['id']}/restore", json={}).json()["deleted"]


@pytest.mark.parametrize("name", ["", "  ", "a:b", "a<b", "a>b", "a\nb", "a=b", "?x", "x" * 101])
def test_names_that_a_tag_cannot_hold_are_refused(api: TestClient, name: str) -> None:
    assert api.post("sets", json={"name": name}).status_code == 400


def test_a_name_is_taken_whatever_its_case(make_set: Make, api: TestClient) -> None:
    made = make_set("Ink")
    taken = api.post("sets", json={"name": "iNK"})
    assert taken.status_code == 409 and taken.json()["error"]["detail"] == {"id": made["id"], "version": 1}
    assert api.put(f"sets/{made['id']}", json={"name": "INK"}).json()["name"] == "INK"


def test_what_is_not_in_the_library_is_kept_by_its_name_and_found_later(
    make_set: Make, api: TestClient, compose: Ask, loras: Path, scan: Callable[[], None]
) -> None:
    made = make_set("Ink", "Later on")
    assert made["loras"][0]["state"] == "missing"
    (loras / "one.safetensors").rename(loras / "Later on.safetensors")
    scan()
    assert compose("<set:Ink>")["prompt"] == "<lora:Later on:1>"
    assert api.get(f"sets/{made['id']}").json()["loras"][0]["state"] == "ok"


@pytest.mark.parametrize(
    "wrong",
    [{"loras": [{}]}, {"loras": [{"lora_id": 99}]}, {"loras": [{"name": "a", "weight": "x"}]}, {"prompt": "x" * 100_001}, {"loras": [{"lora_id": 2**70}]}],
)  # fmt: skip
def test_a_set_that_means_nothing_is_refused_and_nothing_kept(
    api: TestClient, prompt_library: Path, wrong: dict[str, Any]
) -> None:
    assert api.post("sets", json={"name": "Ink", **wrong}).status_code in (400, 404, 422)
    assert api.get("sets").json()["total"] == 0


def test_sets_are_listed_found_and_paged(make_set: Make, api: TestClient) -> None:
    for name, notes in (("Beta", "100% ink"), ("alpha", ""), ("Gamma", "")):
        make_set(name, "InkWash" if name == "Gamma" else "one", notes=notes)
    assert [one["name"] for one in api.get("sets").json()["items"]] == ["alpha", "Beta", "Gamma"]
    assert [one["name"] for one in api.get("sets", params={"q": "ink"}).json()["items"]] == ["Beta", "Gamma"]
    assert [one["name"] for one in api.get("sets", params={"q": "100%"}).json()["items"]] == ["Beta"]
    page = api.get("sets", params={"limit": 2, "sort": "-name"}).json()
    assert page["total"] == 3 and [one["name"] for one in page["items"]] == ["Gamma", "Beta"]
    rest = api.get("sets", params={"limit": 2, "sort": "-name", "cursor": page["next_cursor"]}).json()
    assert [one["name"] for one in rest["items"]] == ["alpha"] and rest["next_cursor"] is None
    assert api.get("sets", params={"sort": "size"}).status_code == 400


def test_a_prompt_becomes_a_set_and_the_set_the_prompt(make_set: Make, compose: Ask, api: TestClient) -> None:
    prompt = "a cat, <lora:InkWash:0.6>, ink wash, soft brush, <lora:nowhere:1>, night"
    draft = api.post("sets/draft", json={"prompt": prompt, "negative_prompt": "ugly"}).json()
    assert draft["prompt"] == "a cat, night" and draft["negative_prompt"] == "ugly"
    assert [(one["name"], one["weight"], one["words"]) for one in draft["loras"]] == [
        ("InkWash", 0.6, ["ink wash", "soft brush"]),
        ("nowhere", 1.0, None),
    ]
    make_set("From prompt", *draft["loras"][:1], prompt=draft["prompt"])
    assert compose("<set:From prompt>")["prompt"] == "a cat, night <lora:InkWash:0.6>, ink wash, soft brush"


def test_a_picture_of_its_own_is_kept_small(make_set: Make, api: TestClient) -> None:
    made = make_set("Ink")
    address = f"sets/{made['id']}/preview"
    assert api.get(address).status_code == 404
    picture = io.BytesIO()
    Image.new("RGB", (2000, 1000), "navy").save(picture, "PNG")
    assert api.put(address, content=picture.getvalue()).json()["preview"]
    with Image.open(io.BytesIO(api.get(address).content)) as kept:
        assert (kept.format, kept.size) == ("WEBP", (512, 256))
    assert api.put(address, content=b"no picture").status_code == 422
    assert not api.delete(address).json()["preview"]
    assert api.put("sets/99/preview", content=picture.getvalue()).status_code == 404


def test_the_set_of_a_file_that_is_hashed_later_still_knows_it(
    make_set: Make, api: TestClient, hash_all: Callable[[], None], loras: Path, scan: Callable[[], None]
) -> None:
    """The identity that was made for a file joins the one its content had all along."""
    one = make_set("Before", "one")
    hash_all()
    (loras / "copy.safetensors").write_bytes((loras / "one.safetensors").read_bytes())
    scan()
    two = make_set("Copy", "copy")
    hash_all()
    (loras / "one.safetensors").unlink()
    scan()
    names = [api.get(f"sets/{made['id']}").json()["loras"][0] for made in (one, two)]
    assert [(name["name"], name["state"]) for name in names] == [("copy", "ok")] * 2
