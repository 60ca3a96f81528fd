"""Lint of LoRAs whose weights point the same way, or opposite ways: told from sketches alone, and mended with one click."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from waiting import wait_until
from weight_files import diffusers, kohya, make_weights, save_tensors, scaled, with_noise

from sidecar.recommend.weightspace import near
from sidecar.state import State

Problems = Callable[..., list[dict[str, Any]]]
CODES = ("same_direction", "opposite_direction")


@pytest.fixture
def sketched(scan: Callable[[], None], state: State) -> Callable[[], None]:
    """Scan, hash and sketch everything there is."""

    def run() -> None:
        scan()
        hasher = state.library.hasher
        hasher.wake() if hasher.started else hasher.start()
        wait_until(lambda: not hasher.status()["pending"])
        state.library.sketcher.work_off()

    return run


@pytest.fixture
def library(loras: Path, sketched: Callable[[], None]) -> Path:
    """`ink`, `again` (the same twice as strong), `next` (some training later), `negative` and `other`."""
    base = make_weights(1)
    save_tensors(loras / "ink.safetensors", kohya(base))
    save_tensors(loras / "again.safetensors", diffusers(scaled(base, 2)))
    save_tensors(loras / "next.safetensors", kohya(with_noise(base, 0.4)))
    save_tensors(loras / "negative.safetensors", kohya(scaled(base, -1)))
    save_tensors(loras / "other.safetensors", kohya(make_weights(2)))
    sketched()
    return loras


@pytest.fixture
def problems(api: TestClient) -> Problems:
    def run(prompt: str, **more: Any) -> list[dict[str, Any]]:
        answer = api.post("prompts/lint", json={"prompt": prompt, "host": "reforge", **more})
        assert answer.status_code == 200, answer.text
        return [one for one in answer.json()["problems"] if one["code"] in CODES]

    return run


def fixed(prompt: str, problem: dict[str, Any]) -> str:
    for change in sorted(problem["fixes"][0]["changes"], key=lambda one: -one["start"]):
        prompt = prompt[: change["start"]] + change["text"] + prompt[change["end"] :]
    return prompt


@pytest.mark.parametrize(
    ("prompt", "acts", "mended"),
    [
        ("🦊 <lora:ink:1> b <lora:again:0.5>", "ink at 2 (", "🦊 <lora:ink:0.5> b <lora:again:0.25>"),
        ("<lora:ink:1>, <lora:again:1>", "again at 1.5 (", "<lora:ink:0.67>, <lora:again:0.67>"),
        ("<lora:ink:-1> <lora:again:-1>", "again at -1.5 (", "<lora:ink:-0.67> <lora:again:-0.67>"),
        ("<lora:ink:1> <lora:negative:-1>", "ink at 2 (", "<lora:ink:0.5> <lora:negative:-0.5>"),
        ("<lora:ink:2> <lora:again:1>", "ink at 4 (", "<lora:ink:0.5> <lora:again:0.25>"),
        ("<lora:ink:0.8> <lora:again:0.4> <lora:negative:-0.8>", "ink at 2.4 (", None),
        ("<lora:ink> <lora:again>", "again at 1.5 (", "<lora:ink:0.67> <lora:again:0.67>"),
        ("<lora:ink:1:te=0.5:unet=1> <lora:again:0.5>", "ink at 2 (", None),
    ],
)
def test_the_same_at_full_weights_is_told_and_scaled_down(
    library: Path, problems: Problems, prompt: str, acts: str, mended: str | None
) -> None:
    (problem,) = problems(prompt)
    assert (problem["code"], problem["level"]) == ("same_direction", "warning")
    assert acts in problem["message"]
    assert prompt[problem["start"] : problem["end"]].startswith(f"<lora:{problem['lora']}")
    after = fixed(prompt, problem)
    assert mended in (None, after)
    assert problems(after) == []


@pytest.mark.parametrize(
    "prompt",
    [
        "<lora:ink:0.5> <lora:again:0.25>",
        "<lora:ink:1> <lora:again:0.05>",
        "<lora:ink:1> <lora:other:1>",
        "<lora:ink:1> <lora:again:0>",
        "<lora:ink:1> <lora:ink:1>",
        "<lora:ink:1> <lora:nowhere:1>",
        "<lora:ink:nan> <lora:again:1>",
        "<lora:ink:1>",
        "",
    ],
)
def test_nothing_is_said_without_need(library: Path, problems: Problems, prompt: str) -> None:
    assert problems(prompt) == []


def test_what_is_alike_but_not_the_same_counts_by_how_much(library: Path, problems: Problems) -> None:
    (problem,) = problems("<lora:ink:1> <lora:next:1>")
    acts = float(problem["message"].split(" at ")[1].split(" ")[0])
    assert 1.6 < acts < 2
    assert problems(fixed("<lora:ink:1> <lora:next:1>", problem)) == []


def test_opposite_ways_are_only_mentioned(library: Path, problems: Problems) -> None:
    (problem,) = problems("<lora:ink:1> <lora:again:-0.2>")
    assert (problem["code"], problem["level"], problem["fixes"]) == ("opposite_direction", "info", [])
    assert "act like ink at 0.6" in problem["message"]
    (problem,) = problems("<lora:ink:1> <lora:negative:1>")
    assert "nothing of ink is left" in problem["message"]


def test_groups_are_told_each_on_their_own(
    loras: Path, library: Path, sketched: Callable[[], None], problems: Problems
) -> None:
    save_tensors(loras / "other2.safetensors", kohya(scaled(make_weights(2), 1.1)))
    sketched()
    prompt = "<lora:ink:1> <lora:other:1> <lora:again:1> <lora:other2:1>"
    found = problems(prompt)
    assert {one["lora"] for one in found} == {"again", "other2"}
    for one in found:
        assert one not in problems(fixed(prompt, one))
        assert len(problems(fixed(prompt, one))) == 1


def test_the_usual_weight_is_what_counts(library: Path, problems: Problems, api: TestClient) -> None:
    ids = {one["name"]: one["id"] for one in api.get("loras").json()["items"]}
    api.patch(f"loras/{ids['ink']}", json={"weight": 0.4}).raise_for_status()
    api.patch(f"loras/{ids['again']}", json={"weight": 0.2}).raise_for_status()
    (problem,) = problems("<lora:ink> <lora:again>")
    assert "like ink at 0.8 (usual is 0.4)" in problem["message"]
    assert fixed("<lora:ink> <lora:again>", problem) == "<lora:ink:0.2> <lora:again:0.1>"
    assert problems("<lora:ink:0.2> <lora:again:0.1>") == []


def test_what_a_set_brings_counts(library: Path, problems: Problems, api: TestClient) -> None:
    made = api.post("sets", json={"name": "Calm", "loras": [{"name": "again", "weight": 1}]})
    made.raise_for_status()
    prompt = "<lora:ink:1>, <set:Calm>"
    (problem,) = problems(prompt)
    assert problem["message"].startswith("again and ink") and problem["fixes"] == []
    assert prompt[problem["start"] : problem["end"]] == "<lora:ink:1>"
    api.post("sets", json={"name": "Both", "loras": [{"name": "again"}, {"name": "ink"}]}).raise_for_status()
    (problem,) = problems("a, <set:Both>")
    assert "a, <set:Both>"[problem["start"] : problem["end"]] == "<set:Both>"


def test_it_is_noted_when_a_prompt_is_composed(library: Path, api: TestClient) -> None:
    answer = api.post(
        "prompts/compose", json={"prompt": "<lora:ink:1> <lora:again:1>", "host": "a1111"}
    ).json()
    assert [(note["code"], note["level"]) for note in answer["notes"]] == [("same_direction", "warning")]


def test_a_content_in_two_files_is_the_same(
    loras: Path, sketched: Callable[[], None], problems: Problems
) -> None:
    for name in ("a", "b"):
        save_tensors(loras / f"{name}.safetensors", kohya(make_weights(1)))
    sketched()
    (problem,) = problems("<lora:a:0.8> <lora:b:0.8>")
    assert "at 1.6" in problem["message"]


def test_nothing_is_said_of_what_cannot_be_compared(
    loras: Path, sketched: Callable[[], None], scan: Callable[[], None], problems: Problems
) -> None:
    base = make_weights(1)
    save_tensors(loras / "good.safetensors", kohya(base))
    for name, value in (("nan", np.nan), ("zero", 0.0)):
        bad = {key: one * value if "lora_up" in key else one for key, one in kohya(base).items()}
        save_tensors(loras / f"{name}.safetensors", bad)
    few = {"unet.elsewhere.to_q": (64, 64)}
    save_tensors(loras / "foreign.safetensors", kohya(make_weights(1, layers=few)))
    sketched()
    save_tensors(loras / "new.safetensors", kohya(scaled(base, 3)))
    scan()  # known, and not sketched yet
    for name in ("nan", "zero", "foreign", "new"):
        assert problems(f"<lora:good:1> <lora:{name}:1>") == [], name


def test_the_exact_figure_counts_once_it_is_known(library: Path, api: TestClient, state: State) -> None:
    rows = state.database.reader().execute("SELECT stem, body_hash FROM loras")
    hashes = {row["stem"]: row["body_hash"] for row in rows}
    pair = (hashes["ink"], hashes["next"])
    estimated = near.likeness(state.database, pair).cosines[pair]
    wanted = [{"name": "ink", "weight": 1}, {"name": "next", "weight": 1}]
    exact = api.post("recommendations/interference", json={"loras": wanted}).json()["overall"][0][1]
    assert near.likeness(state.database, pair).cosines[pair] == pytest.approx(exact, abs=1e-9)
    assert estimated == pytest.approx(exact, abs=0.03)
