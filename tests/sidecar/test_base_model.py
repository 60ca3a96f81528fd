"""Telling the base model from tensors and metadata."""

from __future__ import annotations

import pytest

from sidecar.library.base_model import detect, from_civitai
from sidecar.library.header import Header

K = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight"


def header(tensors: dict[str, tuple[int, ...]], **metadata: str) -> Header:
    return Header(8, {name: ("F16", shape) for name, shape in tensors.items()}, metadata)


@pytest.mark.parametrize(
    ("tensors", "base_model"),
    [
        ({K: (4, 768)}, "SD 1.x"),
        ({K: (4, 1024)}, "SD 2.x"),
        ({K: (4, 2048)}, "SDXL"),
        (
            {"unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight": (8, 2048)},
            "SDXL",
        ),
        ({"lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": (4, 1280)}, "SDXL"),
        ({"lora_unet_input_blocks_7_1_transformer_blocks_2_ff_net_2.lora_down.weight": (4, 5120)}, "SDXL"),
        ({"lora_unet_joint_blocks_0_x_block_attn_qkv.lora_down.weight": (4, 1536)}, "SD 3"),
        ({"transformer.transformer_blocks.0.attn.add_q_proj.lora_A.weight": (4, 1536)}, "SD 3"),
        ({"transformer.transformer_blocks.0.attn.add_q_proj.lora_A.weight": (4, 3072)}, "Flux"),
        ({"lora_unet_double_blocks_0_img_attn_proj.lora_down.weight": (4, 3072)}, "Flux"),
        ({"transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight": (4, 3072)}, "Flux"),
        ({"something.else": (1,)}, "Unknown"),
        ({}, "Unknown"),
    ],
)
def test_told_from_tensors(tensors: dict[str, tuple[int, ...]], base_model: str) -> None:
    found, reason = detect(header(tensors))
    assert found == base_model
    assert reason.endswith(".")


@pytest.mark.parametrize(
    ("checkpoint", "base_model"),
    [
        ("ponyDiffusionV6XL.safetensors", "Pony"),
        ("Illustrious-XL-v0.1.safetensors", "Illustrious"),
        ("noobaiXLNAIXL_vPred10Version.safetensors", "NoobAI"),
        ("sd_xl_base_1.0.safetensors", "SDXL"),
    ],
)
def test_families_of_sdxl_are_told_by_the_checkpoint_trained_on(checkpoint: str, base_model: str) -> None:
    assert detect(header({K: (4, 2048)}, ss_sd_model_name=checkpoint))[0] == base_model


def test_tensors_win_over_a_bogus_architecture() -> None:
    assert (
        detect(header({K: (4, 768)}, **{"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"}))[0]
        == "SD 1.x"
    )


def test_metadata_decides_when_tensors_say_nothing() -> None:
    assert detect(header({"odd": (1,)}, ss_base_model_version="sdxl_base_v1-0"))[0] == "SDXL"


@pytest.mark.parametrize(
    ("civitai", "ours"),
    [("SD 1.5", "SD 1.x"), ("SD 2.1 768", "SD 2.x"), ("SDXL 1.0", "SDXL"), ("Flux.1 D", "Flux"), ("SD 3.5 Large", "SD 3"),
     ("Pony", "Pony"), ("Wan Video 14B t2v", "Wan Video 14B t2v"), ("Other", "Unknown"), ("", "Unknown")],
)  # fmt: skip
def test_civitai_names(civitai: str, ours: str) -> None:
    assert from_civitai(civitai) == ours
