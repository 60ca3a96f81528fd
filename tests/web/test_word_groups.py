"""How a LoRA's words are used: arranged in groups, which composing follows, and back again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from lora_files import add_side_file, make_lora
from playwright.sync_api import Locator, Page, expect
from prompt_host import send
from web_sidecar import Sidecar


@pytest.fixture
def sidecar(own_sidecar: Callable[..., Sidecar], tmp_path: Path) -> Sidecar:
    lora = make_lora(tmp_path / "Lora" / "mira.safetensors")
    add_side_file(lora, ".json", {"activation text": "mira, red dress, boots"})
    return own_sidecar(tmp_path / "Lora")


@pytest.fixture
def page(sidecar: Sidecar, open_page: Callable[..., Page]) -> Page:
    page = open_page(sidecar)
    page.locator(".card[data-id] .info").first.click()
    expect(page.get_by_role("button", name="Arrange trigger words")).to_be_visible()
    return page


def arrange(page: Page) -> Locator:
    page.get_by_role("button", name="Arrange trigger words").click()
    return page.get_by_role("dialog", name="Words of mira")


def group(dialog: Locator, number: int) -> Locator:
    return dialog.get_by_role("list", name="Groups").get_by_role("listitem").nth(number)


def test_words_are_arranged_in_outfits_and_composing_follows(page: Page, sidecar: Sidecar) -> None:
    dialog = arrange(page)
    expect(group(dialog, 0).get_by_label("Words, one a line")).to_have_value("mira\nred dress\nboots")
    group(dialog, 0).get_by_label("Words, one a line").fill("mira")
    group(dialog, 0).get_by_label("Where").select_option("start")
    for name, words in (("Dress", "red dress\nboots"), ("Armour", "steel armour,\nhelmet")):
        dialog.get_by_role("button", name="Add a group").click()
        page.keyboard.type(name)
        last = dialog.get_by_role("listitem").last
        last.get_by_label("Words, one a line").fill(words)
        last.get_by_label("Outfit").check()
    dialog.get_by_role("button", name="Add a group").click()
    dialog.get_by_role("listitem").last.get_by_label("Words, one a line").fill("bad hands")
    dialog.get_by_role("listitem").last.get_by_label("Negative prompt").check()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    hint = page.locator(".words-arranged")
    expect(hint).to_have_text("Arranged by you: mira · Dress · Armour · negative")
    asked = {
        "prompt": "a knight in steel armour <lora:mira:1>",
        "negative_prompt": "",
        "add_trigger_words": True,
    }
    composed = send(sidecar, "POST", "prompts/compose", asked)
    assert composed["prompt"] == "mira, a knight in steel armour <lora:mira:1>, helmet"
    assert composed["negative_prompt"] == "bad hands"


def test_it_is_taken_back(page: Page) -> None:
    dialog = arrange(page)
    group(dialog, 0).get_by_label("When").select_option("never")
    dialog.get_by_role("button", name="Save").click()
    hint = page.locator(".words-arranged")
    expect(hint).to_have_text("Arranged by you: mira")
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(hint).to_be_hidden()
    dialog = arrange(page)
    expect(group(dialog, 0).get_by_label("When")).to_have_value("always")
    group(dialog, 0).get_by_label("Name").fill("All")
    dialog.get_by_role("button", name="Save").click()
    expect(hint).to_have_text("Arranged by you: All")
    arrange(page).get_by_role("button", name="As the trigger words say").click()
    expect(hint).to_be_hidden()


def test_an_empty_group_is_left_out_and_a_removed_one_is_gone(page: Page, sidecar: Sidecar) -> None:
    dialog = arrange(page)
    dialog.get_by_role("button", name="Add a group").click()
    dialog.get_by_role("button", name="Add a group").click()
    dialog.get_by_role("listitem").last.get_by_label("Words, one a line").fill("<b>bold</b>")
    group(dialog, 0).get_by_role("button", name="Remove the group").click()
    dialog.get_by_role("button", name="Save").click()
    expect(page.locator(".words-arranged")).to_have_text("Arranged by you: <b>bold</b>")
    (lora,) = sidecar.ask("loras")["items"]
    assert [one["words"] for one in sidecar.ask(f"loras/{lora['id']}")["word_groups"]] == [["<b>bold</b>"]]
