"""Weights: tensors of every number format, kinds of networks, one name for a layer, and ΔW measured without forming it."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import numpy as np
import orjson
import pytest
from weight_files import Array, diffusers, encode, float8, kohya, make_weights, save_tensors

from sidecar.library.header import BrokenHeader, Header, read_header
from sidecar.library.weights.delta import Delta, inner_product, norm, project, read_delta
from sidecar.library.weights.modules import find_modules, signature, split_tensor_name
from sidecar.library.weights.names import block_of, layer_name
from sidecar.library.weights.network import network_type
from sidecar.library.weights.tensors import BrokenTensor, Tensors, round_to

RNG = np.random.default_rng(3)


def random_array(*shape: int) -> Array:
    return RNG.normal(size=shape).astype(np.float32)


# Tensors


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"])
def test_every_number_format_is_read_as_it_was_written(tmp_path: Path, dtype: str) -> None:
    values = random_array(7, 5)
    path = save_tensors(tmp_path / "a.safetensors", {"x": values}, dtype)
    with Tensors(str(path)) as tensors:
        read = tensors.read("x")
    steps = {"F64": 1e-7, "F32": 1e-7, "F16": 2**-11, "BF16": 2**-8, "F8_E4M3": 2**-4, "F8_E5M2": 2**-3}
    assert read.shape == (7, 5)
    assert np.all(np.abs(read - values) <= np.abs(values) * steps[dtype] + 0.001)


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2"])
def test_all_256_values_of_an_8_bit_float_are_those_of_its_definition(tmp_path: Path, dtype: str) -> None:
    header = {"x": {"dtype": dtype, "shape": [256], "data_offsets": [0, 256]}}
    blob = orjson.dumps(header)
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(blob)) + blob + bytes(range(256)))
    with Tensors(str(path)) as tensors:
        read = tensors.read("x")
    np.testing.assert_array_equal(read, [float8(code, dtype) for code in range(256)])


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"])
def test_rounding_gives_what_saving_and_reading_gives(tmp_path: Path, dtype: str) -> None:
    values = random_array(40, 5)
    with Tensors(str(save_tensors(tmp_path / "a.safetensors", {"x": values}, dtype))) as tensors:
        np.testing.assert_array_equal(round_to(values, dtype), tensors.read("x"))


def test_whole_numbers_are_read_too(tmp_path: Path) -> None:
    path = save_tensors(tmp_path / "a.safetensors", {"x.alpha": np.array(16)}, "I64")
    with Tensors(str(path)) as tensors:
        assert tensors.read("x.alpha") == 16


def test_a_tensor_whose_size_contradicts_its_shape_is_an_error(tmp_path: Path) -> None:
    blob = orjson.dumps({"x": {"dtype": "F32", "shape": [100, 100], "data_offsets": [0, 8]}})
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(blob)) + blob + bytes(8))
    with Tensors(str(path)) as tensors, pytest.raises(BrokenTensor, match="another size"):
        tensors.read("x")


def test_an_unknown_number_format_is_an_error(tmp_path: Path) -> None:
    blob = orjson.dumps({"x": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}})
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(blob)) + blob + bytes(1))
    with Tensors(str(path)) as tensors, pytest.raises(BrokenTensor, match="'F4'"):
        tensors.read("x")


def test_a_file_cut_off_is_an_error(tmp_path: Path) -> None:
    path = save_tensors(tmp_path / "a.safetensors", kohya(make_weights(1)))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BrokenHeader, match="cut off"):
        Tensors(str(path))


def test_a_file_cut_off_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = save_tensors(tmp_path / "a.safetensors", {"x": random_array(64, 64), "y": random_array(64, 64)})
    with Tensors(str(path)) as tensors:
        with open(path, "r+b") as file:
            file.truncate(path.stat().st_size - 100)
        tensors.read("x")
        with pytest.raises(BrokenTensor, match="ends in the middle"):
            tensors.read("y")


# Kinds and names


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("LoRA", ["lora_unet_x.lora_down.weight", "lora_unet_x.lora_up.weight", "lora_unet_x.alpha"]),
        ("LoRA", ["unet.x.lora_A.weight", "unet.x.lora_B.weight"]),
        ("LoRA", ["unet.x.processor.to_q_lora.down.weight", "unet.x.processor.to_q_lora.up.weight"]),
        ("LoHa", ["lora_unet_x.hada_w1_a", "lora_unet_x.hada_w1_b"]),
        ("LoKr", ["lora_unet_x.lokr_w1", "lora_unet_x.lokr_w2_a"]),
        ("DoRA", ["lora_unet_x.lora_down.weight", "lora_unet_x.dora_scale"]),
        ("DoRA", ["unet.x.lora_A.weight", "unet.x.lora_magnitude_vector"]),
        ("LoCon", ["lora_unet_x.lora_mid.weight", "lora_unet_x.lora_down.weight"]),
        ("GLoRA", ["lora_unet_x.a1.weight", "lora_unet_x.b1.weight"]),
        ("OFT", ["lora_unet_x.oft_blocks"]),
        ("IA3", ["lora_unet_x.on_input", "lora_unet_x.weight"]),
        ("Full", ["lora_unet_x.diff", "lora_unet_x.diff_b"]),
        ("", ["emb_params"]),
        ("", []),
    ],
)
def test_the_kind_of_network_is_told_from_the_names(kind: str, names: list[str]) -> None:
    assert network_type(Header(8, dict.fromkeys(names, ("F16", (4, 4))))) == kind


def test_a_convolution_larger_than_one_makes_a_locon() -> None:
    tensors = {"x.lora_down.weight": ("F16", (4, 8, 1, 1)), "x.lora_up.weight": ("F16", (8, 4, 1, 1))}
    assert network_type(Header(8, tensors)) == "LoRA"
    tensors["y.lora_down.weight"] = ("F16", (4, 8, 3, 3))
    assert network_type(Header(8, tensors)) == "LoCon"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight",
            "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight",
        ),
        (
            "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.lora_down.weight",
            "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.down.weight",
        ),
        (
            "lora_unet_output_blocks_2_1_transformer_blocks_0_attn2_to_out_0.lora_up.weight",
            "unet.up_blocks.0.attentions.2.transformer_blocks.0.attn2.to_out.0.lora_B.default.weight",
        ),
        ("lora_unet_middle_block_1_proj_in.alpha", "unet.mid_block.attentions.0.proj_in.alpha"),
        ("lora_unet_input_blocks_2_0_in_layers_2.alpha", "lora_unet_down_blocks_0_resnets_1_conv1.alpha"),
        ("lora_unet_input_blocks_3_0_op.alpha", "unet.down_blocks.0.downsamplers.0.conv.alpha"),
        ("lora_unet_output_blocks_2_2_conv.alpha", "unet.up_blocks.0.upsamplers.0.conv.alpha"),
        (
            "lora_te_text_model_encoder_layers_3_mlp_fc1.lora_up.weight",
            "text_encoder.text_model.encoder.layers.3.mlp.fc1.lora_linear_layer.up.weight",
        ),
        (
            "lora_te2_text_model_encoder_layers_3_mlp_fc1.dora_scale",
            "text_encoder_2.text_model.encoder.layers.3.mlp.fc1.lora_magnitude_vector",
        ),
        (
            "lora_unet_single_blocks_3_linear1.lora_down.weight",
            "diffusion_model.single_blocks.3.linear1.lora_A.weight",
        ),
    ],
)
def test_tools_names_of_one_layer_become_one(one: str, other: str) -> None:
    assert split_tensor_name(one) == split_tensor_name(other) is not None


@pytest.mark.parametrize(
    ("path", "base_model", "block"),
    [
        ("lora_unet_input_blocks_4_1_proj_in", "SDXL", "IN04"),
        ("lora_unet_down_blocks_3_resnets_1_conv1", "SD 1.x", "IN11"),
        ("lora_unet_mid_block_resnets_0_conv1", "SD 1.x", "MID"),
        ("unet.up_blocks.3.attentions.2.proj_out", "SD 1.x", "OUT11"),
        ("lora_te_text_model_encoder_layers_11_mlp_fc1", "SD 1.x", "layer 11"),
        ("lora_te3_encoder_block_23_layer_0_SelfAttention_q", "Flux", "layer 23"),
        ("lora_unet_double_blocks_18_img_attn_qkv", "Flux", "double 18"),
        ("transformer.single_transformer_blocks.37.proj_mlp", "Flux", "single 37"),
        ("transformer.transformer_blocks.7.attn.to_q", "Flux", "double 7"),
        ("transformer.transformer_blocks.7.attn.to_q", "SD 3", "joint 7"),
        ("lora_unet_joint_blocks_23_x_block_attn_qkv", "SD 3", "joint 23"),
        ("diffusion_model.blocks.39.self_attn.q", "Wan", "block 39"),
        ("lora_unet_final_layer_linear", "Flux", "other"),
    ],
)
def test_blocks_are_named_as_the_field_names_them(path: str, base_model: str, block: str) -> None:
    assert block_of(layer_name(path), base_model) == block


def test_dialect_and_order_do_not_change_the_signature(tmp_path: Path) -> None:
    lora = make_weights(1)
    shuffled = list(kohya(lora))
    random.Random(2).shuffle(shuffled)
    paths = [
        save_tensors(tmp_path / "kohya.safetensors", kohya(lora), "F16"),
        save_tensors(tmp_path / "order.safetensors", kohya(lora), order=shuffled),
        save_tensors(tmp_path / "diffusers.safetensors", diffusers(lora), "BF16"),
    ]
    assert len({signature(find_modules(read_header(str(path)))[0]) for path in paths}) == 1
    fewer = save_tensors(tmp_path / "fewer.safetensors", kohya(dict(list(lora.items())[:-1])))
    assert signature(find_modules(read_header(str(fewer)))[0]) != signature(
        find_modules(read_header(str(paths[0])))[0]
    )


# ΔW


def deltas(tmp_path: Path, tensors: dict[str, Array]) -> Delta:
    """The ΔW of a file of one module."""
    with Tensors(str(save_tensors(tmp_path / "one.safetensors", tensors))) as opened:
        modules, others = find_modules(opened.header)
        assert len(modules) == 1 and not others and modules[0].measurable, modules
        return read_delta(opened, modules[0])


def networks() -> dict[str, tuple[dict[str, Array], Array]]:
    """Tensors of each kind, and ΔW as the formula of LyCORIS has it, multiplied out."""
    up, down = random_array(12, 4), random_array(4, 10)
    conv_up, conv_down = random_array(12, 4, 1, 1), random_array(4, 5, 3, 3)
    middle, thin = random_array(4, 4, 3, 3), random_array(4, 5, 1, 1)
    a1, b1, a2, b2 = random_array(12, 2), random_array(2, 10), random_array(12, 2), random_array(2, 10)
    t1, t2, left, right = (
        random_array(2, 2, 3, 3),
        random_array(2, 2, 3, 3),
        random_array(2, 12),
        random_array(2, 5),
    )
    w1, w2, w2a, w2b = random_array(3, 2), random_array(4, 5), random_array(4, 2), random_array(2, 5)
    w2_conv = random_array(4, 5, 3, 3)
    half = np.array(2.0, np.float32)

    def core(t: Array) -> Array:
        return np.einsum("ijkl,jq,ip->pqkl", t, right, left).reshape(12, -1)

    x = "lora_unet_x."
    return {
        "LoRA": ({x + "lora_up.weight": up, x + "lora_down.weight": down, x + "alpha": half}, up @ down / 2),
        "LoRA without alpha": ({x + "lora_up.weight": up, x + "lora_down.weight": down}, up @ down),
        "convolution": (
            {x + "lora_up.weight": conv_up, x + "lora_down.weight": conv_down, x + "alpha": half},
            conv_up.reshape(12, 4) @ conv_down.reshape(4, -1) / 2,
        ),
        "convolution with a middle": (
            {x + "lora_up.weight": conv_up, x + "lora_down.weight": thin, x + "lora_mid.weight": middle},
            np.einsum(
                "ijkl,pi,jq->pqkl", middle, conv_up.reshape(12, 4), thin.reshape(4, 5)
            ).reshape(12, -1),
        ),
        "LoHa": (
            {
                x + "hada_w1_a": a1, x + "hada_w1_b": b1, x + "hada_w2_a": a2, x + "hada_w2_b": b2,
                x + "alpha": half,
            },
            (a1 @ b1) * (a2 @ b2),
        ),
        "LoHa of high rank": (
            {
                x + "hada_w1_a": up, x + "hada_w1_b": down, x + "hada_w2_a": up * 2, x + "hada_w2_b": down,
                x + "alpha": half,
            },
            (up @ down) ** 2,
        ),
        "LoHa with cores": (
            {
                x + "hada_w1_a": left, x + "hada_w1_b": right, x + "hada_t1": t1,
                x + "hada_w2_a": left, x + "hada_w2_b": right, x + "hada_t2": t2,
            },
            core(t1) * core(t2),
        ),
        "LoKr": (
            {x + "lokr_w1": w1, x + "lokr_w2_a": w2a, x + "lokr_w2_b": w2b, x + "alpha": half},
            np.kron(w1, w2a @ w2b),
        ),
        "LoKr, both whole": ({x + "lokr_w1": w1, x + "lokr_w2": w2, x + "alpha": half}, np.kron(w1, w2)),
        "LoKr of a convolution": (
            {x + "lokr_w1": w1, x + "lokr_w2": w2_conv},
            np.kron(w1.reshape(3, 2, 1, 1), w2_conv).reshape(12, -1),
        ),
        "full": ({x + "diff": random_array(12, 5, 3, 3)}, None),
        "a vector": ({x + "diff_b": random_array(12)}, None),
    }  # fmt: skip


@pytest.mark.parametrize("kind", list(networks()))
def test_norm_and_projection_are_those_of_the_matrix_multiplied_out(tmp_path: Path, kind: str) -> None:
    tensors, formula = networks()[kind]
    whole = next(iter(tensors.values())).reshape(12, -1) if formula is None else formula
    delta = deltas(tmp_path, tensors)
    assert norm(delta) == pytest.approx(np.linalg.norm(whole), rel=1e-5)
    left, right = random_array(3, whole.shape[0]), random_array(3, whole.shape[1])
    expected = np.einsum("np,pq,nq->n", left, whole, right)
    np.testing.assert_allclose(project(delta, left, right), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", list(networks()))
def test_inner_products_are_those_of_the_matrices(tmp_path: Path, kind: str) -> None:
    tensors, formula = networks()[kind]
    whole = next(iter(tensors.values())).reshape(12, -1) if formula is None else formula
    other = random_array(*whole.shape)
    one = deltas(tmp_path, tensors)
    found = inner_product(one, Delta(0.5, other))
    if one.outer is not None:
        assert found is None  # in factors a Kronecker product compares with its like alone
        return
    assert found == pytest.approx(float(np.sum(whole * other)) / 2, rel=1e-3, abs=1e-3)
    again = inner_product(Delta(0.5, other), one)
    assert again == pytest.approx(found, rel=1e-6)


def test_tensors_that_do_not_fit_each_other_are_no_module_to_measure(tmp_path: Path) -> None:
    tensors = {
        "lora_unet_x.lora_up.weight": random_array(12, 3),
        "lora_unet_x.lora_down.weight": random_array(4, 9),
    }
    modules, _ = find_modules(read_header(str(save_tensors(tmp_path / "a.safetensors", tensors))))
    assert [(module.kind, module.measurable) for module in modules] == [("broken", False)]


def test_the_maker_of_test_files_rounds_bfloat16_to_the_nearest() -> None:
    one = np.array(
        [1.0, 1.0 + 2**-8, 1.0 + 3 * 2**-8], np.float32
    )  # the last two lie half-way: to the even one
    assert encode(one, "BF16") == struct.pack("<3H", 0x3F80, 0x3F80, 0x3F82)
