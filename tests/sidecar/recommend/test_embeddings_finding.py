"""Which text model is found, in which order, and what is said of one that cannot be used."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from text_models import hide, make_model, stand_in

from sidecar.recommend.embeddings import finding
from sidecar.recommend.embeddings.finding import Model, NoModel, find_model

REPOSITORY = "models--sentence-transformers--all-MiniLM-L6-v2"


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages: those that run a model, but none that carries one; nothing is in the caches."""
    hide(monkeypatch, tmp_path)
    folder = tmp_path / "packages"
    stand_in(folder, monkeypatch)
    return folder


@pytest.fixture
def cache(packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    return folder


def why(configured: str = "") -> str:
    with pytest.raises(NoModel) as raised:
        find_model(configured)
    return str(raised.value)


def found(configured: str = "") -> Model:
    return find_model(configured)


def test_without_torch_it_says_what_is_missing_and_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "NEEDED", {"no_such_torch": "torch", "json": "json"})
    assert why() == (
        "Not installed: torch. `python install.py embeddings` adds what recommendations by meaning need."
    )


def test_without_any_model_it_says_how_to_get_one_and_fetches_nothing(packages: Path) -> None:
    message = why()
    assert "no text model on this machine" in message and "install.py embeddings --model package" in message
    assert "none is downloaded by itself" in message


def test_the_folder_that_was_named_comes_first(packages: Path, tmp_path: Path) -> None:
    make_model(packages / "some_all_minilm_l6_v2" / "model")
    own = make_model(tmp_path / "own", name="mine")
    assert (found(str(own)).folder, found(str(own)).source, found(str(own)).name) == (own, "folder", "mine")


def test_then_a_package_that_carries_it_then_the_cache(packages: Path, cache: Path) -> None:
    cached = make_model(cache / REPOSITORY / "snapshots" / "abc")
    assert (found().folder, found().source, found().name) == (cached, "cache", "all-MiniLM-L6-v2")
    carried = make_model(packages / "some_all_minilm_l6_v2" / "model", name="all-MiniLM-L6-v2")
    assert (found().folder, found().source) == (carried, "package")


def test_in_the_cache_the_version_in_use_counts(cache: Path) -> None:
    for name in ("older", "used", "newest"):
        make_model(cache / REPOSITORY / "snapshots" / name)
    (cache / REPOSITORY / "refs").mkdir()
    (cache / REPOSITORY / "refs" / "main").write_text("used\n")
    assert found().folder.name == "used"


def test_a_name_finds_that_model_and_no_other(packages: Path, cache: Path) -> None:
    make_model(packages / "some_all_minilm_l6_v2" / "model", name="all-MiniLM-L6-v2")
    assert "The text model bge-small is not on this machine" in why("bge-small")
    other = make_model(cache / "models--BAAI--bge-small" / "snapshots" / "1")
    assert (found("BAAI/bge-small").folder, found("BAAI/bge-small").name) == (other, "BAAI/bge-small")
    assert found("all-MiniLM-L6-v2").source == "package"
    assert found("sentence-transformers/all-MiniLM-L6-v2").source == "package"


def test_a_package_may_carry_another_model_by_default(packages: Path) -> None:
    carried = make_model(packages / "a_carrier" / "model", name="paraphrase-tiny")
    assert (found().folder, found().name) == (carried, "paraphrase-tiny")
    assert found("paraphrase-tiny").folder == carried
    assert "not on this machine" in why("all-MiniLM-L6-v2")


@pytest.mark.parametrize(
    "configured", ["../../etc/passwd", "a b", "..", "a/b/c", "x" * 900, "https://example.com/model", "ä"]
)
def test_what_is_neither_a_folder_nor_a_name_is_told(packages: Path, configured: str) -> None:
    message = why(configured)
    assert "settings" in message and ("neither" in message or "not on this machine" in message)


def test_a_folder_that_is_not_there_is_told(packages: Path, tmp_path: Path) -> None:
    assert why(str(tmp_path / "gone")) == (
        f"There is no folder {tmp_path / 'gone'}; name another text model in the settings."
    )


def cut(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-100])


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty folder": (lambda at: [shutil.rmtree(at), at.mkdir()], "neither modules.json nor config.json"),
    "no weights": (lambda at: (at / "model.safetensors").unlink(), "no file with weights"),
    "empty weights": (lambda at: (at / "model.safetensors").write_bytes(b""), "model.safetensors is empty"),
    "half of the weights": (cut, "model.safetensors is damaged"),
    "other bytes": (lambda at: (at / "model.safetensors").write_bytes(b"\xff" * 900), "is damaged"),
    "torn JSON": (lambda at: (at / "modules.json").write_text('[{"path": '), "modules.json is damaged"),
    "no list": (lambda at: (at / "modules.json").write_text("{}"), "lists no modules"),
    "torn configuration": (lambda at: (at / "config.json").write_text("{"), "config.json is damaged"),
    "a way out": (
        lambda at: (at / "modules.json").write_text(json.dumps([{"path": "../../home"}])),
        "names a place outside",
    ),
}


@pytest.mark.parametrize("damage", BROKEN)
def test_a_broken_folder_says_what_is_wrong_with_it(packages: Path, tmp_path: Path, damage: str) -> None:
    folder = make_model(tmp_path / "model")
    change, expected = BROKEN[damage]
    change(folder)
    message = why(str(folder))
    assert expected in message
    assert message.startswith(f"The text model in {folder} cannot be used") and "settings" in message


def test_the_same_content_has_the_same_id_wherever_it_lies(packages: Path, tmp_path: Path) -> None:
    one = make_model(tmp_path / "one")
    shutil.copytree(one, tmp_path / "two")
    assert found(str(one)).id == found(str(tmp_path / "two")).id


@pytest.mark.parametrize(
    "file", ["config.json", "tokenizer.json", "model.safetensors", "1_Pooling/config.json"]
)
def test_whatever_vectors_depend_on_changes_the_id(packages: Path, tmp_path: Path, file: str) -> None:
    one, two = make_model(tmp_path / "one"), make_model(tmp_path / "two")
    other = make_model(tmp_path / "other", size=40, seed=1)
    content = b'{"another": 1}' if "Pool" in file or "token" in file else (other / file).read_bytes()
    (two / file).write_bytes(content)
    assert found(str(one)).id != found(str(two)).id
