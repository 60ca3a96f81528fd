"""The composer: text and rows are one, whichever is changed; problems are told in place and mended."""

from __future__ import annotations

from typing import Any

import pytest
from lora_files import make_lora
from playwright.sync_api import BrowserContext, Locator, Page, expect
from prompt_host import send
from web_sidecar import Sidecar, start_sidecar

PROMPT = "#compose-prompt"
NEGATIVE = "#compose-negative_prompt"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Three LoRAs with words and a usual weight, and a set of two of them."""
    folder = tmp_path_factory.mktemp("composer")
    for name in ("ink_wash", "neon_city", "harbour"):
        make_lora(folder / "Lora" / f"{name}.safetensors", width=2048)
    running = start_sidecar(folder / "data", folder / "Lora")
    ids = {one["name"]: one["id"] for one in running.ask("loras")["items"]}
    groups = [
        {"name": "Outfit A", "words": ["red coat"], "mode": "ask", "place": "end", "negative": False},
        {"name": "Outfit B", "words": ["blue (old) robe"], "mode": "ask", "place": "end", "negative": False},
        {"name": None, "words": ["photo"], "mode": "ask", "place": "end", "negative": True},
    ]
    send(running, "PATCH", f"loras/{ids['ink_wash']}", {"weight": 0.7, "word_groups": groups})
    loras = [{"lora_id": ids["neon_city"], "weight": 0.5}, {"lora_id": ids["harbour"], "weight": 0.4}]
    send(
        running,
        "POST",
        "sets",
        {"name": "Night", "loras": loras, "prompt": "at night", "negative_prompt": "day"},
    )
    send(
        running,
        "PUT",
        "prompts/host",
        {"host": "a1111", "checkpoint": "x", "facts": {"checkpoint_base": "SDXL"}},
    )
    yield running
    running.stop()


@pytest.fixture
def page(library: Sidecar, desktop: BrowserContext) -> Any:
    errors: list[str] = []
    page = desktop.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(library.door)
    expect(page.locator(".card[data-id]").first).to_be_visible()
    page.get_by_role("link", name="Compose").click()
    for field in (PROMPT, NEGATIVE):  # the last test's text is kept in the browser
        page.locator(field).fill("")
    expect(rows(page)).to_have_count(0)
    yield page
    page.close()
    assert errors == []


def rows(page: Page) -> Locator:
    return page.locator(".chip-row")


def compose(page: Page, prompt: str, count: int = 1) -> Locator:
    """Write a prompt and wait for its rows."""
    page.locator(PROMPT).fill(prompt)
    expect(rows(page)).to_have_count(count)
    return rows(page)


def test_a_slider_changes_the_text_and_the_text_the_slider(page: Page) -> None:
    row = compose(page, "a <lora:neon_city:0.5> b").first
    slider = row.get_by_role("slider", name="Weight of neon_city")
    expect(slider).to_have_value("0.5")
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowLeft")
    expect(page.locator(PROMPT)).to_have_value("a <lora:neon_city:0.54> b")
    page.locator(PROMPT).fill("a <lora:neon_city:1.25> b")
    expect(slider).to_have_value("1.25")
    row.get_by_role("spinbutton").fill("-0.3")
    expect(page.locator(PROMPT)).to_have_value("a <lora:neon_city:-0.3> b")
    expect(slider).to_have_value("-0.3")


def test_the_wheel_turns_a_weight(page: Page) -> None:
    row = compose(page, "<lora:neon_city:0.5>").first
    row.get_by_role("slider").hover()
    page.mouse.wheel(0, -100)
    page.mouse.wheel(0, -100)
    expect(page.locator(PROMPT)).to_have_value("<lora:neon_city:0.6>")


def test_a_slider_is_dragged_in_one_go(page: Page) -> None:
    row = compose(page, "<lora:neon_city> <lora:harbour:0.2>", 2).first
    at = row.get_by_role("slider").bounding_box()
    assert at
    middle = at["y"] + at["height"] / 2
    page.mouse.move(at["x"] + at["width"] * 0.6, middle)
    page.mouse.down()
    for part in range(60, 80):
        page.mouse.move(at["x"] + at["width"] * part / 100, middle)
        page.wait_for_timeout(15)  # slow enough for answers to arrive while the button is down
    page.mouse.up()
    text = page.locator(PROMPT).input_value()
    weight = text.removeprefix("<lora:neon_city:").split(">")[0]
    assert 1.2 <= float(weight) <= 1.5, text
    assert text.endswith("> <lora:harbour:0.2>")
    page.keyboard.press("Control+z")
    expect(page.locator(PROMPT)).to_have_value("<lora:neon_city> <lora:harbour:0.2>")


def test_a_weight_that_nobody_says_shows_the_usual_one(page: Page) -> None:
    row = compose(page, "<lora:ink_wash>").first
    expect(row.get_by_role("spinbutton").first).to_have_value("0.7")
    row.get_by_role("slider").dblclick()
    expect(page.locator(PROMPT)).to_have_value("<lora:ink_wash:0.7>")


def test_rows_are_put_in_order_by_keyboard_and_by_dragging(page: Page) -> None:
    found = compose(page, "a <lora:ink_wash:0.7>, b <lora:neon_city:0.5> c <lora:harbour:1> 🌃", 3)
    found.nth(2).get_by_role("button", name="Move harbour", exact=True).focus()
    page.keyboard.press("ArrowUp")
    expect(page.locator(PROMPT)).to_have_value(
        "a <lora:ink_wash:0.7>, b <lora:harbour:1> c <lora:neon_city:0.5> 🌃"
    )
    expect(found.nth(1).get_by_role("button", name="Move harbour", exact=True)).to_be_focused()
    grip = found.nth(0).locator(".grip").bounding_box()
    last = found.nth(2).bounding_box()
    assert grip and last
    page.mouse.move(grip["x"] + 8, grip["y"] + 20)
    page.mouse.down()
    page.mouse.move(grip["x"] + 8, last["y"] + last["height"] - 4, steps=8)
    page.mouse.up()
    expect(page.locator(PROMPT)).to_have_value(
        "a <lora:harbour:1>, b <lora:neon_city:0.5> c <lora:ink_wash:0.7> 🌃"
    )


def test_a_muted_row_leaves_the_text_and_comes_back(page: Page) -> None:
    found = compose(page, "a <lora:ink_wash:0.7> b <lora:neon_city:0.5:te=0.2> c <lora:harbour:1>", 3)
    found.nth(1).get_by_role("button", name="Mute neon_city").click()
    expect(page.locator(PROMPT)).to_have_value("a <lora:ink_wash:0.7> b c <lora:harbour:1>")
    expect(found).to_have_count(3)
    page.reload()
    expect(found).to_have_count(3)
    found.nth(1).get_by_role("button", name="Unmute").click()
    expect(page.locator(PROMPT)).to_have_value(
        "a <lora:ink_wash:0.7> b c <lora:neon_city:0.5:te=0.2><lora:harbour:1>"
    )


def test_words_are_put_in_and_taken_out(page: Page) -> None:
    row = compose(page, "a wanderer <lora:ink_wash:0.7>").first
    coat = row.get_by_role("button", name="red coat")
    coat.click()
    expect(page.locator(PROMPT)).to_have_value("a wanderer <lora:ink_wash:0.7>, red coat")
    expect(coat).to_have_attribute("aria-pressed", "true")
    row.get_by_role("button", name="photo").click()
    expect(page.locator(NEGATIVE)).to_have_value("photo")
    page.locator(PROMPT).fill("a wanderer <lora:ink_wash:0.7>, (Red Coat:1.2), walking")
    expect(coat).to_have_attribute("aria-pressed", "true")
    coat.click()
    expect(page.locator(PROMPT)).to_have_value("a wanderer <lora:ink_wash:0.7>, walking")


def test_a_problem_is_mended_with_a_click_and_undone(page: Page) -> None:
    page.locator(PROMPT).fill("🌃 夜 <lora:neon_citty:0.8> end")
    problem = page.locator(".of-prompt .compose-problem[data-code=unknown_lora]")
    expect(problem).to_contain_text("neon_citty")
    expect(page.locator(".of-prompt mark")).to_have_text("<lora:neon_citty:0.8>")
    problem.get_by_role("button", name="Write neon_city").click()
    expect(page.locator(PROMPT)).to_have_value("🌃 夜 <lora:neon_city:0.8> end")
    expect(problem).to_have_count(0)
    page.keyboard.press("Control+z")
    expect(problem).to_have_count(1)
    page.keyboard.press("Control+Shift+z")
    expect(problem).to_have_count(0)


def test_typing_a_tag_is_completed_at_the_caret(page: Page) -> None:
    page.locator(PROMPT).fill("🌃 a street, ")
    page.locator(PROMPT).press("End")
    page.keyboard.type("<lora:neon")
    option = page.get_by_role("listbox", name="Completion").get_by_role("option")
    expect(option.first).to_contain_text("neon_city")
    page.keyboard.press("Tab")
    expect(page.locator(PROMPT)).to_have_value("🌃 a street, <lora:neon_city:1>")
    expect(rows(page)).to_have_count(1)


def test_loras_and_sets_are_added_from_the_box(page: Page) -> None:
    page.locator(PROMPT).fill("a street")
    box = page.get_by_label("Add a LoRA or a set")
    box.fill("ink")
    options = page.get_by_role("listbox", name="LoRAs and sets").get_by_role("option")
    expect(options.first).to_contain_text("ink_wash")
    page.keyboard.press("Tab")
    expect(page.locator(PROMPT)).to_have_value("a street <lora:ink_wash:0.7>")
    box.fill("nig")
    expect(options.first).to_contain_text("Night")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(PROMPT)).to_have_value("a street <lora:ink_wash:0.7> <set:Night>")


def test_a_set_is_a_row_that_expands(page: Page) -> None:
    row = compose(page, "a street <set:Night:0.5>").first
    expect(row).to_contain_text("Set of 2 LoRAs")
    row.get_by_role("button", name="Expand Night").click()
    expect(page.locator(PROMPT)).to_have_value("a street at night <lora:neon_city:0.25><lora:harbour:0.2>")
    expect(page.locator(NEGATIVE)).to_have_value("day")


def test_a_draw_has_a_range(page: Page) -> None:
    row = compose(page, "<lora:?neon:0.5-0.9> x").first
    least = row.get_by_role("spinbutton", name="Least weight")
    expect(least).to_have_value("0.5")
    least.fill("0.3")
    least.press("Tab")
    expect(page.locator(PROMPT)).to_have_value("<lora:?neon:0.3-0.9> x")


def test_it_shows_what_the_host_gets(page: Page) -> None:
    page.locator(PROMPT).fill("a street <set:Night>")
    page.get_by_text("What the host gets").click()
    given = page.locator(".compose-given")
    expect(given.locator(".given-text").first).to_contain_text("<lora:neon_city:0.5>")
    expect(given.locator(".given-text").nth(1)).to_have_text("day")


def test_it_is_saved_as_a_set_and_over_one(page: Page, library: Sidecar) -> None:
    compose(page, "ink, <lora:ink_wash:0.6>")
    page.get_by_role("button", name="Save as set").click()
    form = page.get_by_role("dialog", name="Save as set")
    form.get_by_label("Name").fill("Drawn")
    form.get_by_role("button", name="Save").click()
    expect(page.locator(".toast")).to_contain_text("The set Drawn holds 1 LoRA")
    compose(page, "ink, <lora:ink_wash:0.9> <lora:harbour:0.1>", 2)
    page.get_by_role("button", name="Save as set").click()
    form.get_by_label("Name").fill("drawn")
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_role("alert")).to_contain_text("There is a set drawn already")
    form.get_by_role("button", name="Save over it").click()
    expect(page.locator(".toast")).to_contain_text("version 2")
    (saved,) = [one for one in library.ask("sets")["items"] if one["name"] == "Drawn"]
    assert [one["weight"] for one in saved["loras"]] == [0.9, 0.1]


def test_hostile_text_stays_text_and_many_tags_stay_quick(page: Page) -> None:
    page.locator(PROMPT).fill(
        '<lora:<img src=x onerror="window.hacked=1">:1> <set:</textarea><script>window.hacked=2</script>>'
    )
    expect(page.locator(".compose-problem").first).to_be_visible()
    assert page.evaluate("window.hacked") is None
    page.locator(PROMPT).fill("<lora:harbour:0.1> " * 10_000)
    expect(page.locator(".chips-note")).to_contain_text("The first 200 of")
    page.locator(PROMPT).fill("")
    expect(rows(page)).to_have_count(0)


def test_nothing_is_lost_when_the_sidecar_is_gone(page: Page, library: Sidecar) -> None:
    page.route("**/api/v1/prompts/**", lambda route: route.abort())
    page.locator(PROMPT).fill("still here <lora:harbour:1>")
    expect(page.get_by_role("alert").filter(has_text="does not answer")).to_be_visible()
    page.unroute("**/api/v1/prompts/**")
    page.reload()
    expect(page.locator(PROMPT)).to_have_value("still here <lora:harbour:1>")
    expect(rows(page)).to_have_count(1)


def test_loras_that_fit_are_suggested_and_added(page: Page, library: Sidecar) -> None:
    ids = {one["name"]: one["id"] for one in library.ask("loras")["items"]}
    send(
        library,
        "PATCH",
        f"loras/{ids['harbour']}",
        {"title": "Old Harbour", "trigger_words": ["fishing boats"]},
    )
    page.locator(PROMPT).fill("a quiet morning, fishing boats")
    row = page.get_by_role("list", name="Suggestions").get_by_role("listitem").filter(has_text="Old Harbour")
    expect(row).to_contain_text("In your prompt: its trigger word fishing boats", timeout=30_000)
    row.get_by_role("button", name="Not Old Harbour").click()
    expect(row).to_have_count(0)
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(row).to_have_count(1)
    row.get_by_role("button", name="Add Old Harbour").click()
    expect(page.locator(PROMPT)).to_have_value("a quiet morning, fishing boats <lora:harbour:1>")
    expect(row).to_have_count(0)
    assert [one["verdict"] for one in library.ask("recommendations/feedback")["items"]] == ["chosen"]
    send(library, "PATCH", f"loras/{ids['harbour']}", {"title": None, "trigger_words": None})
