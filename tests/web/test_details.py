"""The details drawer: what it shows, and edits that last."""

from __future__ import annotations

import re

from playwright.sync_api import Page, Route, expect
from web_sidecar import Sidecar


def open_details(page: Page, name: str) -> None:
    page.fill("#search", name)
    expect(page.locator("#count")).to_have_text(re.compile(r"^1 of"))
    page.locator(".card[data-id] .caption").first.click()
    expect(page.locator(".drawer-stem")).to_have_text(name)
    expect(page.locator(".drawer-body")).not_to_have_class(re.compile("waiting"))


def test_details_show_what_the_files_say(page: Page) -> None:
    open_details(page, "neon_samurai")
    drawer = page.locator("lora-drawer")
    expect(drawer.get_by_label("Title", exact=True).locator("input")).to_have_value("Neon Samurai")
    expect(drawer.locator(".words .word").first).to_have_text("n3on samurai")
    expect(drawer.get_by_role("region", name="Training tags")).to_contain_text("katana40")
    expect(drawer.get_by_role("region", name="Example prompts")).to_contain_text("a quiet harbour at dawn")
    drawer.get_by_role("tab", name="File").click()
    panel = drawer.get_by_role("tabpanel", name="File")
    expect(panel).to_contain_text("neon_samurai.civitai.info")
    expect(panel.locator(".path code").first).to_contain_text("neon_samurai.safetensors")
    expect(panel.locator(".hash code").first).to_have_text(re.compile(r"^[0-9a-f]{64}$"))


def test_a_script_in_a_description_does_not_run(page: Page) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    open_details(page, "neon_samurai")
    description = page.locator("lora-drawer .description")
    expect(description.get_by_text("soft")).to_be_visible()
    links = description.locator("a[href]")
    expect(links).to_have_count(1)
    expect(links).to_have_attribute("rel", re.compile("noopener"))
    page.wait_for_timeout(200)
    assert page.evaluate("window.hacked") is None
    assert [url for url in requests if "127.0.0.1" not in url] == []


def test_edits_last_over_a_reload(page: Page) -> None:
    open_details(page, "plain_05")
    drawer = page.locator("lora-drawer")
    notes = drawer.get_by_label("Notes").locator("textarea")
    notes.fill("lovely at 0.6")
    notes.blur()
    expect(drawer.locator(".field-notes .save-state")).to_have_text("Saved")
    title = drawer.get_by_label("Title", exact=True).locator("input")
    title.fill("Plain, but good")
    title.press("Enter")
    expect(drawer.locator(".field-title .save-state")).to_have_text("Saved")
    drawer.get_by_label("Add a tag").fill("mine")
    drawer.get_by_label("Add a tag").press("Enter")
    expect(drawer.locator(".field-tags .save-state")).to_have_text("Saved")
    drawer.get_by_label("Preferred weight").fill("0.65")
    drawer.get_by_label("Preferred weight").press("Enter")
    expect(drawer.locator(".field-weight .save-state")).to_have_text("Saved")
    drawer.get_by_role("button", name="Edit trigger words").click()
    drawer.get_by_label("Trigger words, one a line").fill("plain thing\nfifth")
    drawer.get_by_label("Trigger words, one a line").blur()
    expect(drawer.locator(".field-trigger_words .save-state")).to_have_text("Saved")
    page.reload()
    expect(page.locator(".drawer-stem")).to_have_text("plain_05")
    expect(notes).to_have_value("lovely at 0.6")
    expect(title).to_have_value("Plain, but good")
    expect(drawer.locator(".tag")).to_have_text(["mine"])
    expect(drawer.get_by_label("Preferred weight")).to_have_value("0.65")
    expect(drawer.locator(".field-trigger_words .word")).to_have_text(["plain thing", "fifth"])
    expect(page.locator(".card[data-id] .title")).to_have_text("Plain, but good")


def test_a_value_goes_back_to_what_the_file_says(page: Page) -> None:
    open_details(page, "harbour")
    field = page.locator(".field-trigger_words")
    field.get_by_role("button", name="Edit").click()
    field.locator("textarea").fill("something else")
    field.locator("textarea").blur()
    expect(field.locator(".source")).to_have_text("You")
    field.get_by_role("button", name="Reset").click()
    expect(field.locator(".word")).to_have_text(["harbour view"])
    expect(field.get_by_role("button", name="Reset")).to_be_hidden()


def test_an_edit_that_fails_stays_and_can_be_tried_again(page: Page) -> None:
    open_details(page, "plain_07")
    refusals = ['{"error": {"code": "busy", "message": "The database is busy.", "detail": null}}']

    def answer(route: Route) -> None:
        if route.request.method == "PATCH" and refusals:
            route.fulfill(status=503, content_type="application/json", body=refusals.pop())
        else:
            route.continue_()

    page.route("**/api/v1/loras/*", answer)
    field = page.locator(".field-notes")
    field.locator("textarea").fill("kept")
    field.locator("textarea").blur()
    expect(field.locator(".save-state")).to_contain_text("Not saved: The database is busy.")
    expect(field.locator("textarea")).to_have_value("kept")
    field.get_by_role("button", name="Retry").click()
    expect(field.locator(".save-state")).to_have_text("Saved")


def test_favourites_are_kept_counted_and_filtered(page: Page, sidecar: Sidecar) -> None:
    page.fill("#search", "meadow")
    expect(page.locator("#count")).to_have_text(re.compile(r"^1 of"))
    page.locator("#search").press("Enter")
    page.keyboard.press("f")
    expect(page.locator(".card[data-id] .star")).to_have_attribute("aria-pressed", "true")
    page.locator("#search").fill("")
    expect(page.locator('.option[data-key="favorite/"] .number')).to_have_text("1")
    page.reload()
    page.locator('.option[data-key="favorite/"] .option-main').click()
    expect(page.locator("#count")).to_have_text(re.compile(r"^1 of"))
    expect(page.locator(".card[data-id] .title")).to_have_text("Meadow")
    assert sidecar.ask("loras?favorite=1")["items"][0]["name"] == "meadow"


def test_standalone_a_click_copies_the_tag_and_says_so(page: Page) -> None:
    page.fill("#search", "neon_samurai")
    expect(page.locator("#count")).to_have_text(re.compile(r"^1 of"))
    preview = page.locator(".card[data-id] .preview")
    preview.hover()
    expect(preview.locator(".do")).to_have_text("Copy")
    preview.click()
    expect(page.locator(".toast")).to_contain_text("<lora:neon_samurai:0.8>")
    assert page.evaluate("navigator.clipboard.readText()") == "<lora:neon_samurai:0.8>"
    page.locator(".card[data-id] .info").click()
    page.locator("lora-drawer .word", has_text="glowing katana").click()
    expect(page.locator(".toast")).to_contain_text("glowing katana")
    assert page.evaluate("navigator.clipboard.readText()") == "glowing katana"
