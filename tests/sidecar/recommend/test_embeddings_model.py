"""A real model in its real process: where torch, sentence-transformers and a package with a model are installed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lora_files import add_side_file, make_lora
from waiting import wait_until

from sidecar.recommend.embeddings.finding import NoModel, find_model
from sidecar.recommend.embeddings.service import Embedder
from sidecar.recommend.embeddings.texts import each_text
from sidecar.state import State

try:
    MODEL = find_model()
except NoModel as error:
    pytest.skip(str(error), allow_module_level=True)

pytestmark = pytest.mark.timeout(240)
ROOT = Path(__file__).parents[3]
SECONDS = 120.0
PROMPTS = {
    "harbour": [
        "fishing boats in the harbour at dawn, mist over the water",
        "a sailing ship leaving the bay",
    ],
    "portrait": [
        "close-up photograph of an old woman, wrinkles, soft light",
        "face of a man, studio portrait",
    ],
    "robot": ["giant mecha with blue armour, hangar, steam", "humanoid machine, glowing eyes, cables"],
}


@pytest.fixture
def library(loras: Path, scan: Callable[[], None]) -> None:
    for name, prompts in PROMPTS.items():
        images = [
            {"url": f"https://example.com/{at}.png", "meta": {"prompt": one}}
            for at, one in enumerate(prompts)
        ]
        model = {"name": name.title(), "type": "LORA", "tags": [], "description": ""}
        info = {"id": 1, "modelId": 7, "name": "v1", "trainedWords": [], "model": model, "images": images}
        add_side_file(make_lora(loras / f"{name}.safetensors"), ".civitai.info", info)
    scan()


@pytest.fixture
def embedder(library: None, state: State) -> Iterator[Embedder]:
    """All texts of the library have their vectors."""
    embedder = state.recommender.embedder
    embedder.work_off()
    yield embedder


def vector_of(embedder: Embedder, text: str) -> Any:
    wait_until(lambda: embedder.embed_query(text, 10.0).vector is not None, SECONDS)
    return embedder.embed_query(text, 10.0).vector


def test_meaning_is_found_without_a_common_word(embedder: Embedder) -> None:
    assert embedder.status()["available"] and embedder.status()["pending"] == 0
    texts = [prompt for prompts in PROMPTS.values() for prompt in prompts]
    vectors, mask = embedder.vectors_for(texts)
    assert mask.all() and vectors.shape == (6, embedder.status()["dimension"])
    for asked, expected in (
        ("vessels anchored near a pier", "harbour"),
        ("grandmother's head shot", "portrait"),
        ("android warrior made of metal", "robot"),
    ):
        nearest = texts[int((vectors @ vector_of(embedder, asked)).argmax())]
        assert nearest in PROMPTS[expected], asked


def test_any_prompt_has_a_whole_vector(embedder: Embedder) -> None:
    odd = ("x " * 50_000, "日本の庭、桜の花", "Ein altes Haus am See", "🌸🌸🌸", "1girl, solo", "\ud800")
    for text in odd:
        vector = vector_of(embedder, text)
        assert np.isfinite(vector).all() and np.linalg.norm(vector) == pytest.approx(1, abs=1e-3), text[:20]
    assert vector_of(embedder, odd[1]) @ vector_of(embedder, odd[2]) < 0.99, "they are told apart"


def test_what_is_stored_is_what_the_model_says_now(embedder: Embedder) -> None:
    text = PROMPTS["harbour"][0]
    assert embedder.vectors_for([text])[0][0] == pytest.approx(vector_of(embedder, text), abs=2e-3)


def test_a_killed_process_is_started_again(embedder: Embedder) -> None:
    vector_of(embedder, "one")
    pid = embedder.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert np.linalg.norm(vector_of(embedder, "another")) == pytest.approx(1, abs=1e-3)
    assert embedder.pid != pid


def test_a_folder_with_the_same_model_needs_no_vector_anew(
    embedder: Embedder, state: State, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(MODEL.folder), str(copy)], check=True)
    state.settings.embedding_model = str(copy)
    again = Embedder(
        state.database, state.events, state.settings, lambda: each_text(state.database), lambda: False
    )
    again.work_off()
    assert (again.status()["pending"], again.pid) == (0, None)
    again.stop()


def test_a_served_library_tells_its_model_and_what_is_pending(
    loras: Path, library: None, tmp_path: Path
) -> None:
    data = tmp_path / "served"
    command = [
        sys.executable,
        "-m",
        "sidecar",
        "serve",
        "--data",
        str(data),
        "--loras",
        str(loras),
        "--port",
        "0",
    ]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: (data / "sidecar.json").exists() or process.poll() is not None)

        def get(path: str) -> Any:
            url = json.loads((data / "sidecar.json").read_text())["url"]
            headers = {"Authorization": f"Bearer {(data / 'token').read_text()}"}
            with urllib.request.urlopen(
                urllib.request.Request(f"{url}/api/v1/{path}", headers=headers)
            ) as answer:
                return json.load(answer)

        wait_until(lambda: get("health")["loras"] == 3)
        health = get("health")["embeddings"]
        assert health["model"] == MODEL.name and health["pending"] == 3
        status = get("recommendations/status")["embeddings"]
        assert status["available"] and status["message"] is None and status["device"] is None
    finally:
        process.terminate()
        assert process.wait(20) == 0
