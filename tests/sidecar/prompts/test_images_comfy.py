"""Pictures of ComfyUI: from the graph that ran back to prompts, parameters and LoRAs, whichever extensions' nodes it has."""

from __future__ import annotations

import json
from typing import Any

import pytest
from comfy_graphs import graph, loras, node, read, with_model
from infotext_pictures import graph_png, with_exif

from sidecar.prompts.images.reading import read_infotext, read_picture


def test_the_default_graph() -> None:
    found = read(graph())
    assert (found.software, found.prompt, found.negative_prompt) == ("ComfyUI", "a castle, fog", "blurry")
    assert found.parameters == {
        "seed": 156680208700286, "steps": 20, "cfg": 8, "sampler": "euler", "scheduler": "normal", "denoising": 1,
        "checkpoint": "dreamshaper_8", "size": "512x768",
    }  # fmt: skip
    assert json.loads(found.text) == graph()


def test_a_chain_of_loaders_in_the_order_in_which_they_are_applied() -> None:
    chain = {
        "a": node("LoraLoader", model=["n4", 0], clip=["n4", 1], lora_name="styles\\Ink Wash.safetensors", strength_model=0.7, strength_clip=0.5),
        "b": node("LoraLoader", model=["a", 0], clip=["a", 1], lora_name="detail.v2.safetensors", strength_model=-0.25, strength_clip=1),
        "c": node("LoraLoaderModelOnly", model=["b", 0], lora_name="lcm.pt", strength_model=1),
        "off": node("LoraLoader", model=["c", 0], clip=["b", 1], lora_name="off.safetensors", strength_model=0, strength_clip=0),
        "elsewhere": node("LoraLoader", model=["n4", 0], clip=["n4", 1], lora_name="unused.safetensors", strength_model=1, strength_clip=1),
    }  # fmt: skip
    assert loras(read(with_model("off", 0, **chain))) == [("Ink Wash", 0.7), ("detail.v2", -0.25), ("lcm", 1)]


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        (
            node(
                "Power Lora Loader (rgthree)", model=["n4", 0], clip=["n4", 1],
                PowerLoraLoaderHeaderWidget={"type": "PowerLoraLoaderHeaderWidget"},
                lora_1={"on": True, "lora": "xl/Ink.safetensors", "strength": 0.8},
                lora_2={"on": False, "lora": "off.safetensors", "strength": 1},
                lora_3={"on": True, "lora": "Two.safetensors", "strength": 0.5, "strengthTwo": 0.2},
                lora_4={"on": True, "lora": "None", "strength": 1},
                **{"➕ Add Lora": ""},
            ),
            [("Ink", 0.8), ("Two", 0.5)],
        ),
        (
            node(
                "Lora Loader Stack (rgthree)", model=["n4", 0], clip=["n4", 1], lora_01="Ink.safetensors", strength_01=0.8,
                lora_02="None", strength_02=1, lora_03="Two.safetensors", strength_03=-1, lora_04="Zero.safetensors", strength_04=0,
            ),
            [("Ink", 0.8), ("Two", -1)],
        ),
        (
            node(
                "CR LoRA Stack", switch_1="On", lora_name_1="Ink.safetensors", model_weight_1=0.8, clip_weight_1=1,
                switch_2="Off", lora_name_2="off.safetensors", model_weight_2=1, clip_weight_2=1,
                switch_3="On", lora_name_3="None", model_weight_3=1, clip_weight_3=1,
            ),
            [("Ink", 0.8)],
        ),
        (
            node(
                "LoRA Stacker", input_mode="simple", lora_count=2, lora_name_1="Ink.safetensors", lora_wt_1=0.8, model_str_1=0.1,
                clip_str_1=1, lora_name_2="Two.safetensors", lora_wt_2=0.5, lora_name_3="beyond.safetensors", lora_wt_3=1,
            ),
            [("Ink", 0.8), ("Two", 0.5)],
        ),
        (
            node("LoRA Stacker", input_mode="advanced", lora_count=1, lora_name_1="Ink.safetensors", lora_wt_1=0.8, model_str_1=0.1, clip_str_1=1),
            [("Ink", 0.1)],
        ),
        (
            node(
                "easy loraStack", toggle=True, mode="simple", num_loras=1, lora_1_name="Ink.safetensors", lora_1_strength=0.8,
                lora_1_model_strength=1, lora_1_clip_strength=1, lora_2_name="beyond.safetensors", lora_2_strength=1,
            ),
            [("Ink", 0.8)],
        ),
        (
            node(
                "Lora Loader (LoraManager)", text="<lora:Ink:0.8> <lora:off:1>",
                loras={"__value__": [{"name": "Ink", "strength": "0.8", "active": True}, {"name": "off", "strength": 1, "active": False}]},
            ),
            [("Ink", 0.8)],
        ),
        (node("LoraTagLoader", text="a cat <lora:Ink:0.8:0.2>, fog"), [("Ink", 0.8)]),
        (node("ImpactWildcardEncode", wildcard_text="<lora:no:1>", populated_text="cat <lora:Ink:0.8>"), [("Ink", 0.8)]),
    ],
    ids=["power loader", "rgthree stack", "comfyroll", "efficiency simple", "efficiency advanced", "easy use", "lora manager", "tags", "wildcards"],
)  # fmt: skip
def test_loaders_and_stacks_of_extensions(stack: dict[str, Any], expected: list[tuple[str, float]]) -> None:
    applied = node("CR Apply LoRA Stack", model=["n4", 0], clip=["n4", 1], lora_stack=["stack", 0])
    assert loras(read(with_model("apply", 0, stack=stack, apply=applied))) == expected


def test_tags_in_a_usual_text_are_only_words() -> None:
    found = read(graph(n6=node("CLIPTextEncode", text="cat <lora:Ink:0.8>", clip=["n4", 1])))
    assert (found.prompt, found.loras) == ("cat <lora:Ink:0.8>", [])


def test_the_first_of_several_samplers_has_the_prompt() -> None:
    second = node(
        "KSampler", seed=2, steps=5, cfg=3, sampler_name="dpmpp_2m", scheduler="karras", denoise=0.4, model=["n4", 0],
        positive=["p2", 0], negative=["n7", 0], latent_image=["up", 0],
    )  # fmt: skip
    further = {
        "p2": node("CLIPTextEncode", text="sharper", clip=["n4", 1]),
        "up": node("LatentUpscaleBy", samples=["n3", 0], upscale_method="nearest-exact", scale_by=1.5),
        "s2": second,
        "n8": node("VAEDecode", samples=["s2", 0], vae=["n4", 2]),
        "unused": {
            **second,
            "inputs": {**second["inputs"], "latent_image": ["n5", 0], "positive": ["unused text", 0]},
        },
        "unused text": node("CLIPTextEncode", text="a picture nobody saved", clip=["n4", 1]),
    }
    found = read(graph(**further))
    assert (found.prompt, found.parameters["seed"], found.parameters["steps"]) == (
        "a castle, fog",
        156680208700286,
        20,
    )


def test_both_texts_of_sdxl_each_once() -> None:
    encode = node(
        "CLIPTextEncodeSDXL", text_g="a castle", text_l="fog, night", width=1024, height=1024, clip=["n4", 1]
    )
    assert read(graph(n6=encode)).prompt == "a castle, fog, night"
    encode["inputs"]["text_l"] = "a castle"
    assert read(graph(n6=encode)).prompt == "a castle"


def test_flux_with_a_guider_and_noise_of_their_own() -> None:
    made = {
        "1": node("UNETLoader", unet_name="flux1-dev.safetensors", weight_dtype="default"),
        "2": node("DualCLIPLoader", clip_name1="t5xxl.safetensors", clip_name2="clip_l.safetensors", type="flux"),
        "3": node("LoraLoaderModelOnly", model=["1", 0], lora_name="flux/Ink.safetensors", strength_model=0.9),
        "4": node("CLIPTextEncodeFlux", clip=["2", 0], clip_l="castle", t5xxl="A castle stands in fog.", guidance=3.5),
        "5": node("BasicGuider", model=["3", 0], conditioning=["4", 0]),
        "6": node("RandomNoise", noise_seed=42),
        "7": node("KSamplerSelect", sampler_name="euler"),
        "8": node("BasicScheduler", model=["3", 0], scheduler="simple", steps=28, denoise=1),
        "9": node("EmptySD3LatentImage", width=1024, height=576, batch_size=1),
        "10": node("SamplerCustomAdvanced", noise=["6", 0], guider=["5", 0], sampler=["7", 0], sigmas=["8", 0], latent_image=["9", 0]),
        "11": node("SaveImage", images=["10", 0]),
    }  # fmt: skip
    found = read(made)
    assert (found.prompt, found.negative_prompt) == ("castle, A castle stands in fog.", "")
    assert loras(found) == [("Ink", 0.9)]
    assert found.parameters == {
        "seed": 42, "sampler": "euler", "scheduler": "simple", "steps": 28, "denoising": 1, "checkpoint": "flux1-dev",
        "size": "1024x576",
    }  # fmt: skip


def test_efficiency_loader_and_sampler() -> None:
    made = {
        "1": node(
            "Efficient Loader", ckpt_name="xl.safetensors", vae_name="Baked VAE", clip_skip=-1, lora_name="Ink.safetensors",
            lora_model_strength=0.8, lora_clip_strength=1, positive="a castle", negative="blurry", empty_latent_width=512,
            empty_latent_height=768, batch_size=1,
        ),
        "2": node(
            "KSampler (Efficient)", seed=7, steps=20, cfg=7, sampler_name="euler", scheduler="normal", denoise=1,
            model=["1", 0], positive=["1", 1], negative=["1", 2], latent_image=["1", 3],
        ),
        "3": node("PreviewImage", images=["2", 5]),
    }  # fmt: skip
    found = read(made)
    assert (found.prompt, found.negative_prompt) == ("a castle", "blurry")
    assert loras(found) == [("Ink", 0.8)]
    assert (found.parameters["seed"], found.parameters["checkpoint"]) == (7, "xl")


def test_a_seed_from_another_node() -> None:
    made = graph(seed=node("Seed (rgthree)", seed=99))
    made["n3"]["inputs"]["seed"] = ["seed", 0]
    assert read(made).parameters["seed"] == 99


def test_nan_does_not_hide_a_graph() -> None:
    text = json.dumps(graph(x=node("Any", is_changed=float("nan"))))
    found = read_infotext({"prompt": text})
    assert found is not None
    assert found.prompt == "a castle, fog"


@pytest.mark.parametrize("form", ["WEBP", "JPEG"])
def test_graphs_in_exif(form: str) -> None:
    content = with_exif({0x0110: "prompt:" + json.dumps(graph()), 0x010F: 'workflow:{"nodes": []}'}, form)
    found = read_picture(content)
    assert found is not None
    assert (found.software, found.prompt) == ("ComfyUI", "a castle, fog")


def test_an_infotext_beside_a_graph_gets_the_weights_of_the_graph() -> None:
    lora = node(
        "LoraLoader",
        model=["n4", 0],
        clip=["n4", 1],
        lora_name="Ink.safetensors",
        strength_model=0.7,
        strength_clip=1,
    )
    infotext = 'a castle\nNegative prompt: blurry\nSteps: 20, Sampler: euler, Seed: 1, Lora hashes: "Ink: 0123456789", Version: ComfyUI'
    found = read_infotext({"parameters": infotext, "prompt": json.dumps(with_model("a", 0, a=lora))})
    assert found is not None
    assert (found.software, found.prompt, found.text) == ("ComfyUI", "a castle", infotext)
    assert [(one.name, one.weight, one.hash) for one in found.loras] == [("Ink", 0.7, "0123456789")]


def test_a_graph_that_made_nothing_tells_nothing() -> None:
    scaled = {
        "1": node("LoadImage", image="x.png"),
        "2": node("ImageScaleBy", image=["1", 0], upscale_method="lanczos", scale_by=2),
        "3": node("SaveImage", images=["2", 0]),
    }
    assert read_picture(graph_png(scaled)) is None
