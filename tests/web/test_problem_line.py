"""The line of problems under the host's prompt boxes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lora_files import add_side_file, make_lora
from playwright.sync_api import BrowserContext, Locator, Page, expect
from prompt_host import PROMPT, open_prompt_page, send, write
from web_sidecar import Sidecar, start_sidecar

NEGATIVE = "#txt2img_neg_prompt textarea"
ROWS = ".lora-manager-problems-row"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    folder = tmp_path_factory.mktemp("problems")
    loras = folder / "Lora"
    samurai = make_lora(loras / "neon_samurai.safetensors", width=2048)
    add_side_file(samurai, ".json", {"preferred weight": 0.8})
    make_lora(loras / "neon_alley.safetensors", width=768)
    running = start_sidecar(folder / "data", loras)
    yield running
    running.stop()


@pytest.fixture
def page(library: Sidecar, desktop: BrowserContext) -> Iterator[Page]:
    """The host's page, on a host whose checkpoint is for SDXL."""
    errors: list[str] = []
    page = desktop.new_page()
    page.set_viewport_size({"width": 1000, "height": 700})
    facts = {"checkpoint_base": "SDXL", "options": {"lora_fuse_native": False}}
    send(library, "PUT", "prompts/host", {"host": "sdnext", "checkpoint": "model", "facts": facts})
    open_prompt_page(page, library)
    page.evaluate("window.opts.lora_manager_completion = 'tags only'")
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.close()
    assert errors == []


def rows(page: Page, box: str = "txt2img_prompt") -> Locator:
    return page.locator(f"#{box} {ROWS}")


def fix(page: Page, label: str) -> Locator:
    return page.locator(".lora-manager-problems-fix", has_text=label)


def test_a_misspelt_name_is_told_and_mended_with_a_click(page: Page) -> None:
    box = write(page, "👩‍🎨 a castle, ~<lora:neon_samuria:0.5>, trees")
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("neon_samuria")
    expect(rows(page)).to_have_class("lora-manager-problems-row lora-manager-problems-error")
    fix(page, "Write neon_samurai").click()
    expect(box).to_have_value("👩‍🎨 a castle, <lora:neon_samurai:0.5>, trees")
    expect(rows(page)).to_have_count(0)
    expect(box).to_be_focused()
    page.keyboard.press("Control+z")
    expect(box).to_have_value("👩‍🎨 a castle, <lora:neon_samuria:0.5>, trees")
    expect(rows(page)).to_have_count(1)


def test_a_prompt_without_a_problem_has_no_line(page: Page) -> None:
    write(page, "a ~castle, <lora:neon_samurai:0.8>")
    page.wait_for_timeout(700)
    expect(page.locator(".lora-manager-problems")).to_have_count(0)


def test_what_is_being_typed_is_no_problem_yet(page: Page) -> None:
    write(page, "a (castle, ~<lora:neon_sam")
    page.wait_for_timeout(700)
    expect(rows(page)).to_have_count(0)
    page.keyboard.press("Escape")
    page.locator("#other").focus()
    expect(rows(page)).to_have_count(2)


def test_a_lora_in_the_negative_prompt_is_told_there_and_moved(page: Page) -> None:
    write(page, "a ~castle")
    negative = write(page, "blurry, ~<lora:neon_samurai:0.8>", NEGATIVE)
    expect(rows(page, "txt2img_neg_prompt")).to_have_count(1)
    expect(rows(page)).to_have_count(0)
    fix(page, "Move it to the prompt").click()
    expect(page.locator(PROMPT)).to_have_value("a castle <lora:neon_samurai:0.8>")
    expect(negative).not_to_have_value("blurry, <lora:neon_samurai:0.8>")
    expect(page.locator(ROWS)).to_have_count(0)
    assert page.evaluate("window.heard.txt2img_prompt") == "a castle <lora:neon_samurai:0.8>"


def test_many_problems_are_folded(page: Page) -> None:
    write(page, "~<lora:neon_alley:1> <lora:gone_a:1> <lora:gone_b:1> <lora:gone_c:1>, b")
    expect(rows(page)).to_have_count(2)
    page.get_by_role("button", name="2 more").click()
    expect(rows(page)).to_have_count(4)
    page.get_by_role("button", name="Show fewer").click()
    expect(rows(page)).to_have_count(2)


def test_a_text_that_a_script_writes_is_looked_at(page: Page) -> None:
    page.locator(PROMPT).evaluate("(box) => { box.value = '<lora:neon_alley:1>, b'; updateInput(box); }")
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("SDXL")
    page.locator(PROMPT).evaluate("(box) => { box.value = ''; updateInput(box); }")
    expect(rows(page)).to_have_count(0)


def test_the_users_setting_hides_it(page: Page) -> None:
    write(page, "~<lora:neon_alley:1>, b")
    expect(rows(page)).to_have_count(1)
    page.evaluate("window.opts.lora_manager_completion = 'off'")
    page.keyboard.type("c")
    expect(rows(page)).to_have_count(0)


def test_without_a_sidecar_there_is_no_line(page: Page) -> None:
    page.unroute_all()
    page.route("**/lora-manager/**", lambda route: route.abort())
    write(page, "~<lora:neon_alley:1>, b")
    page.wait_for_timeout(700)
    expect(page.locator(ROWS)).to_have_count(0)
