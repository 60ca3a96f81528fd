"""In a host's tab: a page that speaks the bridge's messages stands in for the host's, on the same origin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, FrameLocator, Page, expect
from web_sidecar import Sidecar

HOST_PAGE = Path(__file__).with_name("host_page.html").read_text()


@pytest.fixture
def host_page(sidecar: Sidecar, desktop: BrowserContext) -> Iterator[Page]:
    """The stand-in page, with the app signed in inside its frame."""
    page = desktop.new_page()
    page.set_viewport_size({"width": 1000, "height": 760})
    page.goto(sidecar.door)
    expect(page.locator(".card[data-id]").first).to_be_visible()
    page.route("**/host-page", lambda route: route.fulfill(content_type="text/html", body=HOST_PAGE))
    page.goto(f"{sidecar.url}/host-page")
    yield page
    page.close()


@pytest.fixture
def app(host_page: Page) -> FrameLocator:
    """The app in the frame, showing one LoRA."""
    frame = host_page.frame_locator("#frame")
    frame.locator("#search").fill("neon_samurai")
    expect(frame.locator("#count")).to_have_text(re.compile(r"^1 of"))
    return frame


def test_a_click_inserts_and_a_second_click_removes(host_page: Page, app: FrameLocator) -> None:
    prompt = host_page.locator("#prompt")
    preview = app.locator(".card[data-id] .preview")
    preview.hover()
    expect(preview.locator(".do")).to_have_text("Insert")
    preview.click()
    expect(prompt).to_have_value("a castle <lora:neon_samurai:0.8>")
    expect(app.locator(".card[data-id] .marker")).to_have_text("0.8")
    expect(preview.locator(".do")).to_have_text("Remove")
    preview.click()
    expect(prompt).to_have_value("a castle")
    expect(app.locator(".card[data-id] .marker")).to_be_hidden()


def test_typing_in_the_prompt_moves_the_marker(host_page: Page, app: FrameLocator) -> None:
    host_page.fill("#prompt", "a <lora:NEON_samurai:0.35> b")
    expect(app.locator(".card[data-id] .marker")).to_have_text("0.35")
    host_page.fill("#prompt", "a b")
    expect(app.locator(".card[data-id] .marker")).to_be_hidden()


def test_a_trigger_word_goes_into_the_prompt_and_shows_that_it_is_there(
    host_page: Page, app: FrameLocator
) -> None:
    app.locator(".card[data-id] .caption").click()
    word = app.locator("lora-drawer .field-trigger_words .word", has_text="glowing katana")
    word.click()
    expect(host_page.locator("#prompt")).to_have_value("a castle, glowing katana")
    expect(word).to_have_class(re.compile(r"\bon\b"))
    word.click()
    expect(host_page.locator("#prompt")).to_have_value("a castle")


def test_the_host_decides_on_light_or_dark(host_page: Page, app: FrameLocator) -> None:
    expect(app.locator("html")).to_have_attribute("data-theme", "dark")
    host_page.evaluate("setDark(false)")
    expect(app.locator("html")).to_have_attribute("data-theme", "light")


def test_messages_of_others_are_not_heard(host_page: Page, app: FrameLocator) -> None:
    host_page.evaluate(
        """() => new Promise((done) => {
            const other = document.createElement("iframe");
            other.src = "about:blank";
            document.body.append(other);
            const script = other.contentDocument.createElement("script");
            script.textContent = `parent.frames[0].postMessage({app: "lora-manager", type: "host", host: "x", dark: false, target: "x"}, "*")`;
            other.contentDocument.body.append(script);
            setTimeout(done, 200);
        })"""
    )
    expect(app.locator("html")).to_have_attribute("data-theme", "dark")


def test_filters_leave_the_hosts_history_alone(host_page: Page, app: FrameLocator) -> None:
    before = host_page.evaluate("history.length")
    app.locator("#search").fill("")
    app.locator('.option[data-key="tag/landscape"] .option-main').click()
    expect(app.locator("#count")).to_have_text(re.compile(r"^3 of"))
    assert host_page.evaluate("history.length") == before
