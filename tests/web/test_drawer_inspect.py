"""The drawer's Inspect tab: the weights' figures and bars, the tag cloud, the side files as they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from lora_files import add_side_file
from playwright.sync_api import Page, expect
from test_details import open_details
from web_sidecar import Sidecar
from weight_files import kohya, make_weights, save_tensors


def test_weights_are_shown_as_figures_bars_and_a_table(
    own_sidecar: Callable[..., Sidecar], open_page: Callable[..., Page], tmp_path: Path
) -> None:
    tags = json.dumps({"10_set": {"katana": 40, "rain": 3}})
    path = save_tensors(
        tmp_path / "Lora" / "weighed.safetensors",
        kohya(make_weights(1, rank=8, alpha=4)),
        "F16",
        ss_base_model_version="sdxl_base_v1-0",
        ss_tag_frequency=tags,
    )
    add_side_file(path, ".json", {"notes": "as it is", "of another": {"tool": 1}})
    page = open_page(own_sidecar(tmp_path / "Lora"))
    open_details(page, "weighed")
    page.get_by_role("tab", name="Details").press("ArrowRight")
    page.get_by_role("tab", name="Similar").press("ArrowRight")
    panel = page.get_by_role("tabpanel", name="Inspect")
    facts = panel.get_by_role("region", name="Weights").locator("dd")
    expect(facts.nth(0)).to_have_text("LoRA")
    expect(facts.nth(1)).to_have_text("8")
    expect(facts.nth(2)).to_have_text("4")
    expect(facts.nth(5)).to_have_text("fp16")

    unet = panel.get_by_role("group", name="Strength by block, UNet")
    expect(unet.locator(".bars-name")).to_have_text(["IN", "MID", "OUT"])
    first = unet.get_by_role("img", name="IN00: not touched")
    first.focus()
    first.press("End")
    last = unet.get_by_role("img").last
    expect(last).to_be_focused()
    expect(panel.locator(".bars-readout").last).to_have_text(last.get_attribute("aria-label") or "")
    panel.get_by_text("Numbers").last.click()
    table = panel.get_by_role("table", name="Blocks of the UNet")
    expect(table.get_by_role("row", name="MID")).to_contain_text("4")

    panel.get_by_text("weighed.json").click()
    expect(panel.locator("pre")).to_contain_text('"tool": 1')
    panel.get_by_role("button", name="Copy weighed.json").click()
    assert json.loads(page.evaluate("navigator.clipboard.readText()"))["notes"] == "as it is"

    panel.get_by_role("region", name="Tag cloud").get_by_role("button", name="katana").click()
    expect(page.locator("#search")).to_have_value('training:"katana"')
    expect(page.locator(".card[data-id] .title")).to_have_text(["weighed"])


def test_a_file_that_cannot_be_inspected_says_why(page: Page) -> None:
    open_details(page, "broken_one")
    page.get_by_role("tab", name="Inspect").click()
    expect(page.locator("#panel-inspect").get_by_role("region", name="Weights")).to_contain_text("header")
