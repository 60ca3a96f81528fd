"""Inspect: rank, alpha, modules, which blocks are touched and how strongly; and the side files as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lora_files import add_side_file, header_bytes, make_lora, picture
from starlette.testclient import TestClient
from waiting import wait_until
from weight_files import Pair, kohya, make_weights, save_tensors

from sidecar.library.weights import inspecting
from sidecar.state import State

Scan = Callable[[], None]


def inspect(api: TestClient, name: str = "") -> dict[str, Any]:
    found = api.get("loras", params={"limit": 1000}).json()["items"]
    lora_id = next(item["id"] for item in found if not name or item["name"] == name)
    answer = api.get(f"loras/{lora_id}/inspect")
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


def codes(result: dict[str, Any]) -> list[str]:
    return [problem["code"] for problem in result["problems"]]


def test_rank_alpha_modules_parameters_and_formats(loras: Path, scan: Scan, api: TestClient) -> None:
    lora = make_weights(1, rank=8, alpha=4)
    name = next(iter(lora))
    lora[name] = replace(lora[name], up=lora[name].up[:, :2], down=lora[name].down[:2], alpha=2.0)
    save_tensors(loras / "a.safetensors", kohya(lora), "F16")
    scan()
    result = inspect(api)
    assert result["state"] == "ready" and result["network"] == "LoRA" and result["problems"] == []
    assert result["rank"] == {
        "min": 2, "max": 8, "values": [{"value": 8, "modules": 13}, {"value": 2, "modules": 1}],
    }  # fmt: skip
    assert result["alpha"]["values"][0] == {"value": 4.0, "modules": 13}
    assert result["modules"] == 14
    assert result["parameters"] == sum(pair.up.size + pair.down.size for pair in lora.values())
    assert result["dtypes"] == {"F16": 28}


def test_strength_of_blocks_is_the_norm_of_what_they_change(loras: Path, scan: Scan, api: TestClient) -> None:
    lora = make_weights(1, rank=8)
    save_tensors(loras / "a.safetensors", kohya(lora))
    scan()
    result = inspect(api)
    parts = {part["name"]: {block["name"]: block for block in part["blocks"]} for part in result["parts"]}
    assert list(parts) == ["text encoder", "unet"]
    norms = {name: float(np.linalg.norm(pair.delta())) for name, pair in lora.items()}

    def of(beginning: str) -> float:
        return float(np.sqrt(sum(norm**2 for name, norm in norms.items() if name.startswith(beginning))))

    assert parts["unet"]["IN04"]["strength"] == pytest.approx(of("unet.down_blocks.1."), rel=1e-5)
    assert parts["unet"]["MID"]["strength"] == pytest.approx(of("unet.mid_block."), rel=1e-5)
    assert parts["unet"]["OUT05"]["modules"] == 4
    assert parts["text encoder"]["layer 5"]["strength"] == pytest.approx(
        of("text_encoder.text_model.encoder.layers.5."), rel=1e-5
    )
    assert result["strength"] == pytest.approx(of(""), rel=1e-5)
    # Every block that the model has is there for the bars, in its order, with nothing in those that are not touched.
    assert list(parts["unet"]) == [f"IN0{n}" for n in range(9)] + ["MID"] + [f"OUT0{n}" for n in range(9)]
    assert parts["unet"]["IN00"] == {"name": "IN00", "modules": 0, "strength": None}
    assert list(parts["text encoder"]) == [f"layer {n}" for n in range(12)]


def test_flux_has_double_and_single_blocks(loras: Path, scan: Scan, api: TestClient) -> None:
    rng = np.random.default_rng(1)
    pair = Pair(rng.normal(size=(8, 2)), rng.normal(size=(2, 8)), 2)
    tensors = {}
    for module in ("double_blocks_18_img_attn_qkv", "single_blocks_37_linear1", "final_layer_linear"):
        tensors[f"lora_unet_{module}.lora_down.weight"] = pair.down
        tensors[f"lora_unet_{module}.lora_up.weight"] = pair.up
    save_tensors(loras / "flux.safetensors", tensors, "BF16")
    scan()
    (part,) = inspect(api)["parts"]
    names = [block["name"] for block in part["blocks"]]
    assert part["name"] == "transformer"
    assert names == [f"double {n}" for n in range(19)] + [f"single {n}" for n in range(38)] + ["other"]
    touched = [block["name"] for block in part["blocks"] if block["modules"]]
    assert touched == ["double 18", "single 37", "other"]


@pytest.mark.parametrize(
    ("value", "code", "words"),
    [(np.nan, "not_finite", "NaN"), (np.inf, "not_finite", "infinity"), (0.0, "some_zero", "come to zero")],
)
def test_bad_numbers_are_told(
    loras: Path, scan: Scan, api: TestClient, value: float, code: str, words: str
) -> None:
    lora = make_weights(1, rank=4)
    name = next(iter(lora))
    lora[name].up[:] = value
    save_tensors(loras / "a.safetensors", kohya(lora), "F16")
    scan()
    result = inspect(api)
    assert codes(result) == [code]
    assert words in result["problems"][0]["message"] and "1 of 14" in result["problems"][0]["message"]
    assert result["strength"] > 0  # of the rest


def test_a_file_of_nothing_but_zeros_is_told(loras: Path, scan: Scan, api: TestClient) -> None:
    lora = make_weights(1, rank=4)
    for pair in lora.values():
        pair.up[:] = 0
    save_tensors(loras / "a.safetensors", kohya(lora))
    scan()
    result = inspect(api)
    assert codes(result) == ["all_zero"] and result["strength"] == 0


def test_what_cannot_be_measured_or_belongs_to_nothing_is_told(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    ones = np.ones((4, 4))
    tensors = {
        "lora_unet_a.oft_blocks": ones,
        "lora_unet_b.lora_down.weight": ones,
        "lora_unet_b.lora_up.weight": np.ones((4, 3)),
        "emb_params": ones,
    }
    save_tensors(loras / "a.safetensors", tensors)
    scan()
    result = inspect(api)
    assert codes(result) == ["shapes", "not_measured", "other_tensors"]
    assert result["strength"] is None


def test_a_damaged_tensor_is_told_and_the_rest_measured(loras: Path, scan: Scan, api: TestClient) -> None:
    width, up, down = 8, "lora_unet_x.lora_up.weight", "lora_unet_x.lora_down.weight"
    body = np.ones(2 * width, "<f4").tobytes()
    header = {
        up: {"dtype": "F32", "shape": [width, 1], "data_offsets": [0, 4 * width]},
        down: {"dtype": "F32", "shape": [1, width], "data_offsets": [4 * width, 8 * width]},
        "lora_unet_y.lora_up.weight": {"dtype": "F32", "shape": [9, 1], "data_offsets": [0, 4]},
        "lora_unet_y.lora_down.weight": {"dtype": "F32", "shape": [1, 9], "data_offsets": [0, 4]},
    }
    (loras / "a.safetensors").write_bytes(header_bytes(header) + body)
    scan()
    result = inspect(api)
    assert codes(result) == ["tensors"] and "another size" in result["problems"][0]["message"]
    assert result["strength"] == pytest.approx(width)


def test_a_file_cut_off_since_the_scan_is_told(loras: Path, scan: Scan, api: TestClient) -> None:
    path = save_tensors(loras / "a.safetensors", kohya(make_weights(1)))
    scan()
    path.write_bytes(path.read_bytes()[:-5000])
    result = inspect(api)
    assert (result["state"], result["code"]) == ("failed", "broken") and "cut off" in result["message"]


def test_a_pickle_is_never_opened(loras: Path, scan: Scan, api: TestClient) -> None:
    (loras / "old.pt").write_bytes(b"cos\nsystem\n(S'touch /tmp/x'\ntR.")
    scan()
    result = inspect(api)
    assert (result["state"], result["code"]) == ("failed", "legacy")
    assert ".safetensors" in result["message"]


def test_it_is_worked_out_once_a_content_and_kept(
    loras: Path, scan: Scan, api: TestClient, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = kohya(make_weights(1, rank=4))
    save_tensors(loras / "a.safetensors", tensors, title="one")
    save_tensors(loras / "b.safetensors", tensors, title="the same weights under another header")
    scan()
    state.library.hasher.start()
    wait_until(lambda: not state.library.hasher.status()["pending"])
    first = inspect(api, "a")

    def never(*arguments: object) -> None:
        raise AssertionError("it is known")

    monkeypatch.setattr(inspecting, "_inspect", never)
    assert inspect(api, "b") == first
    (loras / "b.safetensors").unlink()
    scan()
    assert inspect(api, "b") == first  # missing by now: what was found out stays


def test_a_large_file_is_looked_at_in_a_task(
    loras: Path, scan: Scan, api: TestClient, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspecting, "AT_ONCE", 1_000)
    save_tensors(loras / "a.safetensors", kohya(make_weights(1, rank=4)))
    scan()
    last = state.events.last
    assert inspect(api) == {"state": "working"}
    wait_until(lambda: any(event.type == "lora.inspected" for event in state.events.after(last) or []))
    assert inspect(api)["state"] == "ready"
    (task,) = [task for task in state.tasks.all() if task.kind == "inspect"]
    wait_until(lambda: task.state == "done")


def test_an_unknown_lora_is_not_found(api: TestClient) -> None:
    assert api.get("loras/4711/inspect").status_code == 404
    assert api.get("loras/4711/side-files").status_code == 404


def test_side_files_are_shown_as_they_are(loras: Path, scan: Scan, api: TestClient) -> None:
    path = make_lora(loras / "a.safetensors")
    make_lora(loras / "a.b.safetensors")
    add_side_file(path, ".civitai.info", {"id": 5, "modelId": 4, "baseModel": "SDXL 1.0"})
    add_side_file(path, ".json", {"activation text": "häh", "unknown": [1]})
    add_side_file(path, ".txt", "caf\xe9".encode("latin-1"))
    add_side_file(path, ".metadata.json", b'{"cut": ')
    add_side_file(path, ".preview.png", picture())
    scan()
    lora_id = api.get("loras", params={"q": "name:a"}).json()["items"][0]["id"]
    items = {item["ending"]: item for item in api.get(f"loras/{lora_id}/side-files").json()["items"]}
    assert set(items) == {".civitai.info", ".json", ".txt", ".metadata.json", ".preview.png"}
    assert items[".json"]["text"] == '{"activation text": "h\\u00e4h", "unknown": [1]}'
    assert items[".txt"]["text"] == "caf\N{REPLACEMENT CHARACTER}"
    assert "not JSON" in items[".metadata.json"]["error"] and items[".metadata.json"]["text"] == '{"cut": '
    assert items[".preview.png"]["text"] is None and items[".preview.png"]["size"] == len(picture())
    assert items[".civitai.info"]["dialect"] != items[".json"]["dialect"]
    assert all(item["modified"] > 0 for item in items.values())


def test_a_long_side_file_is_cut(loras: Path, scan: Scan, api: TestClient) -> None:
    path = make_lora(loras / "a.safetensors")
    add_side_file(path, ".txt", b"x" * (1024 * 1024 + 7))
    scan()
    lora_id = api.get("loras").json()["items"][0]["id"]
    (item,) = api.get(f"loras/{lora_id}/side-files").json()["items"]
    assert len(item["text"]) == 1024 * 1024 and "first MB" in item["error"]
    assert item["size"] == 1024 * 1024 + 7
