"""Selecting LoRAs, and what is done with all of them at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from lora_files import make_lora
from playwright.sync_api import BrowserContext, Locator, Page, expect
from web_sidecar import Sidecar

COUNT = 30


@pytest.fixture
def library(own_sidecar: Callable[..., Sidecar], tmp_path: Path) -> Sidecar:
    for number in range(COUNT):
        make_lora(tmp_path / "Lora" / f"one_{number:02}.safetensors", body=bytes([number]) * 64)
    return own_sidecar(tmp_path / "Lora")


@pytest.fixture
def page(library: Sidecar, open_page: Callable[..., Page]) -> Page:
    return open_page(library)


def card(page: Page, index: int) -> Locator:
    return page.locator(f'.card[data-index="{index}"]')


def selected(page: Page, count: int) -> None:
    bar = page.get_by_role("region", name="Selected LoRAs")
    if count:
        expect(bar.get_by_role("status")).to_have_text(f"{count} selected")
    else:
        expect(bar).to_be_hidden()


def test_a_click_with_shift_selects_from_the_last_one_and_the_keyboard_does_too(page: Page) -> None:
    card(page, 1).hover()
    card(page, 1).locator(".check").click()
    card(page, 4).click(modifiers=["Shift"])
    selected(page, 4)
    card(page, 3).click(modifiers=["Shift"])
    selected(page, 3)
    expect(card(page, 4)).to_have_attribute("aria-selected", "false")
    card(page, 0).locator(".caption").click()
    selected(page, 4)
    page.keyboard.press("Escape")
    selected(page, 0)
    page.keyboard.press("x")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    selected(page, 3)
    page.keyboard.press("Control+a")
    selected(page, COUNT)
    card(page, 2).click()
    selected(page, COUNT - 1)


def test_tags_go_to_everything_but_one_as_one_change_that_is_undone(page: Page, library: Sidecar) -> None:
    card(page, 0).focus()
    page.keyboard.press("Control+a")
    page.keyboard.press("x")
    page.locator(".tool", has_text="Tags").click()
    page.get_by_label("Add a tag").press_sequentially("mine, both")
    page.get_by_label("Add a tag").press("Enter")
    page.get_by_role("button", name=f"Apply to {COUNT - 1}").click()
    expect(page.locator(".toast")).to_contain_text(f"mine, both added to {COUNT - 1} LoRAs")
    expect(card(page, 1).locator(".tags")).to_have_text("mine · both")
    expect(card(page, 0).locator(".tags")).to_have_text("")
    assert len(library.ask("actions")["items"]) == 1
    page.locator(".tool", has_text="Tags").click()
    page.get_by_role("button", name="Take mine away").click()
    page.get_by_role("button", name=f"Apply to {COUNT - 1}").click()
    expect(card(page, 1).locator(".tags")).to_have_text("both")
    page.keyboard.press("Control+z")
    expect(card(page, 1).locator(".tags")).to_have_text("mine · both")
    page.keyboard.press("Control+z")
    expect(card(page, 1).locator(".tags")).to_have_text("")


def test_single_keys_act_on_all_that_are_selected(page: Page) -> None:
    for key in ("x", "Shift+ArrowRight", "f", "3"):
        card(page, 0).focus() if key == "x" else None
        page.keyboard.press(key)
        if key == "f":
            expect(card(page, 1).locator(".star")).to_have_attribute("aria-pressed", "true")
    expect(card(page, 0).locator(".stars")).to_have_text("★★★")
    expect(card(page, 1).locator(".stars")).to_have_text("★★★")
    expect(card(page, 2).locator(".stars")).to_have_text("")


def test_cards_are_dragged_into_a_collection_and_taken_out(page: Page) -> None:
    page.get_by_role("button", name="New collection or saved search").click()
    page.get_by_role("dialog", name="New collection").get_by_label("Name").fill("Picks")
    page.keyboard.press("Enter")
    row = page.get_by_role("region", name="Collections").locator(".option")
    expect(row).to_have_text(re.compile("Picks"))
    card(page, 5).drag_to(row)
    expect(row.locator(".number")).to_have_text("1")
    for index in (0, 1, 2):
        card(page, index).click(modifiers=["Control"])
    card(page, 1).drag_to(row)
    expect(row.locator(".number")).to_have_text("4")
    page.keyboard.press("Escape")
    row.locator(".option-main").click()
    expect(page.locator("#count")).to_have_text(f"4 of {COUNT}")
    card(page, 3).click(modifiers=["Control"])
    page.get_by_role("button", name="Collection", exact=True).click()
    page.get_by_role("menuitem", name="Take out of Picks").click()
    expect(page.locator("#count")).to_have_text(f"3 of {COUNT}")


def test_what_goes_to_the_trash_comes_back_with_undo(page: Page, library: Sidecar) -> None:
    card(page, 0).focus()
    page.keyboard.press("Delete")
    expect(page.locator("#count")).to_have_text(f"{COUNT - 1} LoRAs")
    assert not (library.loras / "one_00.safetensors").exists()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#count")).to_have_text(f"{COUNT} LoRAs")
    assert (library.loras / "one_00.safetensors").exists()
    page.keyboard.press("Control+a")
    page.get_by_role("button", name="Trash", exact=True).click()
    question = page.get_by_role("dialog", name=f"Move {COUNT} LoRAs to the trash?")
    question.get_by_role("button", name="Cancel").click()
    expect(page.locator("#count")).to_have_text(f"{COUNT} LoRAs")


def test_files_are_sorted_by_a_template_after_a_look_at_what_would_happen(
    page: Page, library: Sidecar
) -> None:
    (library.loras / "sorted").mkdir()
    (library.loras / "sorted" / "one_01.txt").write_text("in the way")
    for index in (0, 1):
        card(page, index).click(modifiers=["Control"])
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name="Rename and sort by template…").click()
    dialog = page.get_by_role("dialog", name="Rename and sort 2 LoRAs")
    dialog.get_by_label("Template").fill("{nothing}/{name}")
    expect(dialog.get_by_role("alert")).to_contain_text("no field {nothing}")
    expect(dialog.locator('button[type="submit"]')).to_be_disabled()
    dialog.get_by_label("Template").fill("sorted/{name}")
    expect(dialog.get_by_role("status")).to_contain_text("1 LoRA moves")
    expect(dialog.locator(".dry-row.conflict")).to_contain_text("one_01")
    assert not (library.loras / "sorted" / "one_00.safetensors").exists()
    dialog.get_by_role("button", name="Move 1").click()
    expect(page.locator(".toast")).to_contain_text("1 LoRA sorted by the template")
    assert (library.loras / "sorted" / "one_00.safetensors").exists()
    assert (library.loras / "one_01.safetensors").exists()


def test_missing_files_are_forgotten_after_an_explanation(page: Page, library: Sidecar) -> None:
    (library.loras / "one_07.safetensors").unlink()
    missing = page.locator('.option[data-key="state/missing"]')
    expect(missing.locator(".number")).to_have_text("1", timeout=20_000)
    missing.locator(".option-main").click()
    expect(page.locator("#count")).to_have_text(re.compile("^1 of"))
    page.get_by_role("button", name="Forget these…").click()
    question = page.get_by_role("dialog", name="Forget missing LoRAs?")
    expect(question).to_contain_text("is kept with their contents")
    question.get_by_role("button", name="Forget").click()
    expect(page.locator("#count")).to_have_text(re.compile("^0 of"))


def test_on_touch_a_long_press_selects(library: Sidecar, open_context: Callable[..., BrowserContext]) -> None:
    page = open_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).new_page()
    page.goto(library.door)
    expect(card(page, 1)).to_be_visible()
    card(page, 1).dispatch_event("pointerdown", {"pointerType": "touch", "bubbles": True})
    selected(page, 1)
    card(page, 1).dispatch_event("pointerup", {"pointerType": "touch", "bubbles": True})
    card(page, 2).tap()
    selected(page, 2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
