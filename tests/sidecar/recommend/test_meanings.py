"""Vectors of texts in a ranking: they take part when all are there, and otherwise an answer says why they do not."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from lora_files import add_side_file, make_lora

from sidecar.recommend.documents import text_key
from sidecar.recommend.embeddings import store
from sidecar.recommend.embeddings.service import Query
from sidecar.recommend.embeddings.texts import lora_text
from sidecar.recommend.meanings import Meanings
from sidecar.state import State

MODEL = "tiny@1"
MEANINGS = {"sea": 0, "ship": 0, "ocean": 0, "hill": 1, "mountain": 1, "summit": 1, "bread": 2, "bakery": 2}
SIZE = 8


def vector_of(text: str) -> Any:
    """Words of one meaning lie in one direction."""
    vector = np.full(SIZE, 0.01, np.float32)
    for word, meaning in MEANINGS.items():
        vector[meaning] += text.lower().count(word)
    return vector / np.linalg.norm(vector)


class Model:
    """What a text model's process would answer; the vectors of the library come from the database."""

    def __init__(self, state: State) -> None:
        self._database = state.database
        self.model: Any = SimpleNamespace(id=MODEL, name="tiny")
        self.revision = (MODEL, 0)
        self.reason: str | None = None
        self.is_off = False

    def embed_query(self, text: str, seconds: float = 1.0) -> Query:
        return Query(None, self.reason) if self.reason else Query(vector_of(text))

    def status(self) -> dict[str, Any]:
        return {"available": True, "done": 1, "pending": 0}

    def vectors_for(self, texts: list[str]) -> Any:
        return store.vectors_for(self._database, MODEL, texts)


@pytest.fixture
def library(loras: Path, scan: Callable[[], None], state: State) -> None:
    """LoRAs that a prompt's words do not find, only its meaning."""
    for name, about in (("one", "ship"), ("two", "mountain"), ("three", "bread"), ("four", "glass")):
        info = {
            "id": 1,
            "modelId": 7,
            "trainedWords": [],
            "model": {"name": name, "type": "LORA", "description": about},
        }
        info["images"] = [
            {"url": f"https://example.com/{name}.png", "meta": {"prompt": f"a picture of {about}"}}
        ]
        add_side_file(make_lora(loras / f"{name}.safetensors"), ".civitai.info", info)
    scan()
    state.recommender.refresh()


@pytest.fixture
def model(library: None, state: State) -> Model:
    model = Model(state)
    state.recommender.__dict__["_meanings"] = Meanings(model)  # type: ignore[arg-type]
    return model


def know(state: State, share: float = 1.0) -> None:
    index = state.recommender.index
    texts = [one.text for one in index.prompts]
    texts += [lora_text(one.title, one.trigger_words, one.tags, one.about) for one in index.loras]
    texts = texts[: round(share * len(texts))]
    store.save(state.database, MODEL, [(text_key(text), vector_of(text)) for text in texts])


def ask(api: TestClient, prompt: str) -> dict[str, Any]:
    answer: dict[str, Any] = api.post("recommendations/prompt", json={"prompt": prompt}).json()
    return answer


def ask_until(api: TestClient, prompt: str, done: Callable[[list[str]], bool]) -> dict[str, Any]:
    """Vectors are read in the background."""
    for _ in range(200):
        answer = ask(api, prompt)
        if done(answer["notes"]):
            return answer
        time.sleep(0.05)
    raise AssertionError(answer["notes"])


def test_a_prompt_finds_what_means_the_same(api: TestClient, state: State, model: Model) -> None:
    know(state)
    answer = ask_until(api, "the ocean", lambda notes: not notes)
    assert answer["items"][0]["lora"]["name"] == "one"
    assert "embedding" in [reason["kind"] for reason in answer["items"][0]["reasons"]]
    assert ask(api, "a summit")["items"][0]["lora"]["name"] == "two"


def test_too_few_vectors_are_told_and_the_rest_still_ranks(
    api: TestClient, state: State, model: Model
) -> None:
    know(state, share=0.5)
    answer = ask_until(api, "a picture of glass", lambda notes: "50%" in " ".join(notes))
    assert answer["items"][0]["lora"]["name"] == "four"
    know(state)
    model.revision = (MODEL, 1)
    ask_until(api, "the ocean", lambda notes: not notes)


def test_why_there_is_no_model_is_told(api: TestClient, state: State, model: Model) -> None:
    model.reason = "The text model is being loaded."
    answer = ask(api, "a picture of glass")
    assert answer["notes"] == [model.reason] and answer["items"][0]["lora"]["name"] == "four"
    model.is_off = True  # by the user, who knows
    assert ask(api, "a picture of glass")["notes"] == []


def test_vectors_of_another_size_do_not_take_part(api: TestClient, state: State, model: Model) -> None:
    know(state)
    ask_until(api, "the ocean", lambda notes: not notes)
    model.embed_query = lambda text, seconds=1.0: Query(np.ones(SIZE + 4, np.float32))  # type: ignore[method-assign]
    answer = ask(api, "a picture of glass")
    assert "changed" in answer["notes"][0] and answer["items"][0]["lora"]["name"] == "four"


def test_a_new_index_waits_for_its_vectors(
    api: TestClient, state: State, model: Model, loras: Path, scan: Callable[[], None]
) -> None:
    know(state)
    ask_until(api, "the ocean", lambda notes: not notes)
    make_lora(loras / "five.safetensors")
    scan()
    state.recommender.refresh()
    assert isinstance(ask(api, "the ocean")["items"], list)
    assert ask_until(api, "the ocean", lambda notes: not notes)["items"][0]["lora"]["name"] == "one"
