"""What goes with given LoRAs: from images, sets and examples; and what is said of those that never met."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from lora_files import add_side_file, make_lora

from sidecar.state import State

Ask = Callable[..., list[dict[str, Any]]]


def page(
    path: Path, title: str, tags: list[str], examples: list[tuple[str, int]], description: str = ""
) -> None:
    """A Civitai page beside a file; an example is its prompt and the number of its picture."""
    images = [
        {"url": f"https://example.com/{number}.png", "meta": {"prompt": prompt}}
        for prompt, number in examples
    ]
    model = {"name": title, "type": "LORA", "tags": tags, "description": description}
    add_side_file(
        path, ".civitai.info", {"id": 1, "modelId": 7, "name": "v1", "model": model, "images": images}
    )


@pytest.fixture
def library(loras: Path, scan: Callable[[], None]) -> Path:
    """Two knights, two outfits, a style; an author shows knight and armour in one picture on both pages."""
    both = ("a knight <lora:knight:0.8> <lora:armour:0.5>", 1)
    page(
        make_lora(loras / "knight.safetensors"),
        "Red Knight",
        ["character", "medieval"],
        [both, ("a knight", 2)],
    )
    page(
        make_lora(loras / "armour.safetensors"),
        "Plate Armour",
        ["clothing", "medieval"],
        [both, ("armour", 3)],
    )
    page(make_lora(loras / "squire.safetensors"), "Young Squire", ["character", "medieval"], [("squire", 4)])
    page(make_lora(loras / "ink.safetensors"), "Ink Wash", ["style"], [("ink", 5)], "Brush on rice paper.")
    page(make_lora(loras / "boat.safetensors"), "Old Boat", ["vehicle"], [("boat", 6)])
    page(
        make_lora(loras / "knight_xl.safetensors", width=2048), "Red Knight XL", ["character", "medieval"], []
    )
    for number in range(30):
        page(make_lora(loras / f"plain_{number:02}.safetensors"), f"Thing {number}", [f"tag{number}"], [])
    scan()
    return loras


@pytest.fixture
def ask(library: Path, api: TestClient) -> Ask:
    def post(*names: str, limit: int = 10) -> list[dict[str, Any]]:
        answer = api.post("recommendations/companions", json={"loras": names, "limit": limit})
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    return post


def generate(api: TestClient, *names: str, times: int = 1, images: int = 1, **more: Any) -> None:
    for _ in range(times):
        made = {
            "uuid": str(uuid4()), "host": "sdnext", "prompt": "x", "images": [f"{one}.png" for one in range(images)],
            "loras": [{"name": name, "weight": 0.6} for name in names], **more,
        }  # fmt: skip
        api.post("generations", json=made).raise_for_status()


def names(items: list[dict[str, Any]]) -> list[str]:
    return [item["lora"]["name"] for item in items]


def use_of(item: dict[str, Any]) -> dict[str, Any]:
    return next((reason for reason in item["reasons"] if reason["kind"] == "use"), {"support": 0})


def test_an_image_on_several_pages_counts_once(ask: Ask) -> None:
    best = next(item for item in ask("knight")[:2] if item["lora"]["name"] == "armour")
    assert use_of(best)["examples"] == 1 and use_of(best)["text"].startswith(
        "Together in an author's example"
    )
    assert use_of(best)["lift"] > 1


def test_the_users_images_count_most_and_are_counted(ask: Ask, api: TestClient) -> None:
    generate(api, "knight", "boat", times=3, images=2)
    best = ask("knight")[0]
    assert best["lora"]["name"] == "boat"
    assert use_of(best)["own"] == use_of(best)["support"] == 6
    assert "in 6 of your images" in use_of(best)["text"]
    assert best["weight"] == 0.6
    assert 0 < best["score"] <= 1


def test_interrupted_images_say_nothing(ask: Ask, api: TestClient) -> None:
    generate(api, "knight", "boat", times=3, interrupted=True)
    boat = [item for item in ask("knight", limit=100) if item["lora"]["name"] == "boat"]
    assert not boat or use_of(boat[0])["support"] == 0


def test_sets_count_until_they_are_deleted(ask: Ask, api: TestClient) -> None:
    loras = [{"name": "ink"}, {"name": "boat"}]
    made = api.post("sets", json={"name": "harbour", "loras": loras}).json()
    assert names(ask("ink"))[0] == "boat" and use_of(ask("ink")[0])["sets"] == 1
    api.delete(f"sets/{made['id']}").raise_for_status()
    boat = [item for item in ask("ink", limit=100) if item["lora"]["name"] == "boat"]
    assert not boat or use_of(boat[0])["support"] == 0


def test_one_that_was_never_seen_with_another_gets_what_its_like_is_used_with(ask: Ask) -> None:
    found = ask("squire")
    assert set(names(found)[:2]) == {"knight", "armour"}
    assert all(item["reasons"] for item in found)


def test_never_the_given_ones_nor_those_of_another_base_model(ask: Ask) -> None:
    found = names(ask("knight", "ARMOUR", "sub/knight", limit=100))
    assert not {"knight", "armour", "knight_xl"} & set(found)
    assert len(found) == len(set(found))


def test_a_missing_file_is_not_recommended(ask: Ask, library: Path, scan: Callable[[], None]) -> None:
    assert "armour" in names(ask("knight"))
    (library / "armour.safetensors").unlink()
    scan()
    assert "armour" not in names(ask("knight", limit=100))


def test_copies_are_one(
    ask: Ask, library: Path, api: TestClient, scan: Callable[[], None], hash_all: Any
) -> None:
    (library / "copy").mkdir()
    (library / "copy" / "again.safetensors").write_bytes((library / "boat.safetensors").read_bytes())
    scan()
    hash_all()
    generate(api, "knight", "again", times=2)
    generate(api, "knight", "boat", times=2)
    best = ask("knight")
    assert use_of(best[0])["own"] == 4
    assert len({"again", "boat"} & set(names(best))) == 1
    assert not {"again", "boat"} & set(names(ask("boat", limit=100)))


def test_what_is_not_there_is_said(api: TestClient, library: Path) -> None:
    answer = api.post("recommendations/companions", json={"loras": ["nobody"]}).json()
    assert answer == {"items": [], "notes": ["nobody is not in the library."]}
    answer = api.post("recommendations/companions", json={"loras": []}).json()
    assert answer["items"] == [] and answer["notes"]
    assert api.post("recommendations/companions", json={"loras": ["knight"], "limit": 0}).status_code == 422


def test_an_empty_library_has_an_answer(api: TestClient) -> None:
    answer = api.post("recommendations/companions", json={"loras": ["knight"]})
    assert answer.status_code == 200 and answer.json()["items"] == []


def test_the_index_is_made_anew_only_after_a_change(ask: Ask, api: TestClient, state: State) -> None:
    from sidecar.recommend.use.keeper import use_index

    first = use_index(state.database, state.events)
    ask("knight")
    assert use_index(state.database, state.events) is first
    generate(api, "knight", "ink")
    assert use_index(state.database, state.events) is not first


@pytest.mark.parametrize(
    "name", ["\\ud800", "\\u0000", " ", "a/b\\\\c.safetensors", "<lora:knight:1>", "%27; --"]
)
def test_odd_names_are_answered(name: str, library: Path, api: TestClient) -> None:
    body = f'{{"loras": ["{name}", "knight"]}}'
    headers = {"Content-Type": "application/json"}
    answer = api.post("recommendations/companions", content=body, headers=headers)
    assert answer.status_code in (200, 422), answer.text


def test_examples_name_files_as_their_authors_did(
    loras: Path, scan: Callable[[], None], api: TestClient
) -> None:
    """By `ss_output_name`, in another case, with a path; a name that nobody knows is the page's own file."""
    make_lora(loras / "lace_v2.1.safetensors", ss_output_name="lace-final")
    page(
        make_lora(loras / "veil.safetensors"), "Veil", [], [("x <lora:veil_old:1> <lora:Lace-Final:0.5>", 1)]
    )
    page(
        make_lora(loras / "gown.safetensors"), "Gown", [], [("y <lora:dress/GOWN:1> <lora:lace_v2_1:0.5>", 2)]
    )
    scan()
    items = api.post("recommendations/companions", json={"loras": ["lace_v2.1"]}).json()["items"]
    assert {item["lora"]["name"] for item in items} == {"veil", "gown"}
    assert all(use_of(item)["examples"] == 1 for item in items)
