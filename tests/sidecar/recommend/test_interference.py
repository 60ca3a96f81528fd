"""Interference of a set: what duplicates, opposites and strangers come to, what has no number, and what is measured once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from waiting import wait_until
from weight_files import Array, Lora, Pair, diffusers, kohya, make_weights, save_tensors, scaled, with_noise

from sidecar.library.weights.delta import Delta
from sidecar.recommend.weightspace import answering, interference
from sidecar.recommend.weightspace.answering import NotComparable
from sidecar.recommend.weightspace.factors import exact_inner
from sidecar.tasks import Cancelled

Ask = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def nothing_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known from another test."""
    monkeypatch.setattr(answering, "_measured", type(answering._measured)())
    monkeypatch.setattr(answering, "_pairs", type(answering._pairs)())


@pytest.fixture
def ask(api: TestClient) -> Ask:
    def run(*loras: tuple[str, float], status: int = 200, **more: Any) -> dict[str, Any]:
        wanted = [{"name": name, "weight": weight} for name, weight in loras]
        answer = api.post("recommendations/interference", json={"loras": wanted, **more})
        assert answer.status_code == status, answer.text
        result: dict[str, Any] = answer.json()
        return result

    return run


def orthogonal(lora: Lora) -> Lora:
    """Layers whose columns stand at right angles to the given ones': ⟨ΔW₁, ΔW₂⟩ is 0 in each."""
    made = {}
    for name, pair in lora.items():
        whole, _ = np.linalg.qr(np.hstack([pair.up, np.random.default_rng(7).normal(size=(len(pair.up), 4))]))
        made[name] = Pair(whole[:, -4:], pair.down[:4], 4.0)
    return made


def grams(answer: dict[str, Any]) -> Array:
    """The weighted inner products, summed over blocks, out of norms and cosines."""
    total = np.zeros((len(answer["loras"]),) * 2)
    for block in answer["blocks"]:
        cosines = np.array([[0.0 if one is None else one for one in row] for row in block["cosines"]])
        total += cosines * np.outer(block["norms"], block["norms"])
    return total


def test_one_file_twice_is_the_same_everywhere_at_whatever_weights(
    loras: Path, scan: Callable[[], None], ask: Ask
) -> None:
    for name in ("one", "again"):
        save_tensors(loras / f"{name}.safetensors", kohya(make_weights(1)))
    scan()
    for first, second, expected in ((1, 1, 1), (1, 0.3, 1), (0.7, -0.2, -1), (-1, -0.5, 1)):
        answer = ask(("one", first), ("again", second))
        assert answer["overall"][0][1] == pytest.approx(expected, abs=1e-6)
        assert answer["pull"] == pytest.approx(1, abs=1e-6)
        for block in answer["blocks"]:
            assert block["cosines"][0][1] == pytest.approx(expected, abs=1e-6)
            assert block["norms"][1] == pytest.approx(block["norms"][0] * abs(second / first), rel=1e-6)


def test_what_stands_at_right_angles_does_not_interfere(
    loras: Path, scan: Callable[[], None], ask: Ask
) -> None:
    base = make_weights(1, rank=8)
    save_tensors(loras / "one.safetensors", kohya(base))
    save_tensors(loras / "across.safetensors", diffusers(orthogonal(base)))
    scan()
    answer = ask(("one", 1), ("across", 1))
    assert answer["pull"] == pytest.approx(0, abs=1e-6)
    assert answer["overall"][0][1] == pytest.approx(0, abs=1e-6)


def test_inner_products_grow_with_both_weights(loras: Path, scan: Callable[[], None], ask: Ask) -> None:
    base = make_weights(1)
    for name, lora in (("a", base), ("b", with_noise(base, 0.5)), ("c", make_weights(2))):
        save_tensors(loras / f"{name}.safetensors", kohya(lora))
    scan()
    plain = grams(ask(("a", 1), ("b", 1), ("c", 1)))
    weights = np.array([0.8, -0.4, 1.5])
    weighed = grams(ask(*zip("abc", weights.tolist(), strict=True)))
    np.testing.assert_allclose(weighed, plain * np.outer(weights, weights), rtol=1e-9)


def test_blocks_come_in_the_order_of_the_signal(loras: Path, scan: Callable[[], None], ask: Ask) -> None:
    for seed in (1, 2):
        save_tensors(loras / f"{seed}.safetensors", kohya(make_weights(seed)))
    scan()
    blocks = ask(("1", 1), ("2", 1))["blocks"]
    assert [block["name"] for block in blocks] == [
        "text encoder layer 0", "text encoder layer 5", "IN04", "MID", "OUT05",
    ]  # fmt: skip
    assert [block["part"] for block in blocks] == ["text encoder"] * 2 + ["unet"] * 3


def test_a_lora_that_is_added_costs_only_its_own_pairs(
    loras: Path, scan: Callable[[], None], ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = make_weights(1)
    for name, lora in (("a", base), ("b", with_noise(base, 0.5)), ("c", scaled(base, -2))):
        save_tensors(loras / f"{name}.safetensors", kohya(lora))
    scan()
    computed: list[int] = []

    def counted(one: Delta, other: Delta) -> float:
        computed.append(1)
        return exact_inner(one, other)

    monkeypatch.setattr(interference, "exact_inner", counted)
    whole = ask(("a", 1), ("b", 1), ("c", 1))
    of_all, layers = len(computed), len(base)
    assert of_all == 6 * layers
    answering._measured.clear()
    answering._pairs.clear()
    computed.clear()
    ask(("a", 1), ("b", 1))
    assert len(computed) == 3 * layers
    added = ask(("a", 1), ("b", 1), ("c", 1))
    assert len(computed) == of_all
    assert ask(("c", 1), ("a", 1))["pull"] == pytest.approx(1) and len(computed) == of_all
    np.testing.assert_allclose(grams(added), grams(whole))
    assert [block["name"] for block in added["blocks"]] == [block["name"] for block in whole["blocks"]]


def test_what_takes_long_is_done_in_a_task(
    loras: Path, scan: Callable[[], None], ask: Ask, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in (1, 2):
        save_tensors(loras / f"{seed}.safetensors", kohya(make_weights(seed)))
    scan()
    monkeypatch.setattr(answering, "SMALL", 10)
    task = ask(("1", 1), ("2", 1), background=True, status=202)["task"]
    wait_until(lambda: api.get(f"tasks/{task}").json()["state"] == "done")
    assert ask(("1", 1), ("2", 0.5), background=True)["loras"][1]["weight"] == 0.5
    assert ask(("2", 1), ("1", 1), background=True)["pull"] < 0.2  # every pair of it is known


def test_a_task_ends_when_it_is_told_to(
    loras: Path, scan: Callable[[], None], ask: Ask, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in (1, 2):
        save_tensors(loras / f"{seed}.safetensors", kohya(make_weights(seed)))
    scan()
    monkeypatch.setattr(answering, "SMALL", 10)
    with answering._one_at_a_time:  # another set is being measured
        task = ask(("1", 1), ("2", 1), background=True, status=202)["task"]
        api.post(f"tasks/{task}/cancel").raise_for_status()
        wait_until(lambda: api.get(f"tasks/{task}").json()["state"] == "cancelled")
    assert not answering._pairs


def test_nothing_is_kept_of_what_was_stopped(tmp_path: Path) -> None:
    paths = [
        str(save_tensors(tmp_path / f"{seed}.safetensors", kohya(make_weights(seed)))) for seed in (1, 2)
    ]

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        interference.measure_files(paths, step=stop)


@pytest.mark.parametrize("kind", ["nan", "zero", "cut off", "another architecture", "unknown form"])
def test_what_cannot_be_compared_is_said_and_has_no_number(
    loras: Path, scan: Callable[[], None], ask: Ask, kind: str
) -> None:
    base = make_weights(1)
    for seed in (1, 2):
        save_tensors(loras / f"good{seed}.safetensors", kohya(make_weights(seed)))
    bad = kohya(base)
    if kind in ("nan", "zero"):
        bad = {
            name: np.full_like(one, np.nan if kind == "nan" else 0) if "lora_up" in name else one
            for name, one in bad.items()
        }
    elif kind == "another architecture":
        bad = kohya(make_weights(3, layers={"unet.elsewhere.to_q": (64, 64)}))
    elif kind == "unknown form":
        bad = {"lora_unet_x.oft_blocks": np.ones((2, 4, 4), np.float32)}
    path = save_tensors(loras / "bad.safetensors", bad)
    scan()
    if kind == "cut off":
        path.write_bytes(path.read_bytes()[:-1000])
    words = {
        "nan": "bad holds infinity or no numbers",
        "zero": "bad changes nothing",
        "cut off": "bad cannot be read",
        "another architecture": "not comparable",
        "unknown form": "cannot be told from the file",
    }
    answer = ask(("good1", 1), ("bad", 1), ("good2", 1))
    assert [one["name"] for one in answer["loras"]] == ["good1", "good2"]
    assert words[kind] in answer["notes"][0] and len(answer["notes"]) == 1
    assert all(np.shape(block["cosines"]) == (2, 2) for block in answer["blocks"])
    error = ask(("good1", 1), ("bad", 1), status=422)["error"]
    assert error["code"] == NotComparable.code and words[kind] in error["message"]


def test_two_architectures_are_named(loras: Path, scan: Callable[[], None], ask: Ask) -> None:
    for name, base in (("older", "sd_v1"), ("newer", "sdxl_base_v1-0")):
        path = loras / f"{name}.safetensors"
        save_tensors(path, kohya(make_weights(1)), ss_base_model_version=base)
    scan()
    error = ask(("older", 1), ("newer", 1), status=422)["error"]
    assert error["code"] == "not_comparable"
    assert "newer is for another architecture (SDXL, not SD 1.x), so it is not comparable" in error["message"]


def test_layers_of_other_sizes_are_not_compared(loras: Path, scan: Callable[[], None], ask: Ask) -> None:
    narrow = {"unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q": (48, 64)}
    save_tensors(loras / "wide.safetensors", kohya(make_weights(1)), ss_base_model_version="sd_v1")
    save_tensors(
        loras / "narrow.safetensors", kohya(make_weights(2, layers=narrow)), ss_base_model_version="sd_v1"
    )
    scan()
    assert "layers of other sizes" in ask(("wide", 1), ("narrow", 1), status=422)["error"]["message"]
