"""Similar LoRAs and what goes with one, in the drawer; companions in the composer; what was said of them, on the settings page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from lora_files import add_side_file, make_lora
from playwright.sync_api import Locator, Page, expect
from prompt_host import send
from web_sidecar import Sidecar, start_sidecar


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """Two harbours and a lantern that the user has combined with one of them; many others."""
    folder = tmp_path_factory.mktemp("similar")
    loras = folder / "Lora"
    for name, title, about in (
        ("harbour", "Old Harbour", "fishing boats in a foggy harbour"),
        ("harbour_two", "New Harbour", "container ships in a foggy harbour"),
        ("lantern", "Paper Lantern", "warm glowing paper"),
        *((f"plain_{number}", f"Plain {number}", f"thing {number}") for number in range(12)),
    ):
        info = {
            "id": 1,
            "modelId": 7,
            "trainedWords": [],
            "model": {"name": title, "type": "LORA", "description": about},
        }
        add_side_file(make_lora(loras / f"{name}.safetensors"), ".civitai.info", info)
    running = start_sidecar(folder / "data", loras)
    for number in range(4):
        used = [{"name": "harbour", "weight": 0.8}, {"name": "lantern", "weight": 0.4}]
        made = {
            "uuid": f"20000000-0000-4000-8000-00000000000{number}",
            "host": "sdnext",
            "kind": "txt2img",
            "images": [],
            "loras": used,
        }
        send(running, "POST", "generations", {**made, "prompt": f"evening {number}", "negative_prompt": ""})
    yield running
    running.stop()


@pytest.fixture
def page(library: Sidecar, open_page: Callable[..., Page]) -> Page:
    send(library, "DELETE", "recommendations/feedback", {})
    return open_page(library)


def open_similar(page: Page, library: Sidecar, name: str) -> Locator:
    found = send(library, "GET", f"loras?q={name}&limit=50", None)["items"]
    number = next(one["id"] for one in found if one["name"] == name)
    page.goto(f"{library.url}/#lora={number}")
    page.get_by_role("tab", name="Similar").click()
    return page.locator("#panel-similar")


def rows(part: Locator, section: str) -> Locator:
    return part.get_by_role("region", name=section).locator(".alike")


def test_what_is_like_it_is_listed_with_why(page: Page, library: Sidecar) -> None:
    part = open_similar(page, library, "harbour")
    new = rows(part, "Similar").filter(has_text="New Harbour")
    expect(new).to_contain_text(re.compile("Both are about .*foggy"), timeout=20_000)
    new.locator(".opener").click()
    expect(page.locator("lora-drawer")).to_have_attribute("aria-label", "Details of New Harbour")
    expect(rows(part, "Similar").filter(has_text="Old Harbour")).to_have_count(1)


def test_each_kind_is_switched_and_the_choice_is_kept(page: Page, library: Sidecar) -> None:
    part = open_similar(page, library, "harbour")
    expect(rows(part, "Similar").first).to_be_visible(timeout=20_000)
    part.get_by_role("button", name="Text").click()
    expect(rows(part, "Similar").filter(has_text="Both are about")).to_have_count(0)
    part.get_by_role("button", name="Use").click()
    part.get_by_role("button", name="Weights").click()
    expect(part).to_contain_text("Choose what they should be alike in.")
    page.reload()
    page.get_by_role("tab", name="Similar").click()
    expect(part.get_by_role("button", name="Text")).to_have_attribute("aria-pressed", "false")
    part.get_by_role("button", name="Text").click()
    expect(rows(part, "Similar").first).to_contain_text("New Harbour", timeout=20_000)


def test_what_goes_with_it_is_added_in_the_composer(page: Page, library: Sidecar) -> None:
    part = open_similar(page, library, "harbour")
    lantern = rows(part, "Goes with").first
    expect(lantern).to_contain_text("Paper Lantern", timeout=20_000)
    expect(lantern).to_contain_text("Together in 4 of your images")
    lantern.get_by_role("button", name="Add Paper Lantern in the composer").click()
    expect(page.locator("#compose-prompt")).to_have_value("<lora:harbour:1> <lora:lantern:0.4>")
    page.locator("#compose-prompt").fill("<lora:harbour:1>")
    row = page.get_by_role("list", name="Goes with these").locator("[data-name=lantern]")
    expect(row).to_contain_text("Together in 4 of your images", timeout=20_000)
    row.get_by_role("button", name="Add Paper Lantern").click()
    expect(page.locator("#compose-prompt")).to_have_value(re.compile("<lora:lantern:0.4>"))
    expect(row).to_have_count(0)


def test_not_this_is_noted_shown_and_taken_back(page: Page, library: Sidecar) -> None:
    part = open_similar(page, library, "harbour")
    row = rows(part, "Similar").filter(has_text="New Harbour")
    row.get_by_role("button", name="Not New Harbour").click(timeout=20_000)
    expect(page.locator("#toasts")).to_contain_text("New Harbour is recommended less")
    said = send(library, "GET", "recommendations/feedback", None)["items"]
    assert [(one["verdict"], one["kind"], one["subject"]) for one in said] == [
        ("down", "similar", '["harbour"]')
    ]
    page.goto(f"{library.url}/#page=settings")
    group = page.get_by_role("region", name="Suggestions")
    expect(group.locator("li")).to_have_count(1)
    expect(group.locator("li")).to_contain_text(re.compile("Not this.*New Harbour as similar to harbour"))
    group.get_by_role("button", name="Take back: Not this, New Harbour").click()
    expect(group).to_contain_text("Nothing yet.")
    assert send(library, "GET", "recommendations/feedback", None)["total"] == 0


def test_all_of_it_is_taken_back_after_a_question(page: Page, library: Sidecar) -> None:
    found = send(library, "GET", "loras?q=plain&limit=50", None)["items"]
    for number, lora in enumerate(found):
        for at in range(2):
            said = {
                "verdict": "up",
                "kind": "prompt",
                "lora_id": lora["id"],
                "subject": f"prompt {number} {at}",
            }
            send(library, "POST", "recommendations/feedback", said)
    page.goto(f"{library.url}/#page=settings")
    group = page.get_by_role("region", name="Suggestions")
    expect(group).to_contain_text("24 × good")
    expect(group.locator("li")).to_have_count(12)
    group.get_by_role("button", name="Show more").click()
    expect(group.locator("li")).to_have_count(24)
    group.get_by_role("button", name="Take all of it back").click()
    page.get_by_role("button", name="Take it back", exact=True).click()
    expect(group).to_contain_text("Nothing yet.")


def test_on_a_phone_nothing_stands_out(open_page: Callable[..., Page], library: Sidecar) -> None:
    page = open_page(library, viewport={"width": 390, "height": 844})
    part = open_similar(page, library, "harbour")
    expect(rows(part, "Similar").first).to_be_visible(timeout=20_000)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box = rows(part, "Similar").first.bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390
