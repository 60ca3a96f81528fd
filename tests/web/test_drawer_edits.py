"""Edits in the drawer: marks, sources and the way back, two editors at once, previews."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from lora_files import add_side_file, make_lora, picture
from playwright.sync_api import Page, expect
from test_details import open_details
from web_sidecar import Sidecar


def tell(sidecar: Sidecar, method: str, path: str, body: Any) -> Any:
    """A request of somebody else's."""
    headers = {"Authorization": f"Bearer {sidecar.token}", "Content-Type": "application/json"}
    request = Request(
        f"{sidecar.url}/api/v1/{path}", method=method, headers=headers, data=json.dumps(body).encode()
    )
    with urlopen(request, timeout=10) as answer:
        return json.load(answer)


def id_of(sidecar: Sidecar, name: str) -> int:
    found: int = sidecar.ask(f"loras?q=name:{name}&hidden=1")["items"][0]["id"]
    return found


def test_marks_are_set_with_a_click_or_a_key_and_last(page: Page, sidecar: Sidecar) -> None:
    open_details(page, "plain_11")
    marks = page.get_by_role("group", name="Marks")
    rating = marks.get_by_role("slider", name="Rating")
    rating.press("4")
    expect(rating).to_have_attribute("aria-valuetext", "4 of 5 stars")
    rating.press("ArrowLeft")
    marks.get_by_role("button", name="Colour label").click()
    page.get_by_role("menuitemradio", name="Green").click()
    expect(marks.get_by_role("button", name="Colour label: green")).to_be_visible()
    marks.get_by_label("NSFW level", exact=True).select_option("R")
    marks.get_by_role("button", name="Hidden").click()
    expect(marks.get_by_role("button", name="Hidden")).to_have_attribute("aria-pressed", "true")
    base = page.locator(".base-box")
    base.fill("Pony")
    base.press("Enter")
    expect(page.locator(".field-base_model .save-state")).to_have_text("Saved")
    page.reload()
    expect(rating).to_have_attribute("aria-valuetext", "3 of 5 stars")
    expect(base).to_have_value("Pony")
    detail = sidecar.ask(f"loras/{id_of(sidecar, 'plain_11')}")
    assert (detail["rating"], detail["label"], detail["nsfw"], detail["hidden"]) == (3, "green", 4, True)
    marks.get_by_role("button", name="Hidden").click()
    page.locator(".field-base_model").get_by_role("button", name="Reset").click()
    expect(base).to_have_value("SDXL")


def test_every_source_of_a_value_is_shown_and_can_be_used(
    own_sidecar: Callable[..., Sidecar], open_page: Callable[..., Page], tmp_path: Path
) -> None:
    path = make_lora(tmp_path / "Lora" / "sourced.safetensors", modelspec__title="From the header")
    add_side_file(path, ".json", {"activation text": "from a1111", "preferred weight": 0.7})
    add_side_file(
        path,
        ".civitai.info",
        {"id": 1, "modelId": 2, "trainedWords": ["from civitai"], "model": {"name": "Sourced"}},
    )
    page = open_page(own_sidecar(tmp_path / "Lora"))
    open_details(page, "sourced")
    field = page.locator(".field-trigger_words")
    expect(field.locator(".source")).to_have_text(".json")
    field.locator(".source").click()
    sources = page.get_by_role("dialog", name="Sources of Trigger words")
    expect(sources.locator(".candidate-value")).to_have_text(["from a1111", "from civitai"])
    expect(sources.locator(".chosen")).to_contain_text("from a1111")
    sources.get_by_role("button", name="Use what .civitai.info says").click()
    expect(field.locator(".word")).to_have_text(["from civitai"])
    expect(field.locator(".source")).to_have_text("You")
    field.get_by_role("button", name="Reset").click()
    expect(field.locator(".word")).to_have_text(["from a1111"])
    expect(page.locator(".field-title .source")).to_have_text(".civitai.info")


def test_the_later_of_two_editors_is_told_and_decides(page: Page, sidecar: Sidecar) -> None:
    lora = id_of(sidecar, "plain_13")
    open_details(page, "plain_13")
    field = page.locator(".field-notes")
    notes = field.locator("textarea")
    notes.press_sequentially("mine")
    tell(sidecar, "PATCH", f"loras/{lora}", {"notes": "theirs"})
    notes.blur()
    conflict = field.locator(".conflict")
    expect(conflict).to_contain_text("Changed elsewhere while you were editing.")
    expect(conflict.locator("dd")).to_have_text(["theirs", "mine"])
    expect(notes).to_have_value("mine")
    conflict.get_by_role("button", name="Keep both").click()
    expect(field.locator(".save-state")).to_have_text("Saved")
    expect(notes).to_have_value("theirs\n\nmine")
    assert sidecar.ask(f"loras/{lora}")["notes"] == "theirs\n\nmine"
    title = page.get_by_label("Title", exact=True).locator("input")
    title.fill("My title")
    tell(sidecar, "PATCH", f"loras/{lora}", {"title": "Their title"})
    title.press("Enter")
    page.locator(".field-title .conflict").get_by_role("button", name="Keep theirs").click()
    expect(title).to_have_value("Their title")


def test_another_editors_word_appears_where_nobody_types(page: Page, sidecar: Sidecar) -> None:
    open_details(page, "plain_15")
    page.locator(".field-notes textarea").press_sequentially("half a sent")
    tell(sidecar, "PATCH", f"loras/{id_of(sidecar, 'plain_15')}", {"title": "Seen elsewhere", "rating": 2})
    expect(page.get_by_label("Title", exact=True).locator("input")).to_have_value("Seen elsewhere")
    expect(page.get_by_role("slider", name="Rating")).to_have_attribute("aria-valuenow", "2")
    expect(page.locator(".field-notes textarea")).to_have_value("half a sent")


def test_a_preview_is_uploaded_pasted_removed_and_undone(page: Page, sidecar: Sidecar) -> None:
    open_details(page, "plain_17")
    media = page.locator(".drawer-media")
    with page.expect_file_chooser() as chooser:
        media.get_by_role("button", name=re.compile("^Drop, paste")).click()
    chooser.value.set_files({"name": "a.png", "mimeType": "image/png", "buffer": picture(colour="navy")})
    shown = media.locator("img")
    expect(shown).to_be_visible()
    first = shown.get_attribute("src")
    page.evaluate(
        """async () => {
            const canvas = new OffscreenCanvas(40, 60);
            canvas.getContext("2d").fillRect(0, 0, 20, 20);
            const data = new DataTransfer();
            data.items.add(new File([await canvas.convertToBlob()], "pasted.png", { type: "image/png" }));
            document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
        }"""
    )
    expect(shown).not_to_have_attribute("src", str(first))
    media.hover()
    media.get_by_role("button", name="Change the preview").click()
    page.get_by_role("menuitem", name="Remove").click()
    expect(shown).to_have_count(0)
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(shown).to_be_visible()
    assert sidecar.ask(f"loras/{id_of(sidecar, 'plain_17')}")["preview"]["kind"] == "image"


def test_a_picture_above_the_level_is_blurred_until_asked_for(page: Page, sidecar: Sidecar) -> None:
    lora = id_of(sidecar, "plain_03")
    tell(sidecar, "PATCH", f"loras/{lora}", {"nsfw": 16})
    open_details(page, "plain_03")
    media = page.locator(".drawer-media")
    expect(media).to_have_class(re.compile("blurred"))
    media.get_by_role("button", name="Show").click()
    expect(media).not_to_have_class(re.compile("blurred"))
    expect(media.get_by_role("link")).to_have_attribute("title", "Open the full picture")


def test_a_picture_of_a_generation_becomes_the_preview(
    own_sidecar: Callable[..., Sidecar], open_page: Callable[..., Page], tmp_path: Path
) -> None:
    make_lora(tmp_path / "Lora" / "made_with.safetensors")
    pictures = [tmp_path / "one.png", tmp_path / "two.png"]
    for path, colour in zip(pictures, ("red", "blue"), strict=True):
        path.write_bytes(picture(colour=colour))
    sidecar = own_sidecar(tmp_path / "Lora")
    made = {
        "uuid": "12345678",
        "host": "sdnext",
        "prompt": "a castle <lora:made_with:1>",
        "loras": [{"name": "made_with", "weight": 1}],
        "images": [str(path) for path in pictures],
    }
    tell(sidecar, "POST", "generations", made)
    page = open_page(sidecar)
    open_details(page, "made_with")
    past = page.get_by_role("region", name="Used in 1 image batch")
    past.get_by_role("button", name="Use a picture as preview").click()
    page.get_by_role("menuitem", name="two.png").click()
    expect(page.locator(".drawer-media img")).to_be_visible()
    assert (tmp_path / "Lora" / "made_with.preview.png").read_bytes() == pictures[1].read_bytes()


@pytest.mark.parametrize("part", ["description", "examples"])
def test_pictures_from_elsewhere_load_only_when_asked_for(
    own_sidecar: Callable[..., Sidecar], open_page: Callable[..., Page], tmp_path: Path, part: str
) -> None:
    path = make_lora(tmp_path / "Lora" / "pictured.safetensors")
    elsewhere = "https://example.com/a.png"
    info = {
        "id": 1,
        "modelId": 2,
        "model": {"name": "Pictured", "description": f"<p>text</p><img src='{elsewhere}'>"},
        "images": [{"url": elsewhere, "meta": {"prompt": "a harbour"}}],
    }
    add_side_file(path, ".civitai.info", info)
    page = open_page(own_sidecar(tmp_path / "Lora"))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.route(
        re.compile(r"/(pictures/0|examples/0/picture)$"),
        lambda route: route.fulfill(content_type="image/png", body=picture()),
    )
    open_details(page, "pictured")
    section = page.get_by_role("region", name="Description" if part == "description" else "Example prompts")
    load = section.get_by_role("button", name="Load picture")
    expect(load).to_be_visible()
    assert not [url for url in asked if "example.com" in url or "/pictures/" in url or "/picture" in url]
    load.click()
    expect(section.locator("img.example-picture")).to_have_js_property("complete", True)
    assert not [url for url in asked if "example.com" in url], "the page itself asks nobody"
