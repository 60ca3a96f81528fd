"""What the user's own images teach: it is used when it ranks better what was kept apart, kept, and learned anew."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from fastapi.testclient import TestClient
from lora_files import add_side_file, make_lora

from sidecar.recommend.learning import ENOUGH, FILE, TasteKeeper, learn, own_prompts
from sidecar.recommend.personal import FEATURES, Taste
from sidecar.state import State

SUBJECTS = (
    "harbour",
    "castle",
    "forest",
    "robot",
    "kitchen",
    "desert",
    "tram",
    "library",
    "garden",
    "glacier",
)
MOODS = (
    "mist",
    "night",
    "rain",
    "noon",
    "snow",
    "dusk",
    "storm",
    "spring",
    "autumn",
    "fireworks",
    "smoke",
    "dew",
)


def info(path: Path, subject: str) -> None:
    example = {"url": f"https://example.com/{path.stem}.png", "meta": {"prompt": f"a {subject}, {MOODS[0]}"}}
    add_side_file(
        path,
        ".civitai.info",
        {
            "id": 1,
            "modelId": 7,
            "trainedWords": [],
            "model": {"name": subject, "type": "LORA"},
            "images": [example],
        },
    )


@pytest.fixture
def twins(loras: Path, scan: Callable[[], None], api: TestClient) -> None:
    """Two LoRAs for each subject, of which nothing tells which is better but the user's mark."""
    for subject in SUBJECTS:
        for letter in "ab":
            info(make_lora(loras / f"{subject}_{letter}.safetensors"), subject)
    scan()
    for lora in api.get("loras", params={"limit": 100}).json()["items"]:
        if lora["name"].endswith("_b"):
            assert api.patch(f"loras/{lora['id']}", json={"favorite": True}).status_code == 200


def make_images(api: TestClient, prompts: int, first: int = 0) -> None:
    """Images of a user who always takes the twin that is marked, each with a prompt of its own."""
    draw = random.Random(3)
    for number in range(first, first + prompts):
        subject = draw.choice(SUBJECTS)
        words = ", ".join([*draw.sample(MOODS, 3), f"take {number}"])
        name = f"{subject}_b"
        made: dict[str, Any] = {
            "uuid": str(uuid4()), "host": "sdnext", "kind": "txt2img", "negative_prompt": "", "images": [],
            "prompt": f"a {subject}, {words} <lora:{name}:0.7>", "loras": [{"name": name, "weight": 0.7}],
        }  # fmt: skip
        assert api.post("generations", json=made).status_code < 300


def learned(api: TestClient) -> Any:
    return api.get("recommendations/status").json()["index"]["learned"]


def test_too_few_images_teach_nothing(twins: None, api: TestClient, state: State) -> None:
    make_images(api, ENOUGH - 1)
    state.recommender.refresh()
    assert learned(api) is None
    assert learn(state.database, state.recommender.index) is None


def test_what_the_user_takes_is_learned_and_kept(
    twins: None, api: TestClient, state: State, data: Path
) -> None:
    make_images(api, ENOUGH + 40)
    state.recommender.refresh()
    told = learned(api)
    assert told["prompts"] == ENOUGH + 40 and told["helps"] and told["loss"] < told["loss_before"]
    keeper = TasteKeeper(data)
    favorite = 1 + FEATURES.index("favorite")
    numbers = [keeper.taste.fusion, *keeper.taste.features]
    assert numbers[favorite] > [1, *Taste().features][favorite]
    assert keeper.prompts == ENOUGH + 40 and not keeper.is_due(state.recommender.index, False)
    items = api.post("recommendations/prompt", json={"prompt": "a glacier, mist, dew"}).json()["items"]
    assert items[0]["lora"]["name"] == "glacier_b"
    make_images(api, 40, first=ENOUGH + 40)
    state.recommender.refresh()
    assert learned(api)["prompts"] == ENOUGH + 80


def test_a_prompt_is_asked_for_as_if_it_had_never_been_used(
    twins: None, api: TestClient, state: State
) -> None:
    make_images(api, ENOUGH)
    state.recommender.refresh()
    index = state.recommender.index
    before = [prompt.uses for prompt in index.prompts]
    assert len(own_prompts(index)) == ENOUGH
    once, again = (learn(state.database, index) for _ in range(2))
    assert once == again and once is not None and np.isfinite([once.loss, *once.taste.features]).all()
    assert [prompt.uses for prompt in index.prompts] == before


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 1, "prompts": 5, "learned": {"taste": {"fusion": 1}}}', "\0"]
)
def test_a_damaged_file_is_passed_over(data: Path, text: str) -> None:
    data.mkdir(exist_ok=True)
    (data / FILE).write_text(text)
    keeper = TasteKeeper(data)
    assert keeper.taste == Taste() and keeper.learned is None


def test_the_text_model_takes_part_and_what_is_learned_is_learned_anew_when_it_goes(
    twins: None, api: TestClient, state: State, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_images(api, ENOUGH)
    embedder = state.recommender.embedder
    model: list[Any] = [SimpleNamespace(id="m", name="tiny")]
    monkeypatch.setattr(type(embedder), "model", property(lambda _: model[0]))
    told = {"available": True, "done": 100, "pending": 0}
    monkeypatch.setattr(embedder, "status", lambda: {**told, "available": model[0] is not None})
    monkeypatch.setattr(
        embedder,
        "vectors_for",
        lambda texts: (np.full((len(texts), 4), 0.5, np.float32), np.ones(len(texts), bool)),
    )
    asked: list[bool] = []

    def note(database: Any, index: Any, vectors: Callable[[int], Any], rest: Any) -> Any:
        asked.append(vectors(0) is not None)
        return learn(database, index, vectors, rest)

    monkeypatch.setattr("sidecar.recommend.learning.learn", note)
    state.recommender.refresh()
    state.recommender.refresh()
    assert asked == [True] and TasteKeeper(data).by_meaning
    model[0] = None
    state.recommender.refresh()
    assert asked == [True, False] and not TasteKeeper(data).by_meaning
