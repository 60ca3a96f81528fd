"""Lists: search, filters, sorting, paging and counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lora_files import add_side_file, make_lora
from starlette.testclient import TestClient

Names = Callable[..., list[str]]


@pytest.fixture
def names(loras: Path, scan: Callable[[], None], api: TestClient) -> Names:
    """Names that a query lists, over a library of a few LoRAs."""
    files = [
        ("anime/neon_samurai_v2", 2048, ["style", "night"], "neonsam", "a samurai in the rain"),
        ("anime/soft_samurai", 768, ["style"], "softsam", ""),
        ("photo/FilmGrainXL", 2048, ["photo"], "film grain", "like the seventies"),
        ("photo/old/kodak", 768, ["photo", "style"], "kdk", "film, warm"),
        ("plain", 1024, [], "", ""),
    ]
    for name, width, tags, word, notes in files:
        path = make_lora(loras / f"{name}.safetensors", width=width, modelspec__tags=", ".join(tags))
        add_side_file(path, ".json", {"activation text": word, "notes": notes})
    scan()

    def ask(**query: Any) -> list[str]:
        answer = api.get("loras", params=query)
        assert answer.status_code == 200, answer.text
        return [item["name"] for item in answer.json()["items"]]

    return ask


def test_without_a_query_all_are_listed_by_name(names: Names) -> None:
    assert names() == ["FilmGrainXL", "kodak", "neon_samurai_v2", "plain", "soft_samurai"]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("samurai", ["soft_samurai", "neon_samurai_v2"]),
        ("neon_samurai", ["neon_samurai_v2"]),
        ("sam neo", ["neon_samurai_v2"]),
        ("SEVENTIES", ["FilmGrainXL"]),
        ("kdk", ["kodak"]),
        ("grain", ["FilmGrainXL"]),
        ('"; DROP TABLE loras --', []),
        ("* OR *", ["FilmGrainXL", "kodak", "neon_samurai_v2", "plain", "soft_samurai"]),
        ("()", ["FilmGrainXL", "kodak", "neon_samurai_v2", "plain", "soft_samurai"]),
        ("zzzzzz", []),
    ],
)
def test_search_finds(names: Names, typed: str, found: list[str]) -> None:
    assert sorted(names(q=typed)) == sorted(found)


def test_a_name_ranks_above_a_note(names: Names) -> None:
    assert names(q="film")[0] == "FilmGrainXL"


@pytest.mark.parametrize("typo", ["samuria", "samuray", "smurai", "sqmurai"])
def test_a_typo_is_corrected_and_said(names: Names, api: TestClient, typo: str) -> None:
    answer = api.get("loras", params={"q": typo}).json()
    assert answer["corrected"] == "samurai"
    assert answer["total"] == 2


def test_a_word_inside_another_is_found(names: Names) -> None:
    assert names(q="eonsa") == ["neon_samurai_v2"]


def test_filters_narrow(names: Names) -> None:
    assert names(base_model="SDXL") == ["FilmGrainXL", "neon_samurai_v2"]
    assert names(base_model=["SDXL", "SD 2.x"]) == ["FilmGrainXL", "neon_samurai_v2", "plain"]
    assert names(tag="STYLE") == ["kodak", "neon_samurai_v2", "soft_samurai"]
    assert names(tag=["style", "photo"]) == ["kodak"]
    assert names(not_tag="style") == ["FilmGrainXL", "plain"]
    assert names(folder="loras/photo") == ["FilmGrainXL", "kodak"]
    assert names(folder=["loras/photo/old", "loras/anime"]) == ["kodak", "neon_samurai_v2", "soft_samurai"]
    assert len(names(folder="loras")) == 5
    assert names(folder="nowhere") == []
    assert names(folder="loras/pho") == []
    assert names(q="film", tag="photo", base_model="SD 1.x") == ["kodak"]
    assert names(state="broken") == []


def test_favorites(names: Names, api: TestClient) -> None:
    lora_id = api.get("loras", params={"q": "kodak"}).json()["items"][0]["id"]
    api.patch(f"loras/{lora_id}", json={"favorite": True})
    assert names(favorite=1) == ["kodak"]
    assert len(names(favorite=0)) == 4


def test_counts_are_of_the_narrowed_list(names: Names, api: TestClient) -> None:
    facets = api.get("loras", params={"facets": 1}).json()["facets"]
    assert facets["base_model"] == [
        {"value": "SD 1.x", "count": 2}, {"value": "SDXL", "count": 2}, {"value": "SD 2.x", "count": 1},
    ]  # fmt: skip
    assert {"value": "style", "count": 3, "color": None} in facets["tag"]
    assert {"value": "loras/photo/old", "count": 1} in facets["folder"]
    narrowed = api.get("loras", params={"facets": 1, "tag": "photo"}).json()["facets"]
    assert [(tag["value"], tag["count"]) for tag in narrowed["tag"]] == [("photo", 2), ("style", 1)]
    assert narrowed["state"] == [{"value": "ok", "count": 2}]


@pytest.mark.parametrize("sort", ["name", "-name", "added", "-modified", "size", "used", "rating", "random"])
def test_pages_by_cursor_cover_the_list_once(names: Names, api: TestClient, sort: str) -> None:
    seen: list[str] = []
    cursor = None
    while True:
        answer = api.get(
            "loras", params={"sort": sort, "limit": 2, **({"cursor": cursor} if cursor else {})}
        ).json()
        seen += [item["name"] for item in answer["items"]]
        cursor = answer["next_cursor"]
        if not cursor:
            break
    assert sorted(seen) == sorted(names())
    assert seen == names(sort=sort)


def test_a_cursor_goes_on_where_it_was_though_the_list_grew(
    names: Names, api: TestClient, loras: Path, scan: Callable[[], None]
) -> None:
    first = api.get("loras", params={"limit": 2}).json()
    make_lora(loras / "aaa.safetensors")
    scan()
    second = api.get("loras", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [item["name"] for item in second["items"]] == ["neon_samurai_v2", "plain"]


def test_offset_jumps_and_random_is_repeatable(names: Names) -> None:
    assert names(offset=3, limit=1) == ["plain"]
    assert names(sort="random", seed=5) == names(sort="random", seed=5)
    assert any(names(sort="random", seed=5) != names(sort="random", seed=seed) for seed in range(6, 12))


@pytest.mark.parametrize(
    "query",
    [
        {"sort": "colour"},
        {"state": "lost"},
        {"cursor": "!!"},
        {"cursor": "WyJhIl0="},
        {"limit": 0},
        {"limit": 5000},
    ],
)
def test_a_wrong_question_is_answered_with_4xx(names: Names, api: TestClient, query: dict[str, Any]) -> None:
    answer = api.get("loras", params=query)
    assert 400 <= answer.status_code < 500
    assert answer.json()["error"]["message"]
