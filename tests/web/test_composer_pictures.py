"""From an image: dropped, pasted or chosen, its prompt goes into the composer."""

from __future__ import annotations

import base64
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from lora_files import make_lora
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Page, expect
from web_sidecar import Sidecar

PROMPT = "#compose-prompt"
TEXT = (
    "a quiet harbour, <lora:harbour:0.6> <lora:not_here:1>\nNegative prompt: blurry\n"
    "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 64x64, Model: some_model"
)


@pytest.fixture
def page(own_sidecar: Callable[..., Sidecar], open_page: Callable[..., Page], tmp_path: Path) -> Page:
    make_lora(tmp_path / "Lora" / "harbour.safetensors")
    page = open_page(own_sidecar(tmp_path / "Lora"))
    page.get_by_role("link", name="Compose").click()
    expect(page.locator(PROMPT)).to_be_visible()
    return page


def picture(text: str | None) -> bytes:
    """A PNG as A1111 writes it."""
    file, info = BytesIO(), PngInfo()
    if text:
        info.add_text("parameters", text)
    Image.new("RGB", (64, 64), "teal").save(file, "PNG", pnginfo=info)
    return file.getvalue()


def choose(page: Page, content: bytes, name: str = "00001.png", kind: str = "image/png") -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="From an image").click()
    chooser.value.set_files({"name": name, "mimeType": kind, "buffer": content})


def test_a_chosen_picture_tells_its_prompt_and_what_is_missing(page: Page) -> None:
    choose(page, picture(TEXT))
    dialog = page.get_by_role("dialog", name="00001.png")
    expect(dialog).to_contain_text("Not in your library: not_here")
    expect(dialog.get_by_role("list", name="LoRAs of the picture")).to_contain_text("by its name")
    expect(dialog).to_contain_text("42")
    dialog.get_by_role("button", name="Use this prompt").click()
    expect(page.locator(PROMPT)).to_have_value("a quiet harbour, <lora:harbour:0.6> <lora:not_here:1>")
    expect(page.locator("#compose-negative_prompt")).to_have_value("blurry")
    expect(page.locator(".chip-row")).to_have_count(2)


def test_only_the_loras_of_a_picture_are_added(page: Page) -> None:
    page.locator(PROMPT).fill("a lighthouse")
    choose(page, picture(TEXT))
    page.get_by_role("button", name="Only add its LoRAs").click()
    expect(page.locator(PROMPT)).to_have_value("a lighthouse <lora:harbour:0.6>")


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_picture_is_dropped_or_pasted(page: Page, event: str) -> None:
    page.evaluate(
        """([type, content]) => {
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], "shot.png", { type: "image/png" }));
            const options = { bubbles: true, cancelable: true };
            const event = type === "drop" ? new DragEvent("drop", { ...options, dataTransfer: data }) : new ClipboardEvent("paste", { ...options, clipboardData: data });
            document.querySelector(".compose").dispatchEvent(event);
        }""",
        [event, base64.b64encode(picture(TEXT)).decode()],
    )
    expect(page.get_by_role("dialog", name="shot.png")).to_contain_text("a quiet harbour")


def test_pictures_that_tell_nothing_say_so(page: Page) -> None:
    page.locator(PROMPT).fill("kept")
    for content in (picture(None), b"no picture at all", b""):
        choose(page, content)
        expect(page.locator(".toast.error")).to_be_visible()
        page.locator(".toast").evaluate("(note) => note.remove()")
    expect(page.locator(PROMPT)).to_have_value("kept")
