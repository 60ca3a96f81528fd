"""What is nearly the same by its weights: found, listed apart from duplicates, and settled when the user says so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from waiting import wait_until
from weight_files import Lora, Pair, kohya, make_weights, resized, save_tensors, with_noise

from sidecar.events import Events
from sidecar.recommend.weightspace import pairing
from sidecar.recommend.weightspace.sketching import Sketcher
from sidecar.state import State

Work = Callable[[], None]
BASE = make_weights(1)


@pytest.fixture
def work(scan: Work, state: State) -> Work:
    """Scan, hash, compare and sketch everything there is."""

    def run() -> None:
        scan()
        hasher = state.library.hasher
        hasher.wake() if hasher.started else hasher.start()
        wait_until(lambda: not hasher.status()["pending"])
        state.library.weights.work_off()
        state.library.sketcher.work_off()

    return run


def merged(one: Lora, other: Lora, part: float) -> Lora:
    """one + part · other."""
    return {
        name: Pair(
            np.hstack([pair.up * pair.alpha / pair.rank, part * other[name].up * other[name].alpha / other[name].rank]),
            np.vstack([pair.down, other[name].down]),
            pair.rank + other[name].rank,
        )
        for name, pair in one.items()
    }  # fmt: skip


def near(api: TestClient, alike: float = 0.9) -> list[list[str]]:
    answer = api.get("duplicates", params={"kind": "near", "alike": alike}).json()
    return [sorted(lora["name"] for lora in group["loras"]) for group in answer["items"]]


@pytest.fixture
def library(loras: Path, work: Work) -> Path:
    save_tensors(loras / "base.safetensors", kohya(BASE), "F16")
    shutil.copy(loras / "base.safetensors", loras / "base copy.safetensors")
    save_tensors(loras / "half the numbers.safetensors", kohya(BASE), "BF16")
    save_tensors(loras / "epoch.safetensors", kohya(with_noise(BASE, 0.2)), "F16")
    save_tensors(loras / "far epoch.safetensors", kohya(with_noise(BASE, 0.6)), "F16")
    save_tensors(loras / "merge.safetensors", kohya(merged(BASE, make_weights(5), 0.3)), "F16")
    save_tensors(
        loras / "resized merge.safetensors", kohya(resized(merged(BASE, make_weights(6), 0.2), 16)), "F16"
    )
    save_tensors(loras / "stranger.safetensors", kohya(make_weights(2)), "F16")
    work()
    return loras


def test_epochs_merges_and_other_ranks_are_found_and_strangers_are_not(
    library: Path, api: TestClient
) -> None:
    all_near = ["base", "base copy", "epoch", "half the numbers", "merge", "resized merge"]
    assert near(api) == [all_near]
    assert near(api, 0.8) == [sorted([*all_near, "far epoch"])]
    assert near(api, 0.999) == []


def test_what_no_hash_tells_apart_is_listed_as_duplicates_and_not_here(
    loras: Path, work: Work, api: TestClient
) -> None:
    save_tensors(loras / "one.safetensors", kohya(BASE), "F32")
    save_tensors(loras / "two.safetensors", kohya(BASE), "F16")
    shutil.copy(loras / "one.safetensors", loras / "three.safetensors")
    work()
    assert near(api) == []
    assert api.get("duplicates").json()["total"] == 1
    assert api.get("loras", params={"q": "is:duplicate"}).json()["total"] == 3


def test_likeness_is_told_and_the_duplicates_keep_to_themselves(library: Path, api: TestClient) -> None:
    (group,) = api.get("duplicates", params={"kind": "near"}).json()["items"]
    assert group["kind"] == "near" and group["count"] == 6
    likeness = {lora["name"]: lora["likeness"] for lora in group["loras"]}
    assert likeness[group["loras"][0]["name"]] == 1
    assert all(0.8 < value <= 1 for value in likeness.values())
    sizes = [lora["size"] for lora in group["loras"]]
    assert group["wasted"] == sum(sizes) - max(sizes)
    strict = api.get("duplicates").json()["items"]
    assert [sorted(lora["name"] for lora in one["loras"]) for one in strict] == [
        ["base", "base copy", "half the numbers"]
    ]
    assert "likeness" not in strict[0]["loras"][0]


def test_comparing_tells_the_exact_cosine(library: Path, api: TestClient) -> None:
    known = {item["name"]: item["id"] for item in api.get("loras").json()["items"]}
    ids = f"{known['base']},{known['epoch']}"
    exact = api.get("duplicates/compare", params={"ids": ids}).json()["similarity"]
    assert exact == pytest.approx(1 / 1.04, abs=0.01)
    os.truncate(library / "epoch.safetensors", 1000)
    os.truncate(library / "far epoch.safetensors", 4)
    ids = f"{known['base']},{known['far epoch']}"
    assert api.get("duplicates/compare", params={"ids": ids}).json()["similarity"] is None


def test_one_goes_only_when_near_is_wanted_and_it_can_be_undone(library: Path, api: TestClient) -> None:
    known = {item["name"]: item["id"] for item in api.get("loras").json()["items"]}
    body: dict[str, Any] = {"keep": known["base"], "remove": [known["epoch"]]}
    answer = api.post("duplicates/resolve", json=body)
    assert answer.status_code == 400 and "not known to be a duplicate" in answer.json()["error"]["message"]
    far = {"keep": known["base"], "remove": [known["far epoch"]], "near": 0.95}
    assert api.post("duplicates/resolve", json=far).status_code == 400
    answer = api.post("duplicates/resolve", json={**body, "near": 0.9}).json()
    assert answer["done"] == 1 and not (library / "epoch.safetensors").exists()
    assert "epoch" not in near(api)[0]
    assert api.post(f"actions/{answer['action']}/undo").status_code == 200
    assert (library / "epoch.safetensors").exists()


def test_those_that_the_user_keeps_are_not_listed_again(library: Path, api: TestClient) -> None:
    (group,) = api.get("duplicates", params={"kind": "near"}).json()["items"]
    ids = [lora["id"] for lora in group["loras"]]
    api.post("duplicates/ignore", json={"ids": ids})
    assert near(api) == []
    api.request("DELETE", "duplicates/ignore", json={"ids": ids})
    assert len(near(api)) == 1


@pytest.mark.parametrize("alike", ["0.5", "1.1", "nan", "much"])
def test_a_likeness_that_is_none_is_refused(api: TestClient, alike: str) -> None:
    assert api.get("duplicates", params={"kind": "near", "alike": alike}).status_code == 422


def test_comparing_goes_on_where_it_ended(
    library: Path, state: State, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.database.write(lambda connection: connection.execute("UPDATE sketches SET paired = 0"))
    state.database.write(lambda connection: connection.execute("DELETE FROM near"))
    monkeypatch.setattr(pairing, "_AT_ONCE", 2)
    looks = iter([True, False])
    assert pairing.pair_all(state.database, lambda: next(looks)) == 2
    assert pairing.count_unpaired(state.database) == 5
    assert api.get("duplicates", params={"kind": "near"}).json()["pending"] == 5
    Sketcher(state.database, Events(), lambda: False).work_off()
    assert pairing.count_unpaired(state.database) == 0
    assert len(near(api)[0]) == 6
