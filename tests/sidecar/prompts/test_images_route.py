"""The route that takes pictures: what it refuses, and how it says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from infotext_pictures import comment_of, png, with_comment
from lora_files import picture
from starlette.testclient import TestClient

from sidecar.prompts.images import routes

LINE = "Steps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 8x8"


def refused(api: TestClient, content: bytes | Iterator[bytes], status: int) -> dict[str, str]:
    answer = api.post("prompts/image", content=content)
    assert answer.status_code == status, answer.text
    error: dict[str, str] = answer.json()["error"]
    return error


def test_the_whole_answer(prompt_library: Path, api: TestClient) -> None:
    content = png({"parameters": f"a <lora:nobody:0.5>\nNegative prompt: b\n{LINE}"})
    assert api.post("prompts/image", content=content, headers={"Content-Type": "image/png"}).json() == {
        "software": "A1111",
        "prompt": "a <lora:nobody:0.5>",
        "negative_prompt": "b",
        "parameters": {"steps": 20, "sampler": "Euler", "cfg": 7, "seed": 1, "size": "8x8"},
        "infotext": f"a <lora:nobody:0.5>\nNegative prompt: b\n{LINE}",
        "loras": [{"name": "nobody", "weight": 0.5, "hash": None, "found": None, "lora": None}],
        "missing": ["nobody"],
        "sets": [],
    }


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_picture_that_tells_nothing(api: TestClient, form: str) -> None:
    error = refused(api, picture(form=form), 422)
    assert error["code"] == "no_infotext"
    assert "tells nothing of its making" in error["message"]
    assert "original file" in error["message"]


@pytest.mark.parametrize(
    "content", [b"", b"hello", b'{"prompt": "cat"}', b"<svg xmlns='http://www.w3.org/2000/svg'/>"]
)
def test_what_is_no_picture(api: TestClient, content: bytes) -> None:
    error = refused(api, content, 400)
    assert error["code"] == "bad_request"
    assert "PNG, JPEG, WebP" in error["message"]


def test_too_much(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "MAX_PICTURE", 2**20)
    taken: list[int] = []

    def endless() -> Iterator[bytes]:
        for _ in range(40):
            taken.append(2**16)
            yield b"\x89PNG\r\n\x1a\n".ljust(2**16, b"a")

    error = refused(api, endless(), 413)
    assert error["code"] == "too_large"
    assert "larger than 1 MB" in error["message"]
    assert refused(api, b"\xff\xd8\xff".ljust(2**20 + 1), 413)["code"] == "too_large"
    assert refused(api, b"\xff\xd8\xff".ljust(2**20), 422)["code"] == "no_infotext"


def test_a_prompt_that_is_too_long_to_be_one(api: TestClient) -> None:
    error = refused(api, png({"parameters": f"{'a' * 1_000_001}\n{LINE}"}), 400)
    assert "too long" in error["message"]


def test_only_who_has_the_token_may_ask(api: TestClient) -> None:
    content = with_comment(comment_of(f"cat\n{LINE}"))
    assert api.post("prompts/image", content=content, headers={"Authorization": ""}).status_code == 401
    assert api.post("prompts/image", content=content).json()["prompt"] == "cat"


def test_nothing_of_a_form_is_taken_for_a_picture(api: TestClient) -> None:
    answer = api.post(
        "prompts/image", files={"file": ("a.png", png({"parameters": f"cat\n{LINE}"}), "image/png")}
    )
    assert answer.status_code == 400
