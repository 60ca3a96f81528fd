"""Similar LoRAs by text with a text model: what means the same in other words is found, and the reason says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from lora_files import add_side_file, make_lora
from text_models import hide, make_model, stand_in

from sidecar.recommend.documents import text_key
from sidecar.recommend.embeddings import store
from sidecar.recommend.embeddings.texts import lora_text
from sidecar.recommend.use import meaning
from sidecar.state import State

TITLES = {
    "galleon": "Wooden galleon",
    "frigate": "Wooden frigate",
    "vessel": "Sailing vessel",
    "gouache": "Gouache",
}
# What a text model would say of them: three ships, one paint.
ANGLES = {"galleon": 0.0, "frigate": 0.3, "vessel": 0.4, "gouache": 1.4}


@pytest.fixture
def similar(
    loras: Path, scan: Callable[[], None], api: TestClient
) -> Callable[[str], dict[str, dict[str, Any]]]:
    """Asks what is like a LoRA by text; among others that have a number for a name."""
    for name, title in TITLES.items():
        add_side_file(
            make_lora(loras / f"{name}.safetensors"), ".civitai.info", {"id": 1, "model": {"name": title}}
        )
    for number in range(25):
        make_lora(loras / f"{number:04}.safetensors")
    scan()

    def get(name: str) -> dict[str, dict[str, Any]]:
        items = api.get("loras", params={"limit": 100}).json()["items"]
        lora_id = next(item["id"] for item in items if item["name"] == name)
        answer = api.get(f"loras/{lora_id}/similar", params={"by": "text"})
        assert answer.status_code == 200, answer.text
        return {item["lora"]["name"]: item for item in answer.json()["items"]}

    return get


@pytest.fixture
def vectors(state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Gives the LoRAs vectors that stand at these angles."""
    hide(monkeypatch, tmp_path)
    stand_in(tmp_path / "packages", monkeypatch)
    state.settings.embedding_model = str(make_model(tmp_path / "model", size=2))
    monkeypatch.setattr(meaning, "AGAIN_SECONDS", 0.0)

    def give(angles: dict[str, float] = ANGLES) -> None:
        model = state.recommender.embedder.model
        assert model is not None
        rows = [
            (text_key(lora_text(TITLES[name], [], [], "")), np.array([np.cos(at), np.sin(at)], np.float32))
            for name, at in angles.items()
        ]
        store.save(state.database, model.id, rows)

    return give


def test_the_same_meaning_in_other_words_is_found_and_told(
    similar: Callable[[str], dict[str, dict[str, Any]]], vectors: Callable[..., None]
) -> None:
    vectors()
    found = similar("galleon")
    assert list(found) == ["frigate", "vessel"], (
        "the same word and meaning, then the meaning alone; never the paint"
    )
    words, alone = found["frigate"]["reasons"][0], found["vessel"]["reasons"][0]
    assert words["text"] == "Both are about wooden; they mean much the same" and words["detail"] == ["wooden"]
    assert alone["text"] == "What is said of both means much the same" and alone["detail"] == []
    assert alone["meaning"] == pytest.approx(np.cos(0.4), abs=2e-3)
    assert 0 < alone["score"] < words["score"] <= 1


def test_without_a_vector_or_a_model_the_words_alone_count(
    similar: Callable[[str], dict[str, dict[str, Any]]], vectors: Callable[..., None], state: State
) -> None:
    vectors({"galleon": 0.0, "gouache": 1.4})
    with_some = similar("galleon")
    assert list(with_some) == ["frigate"] and "meaning" not in with_some["frigate"]["reasons"][0]
    state.settings.embedding_model = "no-such-model"
    assert list(similar("galleon")) == ["frigate"]
    assert similar("galleon")["frigate"]["reasons"][0]["text"] == "Both are about wooden"


def test_a_model_whose_cosines_are_all_high_makes_nothing_alike() -> None:
    cosines = np.linspace(0.7, 0.9, 1_000, dtype=np.float32)
    likeness = meaning.mixed(np.zeros(1_000, np.float32), cosines)
    assert (likeness > 0).sum() == pytest.approx(100, abs=2) and likeness.max() < 0.4
