"""Sketches of weights and inner products: against matrices multiplied out, in every form, and what has no sketch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from weight_files import Array, diffusers, kohya, make_weights, resized, save_tensors, scaled, with_noise

from sidecar.library.header import BrokenHeader
from sidecar.library.weights.delta import Delta
from sidecar.recommend.weightspace.factors import exact_inner, without_outer
from sidecar.recommend.weightspace.interference import measure_files, pull_of
from sidecar.recommend.weightspace.sketch import Sketch, cosines, take_sketch

RNG = np.random.default_rng(5)


def arrays(*shape: int) -> Array:
    return RNG.normal(size=shape).astype(np.float32)


def forms() -> dict[str, tuple[dict[str, Array], Array]]:
    """Tensors of each form, and ΔW multiplied out."""
    x = "lora_unet_x."
    up, down, thin_up, thin_down = arrays(24, 4), arrays(4, 20), arrays(24, 2), arrays(2, 20)
    w1, w2a, w2b, w2, wide = arrays(4, 2), arrays(6, 2), arrays(2, 10), arrays(6, 10), arrays(2, 4)
    conv, whole, tall = arrays(4, 5, 2, 2), arrays(24, 20), arrays(12, 5)
    half = np.array(2.0, np.float32)
    lora = {x + "lora_up.weight": up, x + "lora_down.weight": down, x + "alpha": half}
    loha = {x + "hada_w1_a": up, x + "hada_w1_b": down, x + "hada_w2_a": thin_up, x + "hada_w2_b": thin_down}
    return {
        "LoRA": (lora, up @ down / 2),
        "DoRA": ({**lora, x + "dora_scale": arrays(24, 1)}, up @ down / 2),
        "LoCon": (
            {x + "lora_up.weight": up.reshape(24, 4, 1, 1), x + "lora_down.weight": conv},
            up @ conv.reshape(4, -1),
        ),
        "LoHa": (loha, (up @ down) * (thin_up @ thin_down)),
        "LoKr": ({x + "lokr_w1": w1, x + "lokr_w2_a": w2a, x + "lokr_w2_b": w2b}, np.kron(w1, w2a @ w2b)),
        "LoKr, both whole": ({x + "lokr_w1": w1, x + "lokr_w2": w2}, np.kron(w1, w2)),
        "LoKr, wide": ({x + "lokr_w1": wide, x + "lokr_w2": tall}, np.kron(wide, tall)),
        "full": ({x + "diff": whole}, whole),
    }


@pytest.mark.parametrize("form", list(forms()))
def test_a_form_has_the_sketch_of_its_matrix_multiplied_out(tmp_path: Path, form: str) -> None:
    tensors, whole = forms()[form]
    one = take_sketch(str(save_tensors(tmp_path / "a.safetensors", tensors)))
    other = take_sketch(str(save_tensors(tmp_path / "b.safetensors", {"lora_unet_x.diff": whole})))
    assert told(one, other) > 0.99999  # a number of next to nothing may be rounded to either side
    assert one.norm == pytest.approx(np.linalg.norm(whole), rel=1e-5)


def test_inner_products_of_all_pairs_of_forms_are_those_of_the_matrices(tmp_path: Path) -> None:
    made = list(forms().items())
    paths = [str(save_tensors(tmp_path / f"{at}.safetensors", one[1][0])) for at, one in enumerate(made)]
    grams = measure_files(paths)
    assert not grams.problems
    matrices = [whole for _, (_, whole) in made]
    expected = [[float(np.sum(one * other)) for other in matrices] for one in matrices]
    np.testing.assert_allclose(sum(grams.blocks.values()), expected, rtol=1e-3, atol=1e-2)


def test_kronecker_products_of_other_shapes_are_compared() -> None:
    one, other = (
        Delta(2.0, arrays(6, 3), arrays(3, 10), arrays(4, 2)),
        Delta(0.5, arrays(2, 1), arrays(1, 2), arrays(12, 10)),
    )
    matrices = [d.scale * np.kron(d.outer, d.left @ d.right) for d in (one, other)]
    assert exact_inner(one, other) == pytest.approx(float(np.sum(matrices[0] * matrices[1])), rel=1e-3)
    assert without_outer(one).outer is None


def told(one: Sketch, other: Sketch) -> float:
    """The cosine that two sketches tell."""
    assert one.bits is not None and other.bits is not None
    (found,) = cosines(np.frombuffer(one.bits, np.uint64)[None], np.frombuffer(other.bits, np.uint64))
    return float(found)


def cosine(one: Path, other: Path) -> float:
    first, second = take_sketch(str(one)), take_sketch(str(other))
    assert first.architecture == second.architecture
    return told(first, second)


def test_names_rank_alpha_format_and_strength_do_not_change_a_sketch(tmp_path: Path) -> None:
    lora = make_weights(1, rank=8)
    first = save_tensors(tmp_path / "kohya.safetensors", kohya(lora), "F32")
    others = {
        "diffusers": save_tensors(tmp_path / "a.safetensors", diffusers(lora), "BF16"),
        "larger rank": save_tensors(tmp_path / "b.safetensors", kohya(resized(lora, 12)), "F16"),
        "stronger": save_tensors(tmp_path / "c.safetensors", kohya(scaled(lora, 3))),
    }
    for kind, path in others.items():
        assert cosine(first, path) > 0.999, kind


def test_a_sketch_tells_the_exact_cosine(tmp_path: Path) -> None:
    base = make_weights(1, rank=16)
    for at, other in enumerate((make_weights(2, rank=16), with_noise(base, 1.0), resized(base, 4))):
        paths = [
            save_tensors(tmp_path / f"{at}a.safetensors", kohya(base)),
            save_tensors(tmp_path / f"{at}b.safetensors", kohya(other)),
        ]
        gram = np.sum(list(measure_files([str(path) for path in paths]).blocks.values()), axis=0)
        exact = gram[0, 1] / np.sqrt(gram[0, 0] * gram[1, 1])
        assert cosine(*paths) == pytest.approx(exact, abs=0.03)


@pytest.mark.parametrize(("value", "reason"), [(0.0, "all zero"), (np.nan, "NaN"), (np.inf, "NaN")])
def test_zero_and_what_is_no_number_has_a_reason_and_no_sketch(
    tmp_path: Path, value: float, reason: str
) -> None:
    tensors = kohya(make_weights(1))
    for name in tensors:
        if "lora_up" in name and (value == 0 or "_mid_block_" in name):
            tensors[name] = np.full_like(tensors[name], value)
    sketch = take_sketch(str(save_tensors(tmp_path / "a.safetensors", tensors)))
    assert sketch.bits is None and sketch.norm is None and reason in str(sketch.reason)


def test_unknown_forms_and_misfits_have_a_reason(tmp_path: Path) -> None:
    for at, tensors in enumerate(
        (
            {"emb_params": arrays(2, 4)},
            {"lora_unet_x.oft_blocks": arrays(2, 4, 4)},
            {"lora_unet_x.lora_up.weight": arrays(4, 3), "lora_unet_x.lora_down.weight": arrays(2, 4)},
        )
    ):
        sketch = take_sketch(str(save_tensors(tmp_path / f"{at}.safetensors", tensors)))
        assert sketch.bits is None and sketch.reason


def test_a_file_cut_off_is_an_error(tmp_path: Path) -> None:
    path = save_tensors(tmp_path / "a.safetensors", kohya(make_weights(1)))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BrokenHeader):
        take_sketch(str(path))


def test_pull_is_one_for_the_same_and_nothing_for_what_has_nothing_in_common() -> None:
    assert pull_of([np.ones((2, 2)), 4 * np.ones((2, 2))]) == pytest.approx(1)
    assert pull_of([np.array([[1.0, -1.0], [-1.0, 1.0]])]) == pytest.approx(1)
    assert pull_of([np.eye(3)]) == 0
    assert pull_of([np.diag([1.0, 0.0])]) == 0
    assert pull_of([np.eye(2), np.ones((2, 2))]) == pytest.approx(0.5)
