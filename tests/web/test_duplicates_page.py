"""The page of duplicates: four kinds, comparing, keeping one, keeping all, and taking each of it back."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from lora_files import add_side_file
from playwright.sync_api import Page, expect
from web_sidecar import Sidecar
from weight_files import kohya, make_weights, save_tensors, with_noise


@pytest.fixture
def duplicates(own_sidecar: Callable[..., Sidecar], open_page: Callable[..., Page], tmp_path: Path) -> Page:
    """The page over: two pairs of equal files, one pair with another header, one saved in another format."""
    loras = tmp_path / "Lora"
    for seed, name in ((1, "alpha"), (2, "beta")):
        path = save_tensors(loras / f"{name}.safetensors", kohya(make_weights(seed)), "F16")
        add_side_file(path, ".json", {"notes": f"about {name}"})
        shutil.copy(path, loras / f"{name} (1).safetensors")
    tensors = kohya(make_weights(3))
    path = save_tensors(loras / "gamma.safetensors", tensors, "F16", ss_output_name="gamma")
    add_side_file(path, ".json", {"notes": "about gamma"})
    save_tensors(loras / "gamma_renamed.safetensors", tensors, "F16", ss_output_name="renamed")
    tensors = kohya(make_weights(4))
    save_tensors(loras / "delta.safetensors", tensors, "F32")
    save_tensors(loras / "delta_half.safetensors", tensors, "F16")
    page = open_page(own_sidecar(loras))
    page.get_by_role("link", name="Duplicates").click()
    for kind, groups in (("Same file", 2), ("Same weights", 1), ("Saved anew", 1)):
        expect(page.get_by_role("tab", name=re.compile(f"^{kind} ?{groups} "))).to_be_visible(timeout=20_000)
    return page


def test_one_copy_is_kept_with_what_the_other_had_and_it_can_be_undone(
    duplicates: Page, tmp_path: Path
) -> None:
    page, loras = duplicates, tmp_path / "Lora"
    group = page.get_by_role("region", name="alpha")
    expect(group.locator(".suggested")).to_contain_text("more beside it, 1 file against 0")
    expect(group.get_by_role("radio", name="Keep alpha.safetensors in Lora")).to_be_checked()
    group.get_by_role("radio", name="Keep alpha (1).safetensors in Lora").check()
    group.get_by_role("button", name="Keep the chosen, remove the other").click()
    expect(group).to_contain_text("1 copy moved to the trash")
    assert not (loras / "alpha.safetensors").exists()
    assert "about alpha" in (loras / "alpha (1).json").read_text()
    group.get_by_role("button", name="Undo").click()
    expect(group.get_by_role("button", name="Keep the chosen, remove the other")).to_be_visible()
    assert (loras / "alpha.safetensors").exists()


def test_all_groups_of_a_kind_are_settled_after_a_question_and_undone_as_one(
    duplicates: Page, tmp_path: Path
) -> None:
    page, loras = duplicates, tmp_path / "Lora"
    page.get_by_role("button", name="Keep all 2 suggested").click()
    question = page.get_by_role("dialog", name="Keep the suggested copies?")
    expect(question).to_contain_text("In 2 groups the suggested copy stays")
    question.get_by_role("button", name="Remove the others in 2 groups").click()
    expect(page.get_by_text("None of these")).to_be_visible()
    assert sorted(path.stem for path in loras.glob("?????.safetensors")) == ["alpha", "delta", "gamma"]
    assert not list(loras.glob("* (1).safetensors")) and (loras / "beta.safetensors").exists()
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.locator(".duplicate")).to_have_count(2)
    assert len(list(loras.glob("* (1).safetensors"))) == 2


def test_the_comparison_shows_what_differs_alone(duplicates: Page) -> None:
    page = duplicates
    page.get_by_role("tab", name="Same weights").click()
    group = page.get_by_role("region", name=re.compile("gamma"))
    group.get_by_role("button", name="Compare").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("The weights are the same.")
    row = dialog.get_by_role("row", name="ss_output_name")
    expect(row.locator("td")).to_have_text(["gamma", "renamed"])
    expect(row.locator("td.odd")).to_have_count(1)
    rank = dialog.locator("tr", has_text="Rank")
    expect(rank).to_be_hidden()
    dialog.get_by_label("Show what is the same, too").check()
    expect(rank).to_be_visible()
    dialog.get_by_role("radio").nth(1).check()
    dialog.get_by_role("button", name="Keep the chosen, remove 1").click()
    expect(page.locator(".duplicate.settled")).to_contain_text("1 copy moved to the trash")


def test_files_that_are_no_duplicates_are_not_listed_again(duplicates: Page) -> None:
    page = duplicates
    page.get_by_role("tab", name="Saved anew").click()
    group = page.get_by_role("region", name="delta")
    expect(group.locator(".suggested")).to_contain_text("finer numbers, fp32 against fp16")
    group.get_by_role("button", name="Not duplicates").click()
    expect(group).to_contain_text("not listed as duplicates any more")
    expect(page.get_by_role("tab", name="Saved anew")).to_have_text("Saved anew0")
    group.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("tab", name=re.compile("^Saved anew ?1"))).to_be_visible()
    page.reload()
    page.get_by_role("tab", name="Saved anew").click()
    expect(page.get_by_role("region", name="delta")).to_be_visible()


def test_what_is_nearly_the_same_is_told_apart_and_settled_one_by_one(
    own_sidecar: Callable[..., Sidecar], open_page: Callable[..., Page], tmp_path: Path
) -> None:
    loras = tmp_path / "Lora"
    base = make_weights(1)
    save_tensors(loras / "last.safetensors", kohya(base), "F32")
    save_tensors(loras / "epoch 8.safetensors", kohya(with_noise(base, 0.15)), "F16")
    save_tensors(loras / "epoch 4.safetensors", kohya(with_noise(base, 0.45, 9)), "F16")
    save_tensors(loras / "stranger.safetensors", kohya(make_weights(2)), "F16")
    page = open_page(own_sidecar(loras))
    page.get_by_role("link", name="Duplicates").click()
    tab = page.get_by_role("tab", name=re.compile("^Nearly the same ?1 "))
    expect(tab).to_be_visible(timeout=20_000)
    tab.click()
    expect(page.get_by_role("button", name="Keep all")).to_have_count(1)  # of this group, not of all of them
    group = page.get_by_role("region", name="last")
    expect(group.get_by_role("radio")).to_have_count(2)
    expect(group.get_by_role("row", name="epoch 8")).to_contain_text(re.compile(r"97\.\d %"))
    page.get_by_label("How much alike").select_option("0.8")
    expect(group.get_by_role("radio")).to_have_count(3)
    group.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("dialog")).to_contain_text("point the same way to 8")
    page.keyboard.press("Escape")
    group.get_by_role("button", name="Keep the chosen, remove 2").click()
    expect(group).to_contain_text("2 copies moved to the trash")
    assert not (loras / "epoch 8.safetensors").exists()
    group.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Keep the chosen, remove 2")).to_be_visible()
    assert (loras / "epoch 8.safetensors").exists()
