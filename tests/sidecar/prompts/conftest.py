"""A small library with a trap of each kind, and the routes for prompts over it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lora_files import add_side_file, make_lora
from starlette.testclient import TestClient

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def prompt_library(loras: Path, scan: Callable[[], None]) -> Path:
    """InkWash (words, weight, another name from training), Outfits (two lists), twins, a broken one and plain ones."""
    path = make_lora(loras / "styles" / "InkWash.safetensors", ss_output_name="inkwash-000010")
    add_side_file(path, ".json", {"activation text": "ink wash, soft brush", "preferred weight": 0.7})
    path = make_lora(loras / "Outfits.safetensors", width=2048, ss_output_name="outfits")
    add_side_file(
        path,
        ".civitai.info",
        {"id": 1, "modelId": 2, "trainedWords": ["miku, red dress, hat", "miku, silver armor", "smile"]},
    )
    path = make_lora(loras / "Careful.safetensors", width=768)
    add_side_file(path, ".json", {"activation text": "careful", "negative text": "blurry, lowres"})
    make_lora(loras / "plain.v1.safetensors")
    make_lora(loras / "one.safetensors", ss_output_name="shared")
    make_lora(loras / "two.safetensors", ss_output_name="shared")
    make_lora(loras / "a" / "twin.safetensors", modelspec__trigger_phrase="first")
    make_lora(loras / "b" / "twin.safetensors", width=2048, modelspec__trigger_phrase="second")
    (loras / "cut.safetensors").write_bytes(b"")
    scan()
    return loras


def _asking(api: TestClient, address: str) -> Ask:
    def ask(prompt: Any, **more: Any) -> dict[str, Any]:
        answer = api.post(address, json={"prompt": prompt, **more})
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result

    return ask


@pytest.fixture
def compose(prompt_library: Path, api: TestClient) -> Ask:
    """Compose a prompt over the library of traps."""
    return _asking(api, "prompts/compose")


@pytest.fixture
def lint(prompt_library: Path, api: TestClient) -> Ask:
    """Lint a prompt over the library of traps."""
    return _asking(api, "prompts/lint")


@pytest.fixture
def make_set(prompt_library: Path, api: TestClient) -> Callable[..., dict[str, Any]]:
    """Make a set of LoRAs given by name, or as objects."""

    def make(name: str, *loras: Any, **more: Any) -> dict[str, Any]:
        given = [{"name": one} if isinstance(one, str) else one for one in loras]
        answer = api.post("sets", json={"name": name, "loras": given, **more})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    return make
