"""The page of the trash: what lies there, back again, or gone for good."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lora_files import add_side_file, make_lora, picture
from playwright.sync_api import Page, expect
from test_drawer_edits import id_of, tell
from web_sidecar import Sidecar


def test_what_was_deleted_is_listed_restored_and_removed_for_good(
    own_sidecar: Callable[..., Sidecar], open_page: Callable[..., Page], tmp_path: Path
) -> None:
    loras = tmp_path / "Lora"
    for name in ("one", "two", "three"):
        path = make_lora(loras / f"{name}.safetensors")
    add_side_file(path, ".preview.png", picture())
    sidecar = own_sidecar(loras)
    ids = [id_of(sidecar, name) for name in ("one", "two", "three")]
    page = open_page(sidecar)
    page.get_by_role("link", name="Trash").click()
    expect(page.get_by_text("The trash is empty")).to_be_visible()
    tell(sidecar, "POST", "files/delete", {"selection": {"ids": ids}})
    rows = page.get_by_role("listitem")
    expect(rows).to_have_count(3)
    expect(page.locator(".page-note")).to_contain_text("3 LoRAs")
    expect(rows.filter(has_text="three").locator("img")).to_have_js_property("complete", True)
    expect(rows.filter(has_text="three")).to_contain_text("goes in 30 days")

    make_lora(loras / "one.safetensors", width=1024)  # the name is taken meanwhile
    one = rows.filter(has_text="one")
    one.get_by_role("button", name="Restore one", exact=True).click()
    expect(one.get_by_role("alert")).to_contain_text("one.safetensors")
    one.get_by_label("Another name").fill("one_again")
    one.get_by_role("button", name="Restore under this name").click()
    expect(rows).to_have_count(2)
    assert (loras / "one_again.safetensors").exists()

    rows.filter(has_text="three").get_by_role("checkbox").check()
    page.get_by_role("button", name="Restore 1").click()
    expect(rows).to_have_count(1)
    assert (loras / "three.safetensors").exists() and (loras / "three.preview.png").exists()
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(rows).to_have_count(2)

    page.get_by_role("button", name="Empty the trash").click()
    question = page.get_by_role("dialog", name="Empty the trash?")
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    question.get_by_role("button", name="Remove all for good").click()
    expect(page.get_by_text("The trash is empty")).to_be_visible()
    assert not (loras / "two.safetensors").exists()
    assert not list((loras / ".trash").rglob("*.safetensors"))
