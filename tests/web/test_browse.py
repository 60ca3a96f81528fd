"""Finding a LoRA: the grid, search, filters, order, keyboard and layout."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect
from web_sidecar import Sidecar

TOTAL = 67


def search(page: Page, text: str, found: int) -> None:
    """Search, and wait for the answer: cards are reused, so the old ones must have gone."""
    page.fill("#search", text)
    expect(page.locator("#count")).to_have_text(f"{found} of {TOTAL}")


def card(page: Page, name: str) -> Locator:
    return page.locator(".card[data-id]", has=page.locator(f'.title[title="{name}"]'))


def test_cards_appear_with_title_base_model_and_picture(page: Page) -> None:
    expect(page.locator("#count")).to_have_text(f"{TOTAL} LoRAs")
    search(page, "neon", 1)
    samurai = card(page, "neon_samurai")
    expect(samurai.locator(".title")).to_have_text("Neon Samurai")
    expect(samurai.locator(".base")).to_have_text(re.compile("SDXL"))
    expect(samurai.locator(".tags")).to_contain_text("character")
    expect(samurai.locator("img.ready")).to_be_visible()


def test_only_the_rows_near_the_window_exist(page: Page) -> None:
    assert page.locator(".card").count() < TOTAL
    page.locator("lora-grid").evaluate("grid => grid.scrollTop = grid.scrollHeight")
    expect(page.locator(f'.card[data-index="{TOTAL - 1}"][data-id]')).to_be_visible()


def test_search_finds_as_one_types_and_shows_the_counts(page: Page) -> None:
    page.locator("#search").press_sequentially("lighth")
    expect(page.locator("#count")).to_have_text(f"1 of {TOTAL}")
    expect(card(page, "lighthouse")).to_be_visible()
    expect(page.get_by_role("option", name="lighthouse", exact=True)).to_be_visible()
    page.locator("#search").press("Escape")
    expect(page.locator(".suggest [role=option]")).to_have_count(0)
    page.locator("#search").press("Escape")
    expect(page.locator("#count")).to_have_text(f"{TOTAL} LoRAs")


def test_a_typo_is_corrected_and_the_page_says_so(page: Page) -> None:
    page.fill("#search", "samuria")
    expect(page.locator("#corrected")).to_have_text("Showing results for samurai")
    expect(card(page, "neon_samurai")).to_be_visible()


def test_no_result_offers_a_way_back(page: Page) -> None:
    page.fill("#search", "qqzzxx")
    expect(page.locator("#empty")).to_contain_text("Nothing found")
    page.get_by_role("button", name="Clear the search").last.click()
    expect(page.locator("#count")).to_have_text(f"{TOTAL} LoRAs")
    expect(page.locator("#search")).to_have_value("")


def test_filters_have_counts_and_combine(page: Page) -> None:
    places = page.locator('.option[data-key="tag/landscape"]')
    expect(places.locator(".number")).to_have_text("3")
    places.locator(".option-main").click()
    expect(page.locator("#count")).to_have_text(f"3 of {TOTAL}")
    page.locator('.option[data-key="tag/meadow"]').hover()
    page.get_by_role("button", name="Leave out meadow").click()
    expect(page.locator("#count")).to_have_text(f"2 of {TOTAL}")
    expect(page.locator("#chips .chip")).to_have_text(["landscape", "notmeadow"])
    page.get_by_role("button", name="Clear all").click()
    expect(page.locator("#count")).to_have_text(f"{TOTAL} LoRAs")


def test_a_folder_holds_its_subfolders(page: Page) -> None:
    styles = page.locator('.option[data-key$="/styles"]')
    expect(styles.locator(".number")).to_have_text("60")
    styles.locator(".option-main").click()
    expect(page.locator("#count")).to_have_text(f"60 of {TOTAL}")
    page.get_by_role("button", name="Unfold styles").click()
    expect(page.locator('.option[data-key$="/styles/deep"] .number')).to_have_text("30")


def test_filters_are_in_the_address_for_reload_and_back(page: Page) -> None:
    page.locator('.option[data-key="state/broken"] .option-main').click()
    expect(page.locator("#count")).to_have_text(f"1 of {TOTAL}")
    page.reload()
    expect(page.locator("#count")).to_have_text(f"1 of {TOTAL}")
    expect(page.locator('.option[data-key="state/ok"] .number')).to_have_text("0")
    page.go_back()
    expect(page.locator("#count")).to_have_text(f"{TOTAL} LoRAs")


def test_order_changes_the_first_card(page: Page) -> None:
    page.select_option("#sort", "-name")
    expect(page.locator('.card[data-index="0"] .title')).to_have_text("plain_59")


def test_typing_a_tag_and_enter_filters_by_it(page: Page) -> None:
    page.get_by_label("Find a tag").fill("neon")
    page.get_by_label("Find a tag").press("Enter")
    expect(page.locator("#count")).to_have_text(f"1 of {TOTAL}")


def test_the_keyboard_reaches_everything(page: Page) -> None:
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("landscape")
    expect(page.locator("#count")).to_have_text(f"3 of {TOTAL}")
    page.keyboard.press("Enter")
    expect(page.locator('.card[data-index="0"]')).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.locator('.card[data-index="1"]')).to_be_focused()
    page.keyboard.press("End")
    expect(page.locator('.card[data-index="2"]')).to_be_focused()
    page.keyboard.press("i")
    expect(page.locator("lora-drawer")).to_be_visible()
    page.keyboard.press("Home")
    name = page.locator('.card[data-index="0"] .title').get_attribute("title")
    expect(page.locator(".drawer-stem")).to_have_text(name or "")
    page.keyboard.press("Escape")
    expect(page.locator("lora-drawer")).to_be_hidden()
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()


def test_focus_survives_scrolling_away_and_back(page: Page) -> None:
    page.locator("#search").press("ArrowDown")
    page.locator("lora-grid").evaluate("grid => grid.scrollTop = grid.scrollHeight")
    expect(page.locator(f'.card[data-index="{TOTAL - 1}"][data-id]')).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.locator('.card[data-index="1"]')).to_be_focused()
    expect(page.locator('.card[data-index="1"]')).to_be_in_viewport()


def test_card_size_is_kept(page: Page) -> None:
    columns = int(page.locator("lora-grid").get_attribute("aria-colcount") or 0)
    page.get_by_role("button", name="Small cards").click()
    assert int(page.locator("lora-grid").get_attribute("aria-colcount") or 0) > columns
    page.reload()
    expect(page.get_by_role("button", name="Small cards")).to_have_attribute("aria-pressed", "true")


def test_a_broken_file_is_shown_with_its_reason(page: Page) -> None:
    search(page, "broken_one", 1)
    broken = card(page, "broken_one")
    expect(broken.locator(".state")).to_have_text("Broken")
    broken.locator(".preview").click()
    expect(page.locator(".problem")).to_contain_text("damaged")
    expect(page.locator(".problem .hint")).not_to_be_empty()


def test_a_video_preview_shows_a_still_and_plays_under_the_pointer(page: Page) -> None:
    search(page, "film", 1)
    film = card(page, "film")
    expect(film.locator("img.ready")).to_have_attribute("src", re.compile("^blob:"))
    film.locator(".preview").hover()
    page.wait_for_function("() => document.querySelector('.card video')?.currentTime > 0")
    assert film.locator("video").evaluate("video => video.muted")
    page.mouse.move(5, 5)
    expect(film.locator("video")).to_have_count(0)


@pytest.mark.parametrize(("scheme", "dark"), [("dark", True), ("light", False)])
def test_the_system_decides_on_light_or_dark(
    sidecar: Sidecar, open_page: Callable[..., Page], scheme: str, dark: bool
) -> None:
    page = open_page(sidecar, color_scheme=scheme)
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in re.findall(r"\d+", colour)[:3]) < 300) is dark


def test_on_a_phone_filters_are_a_sheet_and_details_fill_the_screen(
    sidecar: Sidecar, open_page: Callable[..., Page]
) -> None:
    page = open_page(sidecar, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(page.locator("#rail")).to_be_hidden()
    page.locator("#filters-button").tap()
    page.locator('.option[data-key="tag/landscape"] .option-main').tap()
    page.locator("#rail-close").tap()
    expect(page.locator("#count")).to_have_text(f"3 of {TOTAL}")
    page.locator(".card .caption").first.tap()
    box = page.locator("lora-drawer").bounding_box()
    assert box and box["width"] == 390
    page.get_by_role("button", name="Close details").tap()
    expect(page.locator("lora-drawer")).to_be_hidden()
