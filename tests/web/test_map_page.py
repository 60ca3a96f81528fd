"""The map of the library: look around, point at LoRAs, colour and dim them, draw around some and put them into a collection."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from lora_files import add_side_file, make_lora, picture
from playwright.sync_api import BrowserContext, Page, expect
from web_library import add_civitai
from web_sidecar import Sidecar


class Spot(NamedTuple):
    """Where a LoRA is in the window."""

    id: int
    x: float
    y: float


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Thirty ships for SDXL, thirty inks for SD 1.x."""
    from web_sidecar import start_sidecar

    folder = tmp_path_factory.mktemp("mapped")
    for number in range(30):
        ship = make_lora(folder / "Lora" / f"galleon_{number}.safetensors", width=2048)
        add_civitai(ship, title=f"Galleon {number}", tags=["ship", "sea"], words=["tall ship"])
        ink = make_lora(folder / "Lora" / f"brush_{number}.safetensors")
        add_side_file(ink, ".json", {"sd version": "SD1", "activation text": "ink wash"})
        add_civitai_tags(ink, f"Brush {number}", ["ink", "paper"])
        if number < 5:
            add_side_file(ship, ".preview.png", picture(colour="navy"))
    running = start_sidecar(folder / "data", folder / "Lora")
    yield running
    running.stop()


def add_civitai_tags(path: Path, title: str, tags: list[str]) -> None:
    model = {"name": title, "type": "LORA", "tags": tags}
    add_side_file(path, ".civitai.info", {"id": 1, "baseModel": "SD 1.5", "model": model})


@pytest.fixture
def page(mapped: Sidecar, open_page: Callable[..., Page]) -> Page:
    return to_map(open_page(mapped))


def to_map(page: Page) -> Page:
    page.evaluate("location.hash = '#page=map'")
    expect(page.get_by_role("region", name="Legend")).to_be_visible(timeout=30_000)
    expect(page.locator(".map-line")).to_contain_text("60 LoRAs")
    return page


def spots(page: Page, sidecar: Sidecar) -> list[Spot]:
    """Where every LoRA is while all of the map is shown."""
    found = sidecar.ask("recommendations/map")
    ids = np.frombuffer(base64.b64decode(found["ids"]), "<u4").tolist()
    x, y = (np.frombuffer(base64.b64decode(found[name]), "<u2").astype(float) for name in "xy")
    box = page.locator(".map-surface").bounding_box()
    assert box is not None
    wide = box["width"] > 720
    inset = page.locator(".map-legend").evaluate("one => one.offsetWidth") + 24 if wide else 0
    scale = (min(box["width"] - inset, box["height"]) - 24) / found["side"]
    left = box["x"] + (box["width"] - inset) / 2
    top = box["y"] + box["height"] / 2
    middle = found["side"] / 2
    return [
        Spot(one, left + (a - middle) * scale, top + (b - middle) * scale) for one, a, b in zip(ids, x, y)
    ]


def names(sidecar: Sidecar) -> dict[int, str]:
    return {one["id"]: one["name"] for one in sidecar.ask("loras?limit=100")["items"]}


def draw_around(page: Page, some: list[Spot], shift: bool = True) -> None:
    left, right = min(one.x for one in some) - 9, max(one.x for one in some) + 9
    top, bottom = min(one.y for one in some) - 9, max(one.y for one in some) + 9
    if shift:
        page.keyboard.down("Shift")
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in ((right, top), (right, bottom), (left, bottom), (left, top)):
        page.mouse.move(x, y, steps=5)
    page.mouse.up()
    if shift:
        page.keyboard.up("Shift")


def zoom(page: Page) -> float:
    return float(page.locator(".map-surface").get_attribute("data-zoom") or 0)


def colours(page: Page) -> set[str]:
    """The colours of the middles of points."""
    found = page.locator(".map-surface canvas").nth(1).evaluate(
        """canvas => {
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            const seen = new Set();
            for (let at = 0; at < data.length; at += 4) if (data[at + 3] === 255) seen.add(`${data[at]},${data[at + 1]},${data[at + 2]}`);
            return [...seen];
        }"""
    )  # fmt: skip
    return set(found)


def test_it_is_made_and_tells_what_it_is_made_from(page: Page) -> None:
    expect(page.locator(".map-note")).to_contain_text("Placed by words")
    legend = page.get_by_role("region", name="Legend")
    expect(legend.locator(".legend-entry")).to_have_count(2)
    expect(legend).to_contain_text("SDXL")
    expect(page.locator(".map-surface")).to_have_attribute("aria-label", re.compile("^Map of 60 LoRAs"))
    assert len(colours(page)) == 2


def test_a_lora_that_is_pointed_at_is_told_and_a_click_opens_it(page: Page, mapped: Sidecar) -> None:
    spot = spots(page, mapped)[0]
    page.mouse.move(spot.x, spot.y)
    card = page.locator(".map-card")
    expect(card).to_be_visible()
    title = card.locator("strong").inner_text()
    page.mouse.click(spot.x, spot.y)
    expect(page.get_by_role("region", name=f"Details of {title}")).to_be_visible()
    expect(page).to_have_url(re.compile(r"page=map.*lora=\d+"))
    expect(page.locator(".map-surface")).to_be_visible()


def test_what_is_told_goes_with_the_lora_when_the_map_moves_under_the_pointer(
    page: Page, mapped: Sidecar
) -> None:
    spot = spots(page, mapped)[0]
    page.mouse.move(spot.x + 4, spot.y)
    expect(page.locator(".map-card")).to_be_visible()
    for _ in range(6):
        page.mouse.wheel(0, -600)
    expect(page.locator(".map-card")).to_be_hidden()


def test_drawn_around_they_go_into_a_collection(page: Page, mapped: Sidecar) -> None:
    ships = [one for one in spots(page, mapped) if names(mapped)[one.id].startswith("galleon")]
    draw_around(page, ships)
    expect(page.locator(".map-picked")).to_contain_text(re.compile(r"^\D*3\d selected"))
    page.get_by_role("button", name="Add to collection…").click()
    page.get_by_role("menuitem", name="New collection…").click()
    page.get_by_role("dialog", name="New collection").get_by_label("Name").fill("Fleet")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("added to Fleet")
    fleet = next(one for one in mapped.ask("collections")["items"] if one["name"] == "Fleet")
    inside = mapped.ask(f"loras?collection={fleet['id']}&limit=100")["items"]
    assert {one.id for one in ships} <= {one["id"] for one in inside}
    page.get_by_role("button", name="List them").click()
    dialog = page.get_by_role("dialog", name=re.compile("selected LoRA"))
    expect(dialog.get_by_role("listitem")).to_have_count(len(inside))
    dialog.get_by_role("button", name="Close").click()
    page.get_by_role("button", name=re.compile("^Back to the library")).click()
    expect(page.locator("#selection")).to_contain_text(f"{len(inside)} selected")


def test_only_what_stands_out_is_selected(page: Page, mapped: Sidecar) -> None:
    page.get_by_role("button", name=re.compile("^SDXL")).click()
    expect(page.locator(".map-line")).to_contain_text("30 of 60 LoRAs")
    draw_around(page, spots(page, mapped))
    expect(page.locator(".map-picked")).to_contain_text("30 selected")
    page.locator(".map-surface").press("Escape")
    expect(page.locator(".map-picked")).to_be_hidden()
    page.get_by_role("button", name="Show in library").click()
    expect(page.locator("#count")).to_have_text("30 of 60")
    expect(page).to_have_url(re.compile("base_model=SDXL"))


def test_tags_are_coloured_chosen_and_left_out(page: Page) -> None:
    page.get_by_role("button", name="Tags", exact=True).click()
    legend = page.get_by_role("region", name="Legend")
    expect(legend.locator(".legend-entry")).to_have_count(4)
    expect(legend.get_by_role("button", name="ink 30", exact=True)).to_be_visible()
    assert len(colours(page)) == 2  # each point has the rarest of its tags, or the last
    for name in ("sea", "paper", "ink"):
        legend.locator(f'[data-name="{name}"]').hover()
        legend.get_by_role("button", name=f"Do not colour {name}").click()
    expect(legend.locator(".legend-entry")).to_have_count(1)
    box = legend.get_by_label("Colour a tag")
    box.fill("paper")
    box.press("Enter")
    expect(legend.locator(".legend-entry")).to_have_count(2)
    page.reload()
    expect(legend.locator(".legend-entry")).to_have_count(2, timeout=20_000)
    page.evaluate("localStorage.clear()")


def test_a_search_dims_the_others_and_says_what_is_wrong(page: Page) -> None:
    box = page.get_by_role("searchbox", name="Find on the map")
    box.fill("galleon")
    expect(page.locator(".map-line")).to_contain_text("30 of 60 LoRAs")
    assert len(colours(page)) == 1
    box.fill("size:>")
    expect(box).to_have_attribute("aria-invalid", "true")
    box.press("Escape")
    expect(box).to_have_value("")
    expect(page.locator(".map-line")).to_have_text("60 LoRAs")


def test_wheel_keys_and_buttons_zoom_and_move(page: Page) -> None:
    surface = page.locator(".map-surface")
    box = surface.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.wheel(0, -300)
    expect(surface).not_to_have_attribute("data-zoom", "1.00")
    near = zoom(page)
    assert near > 1.5
    surface.focus()
    page.keyboard.press("+")
    expect(surface).to_have_attribute("data-zoom", re.compile(rf"^{near * 1.6:.1f}"[:-1]))
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("0")
    expect(surface).to_have_attribute("data-zoom", "1.00")
    page.get_by_role("button", name="Nearer (+)").click()
    expect(surface).to_have_attribute("data-zoom", "1.60")
    page.get_by_role("button", name="All of it (0)").click()
    expect(surface).to_have_attribute("data-zoom", "1.00")


def test_the_keyboard_alone_opens_and_selects(page: Page) -> None:
    surface = page.locator(".map-surface")
    surface.focus()
    page.keyboard.press("Space")
    expect(page.locator(".map-picked")).to_contain_text("1 selected")
    expect(page.locator(".map-card")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"lora=\d+"))


def test_the_way_by_weights_is_in_the_address(page: Page) -> None:
    page.get_by_role("button", name="By weights").click()
    expect(page).to_have_url(re.compile("page=map%2Fweights|page=map/weights"))
    expect(page.locator(".map-note")).to_contain_text("weights", timeout=30_000)
    expect(page.get_by_role("button", name="By weights")).to_have_attribute("aria-pressed", "true")


def test_with_fingers_the_lasso_is_a_button(
    mapped: Sidecar, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).new_page()
    page.goto(mapped.door)
    expect(page.locator("#count")).not_to_be_empty()
    to_map(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Fold the legend").click()
    page.get_by_role("button", name=re.compile("^Select by drawing")).click()
    draw_around(page, spots(page, mapped), shift=False)
    expect(page.locator(".map-picked")).to_contain_text("60 selected")


def test_an_empty_library_says_so(
    own_sidecar: Callable[..., Sidecar], open_page: Callable[..., Page], tmp_path: Path
) -> None:
    page = open_page(own_sidecar(tmp_path / "Lora"), cards=False)
    page.evaluate("location.hash = '#page=map'")
    expect(page.get_by_role("heading", name="Nothing on the map yet")).to_be_visible(timeout=30_000)
