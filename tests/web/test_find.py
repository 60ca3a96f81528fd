"""Finding: completion, errors that point at their place, saved searches, the rail's filters, hidden LoRAs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lora_files import add_side_file, make_lora, picture
from playwright.sync_api import Page, expect
from web_library import add_civitai
from web_sidecar import Sidecar, start_sidecar

TAGS = ("style/ink", "style/oil", "place")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """Twelve LoRAs, four for each of `TAGS`; every other one in the folder `odd`."""
    folder = tmp_path_factory.mktemp("find")
    for number in range(12):
        path = make_lora(folder / "Lora" / ("odd" if number % 2 else "even") / f"one_{number:02}.safetensors")
        add_civitai(path, title=f"One {number:02}", tags=[TAGS[number % 3]], words=[f"word{number}"])
    running = start_sidecar(folder / "data", folder / "Lora")
    yield running
    running.stop()


@pytest.fixture
def page(library: Sidecar, open_page: Callable[..., Page]) -> Page:
    return open_page(library)


def found(page: Page, text: str) -> None:
    expect(page.locator("#count")).to_have_text(text)


def test_a_query_is_completed_by_keyboard(page: Page) -> None:
    box = page.get_by_label("Search", exact=True)
    box.press_sequentially("tag:in")
    option = page.get_by_role("option", name="style/ink")
    expect(option).to_contain_text("4")
    expect(box).to_have_attribute("aria-expanded", "true")
    box.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    assert box.get_attribute("aria-activedescendant") == option.get_attribute("id")
    box.press("Tab")
    expect(box).to_have_value("tag:style/ink ")
    expect(box).to_be_focused()
    found(page, "4 of 12")
    box.press_sequentially("fol")
    page.get_by_role("option", name="folder:").click()
    expect(box).to_have_value("tag:style/ink folder:")
    page.get_by_role("option", name="Lora/odd").click()
    found(page, "2 of 12")
    box.press_sequentially("one")
    expect(page.locator(".suggest [role=option]").first).to_be_visible()
    box.press("Escape")
    expect(page.locator(".suggest [role=option]")).to_have_count(0)
    expect(box).to_have_value("tag:style/ink folder:Lora/odd one")
    box.press("Escape")
    found(page, "12 LoRAs")


def test_a_query_that_cannot_be_read_is_underlined_and_the_old_list_stays(page: Page) -> None:
    box = page.get_by_label("Search", exact=True)
    box.fill("tag:place")
    found(page, "4 of 12")
    box.fill("tag:place weigth:1")
    expect(page.get_by_role("alert")).to_contain_text("did you mean weight:?")
    expect(page.locator(".search-mirror mark")).to_have_text("weigth:")
    expect(box).to_have_attribute("aria-invalid", "true")
    found(page, "4 of 12")
    expect(page.locator(".card[data-id]")).to_have_count(4)
    box.blur()
    expect(page.locator("#misread")).to_contain_text("did you mean weight:?")
    box.fill("tag:place weight:1")
    found(page, "0 of 12")
    expect(page.locator("#misread")).to_be_hidden()
    expect(box).not_to_have_attribute("aria-invalid", "true")


def test_the_place_is_right_behind_filters_of_the_rail(page: Page) -> None:
    page.goto(page.url.split("#")[0] + "#rating=4&rating=5&q=x%20OR%20tag:")
    expect(page.locator("#misread")).to_contain_text("tag: needs a value")
    expect(page.locator(".search-mirror mark")).to_have_text("tag:")


def test_the_help_with_the_syntax_shows_examples_to_try(page: Page) -> None:
    page.get_by_label("Search", exact=True).focus()
    page.get_by_role("button", name="How to search").click()
    page.get_by_role("button", name="rating:>=4 used:never").click()
    expect(page.get_by_label("Search", exact=True)).to_have_value("rating:>=4 used:never")
    found(page, "0 of 12")


def test_a_search_is_saved_renamed_and_deleted(page: Page) -> None:
    page.locator('.option[data-key="folder/Lora/odd"] .option-main').click()
    page.locator('.option[data-key="tag/place"] .option-main').click()
    found(page, "2 of 12")
    page.get_by_role("button", name="Save search").click()
    form = page.get_by_role("dialog", name="Save this search")
    expect(form).to_contain_text("folder:Lora/odd tag:place")
    form.get_by_label("Name").fill("Places")
    form.get_by_role("radio", name="green").click()
    form.get_by_role("button", name="Save").click()
    page.reload()
    saved = page.get_by_role("region", name="Collections").locator(".option")
    expect(saved.locator(".number")).to_have_text("2")
    page.get_by_role("button", name="Clear all").click()
    saved.locator(".option-main").click()
    found(page, "2 of 12")
    expect(page.locator("#chips .chip")).to_have_text("Places")
    saved.hover()
    saved.get_by_role("button", name="Places: more").click()
    page.get_by_role("menuitem", name="Name and colour…").click()
    page.get_by_role("dialog", name="Name and colour").get_by_label("Name").fill("Odd places")
    page.keyboard.press("Enter")
    expect(saved.locator(".label")).to_have_text("Odd places")
    saved.hover()
    saved.get_by_role("button", name="more").click()
    page.get_by_role("menuitem", name="Delete").click()
    expect(saved).to_have_count(0)
    found(page, "12 LoRAs")
    page.get_by_role("button", name="Undo").click()
    expect(saved.locator(".label")).to_have_text("Odd places")


def test_tags_are_a_tree_and_can_be_searched(page: Page) -> None:
    style = page.locator('.option[data-key="tag/style"]')
    expect(style.locator(".number")).to_have_text("8")
    page.get_by_role("button", name="Unfold style").click()
    expect(page.locator('.option[data-key="tag/style/oil"] .number')).to_have_text("4")
    style.locator(".option-main").click()
    found(page, "8 of 12")
    page.get_by_label("Find a tag").fill("oil")
    expect(page.locator(".section-tag .option")).to_have_count(1)
    page.locator('.option[data-key="tag/style/oil"]').hover()
    page.get_by_role("button", name="Leave out style/oil").click()
    found(page, "4 of 12")


def test_ratings_and_labels_filter_together(page: Page) -> None:
    for index, stars in ((0, "5"), (1, "4"), (2, "4")):
        card = page.locator(f'.card[data-index="{index}"]')
        card.focus()
        card.press(stars)
        expect(card.locator(".stars")).to_have_text("★" * int(stars))
    page.locator('.card[data-index="2"]').press("l")
    page.get_by_role("menuitemradio", name="Blue").click()
    expect(page.locator('.card[data-index="2"] .stripe')).to_have_class(re.compile("blue"))
    page.locator('.pick[data-key="rating/4"]').click()
    found(page, "2 of 12")
    page.locator('.pick[data-key="rating/5"]').click()
    found(page, "3 of 12")
    page.locator('.pick[data-key="label/blue"]').click()
    found(page, "1 of 12")
    page.reload()
    found(page, "1 of 12")
    page.get_by_role("button", name="Clear all").click()
    page.select_option("#sort", "-rating")
    expect(page.locator('.card[data-index="0"] .stars')).to_have_text("★★★★★")


def test_a_hidden_lora_is_reached_through_the_rail(page: Page) -> None:
    card = page.locator('.card[data-index="11"]')
    card.focus()
    card.press("h")
    found(page, "11 LoRAs")
    page.get_by_role("switch", name="Show hidden").click()
    found(page, "12 LoRAs")
    expect(page.locator('.card[data-index="11"] .state')).to_have_text("Hidden")
    page.get_by_role("switch", name="Show hidden").click()
    found(page, "11 LoRAs")
    page.locator("lora-grid").press("Control+z")
    found(page, "12 LoRAs")


def test_a_nsfw_picture_is_blurred_until_it_is_asked_for(
    own_sidecar: Callable[..., Sidecar], open_page: Callable[..., Page], tmp_path: Path
) -> None:
    add_side_file(make_lora(tmp_path / "Lora" / "spicy.safetensors"), ".preview.png", picture())
    add_side_file(make_lora(tmp_path / "Lora" / "tame.safetensors"), ".preview.png", picture())
    page = open_page(own_sidecar(tmp_path / "Lora"))
    spicy = page.locator('.card[data-index="0"]')
    page.keyboard.press("x")
    page.get_by_role("button", name="Visibility").click()
    page.get_by_role("menuitem", name="XXX").click()
    expect(spicy.locator(".veil")).to_have_text("XXX")
    filters = "card => getComputedStyle(card.querySelector('img')).filter"
    page.mouse.move(5, 5)
    page.get_by_label("Search", exact=True).focus()
    assert "blur" in spicy.evaluate(filters)
    assert "blur" not in page.locator('.card[data-index="1"]').evaluate(filters)
    spicy.hover()
    assert "blur" not in spicy.evaluate(filters)
    page.mouse.move(5, 5)
    page.keyboard.press("ArrowDown")
    assert "blur" not in spicy.evaluate(filters)
