"""What a set holds, on its page: numbers, words, texts, picture, versions, files; and sets made from a selection."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lora_files import make_lora, picture
from playwright.sync_api import Page, expect
from prompt_host import send
from web_library import add_civitai
from web_sidecar import Sidecar


@pytest.fixture
def running(own_sidecar: Callable[..., Sidecar], tmp_path: Path) -> Sidecar:
    for name in ("harbour", "lighthouse"):
        path = make_lora(tmp_path / "Lora" / f"{name}.safetensors", width=2048)
        add_civitai(path, title=name.title(), tags=[name], words=[f"{name} view", "sea"])
    return own_sidecar(tmp_path / "Lora")


@pytest.fixture
def coast(running: Sidecar) -> dict[str, Any]:
    """A set of one LoRA."""
    ids = {one["name"]: one["id"] for one in running.ask("loras")["items"]}
    made: dict[str, Any] = send(
        running, "POST", "sets", {"name": "Coast", "loras": [{"lora_id": ids["harbour"], "weight": 0.6}]}
    )
    return made


@pytest.fixture
def page(running: Sidecar, coast: dict[str, Any], open_page: Callable[..., Page]) -> Page:
    page = open_page(running)
    page.evaluate("id => { location.hash = `page=sets/${id}` }", coast["id"])
    expect(page.get_by_label("Name", exact=True)).to_have_value("Coast")
    return page


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".save-state.saved").first).to_be_visible()


def test_numbers_words_and_texts_are_kept_and_composed(
    page: Page, running: Sidecar, coast: dict[str, Any]
) -> None:
    page.locator(".member .icon-button[aria-expanded]").click()
    page.get_by_label("Text encoder of Harbour").fill("0.2")
    page.get_by_role("radiogroup", name="Words of Harbour").get_by_role("radio", name="These").click()
    page.locator(".member-words").get_by_role("button", name="harbour view").click()
    page.get_by_label("Another word for Harbour").fill("gulls")
    page.keyboard.press("Enter")
    page.get_by_role("textbox", name="Prompt", exact=True).fill("at dawn")
    page.locator(".set-main").get_by_role("textbox", name="Negative prompt").fill("fog")
    page.locator(".set-side").get_by_role("textbox", name="Notes").fill("calm")
    save(page)
    asked = {"prompt": "a boat <set:Coast:0.5>", "negative_prompt": "", "host": "a1111"}
    composed = send(running, "POST", "prompts/compose", asked)
    assert composed["prompt"] == "a boat at dawn <lora:harbour:0.3:te=0.1:unet=0.3>, sea, gulls"
    assert composed["negative_prompt"] == "fog"
    page.reload()
    expect(page.locator(".member-brief")).to_have_text("te 0.2 · sea, gulls")
    expect(page.locator(".set-side").get_by_role("textbox", name="Notes")).to_have_value("calm")


def test_an_older_version_is_made_the_newest(page: Page) -> None:
    page.get_by_label("Weight of Harbour").fill("0.9")
    save(page)
    page.get_by_role("button", name="Version 2: show all").click()
    dialog = page.get_by_role("dialog", name="Versions of Coast")
    expect(dialog.get_by_role("listitem").first).to_contain_text("Harbour 0.6 → 0.9")
    dialog.get_by_role("button", name="Restore version 1").click()
    expect(page.get_by_label("Weight of Harbour")).to_have_value("0.6")
    expect(page.get_by_role("button", name="Version 3: show all")).to_be_visible()


def test_a_set_goes_out_as_a_file_and_comes_back(page: Page, tmp_path: Path) -> None:
    page.get_by_role("button", name="More", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="Export as a file").click()
    path = tmp_path / "coast.json"
    download.value.save_as(path)
    content = json.loads(path.read_text())
    assert [one["name"] for one in content["loras"]] == ["harbour"]
    page.evaluate("location.hash = 'page=sets'")
    for file, card in ((path, "Coast 2"), (tmp_path / "bad.json", None)):
        if card is None:
            file.write_text('{"form": "lora-manager-set", "version": 1, "name": 7}')
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Import").click()
        chooser.value.set_files(file)
        if card:
            expect(page.get_by_label("Name", exact=True)).to_have_value(card)
            page.evaluate("location.hash = 'page=sets'")
        else:
            expect(page.locator(".toast.error")).to_contain_text("bad.json")
    expect(page.locator(".set-card")).to_have_count(2)


def test_a_set_has_a_picture_of_its_own(page: Page, running: Sidecar, coast: dict[str, Any]) -> None:
    page.get_by_role("button", name="Set a picture").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("menuitem", name="Choose a file").click()
    chooser.value.set_files({"name": "a.png", "mimeType": "image/png", "buffer": picture(colour="teal")})
    expect(page.locator(".set-picture.own img")).to_be_visible()
    assert running.ask(f"sets/{coast['id']}")["preview"]
    page.get_by_role("button", name="Change the picture").click()
    page.get_by_role("menuitem", name="Show its LoRAs instead").click()
    expect(page.locator(".set-picture.own")).to_have_count(0)


def test_a_selection_becomes_a_set(page: Page, running: Sidecar) -> None:
    page.evaluate("location.hash = ''")
    for number in range(2):
        page.locator(".card[data-id]").nth(number).focus()
        page.keyboard.press("x")
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name="Save as set").click()
    form = page.get_by_role("dialog", name="Save as set")
    form.get_by_label("Name").fill("coast")
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_role("alert")).to_contain_text("There is a set")
    form.get_by_label("Name").fill("Both")
    form.get_by_role("button", name="Save").click()
    expect(page.locator(".toast")).to_contain_text("The set Both holds 2 LoRAs")
    (made,) = [one for one in running.ask("sets")["items"] if one["name"] == "Both"]
    assert [one["name"] for one in made["loras"]] == ["harbour", "lighthouse"]


def test_what_is_not_saved_waits(page: Page) -> None:
    page.get_by_label("Weight of Harbour").fill("0.8")
    page.get_by_role("link", name="All sets").click()
    expect(page.locator(".set-card")).to_contain_text("Not saved")
    page.locator(".toast").get_by_role("button", name="Go back").click()
    expect(page.get_by_label("Weight of Harbour")).to_have_value("0.8")
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_label("Weight of Harbour")).to_have_value("0.6")


def test_a_lora_that_is_gone_is_told(page: Page, running: Sidecar) -> None:
    (running.loras / "harbour.safetensors").unlink()
    send(running, "POST", "library/scan", {})
    expect(page.locator(".problem.missing")).to_contain_text("harbour")
    expect(page.locator(".member.missing")).to_have_count(1)
