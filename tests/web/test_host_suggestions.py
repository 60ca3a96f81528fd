"""Suggestions under the host's prompt box: shown while one writes, added with a click, refused, and never in the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lora_files import add_side_file, make_lora, picture
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect
from prompt_host import PROMPT, open_prompt_page, send, write
from web_sidecar import Sidecar, start_sidecar

LINE = ".lora-manager-suggest"


def add(folder: Path, name: str, title: str, examples: list[str]) -> None:
    path = make_lora(folder / f"{name}.safetensors")
    images = [
        {"url": f"https://example.com/{name}{at}.png", "meta": {"prompt": text}}
        for at, text in enumerate(examples)
    ]
    add_side_file(
        path,
        ".civitai.info",
        {
            "id": 1,
            "modelId": 7,
            "name": "v1",
            "trainedWords": [],
            "model": {"name": title, "type": "LORA"},
            "images": images,
        },
    )


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    folder = tmp_path_factory.mktemp("suggestions")
    loras = folder / "Lora"
    add(
        loras, "harbour", "Old Harbour", ["harbour, fishing boats, gulls, morning mist", "boats, quay, gulls"]
    )
    add(loras, "gulls", "Gulls & Terns", ["gulls over the sea, feathers", "boats, gulls, cliff"])
    (loras / "harbour.preview.png").write_bytes(picture(colour="purple"))
    for number in range(30):
        add(loras, f"plain_{number}", f"Plain {number}", [f"a photo of thing {number}, daylight, simple"])
    running = start_sidecar(folder / "data", loras)
    yield running
    running.stop()


@pytest.fixture
def page(library: Sidecar, desktop: BrowserContext) -> Iterator[Page]:
    errors: list[str] = []
    page = desktop.new_page()
    page.set_viewport_size({"width": 1000, "height": 700})
    send(library, "DELETE", "recommendations/feedback", {})
    open_prompt_page(page, library)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.close()
    assert errors == []


def chips(page: Page, box: str = "txt2img_prompt") -> Locator:
    return page.locator(f"#{box} .lora-manager-suggest-chip:visible")


def test_what_fits_is_shown_and_a_click_adds_it(page: Page, library: Sidecar) -> None:
    box = write(page, "fishing boats, ~gulls")
    expect(chips(page).first).to_contain_text("Old Harbour", timeout=30_000)
    expect(chips(page).first.locator("img")).to_have_js_property("complete", True)
    assert "gulls" in (chips(page).first.get_by_role("button").first.get_attribute("title") or "")
    chips(page).filter(has_text="Old Harbour").get_by_role("button").first.click()
    expect(box).to_have_value("fishing boats, gulls <lora:harbour:1>")
    expect(box).to_be_focused()
    assert page.evaluate("window.heard.txt2img_prompt") == "fishing boats, gulls <lora:harbour:1>"
    expect(chips(page).filter(has_text="Old Harbour")).to_have_count(0)
    expect(chips(page).first).to_contain_text("Gulls & Terns")
    page.keyboard.press("Control+z")
    expect(box).to_have_value("fishing boats, gulls")
    expect(chips(page).filter(has_text="Old Harbour")).to_have_count(1)
    said = send(library, "GET", "recommendations/feedback", None)
    assert [(one["verdict"], one["subject"]) for one in said["items"]] == [("chosen", "fishing boats, gulls")]


def test_an_add_taken_back_before_the_next_answer_is_offered_again(page: Page) -> None:
    box = write(page, "fishing boats, ~gulls")
    harbour = chips(page).filter(has_text="Old Harbour")
    expect(harbour).to_have_count(1, timeout=30_000)
    held: list[Route] = []
    page.route("**/recommendations/prompt", lambda route: held.append(route))
    harbour.get_by_role("button").first.click()
    expect(harbour).to_have_count(0)
    page.keyboard.press("Control+z")
    expect(box).to_have_value("fishing boats, gulls")
    page.unroute("**/recommendations/prompt")
    for route in held:
        route.fallback()
    expect(harbour).to_have_count(1)


def test_not_this_is_noted_and_taken_back(page: Page, library: Sidecar) -> None:
    write(page, "fishing boats, ~gulls")
    harbour = chips(page).filter(has_text="Old Harbour")
    harbour.get_by_role("button", name="Not Old Harbour").click(timeout=30_000)
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_be_focused()
    expect(harbour).to_have_count(0)
    assert send(library, "GET", "recommendations/feedback", None)["counts"]["down"] == 1
    undo.click()
    page.mouse.move(900, 650)
    expect(harbour).to_have_count(1)
    assert send(library, "GET", "recommendations/feedback", None)["total"] == 0


def test_not_this_that_was_taken_back_elsewhere_is_offered_again_at_once(
    page: Page, library: Sidecar
) -> None:
    write(page, "fishing boats, ~gulls")
    harbour = chips(page).filter(has_text="Old Harbour")
    harbour.get_by_role("button", name="Not Old Harbour").click(timeout=30_000)
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_be_focused()
    send(library, "DELETE", "recommendations/feedback", {})
    undo.click()
    expect(harbour).to_have_count(1, timeout=4_000)  # what is gone silences nothing


def test_not_this_that_cannot_be_taken_back_says_so(page: Page) -> None:
    write(page, "fishing boats, ~gulls")
    harbour = chips(page).filter(has_text="Old Harbour")
    harbour.get_by_role("button", name="Not Old Harbour").click(timeout=30_000)
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_be_focused()
    page.route("**/recommendations/feedback/*", lambda route: route.abort())
    undo.click()
    expect(page.locator(".lora-manager-suggest-gone")).to_have_text("Not taken back. ")
    page.locator(PROMPT).focus()  # the line is drawn anew only when that is over
    expect(undo).to_be_visible()
    expect(undo).to_have_count(0, timeout=10_000)


def test_the_line_keeps_its_place_while_one_types_and_goes_with_the_prompt(page: Page) -> None:
    box = write(page, "fishing boats, ~gulls")
    expect(chips(page).first).to_be_visible(timeout=30_000)
    page.wait_for_timeout(300)  # it has come in
    before = page.locator("#txt2img_neg_prompt").bounding_box()
    page.keyboard.type(", mist, quay", delay=20)
    assert page.locator("#txt2img_neg_prompt").bounding_box() == before
    expect(chips(page).first).to_be_visible()
    box.fill("")
    expect(page.locator(LINE)).to_be_hidden()
    expect(page.locator("#txt2img_neg_prompt .lora-manager-suggest")).to_have_count(0)


def test_it_is_used_with_the_keyboard_alone(page: Page) -> None:
    box = write(page, "fishing boats, ~gulls")
    expect(chips(page)).not_to_have_count(0, timeout=30_000)
    page.keyboard.press("Tab")
    expect(chips(page).first.get_by_role("button").first).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(chips(page).nth(1).get_by_role("button").first).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(box).to_have_value("fishing boats, gulls <lora:harbour:1>")
    expect(box).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(box).to_be_focused()


def test_switched_off_nothing_is_asked(page: Page) -> None:
    page.evaluate("window.opts.lora_manager_suggestions = false")
    write(page, "fishing boats, ~gulls")
    page.wait_for_timeout(1_200)
    expect(page.locator(LINE)).to_have_count(0)
    assert not any("limit" in one and "prompt" in one for one in page.evaluate("window.asked"))


def test_a_narrow_page_shows_what_fits_in_one_line(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 700})
    write(page, "fishing boats, gulls, photo, ~daylight")
    expect(chips(page).first).to_be_visible(timeout=30_000)
    line = page.locator(LINE).bounding_box()
    assert line is not None and line["height"] <= 34
    tops = {round(box["y"]) for box in (one.bounding_box() for one in chips(page).all()) if box}
    assert len(tops) == 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_others_are_not_silenced_while_suggestions_are_prepared(page: Page) -> None:
    refused = '{"error": {"code": "unavailable", "message": "Recommendations are being prepared."}}'
    page.route("**/recommendations/prompt", lambda route: route.fulfill(status=503, body=refused))
    write(page, "fishing boats, gulls ~<lora:harbor:1> a")
    expect(page.locator(".lora-manager-problems-row")).to_have_count(1)
    page.unroute("**/recommendations/prompt")
    expect(chips(page).first).to_be_visible(timeout=30_000)
    expect(page.locator(PROMPT)).to_have_value("fishing boats, gulls <lora:harbor:1> a")
