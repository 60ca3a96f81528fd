"""The composer in a host's page: one text with the host's prompt boxes, or its own until it is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, FrameLocator, Page, Route, expect
from web_sidecar import ROOT, Sidecar

TABS = ("txt2img", "img2img", "control")
BOXES = "".join(
    f'<section id="tab_{name}" {"" if name == "txt2img" else "hidden"}>'
    f'<div id="{name}_prompt"><label><textarea></textarea></label></div>'
    f'<div id="{name}_neg_prompt"><label><textarea></textarea></label></div></section>'
    for name in TABS
)
HOST = f"""<!doctype html><body style="margin: 0; color: #eee; background: #111">{BOXES}
<iframe id="lora_manager_frame" src="/" style="width: 100%; height: 700px; border: 0"></iframe>
<script>
  window.gradioApp = () => document;
  const show = (name) => {{ for (const tab of document.querySelectorAll("section")) tab.hidden = tab.id !== `tab_${{name}}`; }};
  window.switch_to_txt2img = () => show("txt2img");
  window.switch_to_img2img = () => show("img2img");
</script><script src="/extension/javascript/lora_manager.js"></script></body>"""


def box(page: Page, name: str = "txt2img", negative: bool = False) -> str:
    return f"#{name}_{'neg_' if negative else ''}prompt textarea"


def _script(route: Route) -> None:
    path = ROOT / route.request.url.split("/extension/", 1)[1]
    route.fulfill(content_type="text/javascript", body=path.read_text())


@pytest.fixture
def page(sidecar: Sidecar, desktop: BrowserContext) -> Iterator[Page]:
    page = desktop.new_page()
    page.set_viewport_size({"width": 1200, "height": 860})
    page.goto(sidecar.door)
    expect(page.locator(".card[data-id]").first).to_be_visible()
    page.evaluate("localStorage.clear()")
    page.route("**/host-page", lambda route: route.fulfill(content_type="text/html", body=HOST))
    page.route("**/extension/**", _script)
    page.goto(f"{sidecar.url}/host-page")
    page.fill(box(page), "a castle <lora:harbour:0.5>")
    page.fill(box(page, negative=True), "fog")
    yield page
    page.evaluate("localStorage.clear()")
    page.close()


@pytest.fixture
def app(page: Page) -> FrameLocator:
    frame = page.frame_locator("#lora_manager_frame")
    frame.get_by_role("link", name="Compose").click()
    return frame


def test_what_stands_in_the_host_is_composed_both_ways(page: Page, app: FrameLocator) -> None:
    prompt = app.locator("#compose-prompt")
    expect(prompt).to_have_value("a castle <lora:harbour:0.5>")
    expect(app.locator("#compose-negative_prompt")).to_have_value("fog")
    app.get_by_role("slider", name="Weight of Harbour").press("ArrowRight")
    expect(page.locator(box(page))).to_have_value("a castle <lora:harbour:0.55>")
    page.fill(box(page), "a tower <lora:harbour:0.9>")
    expect(prompt).to_have_value("a tower <lora:harbour:0.9>")
    expect(app.get_by_role("slider", name="Weight of Harbour")).to_have_value("0.9")
    prompt.press_sequentially(" at night")
    expect(page.locator(box(page))).to_have_value("a tower <lora:harbour:0.9> at night")
    prompt.press("Control+z")
    expect(page.locator(box(page))).to_have_value("a tower <lora:harbour:0.9>")


def test_without_the_link_nothing_goes_over_before_it_is_sent(page: Page, app: FrameLocator) -> None:
    prompt = app.locator("#compose-prompt")
    expect(prompt).to_have_value("a castle <lora:harbour:0.5>")
    app.get_by_role("button", name="Linked with Text").click()
    prompt.fill("my own")
    expect(app.locator(".chip-row")).to_have_count(0)
    expect(page.locator(box(page))).to_have_value("a castle <lora:harbour:0.5>")
    app.get_by_role("button", name="Send to Text").click()
    expect(page.locator(box(page))).to_have_value("my own")


def test_it_is_sent_to_another_tab_which_is_shown(page: Page, app: FrameLocator) -> None:
    expect(app.locator("#compose-prompt")).to_have_value("a castle <lora:harbour:0.5>")
    app.get_by_role("button", name="Send elsewhere").click()
    menu = app.get_by_role("menu", name="Send to")
    expect(menu.get_by_role("menuitem")).to_have_text(["Image", "Control"])
    menu.get_by_role("menuitem", name="Image").click()
    expect(page.locator("#tab_img2img")).to_be_visible()
    expect(page.locator(box(page, "img2img"))).to_have_value("a castle <lora:harbour:0.5>")
    expect(page.locator(box(page, "img2img", negative=True))).to_have_value("fog")
    expect(app.get_by_role("button", name="Linked with Image")).to_be_visible()


def test_an_example_opens_in_the_composer(page: Page) -> None:
    frame = page.frame_locator("#lora_manager_frame")
    frame.locator("#search").fill("neon_samurai")
    expect(frame.locator("#count")).to_have_text(re.compile(r"^1 of"))
    frame.locator(".card[data-id]").first.locator(".info").click()
    frame.get_by_role("button", name="Open in composer").first.click()
    expect(frame.locator("#compose-prompt")).to_have_value("a quiet harbour at dawn")
    expect(page.locator(box(page))).to_have_value("a quiet harbour at dawn")
    frame.get_by_role("button", name="Undo").click()
    expect(page.locator(box(page))).to_have_value("a castle <lora:harbour:0.5>")
