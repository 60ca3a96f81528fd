"""The query language: what each field finds, how terms combine, and where errors point."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from sidecar.library.find.parse import FIELDS, BadQuery, parse_query, walk_terms
from tests.lora_files import add_side_file, make_lora, picture

Find = Callable[[str], list[str]]

WEEK_AGO = time.time() - 8 * 86_400


@pytest.fixture
def find(loras: Path, scan: Callable[[], None], api: TestClient) -> Find:
    """Five LoRAs of a mixed library; returns the names that a query finds, by name."""
    hero = make_lora(
        loras / "anime" / "hero.safetensors",
        ss_tag_frequency='{"set": {"1boy": 20, "silver sword": 12}}',
        ss_output_name="hero_final",
    )
    add_side_file(
        hero,
        ".civitai.info",
        {
            "id": 2,
            "modelId": 1,
            "baseModel": "SD 1.5",
            "trainedWords": ["hero style"],
            "model": {"name": "The Hero", "tags": ["style/anime", "character"]},
            "creator": {"username": "mira"},
        },
    )
    add_side_file(hero, ".preview.png", picture())
    add_side_file(hero, ".json", {"preferred weight": 0.8, "notes": "for night scenes"})
    grain = make_lora(loras / "film" / "grain_(old).safetensors", width=2048)
    add_side_file(grain, ".json", {"activation text": "film grain", "preferred weight": 1.2})
    make_lora(loras / "plain.safetensors", width=1024)
    (loras / "cut.safetensors").write_bytes(b"\x10")
    (loras / "old.pt").write_bytes(b"\x80\x02")
    os.utime(loras / "plain.safetensors", (WEEK_AGO, WEEK_AGO))
    scan()
    by_name = {item["name"]: item["id"] for item in api.get("loras").json()["items"]}
    api.patch(
        f"loras/{by_name['grain_(old)']}", json={"rating": 4, "add_tags": ["style/photo"], "label": "red"}
    )
    api.patch(f"loras/{by_name['plain']}", json={"favorite": True, "nsfw": 4, "tags": ["blue eyes"]})

    def ask(query: str) -> list[str]:
        answer = api.get("loras", params={"q": query, "sort": "name"})
        assert answer.status_code == 200, answer.text
        return [item["name"] for item in answer.json()["items"]]

    return ask


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("tag:style", ["grain_(old)", "hero"]),
        ("tag:style/anime", ["hero"]),
        ("tag:sty*", ["grain_(old)", "hero"]),
        ("tag:sty", ["grain_(old)", "hero"]),
        ("tag:blue_e", ["plain"]),
        ('tag:"sty"', []),
        ("tag:blue_eyes", ["plain"]),
        ('tag:"blue eyes"', ["plain"]),
        ("-tag:style", ["cut", "old", "plain"]),
        ("base:sdxl", ["grain_(old)"]),
        ("base:sd15", ["hero"]),
        ('base:"SD 2.x"', ["plain"]),
        ("weight:>0.8", ["grain_(old)"]),
        ("weight:0,8", ["hero"]),
        ("weight:0.5..1", ["hero"]),
        ("used:never base:sd1", ["hero"]),
        ("used:>0", []),
        ("rating:>=4", ["grain_(old)"]),
        ("is:favorite", ["plain"]),
        ("is:broken", ["cut"]),
        ("state:legacy", ["old"]),
        ("is:new -is:broken -state:legacy", ["grain_(old)", "hero", "plain"]),
        ("modified:<7d base:sd2", []),
        ("modified:>7d", ["plain"]),
        ("modified:<1h tag:style", ["grain_(old)", "hero"]),
        ("size:<1kb", ["cut", "old"]),
        ("size:>1kb base:sd1", ["hero"]),
        ("has:preview", ["hero"]),
        ("has:notes", ["hero"]),
        ("has:trigger", ["grain_(old)", "hero"]),
        ("label:red", ["grain_(old)"]),
        ("nsfw:>=r", ["plain"]),
        ("nsfw:pg..x", ["plain"]),
        ("name:gra", ["grain_(old)"]),
        ('trigger:"film grain"', ["grain_(old)"]),
        ("training:sword", ["hero"]),
        ("sword", ["hero"]),
        ("author:mira", ["hero"]),
        ("mira", ["hero"]),
        ("note:night", ["hero"]),
        ("folder:film", ["grain_(old)"]),
        ("folder:loras/anime", ["hero"]),
        ("type:lora base:sdxl", ["grain_(old)"]),
        ("tag:character OR label:red", ["grain_(old)", "hero"]),
        ("(tag:character OR is:favorite) -base:sd2", ["hero"]),
        ("NOT tag:style base:sd2", ["plain"]),
        ("grain_(old)", ["grain_(old)"]),
        ("<lora:hero:0.8>", ["hero"]),
        ('"night scenes"', ["hero"]),
        ('"scenes night"', []),
        ("re:zero", []),
        ("hreo", ["hero"]),
        ("", ["cut", "grain_(old)", "hero", "old", "plain"]),
    ],
)
def test_a_query_finds(find: Find, query: str, found: list[str]) -> None:
    assert find(query) == found


def test_any_hash_finds_its_file(find: Find, scan: Callable[[], None], state: Any, api: TestClient) -> None:
    lora_id = api.get("loras", params={"q": "plain"}).json()["items"][0]["id"]
    state.library.hasher.start()
    deadline = time.monotonic() + 20
    while api.get(f"loras/{lora_id}").json()["hashing_pending"] and time.monotonic() < deadline:
        time.sleep(0.05)
    hashes = api.get(f"loras/{lora_id}").json()["hashes"]
    for name in ("sha256", "autov2", "autov3"):
        assert find(f"hash:{hashes[name]}") == ["plain"], name
    assert find(f"hash:{hashes['sha256'].upper()[:12]}") == ["plain"]


def test_copies_are_found_as_duplicates(
    find: Find, loras: Path, scan: Callable[[], None], state: Any
) -> None:
    (loras / "copy.safetensors").write_bytes((loras / "plain.safetensors").read_bytes())
    scan()
    state.library.hasher.start()
    deadline = time.monotonic() + 20
    while state.library.hasher.status()["pending"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert find("is:duplicate") == ["copy", "plain"]


def test_hidden_loras_are_found_only_when_asked_for(find: Find, api: TestClient) -> None:
    lora_id = api.get("loras", params={"q": "plain"}).json()["items"][0]["id"]
    api.patch(f"loras/{lora_id}", json={"hidden": True})
    assert "plain" not in find("")
    assert find("is:hidden") == ["plain"]
    answer = api.get("loras", params={"hidden": 1, "q": "plain", "facets": 1}).json()
    assert [item["name"] for item in answer["items"]] == ["plain"]
    assert answer["facets"]["hidden"] == 1


@pytest.mark.parametrize(
    ("query", "place", "says"),
    [
        ("tga:anime", (0, 4), "tag:"),
        ("hero weight:heavy", (12, 17), "number"),
        ("hero (tag:a", (5, 6), "not closed"),
        ("tag:a)", (5, 6), "no opening"),
        ("OR tag:a", (0, 2), "both sides"),
        ("tag:a OR", (6, 8), "both sides"),
        ("hero tag:", (5, 9), "needs a value"),
        ("is:lovely", (3, 9), "favorite"),
        ("added:soon", (6, 10), "age or a date"),
        ("nsfw:>=mild", (5, 11), "pg"),
        ("hash:xyz", (5, 8), "hexadecimal"),
        ("collection:none", (11, 15), "no collection"),
        ("label:pink", (6, 10), "red"),
    ],
)
def test_an_error_points_at_its_place(
    find: Find, api: TestClient, query: str, place: tuple[int, int], says: str
) -> None:
    answer = api.get("loras", params={"q": query})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "bad_query"
    assert (error["detail"]["start"], error["detail"]["end"]) == place
    assert says in error["message"]


@given(st.text(alphabet='ab:-"() |<>=.5ORNTtagweight_*', max_size=60))
def test_any_text_is_read_or_refused_with_a_place_inside_it(text: str) -> None:
    try:
        query = parse_query(text)
    except BadQuery as error:
        assert 0 <= error.detail["start"] <= error.detail["end"] <= len(text)
        return
    for term in walk_terms(query):
        assert 0 <= term.start < term.end <= len(text)
        assert term.field is None or term.field in FIELDS


@given(st.text(max_size=40))
def test_quotes_make_any_text_a_plain_phrase(text: str) -> None:
    quoted = text.replace('"', "")
    terms = list(walk_terms(parse_query(f'"{quoted}"')))
    assert [(term.text, term.quoted, term.field) for term in terms] == [(quoted, True, None)]


def test_very_deep_or_long_queries_are_refused() -> None:
    for text in ("(" * 500 + "a" + ")" * 500, "a " * 20_000):
        with pytest.raises(BadQuery):
            parse_query(text)


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("ta", "tag:"),
        ("tag:st", "tag:style/anime"),
        ("hero -tag:ch", "tag:character"),
        ("tag:blue", 'tag:"blue eyes"'),
        ("base:sdx", "base:SDXL"),
        ("is:fa", "is:favorite"),
        ("has:pre", "has:preview"),
        ("label:r", "label:red"),
        ("nsfw:>=x", "nsfw:>=x"),
        ("trigger:film", 'trigger:"film grain"'),
        ("training:sil", 'training:"silver sword"'),
        ("author:mi", "author:mira"),
        ("folder:fi", "folder:loras/film"),
        ("her", "hero"),
    ],
)
def test_completion_offers(find: Find, api: TestClient, typed: str, text: str) -> None:
    answer = api.get("library/complete", params={"q": typed + " more", "at": len(typed)}).json()
    assert text in [item["text"] for item in answer["items"]]
    assert typed[answer["start"] : answer["end"]] == typed.split(" -")[-1]


def test_sorting_by_chance_is_repeatable_by_its_seed(find: Find, api: TestClient) -> None:
    def order(seed: int) -> list[str]:
        items = api.get("loras", params={"sort": "random", "seed": seed}).json()["items"]
        return [item["name"] for item in items]

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(8)}) > 1
