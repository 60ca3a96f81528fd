"""The composer inside a host: one text with the host's prompt boxes, sent to its tabs, and generated with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from host_files import RIVER, RIVER_WORDS
from host_process import Host

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from host_page import APP_TAB, HostPage, launch  # noqa: E402
from playwright.sync_api import Browser, Locator, expect, sync_playwright  # noqa: E402

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = launch(playwright)
        yield started
        started.close()


@pytest.fixture(scope="module")
def page(host: Host, browser: Browser) -> Iterator[HostPage]:
    page = HostPage(host, browser)
    yield page
    page.close()


def open_composer(page: HostPage) -> Locator:
    """The composer's prompt box, in the tab of the app."""
    page.open_tab(APP_TAB)
    page.frame.get_by_role("link", name="Compose").click()
    prompt = page.frame.locator("#compose-prompt")
    expect(prompt).to_be_visible()
    return prompt


def test_the_hosts_prompt_is_composed_and_generated_with(page: HostPage, shots: Path | None) -> None:
    page.type_prompt(f"a boat <lora:{RIVER}:0.5>")
    prompt = open_composer(page)
    expect(prompt).to_have_value(f"a boat <lora:{RIVER}:0.5>")
    slider = page.frame.get_by_role("slider")
    slider.focus()
    for _ in range(4):
        page.page.keyboard.press("ArrowRight")
    expect(prompt).to_have_value(f"a boat <lora:{RIVER}:0.7>")
    page.frame.get_by_role("group", name="Trigger words").get_by_role("button").first.click()
    page.shot(shots, "composer")
    page.open_tab(page.tab)
    expect(page.prompt()).to_have_value(f"a boat <lora:{RIVER}:0.7>, {RIVER_WORDS}")
    page.generate()
    record = page.host.records()[0]
    assert record["prompt"] == f"a boat <lora:{RIVER}:0.7>, {RIVER_WORDS}"
    assert [(one["name"], one["weight"]) for one in record["loras"]] == [(RIVER, 0.7)]


def test_a_fix_in_the_composer_mends_the_hosts_prompt(page: HostPage) -> None:
    page.type_prompt(f"a hill <lora:{RIVER}x:0.5>")
    open_composer(page)
    page.frame.get_by_role("button", name=f"Write {RIVER}").click()
    expect(page.prompt()).to_have_value(f"a hill <lora:{RIVER}:0.5>")


def test_it_is_sent_to_every_other_tab(page: HostPage) -> None:
    page.type_prompt(f"a tower <lora:{RIVER}:0.3>")
    expect(open_composer(page)).to_have_value(f"a tower <lora:{RIVER}:0.3>")
    if page.host.kind.theme == "Modern":
        page.frame.get_by_role("button", name="Send to Control").click()
        expect(page.prompt("control")).to_be_visible()
        return
    sdnext = page.host.kind.grammar == "sdnext"
    others = {"img2img": "Image", "control": "Control"} if sdnext else {"img2img": "img2img"}
    for name, label in others.items():
        open_composer(page)
        page.frame.get_by_role("button", name="Send elsewhere").click()
        page.frame.get_by_role("menuitem", name=label, exact=True).click()
        expect(page.prompt(name)).to_be_visible()
        expect(page.prompt(name)).to_have_value(f"a tower <lora:{RIVER}:0.3>")
