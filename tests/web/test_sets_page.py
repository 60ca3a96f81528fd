"""The page of sets: made, found, put in order, saved in two windows, deleted and brought back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from lora_files import make_lora
from playwright.sync_api import Page, expect
from web_library import add_civitai
from web_sidecar import Sidecar


@pytest.fixture
def running(own_sidecar: Callable[..., Sidecar], tmp_path: Path) -> Sidecar:
    for width, name in ((768, "harbour"), (2048, "lighthouse")):
        path = make_lora(tmp_path / "Lora" / f"{name}.safetensors", width=width)
        add_civitai(path, title=name.title(), tags=[name], words=[f"{name} view"])
    return own_sidecar(tmp_path / "Lora")


@pytest.fixture
def page(running: Sidecar, open_page: Callable[..., Page]) -> Page:
    page = open_page(running)
    show(page, "sets")
    return page


def show(page: Page, name: str) -> None:
    page.evaluate("name => { location.hash = 'page=' + name }", name)


def add(page: Page, title: str) -> None:
    page.get_by_label("Add a LoRA").fill(title)
    page.get_by_role("option", name=title).click()


def make(page: Page, name: str) -> None:
    """A set of both LoRAs, saved."""
    show(page, "sets/new")
    page.get_by_label("Name", exact=True).fill(name)
    add(page, "Harbour")
    add(page, "Lighthouse")
    page.get_by_label("Weight of Harbour").fill("0.6")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="Saved").first).to_be_visible()


def test_a_set_is_made_and_found(page: Page) -> None:
    expect(page.get_by_text("No sets yet")).to_be_visible()
    make(page, "Coast")
    show(page, "sets")
    expect(page.locator(".set-card")).to_contain_text("2 LoRAs")
    page.get_by_label("Search sets").fill("lighthouse")
    expect(page.locator(".set-card")).to_have_count(1)
    page.get_by_label("Search sets").fill("nowhere")
    expect(page.get_by_text("No set is like that")).to_be_visible()


def test_the_order_and_the_weights_are_kept(page: Page) -> None:
    make(page, "Coast")
    page.get_by_role("button", name="Move Harbour").press("ArrowDown")
    page.keyboard.press("Control+s")
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled()
    page.reload()
    expect(page.locator(".member").nth(1)).to_contain_text("Harbour")
    expect(page.get_by_label("Weight of Harbour")).to_have_value("0.6")


def test_a_deleted_set_comes_back(page: Page) -> None:
    make(page, "Coast")
    show(page, "sets")
    page.locator(".set-card").hover()
    page.get_by_role("button", name="More for Coast").click()
    page.get_by_role("menuitem", name="Delete").click()
    expect(page.locator(".set-card")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".set-card")).to_have_count(1)


def test_two_windows_do_not_overwrite_each_other_unseen(
    page: Page, running: Sidecar, open_page: Callable[..., Page]
) -> None:
    make(page, "Coast")
    other = open_page(running)
    show(page, "sets")
    page.locator(".set-open").click()
    show(other, "sets")
    other.locator(".set-open").click()
    page.locator(".set-side").get_by_role("textbox", name="Notes").fill("mine")
    other.locator(".set-side").get_by_role("textbox", name="Notes").fill("theirs")
    other.keyboard.press("Control+s")
    expect(page.get_by_role("alert").filter(has_text="Meanwhile")).to_be_visible()
    page.get_by_role("button", name="Overwrite it with mine").click()
    expect(other.locator(".set-side").get_by_role("textbox", name="Notes")).to_have_value("mine")
