"""The other pages: settings, backups, Civitai; and the panel of tasks and changes."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from civitai_server import CivitaiServer
from lora_files import make_lora
from playwright.sync_api import Page, expect
from test_details import open_details
from test_drawer_edits import id_of, tell
from waiting import wait_until
from web_sidecar import Sidecar


@pytest.fixture
def loras(tmp_path: Path) -> Path:
    """Two LoRAs."""
    for name in ("harbour", "meadow"):
        make_lora(tmp_path / "Lora" / f"{name}.safetensors", width=2048)
    return tmp_path / "Lora"


@pytest.fixture
def civitai() -> Iterator[CivitaiServer]:
    server = CivitaiServer().start()
    yield server
    server.stop()


def test_settings_are_saved_one_by_one_and_refused_at_their_place(
    own_sidecar: Callable[..., Sidecar], open_page: Callable[..., Page], loras: Path, tmp_path: Path
) -> None:
    sidecar = own_sidecar(loras)
    page = open_page(sidecar)
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("radio", name="NAME.metadata.json").check()
    expect(page.locator(".setting-write_back .save-state")).to_have_text("Saved")
    days = page.get_by_label("Days in the trash")
    days.fill("-4")
    days.blur()
    expect(page.locator(".setting-trash_days .form-note")).to_contain_text("from 0 to 3650")
    expect(days).to_have_value("-4")
    days.fill("7")
    days.blur()
    expect(page.locator(".setting-trash_days .form-note")).to_be_empty()
    template = page.get_by_label("Folder template")
    template.fill("{base_model}/")
    template.press("End")
    page.get_by_role("button", name="Insert {folder}").click()
    example = page.locator(".template-example")
    template.press_sequentially("/{name}")
    expect(example.locator("code").last).to_have_text(re.compile(r"^Lora/SDXL/Lora/\w+\.safetensors$"))
    template.fill("../{name}")
    template.blur()
    expect(page.locator(".setting-organise_template > .form-note")).not_to_be_empty()
    key = page.get_by_label("API key")
    key.fill("a-secret-key")
    key.press("Enter")
    expect(page.get_by_text("A key is set")).to_be_visible()
    expect(key).to_have_value("")
    assert "a-secret-key" not in page.content()
    page.reload()
    expect(days).to_have_value("7")
    expect(page.get_by_role("radio", name="NAME.metadata.json")).to_be_checked()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("No key is set")).to_be_visible()
    now = sidecar.ask("settings")
    assert (now["write_back"], now["trash_days"], now["civitai_key_set"]) == ("metadata", 7, False)
    assert json.loads((tmp_path / "data" / "settings.json").read_text()).get("civitai_key") is None


def test_a_backup_is_made_verified_downloaded_restored_and_deleted(
    own_sidecar: Callable[..., Sidecar], open_page: Callable[..., Page], loras: Path, tmp_path: Path
) -> None:
    page = open_page(own_sidecar(loras))
    page.get_by_role("link", name="Backups").click()
    page.get_by_role("button", name="Make a backup").click()
    page.get_by_role("dialog").get_by_label("Note").fill("before sorting")
    page.get_by_role("dialog").get_by_role("button", name="Make it").click()
    row = page.get_by_role("listitem").filter(has_text="before sorting")
    expect(row).to_be_visible()
    row.get_by_role("button", name="Verify").click()
    expect(page.locator(".toast")).to_contain_text("The backup is whole")
    with page.expect_download() as download:
        row.get_by_role("link", name="Download").click()
    assert zipfile.ZipFile(download.value.path()).testzip() is None
    row.get_by_role("button", name="Restore…").click()
    dialog = page.get_by_role("dialog", name="Restore a backup")
    dialog.get_by_label("Empty folder").fill(str(loras))
    dialog.get_by_role("button", name="Restore there").click()
    expect(dialog.get_by_role("alert")).to_contain_text("empty")
    target = tmp_path / "restored here"
    dialog.get_by_label("Empty folder").fill(str(target))
    dialog.get_by_role("button", name="Restore there").click()
    expect(page.get_by_role("dialog", name="The backup is restored")).to_contain_text(f"--data '{target}'")
    assert (target / "lora-manager.db").exists()
    page.keyboard.press("Escape")
    row.get_by_role("button", name="Delete this backup").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("No backup yet")).to_be_visible()


def test_changes_are_listed_and_can_be_taken_back_and_tasks_are_told(
    own_sidecar: Callable[..., Sidecar], open_page: Callable[..., Page], loras: Path
) -> None:
    sidecar = own_sidecar(loras)
    tell(sidecar, "PATCH", f"loras/{id_of(sidecar, 'meadow')}", {"rating": 5})
    page = open_page(sidecar)
    open_details(page, "meadow")
    rating = page.get_by_role("slider", name="Rating")
    expect(rating).to_have_attribute("aria-valuenow", "5")
    page.get_by_role("button", name="Tasks and changes").click()
    panel = page.get_by_role("dialog", name="Tasks and changes")
    panel.get_by_role("tab", name="Changes").click()
    panel.get_by_role("button", name=re.compile("^Undo: Rating 5")).click()
    expect(rating).to_have_attribute("aria-valuenow", "0")
    expect(panel.locator(".change.undone")).to_contain_text("Rating 5")
    panel.get_by_role("tab", name="Tasks").click()
    tell(sidecar, "POST", "backups", {})
    expect(panel.locator(".task.done")).to_contain_text("Backup")
    page.evaluate(
        """async () => {
            const { live } = await import("./events.js");
            live.emit("task", { id: 1, kind: "x", title: "Long work", state: "running", done: 20, total: 80, message: "" });
        }"""
    )
    expect(panel.locator(".task.running")).to_contain_text("20 of 80")
    expect(page.get_by_role("button", name="Tasks and changes: 1 task running")).to_be_visible()


def test_civitai_is_asked_on_a_click_and_a_newer_version_downloaded(
    own_sidecar: Callable[..., Sidecar],
    open_page: Callable[..., Page],
    loras: Path,
    tmp_path: Path,
    civitai: CivitaiServer,
) -> None:
    civitai.add(7, 11, (loras / "harbour.safetensors").read_bytes())
    content = make_lora(tmp_path / "elsewhere" / "newer.safetensors", width=1024).read_bytes()
    civitai.add(7, 12, content)
    sidecar = own_sidecar(loras)
    tell(sidecar, "PATCH", "settings", {"civitai_url": civitai.url, "civitai_archive_url": civitai.url})
    page = open_page(sidecar)
    page.get_by_role("link", name="Civitai").click()
    status = page.locator(".civitai-status")
    expect(status).to_contain_text("2 not asked for yet, of 2 files")
    assert civitai.seen == []
    status.get_by_role("button", name="Look up 2").click()
    expect(status).to_contain_text("1 found, 1 not known to Civitai")
    wait_until(lambda: sidecar.ask(f"loras/{id_of(sidecar, 'harbour')}")["url"])
    page.get_by_role("button", name="Check for updates").click()
    update = page.get_by_role("article", name="Model 7")
    expect(update).to_contain_text("You have v11")
    update.get_by_role("button", name="Download v12").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("combobox", name="Folder").fill("Lora/new ones")
    dialog.get_by_role("button", name="Download").click()
    row = page.get_by_role("region", name="Downloads").locator(".row")
    expect(row).to_contain_text("Done")
    assert (loras / "new ones" / "model12.safetensors").read_bytes() == content

    page.get_by_label("Address on Civitai").fill("https://example.com/nothing")
    page.locator(".address-form").get_by_role("button", name="Download").click()
    expect(page.locator(".address-form .form-note")).to_contain_text("no address of a Civitai model")
    row.get_by_role("button", name="Details").click()
    drawer = page.locator("lora-drawer")
    expect(drawer.locator(".drawer-stem")).to_have_text("model12")
    drawer.get_by_role("tab", name="Civitai").click()
    expect(drawer.get_by_role("tabpanel", name="Civitai")).to_contain_text("Model 7")
