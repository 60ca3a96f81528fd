"""The worker that takes sketches, likeness by weights, and interference over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from waiting import wait_until
from weight_files import diffusers, kohya, make_weights, save_tensors, scaled, with_noise

from sidecar.events import Events
from sidecar.recommend.weightspace import sketch
from sidecar.recommend.weightspace.similar import similar_by_weights
from sidecar.recommend.weightspace.sketching import Sketcher
from sidecar.recommend.weightspace.store import status
from sidecar.state import State

Work = Callable[[], None]


@pytest.fixture
def work(scan: Work, state: State) -> Work:
    """Scan and hash everything there is."""

    def run() -> None:
        scan()
        hasher = state.library.hasher
        hasher.wake() if hasher.started else hasher.start()
        wait_until(lambda: not hasher.status()["pending"])

    return run


@pytest.fixture
def library(loras: Path, work: Work) -> Path:
    """Two related LoRAs, one unrelated, one of another architecture, one without numbers."""
    base = make_weights(1)
    save_tensors(loras / "base.safetensors", kohya(base), "F16")
    save_tensors(loras / "next.safetensors", diffusers(with_noise(base, 0.5)))
    save_tensors(loras / "other.safetensors", kohya(make_weights(2)))
    save_tensors(loras / "half.safetensors", kohya(scaled(base, 0.5)))
    few = {"unet.elsewhere.to_q": (64, 64)}
    save_tensors(loras / "foreign.safetensors", kohya(make_weights(3, layers=few)))
    broken = kohya(base)
    name = next(name for name in broken if "lora_up" in name)
    broken[name] = np.full_like(broken[name], np.nan)
    save_tensors(loras / "broken.safetensors", broken)
    work()
    return loras


def ids(state: State) -> dict[str, int]:
    return {row["stem"]: row["id"] for row in state.database.reader().execute("SELECT id, stem FROM loras")}


def test_the_worker_goes_on_where_it_ended(library: Path, state: State) -> None:
    looks = iter([False, False] + [True] * 9)
    Sketcher(state.database, Events(), lambda: next(looks)).work_off()
    assert status(state.database) == {"done": 2, "pending": 4}
    Sketcher(state.database, Events(), lambda: False).work_off()
    assert status(state.database) == {"done": 6, "pending": 0}


def test_the_like_are_found_and_other_architectures_are_not(library: Path, state: State, work: Work) -> None:
    known = ids(state)
    assert similar_by_weights(state.database, known["base"], 5) == (
        [],
        ["Its weights are not looked at yet."],
    )
    state.library.sketcher.work_off()
    pairs, notes = similar_by_weights(state.database, known["base"], 5)
    assert [lora for lora, _ in pairs] == [known["half"], known["next"]] and not notes
    assert pairs[0][1] > 0.99 > pairs[1][1] > 0.5
    assert similar_by_weights(state.database, known["foreign"], 5) == ([], [])
    pairs, notes = similar_by_weights(state.database, known["broken"], 5)
    assert not pairs and "NaN" in notes[0]
    save_tensors(library / "third.safetensors", kohya(scaled(make_weights(1), 2)))
    work()
    state.library.sketcher.work_off()
    assert ids(state)["third"] in [
        lora for lora, _ in similar_by_weights(state.database, known["base"], 5)[0]
    ]


def ask(api: TestClient, *loras: tuple[str, float], status: int = 200) -> dict[str, Any]:
    wanted = [{"name": name, "weight": weight} for name, weight in loras]
    answer = api.post("recommendations/interference", json={"loras": wanted})
    assert answer.status_code == status, answer.text
    result: dict[str, Any] = answer.json()
    return result


def test_interference_is_exact_and_takes_weights_into_account(library: Path, api: TestClient) -> None:
    answer = ask(api, ("base", 1), ("half", -0.5), ("other", 1))
    assert [one["name"] for one in answer["loras"]] == ["base", "half", "other"]
    assert answer["overall"][0][1] == pytest.approx(-1, abs=1e-3)
    assert {"IN04", "MID"} <= {block["name"] for block in answer["blocks"]}
    for block in answer["blocks"]:
        assert block["norms"][1] == pytest.approx(block["norms"][0] / 4, rel=1e-2)
        assert block["cosines"][1][0] == pytest.approx(-1, abs=1e-3)
    assert ask(api, ("base", 1), ("half", 1))["pull"] == pytest.approx(1, abs=1e-3)
    assert ask(api, ("base", 1), ("other", 1))["pull"] < 0.2
    assert ask(api, ("base", 0), ("other", 1))["overall"][0][1] is None


def test_what_cannot_be_compared_is_told_and_has_no_number(library: Path, api: TestClient) -> None:
    answer = ask(api, ("base", 1), ("half", 1), ("foreign", 1), ("broken", 1), ("nobody", 1))
    assert len(answer["overall"]) == 2
    notes = " ".join(answer["notes"])
    assert "foreign is for another architecture" in notes and "NaN" in notes and "nobody is no LoRA" in notes
    assert ask(api, ("base", 1), ("foreign", 1), status=422)["error"]["code"] == "not_comparable"
    assert ask(api, ("base", 1), ("base", 1), status=422)["error"]["code"] == "not_comparable"


def test_a_file_that_is_gone_is_told(library: Path, work: Work, api: TestClient) -> None:
    gone = save_tensors(library / "gone.safetensors", kohya(make_weights(77)))
    work()
    gone.unlink()
    assert "gone cannot be read" in ask(api, ("base", 1), ("gone", 1), ("other", 1))["notes"][0]


def test_a_file_that_nobody_foresaw_keeps_no_other_from_its_sketch(
    library: Path, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = sketch.take_sketch

    def take(path: str) -> sketch.Sketch:
        if path.endswith("next.safetensors"):
            raise MemoryError
        return whole(path)

    monkeypatch.setattr(sketch, "take_sketch", take)
    Sketcher(state.database, Events(), lambda: False).work_off()
    assert status(state.database) == {"done": 5, "pending": 1}


def test_a_layer_said_to_be_huge_is_not_multiplied_out(loras: Path, work: Work, state: State) -> None:
    layer = "lora_unet_down_blocks_0_attentions_0_proj_in"
    few = {"lokr_w1": (100_000, 1), "lokr_w2": (1, 100_000)}
    save_tensors(
        loras / "wide.safetensors",
        {f"{layer}.{name}": np.ones(shape, np.float32) for name, shape in few.items()},
    )
    work()
    Sketcher(state.database, Events(), lambda: False).work_off()
    row = state.database.reader().execute("SELECT vector, reason FROM sketches").fetchone()
    assert row["vector"] is None and "100000 x 100000" in row["reason"]
