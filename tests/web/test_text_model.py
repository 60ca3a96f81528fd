"""The text model on the page of settings: which is in use, why none is, and what a change of it does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from lora_files import make_lora
from playwright.sync_api import Page, expect
from text_models import hide, make_model, stand_in
from web_sidecar import Sidecar


def test_it_is_told_chosen_and_refused(
    own_sidecar: Callable[..., Sidecar],
    open_page: Callable[..., Page],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hide(monkeypatch, tmp_path)
    stand_in(tmp_path / "packages", monkeypatch)
    make_model(
        tmp_path / "packages" / "all_minilm_l6_v2" / "model", name="carried"
    )  # found before a real one
    folder = make_model(tmp_path / "own", name="my-own")
    make_lora(tmp_path / "Lora" / "one.safetensors", ss_output_name="one")
    sidecar = own_sidecar(tmp_path / "Lora", text_model=True)
    page = open_page(sidecar)
    page.get_by_role("link", name="Settings").click()
    state, box = page.locator(".model-state"), page.get_by_label("Model", exact=True)
    expect(state).to_contain_text("carried")
    expect(state).to_contain_text("to go")

    box.fill(str(folder))
    box.blur()
    expect(page.locator(".setting-embedding_model .save-state")).to_have_text("Saved")
    expect(state).to_contain_text("my-own")
    box.fill("no-such-model")
    box.blur()
    expect(state).to_contain_text("no-such-model is not on this machine")
    box.fill("")
    box.blur()
    expect(state).to_contain_text("carried")

    page.get_by_label("Read texts").select_option("gpu")
    expect(page.locator(".setting-embedding_device .save-state")).to_have_text("Saved")
    assert sidecar.ask("settings")["embedding_device"] == "gpu"
    page.locator("#status-button").click()
    expect(page.locator("#status-body")).to_contain_text("carried")
    page.keyboard.press("Escape")

    page.get_by_label("Read texts").select_option("off")
    expect(state).to_contain_text("Turned off")
    page.get_by_label("Read texts").select_option("cpu")
    expect(state).to_contain_text("carried")


def test_without_what_runs_it_the_page_says_how_to_get_it(
    own_sidecar: Callable[..., Sidecar], open_page: Callable[..., Page], tmp_path: Path
) -> None:
    sidecar = own_sidecar(tmp_path / "Lora", text_model=True)
    status = sidecar.ask("recommendations/status")["embeddings"]
    if status["model"]:
        pytest.skip("a text model is installed here")
    page = open_page(sidecar, cards=False)
    page.get_by_role("link", name="Settings").click()
    command = page.locator(".model-state code").first
    expect(command).to_have_text("python install.py embeddings")
    page.locator("#status-button").click()
    expect(page.locator("#status-body")).to_contain_text("no text model")
