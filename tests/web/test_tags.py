"""The page of tags: rename, merge, colour, take away, rules, export and import."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from lora_files import make_lora
from playwright.sync_api import Locator, Page, expect
from web_library import add_civitai
from web_sidecar import Sidecar


@pytest.fixture
def page(own_sidecar: Callable[..., Sidecar], open_page: Callable[..., Page], tmp_path: Path) -> Page:
    for name, tags in {"a": ["anime", "style"], "b": ["anime style"], "c": ["anime style", "ink"]}.items():
        path = make_lora(tmp_path / "Lora" / f"{name}.safetensors", body=name.encode() * 64)
        add_civitai(path, title=name, tags=tags, words=[])
    page = open_page(own_sidecar(tmp_path / "Lora"))
    page.get_by_role("link", name="Tags").click()
    expect(page.get_by_role("heading", name="Tags")).to_be_visible()
    return page


def row(page: Page, name: str) -> Locator:
    return page.locator(".tag-row").filter(has=page.get_by_role("button", name=name, exact=True))


def test_a_tag_is_merged_into_another_and_undone(page: Page) -> None:
    expect(page.locator(".tag-row")).to_have_count(4)
    row(page, "anime style").get_by_role("button", name="anime style", exact=True).click()
    form = page.get_by_role("dialog", name="New name")
    form.get_by_label("New name").fill("anime")
    expect(form.get_by_role("status")).to_contain_text("they become one")
    form.get_by_role("button", name="Merge").click()
    expect(row(page, "anime")).to_contain_text("3 LoRAs")
    expect(row(page, "anime")).to_contain_text("also what files call anime style")
    page.keyboard.press("Control+z")
    expect(row(page, "anime style")).to_contain_text("2 LoRAs")


def test_rules_are_listed_and_taken_back(page: Page) -> None:
    row(page, "ink").hover()
    page.get_by_role("button", name="Take ink away from every LoRA").click()
    expect(row(page, "ink")).to_have_count(0)
    page.get_by_role("tab", name="Rules").click()
    rule = page.get_by_role("list", name="Rules").get_by_role("listitem")
    expect(rule).to_contain_text("not shown")
    rule.get_by_role("button", name="Take back").click()
    expect(rule).to_have_count(0)
    page.get_by_role("tab", name="Tags", exact=True).click()
    expect(row(page, "ink")).to_contain_text("1 LoRA")


def test_colours_show_in_the_rail_and_a_count_leads_to_the_library(page: Page) -> None:
    for name in ("style", "ink"):
        row(page, name).get_by_role("checkbox").check()
    page.locator(".tag-actions").get_by_role("button", name="Colour").click()
    page.get_by_role("menuitemradio", name="Purple").click()
    expect(row(page, "ink").locator(".swatch.purple")).to_be_visible()
    page.locator("#page").get_by_label("Find a tag").fill("sty")
    row(page, "style").get_by_role("button", name="1 LoRA").click()
    expect(page.locator("#count")).to_have_text("1 of 3")
    expect(page.locator('.option[data-key="tag/style"] .swatch')).to_have_class("swatch purple")


def test_exported_tags_are_imported_again_and_unknown_names_are_told(page: Page) -> None:
    with page.expect_download() as download:
        page.get_by_role("link", name="Export").click()
    exported = json.loads(Path(download.value.path()).read_text())
    assert {entry["name"] for entry in exported["items"]} == {"a", "b", "c"}
    entries = [{"name": "a", "tags": ["imported"]}, {"name": "nobody", "tags": ["imported"]}]
    given = {"items": entries, "colors": {"imported": "red"}}
    page.locator('input[type="file"]').set_input_files(
        {"name": "tags.json", "mimeType": "application/json", "buffer": json.dumps(given).encode()}
    )
    expect(page.get_by_role("dialog", name="1 entry without a LoRA")).to_contain_text("nobody")
    page.keyboard.press("Escape")
    expect(row(page, "imported")).to_contain_text("1 LoRA")
