"""The heat map of interference, in the composer and in the editor of sets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect
from prompt_host import send
from waiting import wait_until
from web_sidecar import Sidecar, start_sidecar
from weight_files import diffusers, kohya, make_weights, save_tensors, scaled, with_noise

PROMPT = "#compose-prompt"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """`ink`, `ink_next` (some training later), `harbour`, two that cannot be compared with them, and a set."""
    folder = tmp_path_factory.mktemp("heat")
    loras, base = folder / "Lora", make_weights(1)
    save_tensors(loras / "ink.safetensors", kohya(base))
    save_tensors(loras / "ink_next.safetensors", diffusers(with_noise(base, 0.4)))
    save_tensors(loras / "ink_back.safetensors", kohya(scaled(base, -0.5)))
    save_tensors(loras / "harbour.safetensors", kohya(make_weights(2)))
    for number in range(3):
        save_tensors(loras / f"calm{number}.safetensors", kohya(make_weights(10 + number)))
    few = {"unet.elsewhere.to_q": (64, 64)}
    save_tensors(loras / "foreign.safetensors", kohya(make_weights(3, layers=few)))
    bad = {name: one * np.nan if "lora_up" in name else one for name, one in kohya(base).items()}
    save_tensors(loras / "nothing.safetensors", bad)
    running = start_sidecar(folder / "data", loras)
    ids = {one["name"]: one["id"] for one in running.ask("loras")["items"]}
    members = [{"lora_id": ids[name], "weight": weight} for name, weight in (("ink", 0.8), ("ink_next", 0.7))]
    send(running, "POST", "sets", {"name": "Ink", "loras": members})
    told = {"host": "sdnext", "checkpoint": "x", "facts": {"checkpoint_base": "SDXL"}}
    send(running, "PUT", "prompts/host", told)
    yield running
    running.stop()


@pytest.fixture
def page(library: Sidecar, open_page: Callable[..., Page]) -> Page:
    return open_page(library)


def compose(page: Page, prompt: str) -> None:
    page.evaluate("location.hash = 'page=compose'")
    page.locator(PROMPT).fill(prompt)
    expect(page.locator(".chip-row")).to_have_count(len(re.findall("<", prompt)))


def open_map(page: Page) -> Locator:
    page.get_by_role("button", name="Interference").click()
    return page.get_by_role("dialog", name="Interference")


def measured(library: Sidecar, **weights: float) -> dict[str, Any]:
    loras = [{"name": name, "weight": weight} for name, weight in weights.items()]
    answer: dict[str, Any] = send(library, "POST", "recommendations/interference", {"loras": loras})
    return answer


def test_pairs_and_blocks_are_drawn_with_numbers_that_can_be_read(page: Page, library: Sidecar) -> None:
    compose(page, "a <lora:ink:1> b <lora:ink_next:0.9> <lora:harbour:0.8>")
    dialog = open_map(page)
    grid = dialog.get_by_role("grid")
    expect(grid.get_by_role("row")).to_have_count(5)
    answer = measured(library, ink=1, ink_next=0.9, harbour=0.8)
    rows = grid.get_by_role("rowheader")
    expect(rows.first).to_have_text("ink and ink_next")
    cells = grid.locator("tbody tr").first.locator("td")
    blocks = {block["name"]: block["cosines"][0][1] for block in answer["blocks"]}
    names = ["IN04", "MID", "OUT05"]
    wanted = [answer["overall"][0][1], None, *(blocks[name] for name in names)]
    for at, cosine in enumerate(wanted):
        if cosine is not None:  # the text encoder's blocks are one column
            expect(cells.nth(at)).to_have_text(f"{cosine:.2f}")
    expect(dialog.locator(".heat-figure")).to_have_text(f"{answer['pull']:.0%}".replace("%", "\u00a0%"))
    expect(dialog.locator(".heat-text")).to_contain_text("ink_next and ink push the same way")
    cells.nth(4).hover()
    readout = dialog.locator(".heat-readout")
    expect(readout).to_contain_text(f"OUT05 · ink and ink_next: {blocks['OUT05']:.2f}")
    dialog.get_by_role("button", name="Text encoder").click()
    expect(grid.get_by_role("columnheader", name="text encoder layer 5")).to_be_visible()
    expect(cells).to_have_count(6)


def test_the_map_is_walked_with_keys(page: Page) -> None:
    compose(page, "<lora:ink:1> <lora:ink_next:0.9> <lora:harbour:0.8>")
    dialog = open_map(page)
    readout = dialog.locator(".heat-readout")
    dialog.locator('td[tabindex="0"]').focus()
    expect(readout).to_contain_text("All blocks · ink and ink_next")
    page.keyboard.press("End")
    page.keyboard.press("ArrowDown")
    expect(readout).to_contain_text(re.compile("OUT05 · ink.* and harbour"))
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    expect(readout).to_contain_text("Text encoder · ")
    assert dialog.locator('td[tabindex="0"]').count() == 1
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Interference")).to_be_focused()


def test_a_slider_weighs_anew_without_measuring_and_changes_the_prompt(page: Page, library: Sidecar) -> None:
    compose(page, "<lora:ink:1> <lora:ink_next:1> <lora:harbour:0.8>")
    dialog = open_map(page)
    figure = dialog.locator(".heat-figure")
    expect(figure).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    dialog.get_by_role("spinbutton", name="Weight of ink as a number").fill("-0.3")
    expect(page.locator(PROMPT)).to_have_value("<lora:ink:-0.3> <lora:ink_next:1> <lora:harbour:0.8>")
    answer = measured(library, ink=-0.3, ink_next=1, harbour=0.8)
    expect(figure).to_have_text(f"{answer['pull']:.0%}".replace("%", "\u00a0%"))
    expect(dialog.locator(".heat-text")).to_contain_text("ink pushes against ink_next")
    expect(dialog.locator("tbody tr").first.locator("td").first).to_contain_text("−")
    page.wait_for_timeout(600)  # the host's own reading has been asked for
    assert any("prompts/compose" in url for url in asked)
    assert not any("recommendations/interference" in url for url in asked)
    expect(figure).to_have_text(f"{answer['pull']:.0%}".replace("%", "\u00a0%"))


def test_too_strong_together_is_lowered_with_one_click(page: Page) -> None:
    compose(page, "<lora:ink:1>, <lora:ink_back:-2>")
    dialog = open_map(page)
    expect(dialog.locator(".heat-text")).to_contain_text("together they act like ink at 2")
    dialog.get_by_role("button", name="Lower both to act like ink at 1").click()
    expect(page.locator(PROMPT)).to_have_value("<lora:ink:0.5>, <lora:ink_back:-1>")
    expect(dialog.locator(".heat-text")).to_contain_text("within what ink is meant for")
    expect(dialog.get_by_role("button", name="Lower both")).to_have_count(0)
    dialog.get_by_role("button", name="Close").click()
    page.locator(PROMPT).focus()
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    expect(page.locator(PROMPT)).to_have_value("<lora:ink:1>, <lora:ink_back:-2>")


def test_three_of_a_kind_count_together(page: Page) -> None:
    compose(page, "<lora:ink:0.6> <lora:ink_back:-1.2> <lora:ink_next:0.6> <lora:harbour:0.3>")
    dialog = open_map(page)
    expect(dialog.locator(".heat-text")).to_contain_text(
        re.compile(r"^ink_next, ink and ink_back push the same way, .* act like ink_next at 1\.[56]")
    )
    dialog.get_by_role("button", name="Lower all 3 to act like ink_next at 0.6").click()
    expect(dialog.locator(".heat-text")).to_contain_text("at 0.6. That is within")
    expect(page.locator(PROMPT)).to_have_value(re.compile("<lora:harbour:0.3>$"))


def test_of_many_pairs_the_first_are_drawn(page: Page) -> None:
    names = ("ink", "ink_next", "harbour", "calm0", "calm1", "calm2")
    compose(page, " ".join(f"<lora:{name}:0.5>" for name in names))
    dialog = open_map(page)
    expect(dialog.get_by_role("rowheader")).to_have_count(12)
    expect(dialog.get_by_role("rowheader").first).to_have_text("ink and ink_next")
    dialog.get_by_role("button", name="Show all 15 pairs").click()
    expect(dialog.get_by_role("rowheader")).to_have_count(15)
    expect(dialog.get_by_role("button", name="Show all")).to_have_count(0)


def test_weights_of_the_text_encoder_count_there_alone(page: Page) -> None:
    compose(page, "<lora:ink:1:te=0:unet=1> <lora:ink_next:1>")
    dialog = open_map(page)
    cells = dialog.locator("tbody tr").first.locator("td")
    expect(cells.nth(1)).to_have_text("–")
    cells.nth(1).hover()
    expect(dialog.locator(".heat-readout")).to_contain_text("only ink_next changes it")
    expect(cells.nth(2)).not_to_have_text("–")


def test_what_cannot_be_compared_is_left_out_and_said(page: Page) -> None:
    compose(page, "<lora:ink:1> <lora:foreign:1> <lora:nothing:1> <lora:harbour:1>")
    dialog = open_map(page)
    expect(dialog.get_by_role("rowheader")).to_have_count(1)
    notes = dialog.get_by_role("list", name="Left out")
    expect(notes).to_contain_text("foreign is for another architecture")
    expect(notes).to_contain_text("nothing holds infinity or no numbers")
    expect(dialog.locator(".heat-text")).to_contain_text("They hardly touch each other")
    dialog.get_by_role("button", name="Close").click()
    compose(page, "<lora:ink:1> <lora:foreign:1>")
    dialog = open_map(page)
    expect(dialog).to_contain_text("Not comparable")
    expect(dialog.locator(".heat-figure")).to_have_count(0)


def test_there_is_a_button_only_where_there_is_something_to_compare(page: Page) -> None:
    button = page.get_by_role("button", name="Interference")
    compose(page, "<lora:ink:1>")
    expect(button).to_be_hidden()
    compose(page, "<lora:ink:1> <lora:harbour:0>")
    expect(button).to_be_hidden()
    compose(page, "<set:Ink>")
    expect(button).to_be_visible()
    dialog = open_map(page)
    expect(dialog.locator(".heat-weights li")).to_contain_text(["ink0.8", "ink_next0.7"])
    expect(dialog.locator(".heat-weights input")).to_have_count(0)


def test_a_set_that_is_edited_has_the_map_of_its_draft(page: Page, library: Sidecar) -> None:
    (made,) = library.ask("sets")["items"]
    page.evaluate("id => { location.hash = `page=sets/${id}` }", made["id"])
    page.get_by_label("Weight of ink", exact=True).fill("0.6")
    dialog = open_map(page)
    answer = measured(library, ink=0.6, ink_next=0.7)
    expect(dialog.locator(".heat-figure")).to_have_text(f"{answer['pull']:.0%}".replace("%", "\u00a0%"))
    dialog.get_by_role("spinbutton", name="Weight of ink_next as a number").fill("0.2")
    dialog.get_by_role("button", name="Close").click()
    expect(page.get_by_role("spinbutton", name="Weight of ink_next", exact=True)).to_have_value("0.2")
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_label("Weight of ink_next", exact=True)).to_have_value("0.7")


def test_long_work_shows_its_progress_and_ends_with_the_window(
    own_sidecar: Callable[..., Sidecar], open_page: Callable[..., Page], tmp_path: Path
) -> None:
    values = np.random.default_rng(1).normal(size=(3072, 40)).astype(np.float32)
    halves = {"w1_a": values, "w1_b": values.T, "w2_a": values, "w2_b": values.T}
    for name in ("one", "two"):  # products of two products: a lot of work for few bytes
        tensors = {
            f"lora_unet_layer_{at}.hada_{half}": one for at in range(24) for half, one in halves.items()
        }
        save_tensors(tmp_path / "Lora" / f"{name}.safetensors", tensors, kind=name)
    running = own_sidecar(tmp_path / "Lora")
    page = open_page(running)
    compose(page, "<lora:one:1> <lora:two:1>")
    dialog = open_map(page)
    expect(dialog.get_by_role("progressbar", name="Comparing the weights of 2 LoRAs…")).to_be_visible()
    wait_until(lambda: running.ask("tasks")["items"])
    page.keyboard.press("Escape")
    wait_until(lambda: running.ask("tasks")["items"][0]["state"] == "cancelled")
    expect(page.locator(".toast")).to_have_count(0)


def test_on_a_phone_a_touch_reads_a_field(library: Sidecar, open_page: Callable[..., Page]) -> None:
    page = open_page(library, viewport={"width": 390, "height": 844}, has_touch=True)
    compose(page, "<lora:ink:1> <lora:ink_next:0.9>")
    dialog = open_map(page)
    dialog.locator("tbody td").nth(2).tap()
    expect(dialog.locator(".heat-readout")).to_contain_text("IN04 · ink and ink_next")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
