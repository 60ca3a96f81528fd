"""Who wins: one precedence for every field, each value with its source, the user's word above all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lora_files import add_side_file, make_lora
from side_file_samples import A1111, MODEL, VERSION, everywhere, job_of
from starlette.testclient import TestClient

from sidecar.library.record import read_lora
from sidecar.library.sources import FIELDS, read_sources, said
from sidecar.library.texts import read_texts

Scan = Callable[[], None]
Detail = Callable[[str], dict[str, Any]]


def test_one_precedence_holds_for_every_field_and_the_users_word_stands_above(
    loras: Path, detail: Detail, api: TestClient
) -> None:
    path = make_lora(
        loras / "a.safetensors", ssmd_display_name="S", modelspec__title="M", modelspec__tags="x"
    )
    everywhere(path)
    shown = detail("a")
    assert {field: [one["source"] for one in values] for field, values in shown["values"].items()} == {
        "title": ["manager", "info", "ssmd", "modelspec"],
        "trigger_words": ["a1111", "manager", "info"],
        "weight": ["a1111", "manager"],
        "negative_prompt": ["a1111"],
        "notes": ["a1111", "manager"],
        "description": ["a1111", "text", "manager", "info"],
        "tags": ["manager", "info", "modelspec"],
        "base_model": ["manager", "info", "tensors", "a1111"],
        "author": ["manager", "info"],
        "url": ["manager", "info"],
        "version": ["manager", "info"],
        "nsfw": ["manager", "info"],
        "favorite": ["manager"],
    }
    for field, values in shown["values"].items():
        assert shown["sources"][field] == values[0]["source"]
        shown_value = values[0]["value"]
        if field == "tags":
            shown_value = ["painted", "style", "x"]  # everybody's together
        assert shown[field] == shown_value
    edit = {
        "title": "Mine", "trigger_words": ["w"], "weight": 0.2, "negative_prompt": "n", "notes": "N", "tags": ["t"],
        "base_model": "Flux", "nsfw": 1, "favorite": False, "rating": 2,
    }  # fmt: skip
    answer = api.patch(f"loras/{shown['id']}", json=edit).json()
    for again in (answer, detail("a")):
        for field, value in edit.items():
            assert again[field] == value
            assert again["sources"][field] == "user"
            assert again["values"][field][0] == {"source": "user", "value": value}
            assert again["values"][field][1:] == shown["values"].get(field, [])
    path.with_suffix(".json").write_text(json.dumps({**A1111, "activation text": "changed elsewhere"}))
    assert detail("a")["trigger_words"] == ["w"]  # for ever
    back = api.patch(f"loras/{shown['id']}", json=dict.fromkeys(edit)).json()
    assert back["trigger_words"] == ["changed elsewhere"]
    assert back["sources"]["title"] == "manager"


def test_a_favourite_of_another_tool_counts_until_the_user_says_otherwise(
    loras: Path, detail: Detail, scan: Scan, api: TestClient
) -> None:
    path = make_lora(loras / "a.safetensors", ssmd_rating="8")
    add_side_file(path, ".metadata.json", {"favorite": True})
    shown = detail("a")
    assert (shown["favorite"], shown["rating"]) == (True, 4)
    assert api.get("loras", params={"favorite": True}).json()["total"] == 1
    assert api.get("loras", params={"q": "rating:4"}).json()["total"] == 1
    lora_id = shown["id"]
    noted = api.patch(f"loras/{lora_id}", json={"notes": "something else"}).json()
    assert (noted["favorite"], noted["rating"]) == (True, 4)
    assert api.patch(f"loras/{lora_id}", json={"favorite": False, "rating": None}).json()["favorite"] is False
    add_side_file(path, ".metadata.json", {"favorite": True, "notes": "written again"})
    shown = detail("a")
    assert (shown["favorite"], shown["rating"]) == (False, None)
    assert shown["values"]["favorite"][0] == {"source": "user", "value": False}


def test_what_other_tools_noted_survives_a_move_to_another_folder(
    loras: Path, detail: Detail, api: TestClient
) -> None:
    path = make_lora(loras / "a.safetensors")
    add_side_file(path, ".metadata.json", {"favorite": True, "tags": ["from file"]})
    lora_id = detail("a")["id"]
    api.patch(f"loras/{lora_id}", json={"add_tags": ["mine"], "base_model": "Flux", "nsfw": 8})
    (loras / "sub").mkdir()
    for file in loras.glob("a.*"):
        file.rename(loras / "sub" / file.name)
    moved = detail("a")
    assert (moved["id"], moved["favorite"], moved["tags"]) == (lora_id, True, ["from file", "mine"])
    assert (moved["base_model"], moved["nsfw"]) == ("Flux", 8)
    assert api.get("loras", params={"tag": "mine", "base_model": "Flux"}).json()["total"] == 1


def test_pictures_of_a_description_are_named_and_not_shown(loras: Path, detail: Detail) -> None:
    text = (
        '<p>See <img src="https://x.example/1.png?a=1&amp;b=2" onerror="alert(1)"> and '
        "<img src='http://x.example/2.png'><img src='data:image/png;base64,AA'><img src='/local.png'>"
        '<img src="https://x.example/1.png?a=1&amp;b=2"><script>bad()</script></p>'
    )
    add_side_file(
        make_lora(loras / "a.safetensors"), ".civitai.info", {**VERSION, "model": {"description": text}}
    )
    shown = detail("a")
    assert shown["pictures"] == ["https://x.example/1.png?a=1&b=2", "http://x.example/2.png"]
    for html in (shown["description"], shown["values"]["description"][0]["value"]):
        assert "<img" not in html and "script" not in html and "alert" not in html


def test_a_missing_file_keeps_what_the_user_said_and_names_no_file(
    loras: Path, detail: Detail, api: TestClient
) -> None:
    path = make_lora(loras / "a.safetensors")
    everywhere(path)
    lora_id = detail("a")["id"]
    api.patch(f"loras/{lora_id}", json={"title": "Mine"})
    for file in loras.glob("a.*"):
        file.unlink()
    gone = detail("a")
    assert gone["state"] == "missing" and gone["title"] == "Mine"
    assert gone["values"]["title"] == [{"source": "user", "value": "Mine"}]
    assert gone["sources"]["weight"] == "a1111" and gone["weight"] == 0.7


def test_what_was_looked_up_stands_above_files_about_civitai_and_below_a_persons(loras: Path) -> None:
    path = make_lora(loras / "a.safetensors")
    everywhere(path)
    fetched = {**VERSION, "name": "v3", "model": {**MODEL, "name": "As of today"}}
    sources = read_sources(job_of(path)._replace(fetched=fetched))
    assert [source for source, _ in said(sources.all, "title")] == ["manager", "civitai", "info"]
    path.with_suffix(".metadata.json").unlink()
    job = job_of(path)._replace(fetched=fetched)
    assert read_lora(job).title == "As of today"
    facts = json.loads(read_texts(job).facts)
    assert (facts["version"], facts["sources"]["version"]) == ("v3", "civitai")


def test_the_documents_name_every_field() -> None:
    text = (Path(__file__).parents[2] / "docs" / "side-files.md").read_text(encoding="utf-8")
    for field in FIELDS:
        assert f"| {field.replace('_', ' ')} |" in text
