"""In the host's own prompt boxes: completion of LoRAs and sets, the line that names problems and mends them, and the one of
suggestions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from host_files import LANTERN, RIVER, RIVER_WORDS, Shapes
from host_process import Host, Kind, start_host
from lora_files import picture

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from host_page import HostPage, launch  # noqa: E402
from playwright.sync_api import Locator, expect, sync_playwright  # noqa: E402

pytestmark = pytest.mark.timeout(400)
SET = "Evening at the river"


def add_files(folder: Path, _shapes: Shapes) -> None:
    """A picture of one LoRA, and prompts that its author and another one's have posted."""
    (folder / f"{RIVER}.preview.png").write_bytes(picture(colour="purple"))
    for name, title, prompt in (
        (RIVER, "River Ink", "a ferry on a wide river, reeds, evening haze"),
        ("plain_3", "Reeds and Herons", "a heron, reeds, water"),
    ):
        images = [{"url": f"https://example.com/{name}.png", "meta": {"prompt": prompt}}]
        info = {
            "id": 1,
            "modelId": 7,
            "trainedWords": [],
            "model": {"name": title, "type": "LORA"},
            "images": images,
        }
        (folder / f"{name}.civitai.info").write_text(json.dumps(info))


@pytest.fixture(scope="module")
def host(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host with a picture for one LoRA, and a set of two."""
    running = start_host(kind, tmp_path_factory.mktemp(kind.name), loras=add_files)
    loras = [{"name": RIVER, "weight": 0.6}, {"name": LANTERN, "weight": 0.4}]
    running.client.post("lora-manager/api/v1/sets", json={"name": SET, "loras": loras}).raise_for_status()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def opened(host: Host) -> Iterator[HostPage]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = HostPage(host, browser)
        yield page
        browser.close()


@pytest.fixture
def page(opened: HostPage) -> Iterator[HostPage]:
    """The tab with the prompt, its boxes empty; a script error fails the test."""
    opened.open_tab(opened.tab)
    suggest(opened, wanted=False)
    for box in (negative(opened), opened.prompt()):
        box.fill("")
    yield opened
    assert opened.errors == []


def suggest(page: HostPage, *, wanted: bool) -> None:
    page.page.evaluate("(wanted) => { window.opts.lora_manager_suggestions = wanted; }", wanted)


def write(page: HostPage, text: str) -> None:
    """Key by key, as a person does."""
    page.prompt().click()
    page.page.keyboard.type(text, delay=30)


def negative(page: HostPage) -> Locator:
    return page.page.locator(f"#{page.tab}_neg_prompt textarea").first


def options(page: HostPage) -> Locator:
    return page.page.locator(".lora-manager-complete:visible [role=option]")


def problems(page: HostPage, box: str = "prompt") -> Locator:
    return page.page.locator(f"#{page.tab}_{box} .lora-manager-problems-row")


def room_below(page: HostPage) -> float:
    """What the box leaves free below its text."""
    room: float = page.prompt().evaluate("(box) => parseFloat(getComputedStyle(box).paddingBottom)")
    return room


def test_a_lora_is_completed_with_picture_and_base_model(page: HostPage, shots: Path | None) -> None:
    write(page, "a boat, <lora:riv")
    expect(options(page)).to_have_count(1)
    found = options(page).first
    expect(found).to_contain_text(RIVER)
    expect(found).to_contain_text("SD 1")
    image = found.locator("img").element_handle()
    page.page.wait_for_function("(image) => image.complete && image.naturalWidth > 0", arg=image)
    page.shot(shots, "complete")
    page.page.keyboard.press("Enter")
    expect(page.prompt()).to_have_value(f"a boat, <lora:{RIVER}:0.7>")
    expect(options(page)).to_have_count(0)


def test_what_was_completed_is_what_the_host_generates_with(page: HostPage) -> None:
    write(page, "a boat, <lora:riv")
    expect(options(page)).to_have_count(1)
    page.page.keyboard.press("Tab")
    page.generate()
    record = page.host.records()[0]
    assert record["prompt"] == f"a boat, <lora:{RIVER}:0.7>, {RIVER_WORDS}"
    assert [(each["name"], each["weight"]) for each in record["loras"]] == [(RIVER, 0.7)]


def test_all_names_are_listed_and_the_mouse_takes_one(page: HostPage) -> None:
    write(page, "<lora:plain")
    expect(options(page)).to_have_count(10)
    options(page).nth(3).click()
    expect(page.prompt()).to_have_value("<lora:plain_3:1>")


def test_a_set_is_completed_and_generated_with(page: HostPage, shots: Path | None) -> None:
    write(page, "a street, <set:")
    expect(options(page)).to_have_count(1)
    expect(options(page).first).to_contain_text(SET)
    expect(options(page).first.locator("img").first).to_be_visible()
    page.shot(shots, "complete-set")
    page.page.keyboard.press("Enter")
    expect(page.prompt()).to_have_value(f"a street, <set:{SET}>")
    page.generate()
    record = page.host.records()[0]
    assert {each["name"]: each["weight"] for each in record["loras"]} == {RIVER: 0.6, LANTERN: 0.4}
    assert page.text() == f"a street, <set:{SET}>", "what was typed stays as it is"


def test_a_misspelt_lora_is_named_and_mended(page: HostPage, shots: Path | None) -> None:
    room = room_below(page)
    write(page, "a boat, <lora:rivr_ink:0.5> at night")
    expect(problems(page)).to_have_count(1)
    if page.host.kind.theme == "Modern":  # whose boxes fill their pane: the line must not lie on the text
        assert (
            room_below(page)
            >= page.page.locator(f"#{page.tab}_prompt .lora-manager-problems").bounding_box()["height"]
        )  # type: ignore[index]
    expect(problems(page).first).to_contain_text("There is no LoRA 'rivr_ink'")
    page.shot(shots, "problem")
    problems(page).first.get_by_role("button", name=f"Write {RIVER}").click()
    expect(page.prompt()).to_have_value(f"a boat, <lora:{RIVER}:0.5> at night")
    expect(problems(page)).to_have_count(0)
    assert room_below(page) == room


def test_a_lora_in_the_negative_prompt_is_moved(page: HostPage) -> None:
    page.prompt().fill("a boat")
    negative(page).click()
    page.page.keyboard.type(f"ugly <lora:{LANTERN}:0.5>", delay=30)
    page.page.keyboard.press("Escape")
    expect(problems(page, "neg_prompt")).to_have_count(1)
    problems(page, "neg_prompt").first.get_by_role("button", name="Move it to the prompt").click()
    expect(page.prompt()).to_have_value(f"a boat <lora:{LANTERN}:0.5>")
    assert "<lora" not in negative(page).input_value()
    expect(problems(page, "neg_prompt")).to_have_count(0)


def test_words_of_a_lora_in_the_prompt_are_completed(page: HostPage) -> None:
    write(page, f"a boat <lora:{RIVER}:1>, flowi")
    expect(options(page).first).to_contain_text(RIVER_WORDS)
    page.page.keyboard.press("Tab")
    expect(page.prompt()).to_have_value(f"a boat <lora:{RIVER}:1>, {RIVER_WORDS}")


def test_what_fits_is_suggested_and_added_with_a_click(page: HostPage, shots: Path | None) -> None:
    suggest(page, wanted=True)
    chips = page.page.locator(f"#{page.tab}_prompt .lora-manager-suggest-chip:visible")
    write(page, "a ferry, reeds, evening haze")
    expect(chips.first).to_contain_text("River Ink", timeout=60_000)
    if page.host.kind.theme == "Modern":
        line = page.page.locator(f"#{page.tab}_prompt .lora-manager-foot").bounding_box()
        assert line is not None and room_below(page) >= line["height"]
    page.page.wait_for_timeout(500)
    page.shot(shots, "suggested")
    chips.first.get_by_role("button").first.click()
    expect(page.prompt()).to_have_value(f"a ferry, reeds, evening haze <lora:{RIVER}:0.7>")
    expect(chips.filter(has_text="River Ink")).to_have_count(0)
    page.page.keyboard.press("Control+z")
    expect(page.prompt()).to_have_value("a ferry, reeds, evening haze")
    page.page.keyboard.press("Control+y")
    page.generate()
    assert [each["name"] for each in page.host.records()[0]["loras"]] == [RIVER]
