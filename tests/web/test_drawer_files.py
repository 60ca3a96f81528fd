"""The drawer's File tab: renaming, moving, deleting with a way back, and forgetting what is gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lora_files import add_side_file, make_lora
from playwright.sync_api import Page, expect
from test_details import open_details
from web_sidecar import Sidecar


def open_file_tab(page: Page, name: str) -> None:
    open_details(page, name)
    page.get_by_role("tab", name="File").click()
    expect(page.locator("#panel-file .path code").first).to_contain_text(name)


def test_a_file_is_renamed_moved_deleted_and_brought_back(
    own_sidecar: Callable[..., Sidecar], open_page: Callable[..., Page], tmp_path: Path
) -> None:
    loras = tmp_path / "Lora"
    add_side_file(make_lora(loras / "one.safetensors"), ".json", {"notes": "beside it"})
    make_lora(loras / "two.safetensors")
    make_lora(loras / "styles" / "three.safetensors")
    page = open_page(own_sidecar(loras))
    open_file_tab(page, "one")
    panel = page.locator("#panel-file")
    box = panel.get_by_label("File name without its ending")
    box.fill("two")
    panel.get_by_role("button", name="Rename").click()
    expect(panel.locator(".name-form .form-note")).to_contain_text("two")
    assert (loras / "one.safetensors").exists(), "a name that is taken is refused"
    box.fill("first")
    box.press("Enter")
    expect(page.locator(".drawer-stem")).to_have_text("first")
    assert (loras / "first.safetensors").exists() and (loras / "first.json").exists()

    panel.get_by_role("button", name="Move…").click()
    dialog = page.get_by_role("dialog", name="Move this LoRA")
    folder = dialog.get_by_role("combobox", name="Folder")
    folder.fill("sty")
    page.get_by_role("option", name="Lora/styles").click()
    expect(folder).to_have_value("Lora/styles")
    dialog.get_by_role("button", name="Move").click()
    expect(panel.locator(".path code").first).to_have_text(str(loras / "styles" / "first.safetensors"))
    assert (loras / "styles" / "first.json").exists()

    panel.get_by_role("button", name="Delete").click()
    expect(page.locator("lora-drawer")).to_be_hidden()
    expect(page.locator(".toast")).to_contain_text("moved to the trash")
    assert not (loras / "styles" / "first.safetensors").exists()
    page.locator(".toast").get_by_role("button", name="Undo").click()
    page.fill("#search", "")
    expect(page.locator(".card[data-id] .title", has_text="first")).to_be_visible()
    assert (loras / "styles" / "first.safetensors").exists() and (loras / "styles" / "first.json").exists()


def test_a_missing_file_is_told_and_can_be_forgotten(
    own_sidecar: Callable[..., Sidecar], open_page: Callable[..., Page], tmp_path: Path
) -> None:
    loras = tmp_path / "Lora"
    make_lora(loras / "stays.safetensors")
    gone = make_lora(loras / "goes.safetensors")
    page = open_page(own_sidecar(loras))
    open_file_tab(page, "goes")
    gone.unlink()
    expect(page.locator("lora-drawer .problem")).to_contain_text("Missing")
    panel = page.locator("#panel-file")
    expect(panel.get_by_role("button", name="Delete")).to_have_count(0)
    panel.get_by_role("button", name="Forget").click()
    page.get_by_role("dialog").get_by_role("button", name="Forget").click()
    expect(page.locator("lora-drawer")).to_be_hidden()
    page.fill("#search", "")
    expect(page.locator("#count")).to_have_text("1 LoRA")
