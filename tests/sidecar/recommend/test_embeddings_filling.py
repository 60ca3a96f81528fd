"""Vectors of a whole library, made in the background: all texts, resumed after any end, made anew when text or model change."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from fastapi.testclient import TestClient
from lora_files import add_side_file, make_lora
from text_models import DIES, NOT_A_NUMBER, RAISES, TAKES_LONG, hide, make_model, stand_in
from waiting import wait_until

from sidecar.recommend.documents import read_loras, read_prompts, text_key
from sidecar.recommend.embeddings import filling, service, store
from sidecar.recommend.embeddings.service import OFF, Embedder
from sidecar.recommend.embeddings.texts import count_read, each_text, lora_text
from sidecar.state import State

PROMPTS = ["a boat on the water", "two gulls over a boat", "ink on paper, a mountain"]


def add_lora(folder: Path, name: str, prompts: list[str], title: str = "") -> None:
    images = [
        {"url": f"https://example.com/{at}.png", "meta": {"prompt": one}} for at, one in enumerate(prompts)
    ]
    model = {"name": title or f"About {name}", "type": "LORA", "tags": [], "description": ""}
    info = {"id": 1, "modelId": 7, "name": "v1", "trainedWords": [], "model": model, "images": images}
    add_side_file(make_lora(folder / f"{name}.safetensors"), ".civitai.info", info)


@pytest.fixture
def embedder(
    state: State, loras: Path, tmp_path: Path, scan: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> Embedder:
    """Over a library of two LoRAs and three prompts, with a model; its thread is not started."""
    hide(monkeypatch, tmp_path)
    stand_in(tmp_path / "packages", monkeypatch)
    monkeypatch.setattr(filling, "REST", 0.0)
    add_lora(loras, "harbour", PROMPTS[:2])
    add_lora(loras, "ink", PROMPTS[2:])
    scan()
    state.settings.embedding_model = str(make_model(tmp_path / "model"))
    return state.recommender.embedder


def all_texts(state: State) -> list[str]:
    found = read_loras(state.database)
    about = [lora_text(lora.title, lora.trigger_words, lora.tags, lora.about) for lora in found]
    return [*about, *(prompt.text for prompt in read_prompts(state.database, found))]


def known(embedder: Embedder, texts: list[str]) -> list[str]:
    vectors, mask = embedder.vectors_for(texts)
    norms = np.linalg.norm(vectors[mask], axis=1)
    assert norms == pytest.approx(np.ones(len(norms)), abs=1e-2)
    return [text for text, there in zip(texts, mask) if there]


def test_every_text_gets_its_vector(embedder: Embedder, state: State, api: TestClient) -> None:
    assert api.get("health").json()["embeddings"] == {"model": "tiny", "pending": 2}
    before = embedder.revision
    embedder.work_off()
    texts = all_texts(state)
    assert len(texts) == 5 and known(embedder, texts) == texts
    assert embedder.revision != before
    status = api.get("recommendations/status").json()["embeddings"]
    expected = {"available": True, "model": "tiny", "dimension": 32, "done": 5, "pending": 0, "message": None}
    assert {name: status[name] for name in expected} == expected and status["device"] == "cpu"
    assert api.get("health").json()["embeddings"] == {"model": "tiny", "pending": 0}


def test_the_texts_come_straight_from_the_database_what_matters_most_first(
    embedder: Embedder, state: State, api: TestClient
) -> None:
    made = {"uuid": str(uuid4()), "host": "sdnext", "prompt": "mine <lora:ink:1>", "loras": [{"name": "ink"}]}
    api.post("generations", json=made).raise_for_status()
    texts = list(each_text(state.database))
    assert texts == [
        lora_text("About harbour", [], [], ""),
        lora_text("About ink", [], [], ""),
        "mine",
        *PROMPTS,
    ]
    assert set(texts) == set(all_texts(state))


def test_what_is_near_in_meaning_is_near_in_numbers(embedder: Embedder) -> None:
    embedder.work_off()
    wait_until(lambda: embedder.embed_query("a boat").vector is not None)
    query = embedder.embed_query("a boat").vector
    assert query is not None
    vectors, _ = embedder.vectors_for(PROMPTS)
    assert (vectors @ query).argmax() == 0 and (vectors @ query).argmin() == 2


def test_a_second_time_there_is_nothing_to_do(embedder: Embedder, state: State) -> None:
    embedder.work_off()
    revision = embedder.revision
    again = Embedder(
        state.database, state.events, state.settings, lambda: each_text(state.database), lambda: False
    )
    again.work_off()
    assert again.status()["pending"] == 0 and again.status()["done"] == 5
    assert again.status()["device"] is None, "no process was started"
    assert embedder.revision == revision
    again.stop()


def test_a_killed_process_costs_a_batch_and_it_goes_on(
    embedder: Embedder, state: State, loras: Path, scan: Callable[[], None]
) -> None:
    add_lora(loras, "many", [f"{TAKES_LONG} number {number}" for number in range(12)])
    scan()
    thread = threading.Thread(target=embedder.work_off)
    thread.start()
    wait_until(lambda: embedder.status()["done"] >= 6)
    pid = embedder.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    thread.join(30)
    assert count_read(state.database, str(embedder.model and embedder.model.id)) >= 6
    embedder.work_off()
    assert known(embedder, all_texts(state)) == all_texts(state)
    assert embedder.pid != pid


def test_stopped_in_the_middle_it_goes_on_where_it_was(
    embedder: Embedder, state: State, loras: Path, scan: Callable[[], None]
) -> None:
    add_lora(loras, "many", [f"{TAKES_LONG} number {number}" for number in range(12)])
    scan()
    thread = threading.Thread(target=embedder.work_off)
    thread.start()
    wait_until(lambda: embedder.status()["done"] >= 6)
    embedder.stop()
    thread.join(30)
    assert not thread.is_alive()
    again = Embedder(
        state.database, state.events, state.settings, lambda: each_text(state.database), lambda: False
    )
    first: list[int] = []
    state.events.subscribe(lambda event: first.append(event.data["done"]) if "embed" in event.type else None)
    again.work_off()
    assert first[0] >= 6
    assert known(again, all_texts(state)) == all_texts(state)
    again.stop()


@pytest.mark.parametrize("word", [RAISES, NOT_A_NUMBER, DIES])
def test_a_text_that_the_model_fails_over_is_left_out_and_nothing_else(
    embedder: Embedder, state: State, loras: Path, scan: Callable[[], None], word: str
) -> None:
    add_lora(loras, "odd", [f"odd {word}", "well one", "well two"])
    scan()
    for _ in range(3):
        embedder.work_off()
    texts = all_texts(state)
    assert known(embedder, texts) == [text for text in texts if word not in text]
    assert embedder.status()["pending"] == 0 and embedder.reason is None


@pytest.mark.parametrize(
    "odd", ["x" * 100_000, "日本の庭、桜", "🌸" * 500, "1girl, solo, ((masterpiece:1.4))", "\ud800 half"]
)
def test_odd_prompts_are_read_and_asked_for(embedder: Embedder, odd: str) -> None:
    embedder.work_off()
    wait_until(lambda: embedder.embed_query(odd).vector is not None)
    vector = embedder.embed_query(odd).vector
    assert vector is not None and np.linalg.norm(vector) == pytest.approx(1, abs=1e-4)


def test_an_empty_prompt_has_no_vector_and_asks_nobody(embedder: Embedder) -> None:
    for text in ("", "  \n "):
        assert embedder.embed_query(text).vector is None
        assert embedder.embed_query(text).reason == "The prompt is empty."
    assert embedder.pid is None


def test_a_changed_text_is_read_and_the_old_one_kept(
    embedder: Embedder, state: State, loras: Path, scan: Callable[[], None]
) -> None:
    embedder.work_off()
    add_lora(loras, "harbour", [*PROMPTS[:2], "a lighthouse"], title="Old harbour")
    scan()
    embedder.work_off()
    before, after = (lora_text(title, [], [], "") for title in ("About harbour", "Old harbour"))
    assert known(embedder, [after, "a lighthouse"]) == [after, "a lighthouse"]
    assert known(embedder, [before]) == [before], "few of them are kept"


def test_another_model_reads_everything_and_then_the_first_ones_vectors_go(
    embedder: Embedder, state: State, api: TestClient, tmp_path: Path
) -> None:
    embedder.work_off()
    first = embedder.model
    assert first is not None
    other = make_model(tmp_path / "other", name="other", size=48, seed=7)
    answer = api.patch("settings", json={"embedding_model": str(other)})
    assert answer.status_code == 200, answer.text
    assert api.get("health").json()["embeddings"]["model"] == "other"
    assert count_read(state.database, first.id) == 5, "until the other one is done"
    assert not embedder.vectors_for(PROMPTS)[1].any()
    embedder.work_off()
    assert embedder.vectors_for(PROMPTS)[0].shape == (3, 48) and embedder.vectors_for(PROMPTS)[1].all()
    assert count_read(state.database, first.id) == 0


def test_vectors_of_another_size_in_the_database_are_made_anew(embedder: Embedder, state: State) -> None:
    embedder.work_off()
    model = embedder.model
    assert model is not None
    store.save(state.database, model.id, [(text_key(PROMPTS[0]), np.ones(7, np.float32))])
    again = Embedder(
        state.database, state.events, state.settings, lambda: each_text(state.database), lambda: False
    )
    assert known(again, PROMPTS) == PROMPTS[1:]
    again.work_off()
    assert known(again, PROMPTS) == PROMPTS
    again.stop()


def test_while_something_else_reads_nothing_is_made(embedder: Embedder, state: State) -> None:
    resting = Embedder(
        state.database, state.events, state.settings, lambda: each_text(state.database), lambda: True
    )
    resting.work_off()
    assert resting.pid is None and resting.status()["pending"] == 2
    resting.stop()


def test_a_broken_model_is_told_and_everything_else_answers(
    embedder: Embedder, api: TestClient, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    (folder / "model.safetensors").write_bytes(b"")
    api.patch("settings", json={"embedding_device": "gpu"}).raise_for_status()
    embedder.look()
    status = api.get("recommendations/status").json()["embeddings"]
    assert not status["available"] and "model.safetensors is empty" in status["message"]
    assert api.get("health").json()["embeddings"] == {"model": None, "pending": 0}
    assert "is empty" in str(embedder.embed_query("a boat").reason)
    assert not embedder.vectors_for(PROMPTS)[1].any()


def test_turned_off_its_process_ends_and_what_is_stored_stays(
    embedder: Embedder, api: TestClient, state: State
) -> None:
    embedder.work_off()
    done = embedder.status()["done"]
    assert done and embedder.pid is not None
    api.patch("settings", json={"embedding_device": "off"}).raise_for_status()
    status = api.get("recommendations/status").json()["embeddings"]
    assert (status["available"], status["model"], status["message"]) == (False, None, OFF)
    assert embedder.pid is None and embedder.embed_query("a boat").reason == OFF
    embedder.work_off()
    assert embedder.pid is None
    api.patch("settings", json={"embedding_device": "cpu"}).raise_for_status()
    assert embedder.status()["done"] == done


@pytest.mark.parametrize("change", [{"embedding_device": "off"}, {"embedding_model": "another"}])
def test_a_change_of_model_ends_what_the_old_one_was_reading(
    embedder: Embedder,
    api: TestClient,
    state: State,
    loras: Path,
    scan: Callable[[], None],
    tmp_path: Path,
    change: dict[str, str],
) -> None:
    add_lora(loras, "long", [f"{TAKES_LONG} number {number}" for number in range(40)])
    scan()
    old = embedder.model
    thread = threading.Thread(target=embedder.work_off)
    thread.start()
    wait_until(lambda: embedder.pid is not None and embedder.status()["done"] > 0)
    if "embedding_model" in change:
        change = {"embedding_model": str(make_model(tmp_path / "another", name="another", seed=1))}
    api.patch("settings", json=change).raise_for_status()
    status = api.get("recommendations/status").json()["embeddings"]  # as the page does
    assert status["model"] == ("another" if "embedding_model" in change else None)
    thread.join(8)
    assert not thread.is_alive() and old is not None and count_read(state.database, old.id) < 40
    assert embedder.pid is None or "embedding_model" in change


def test_vectors_of_a_size_that_the_model_has_not_are_made_anew(embedder: Embedder, state: State) -> None:
    assert embedder.model is not None
    texts = all_texts(state)
    store.save(state.database, embedder.model.id, [(text_key(one), np.ones(3, np.float32)) for one in texts])
    embedder.work_off()
    assert embedder.status()["pending"] == 0  # nobody knows yet
    wait_until(lambda: embedder.embed_query("a boat").vector is not None)
    embedder.work_off()
    assert embedder.status()["dimension"] == 32 and known(embedder, texts) == texts


@pytest.mark.parametrize(
    "change", [{"embedding_model": "a\nb"}, {"embedding_model": "x" * 1_001}, {"embedding_device": "tpu"}]
)
def test_settings_that_cannot_be_are_refused(api: TestClient, change: dict[str, Any]) -> None:
    assert api.patch("settings", json=change).status_code == 400


def test_the_thread_makes_them_by_itself(
    embedder: Embedder, state: State, loras: Path, monkeypatch: pytest.MonkeyPatch, scan: Callable[[], None]
) -> None:
    for name in ("START_SECONDS", "CALM_SECONDS", "QUIET_SECONDS"):
        monkeypatch.setattr(service, name, 0.0)
    embedder.start()
    wait_until(lambda: embedder.status()["done"] == 5)
    add_lora(loras, "later", ["a later prompt"])
    scan()
    wait_until(lambda: known(embedder, ["a later prompt"]) != [])
