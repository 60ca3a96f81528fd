"""Pictures of A1111, Forge, reForge and SD.Next: prompts, parameters, and what they tell of LoRAs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from infotext_pictures import asking, comment_of, png, short, with_comment
from starlette.testclient import TestClient

from sidecar.prompts.images.a1111 import parse_infotext

A1111 = """a castle, <lora:InkWash:0.7>, (fog:1.2)
at night
Negative prompt: blurry, lowres,
text
Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 3216132656, Size: 512x768, Model hash: 67e3381aca, \
Model: random-sd15, VAE hash: 735e4c3a44, VAE: vae-ft-mse.pt, Denoising strength: 0.4, Clip skip: 2, Hires prompt: "a castle, \\"big\\": yes", \
Hires upscale: 2, Hires steps: 12, Hires upscaler: Latent, Lora hashes: "InkWash: 278f53e49278", Version: v1.10.1"""

# As SD.Next of July 2026 wrote it (a batch with a style, a set and draws), shortened.
SDNEXT = """ctl <lora:InkWash:0.5> <lora:one:0.5>, pairword, trig
Negative prompt: setneg
Template: ctl <set:Pair> <lora:?q>
Negative template: setneg, too
Steps: 2, Size: 128x128, Sampler: Euler a, Scheduler: DDIMScheduler, Seed: 1051198850, CFG scale: 6, CLiP-skip: 2, Batch: 3x1, \
Refiner prompt: "sharp, <lora:two:1>", Styles: SetStyle; Other, App: SD.Next, Version: 058a7f0, Pipeline: StableDiffusionPipeline, \
Operations: txt2img, Model: tiny-sd15, Model hash: 0123abcdef, Index: 1x1, LoRA Manager: Added trig.; \
Drew one for q by seed 1051198851., LoRA sets: Pair v3, LoRA networks: "InkWash, one, two\""""


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a1111_tells_prompts_and_parameters(prompt_library: Path, api: TestClient, form: str) -> None:
    content = png({"parameters": A1111}) if form == "PNG" else with_comment(comment_of(A1111), form)
    told = asking(api)(content)
    assert told["software"] == "A1111"
    assert told["prompt"] == "a castle, <lora:InkWash:0.7>, (fog:1.2)\nat night"
    assert told["negative_prompt"] == "blurry, lowres,\ntext"
    assert told["infotext"] == A1111
    assert told["parameters"] == {
        "steps": 20, "sampler": "DPM++ 2M", "scheduler": "Karras", "cfg": 7.5, "seed": 3216132656, "size": "512x768",
        "checkpoint_hash": "67e3381aca", "checkpoint": "random-sd15", "vae": "vae-ft-mse.pt", "denoising": 0.4,
        "clip_skip": 2, "hires_prompt": 'a castle, "big": yes', "hires_scale": 2, "hires_steps": 12,
        "hires_upscaler": "Latent",
    }  # fmt: skip
    assert short(told) == [("InkWash", 0.7, "name")]
    assert told["loras"][0]["hash"] == "278f53e49278"
    assert told["loras"][0]["lora"]["name"] == "InkWash"
    assert (told["missing"], told["sets"]) == ([], [])


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_sdnext_tells_templates_networks_and_sets(prompt_library: Path, api: TestClient, form: str) -> None:
    content = png({"parameters": SDNEXT}) if form == "PNG" else with_comment(comment_of(SDNEXT), form)
    told = asking(api)(content)
    assert told["software"] == "SD.Next"
    assert told["prompt"] == "ctl <lora:InkWash:0.5> <lora:one:0.5>, pairword, trig"
    assert told["negative_prompt"] == "setneg"
    assert told["parameters"] == {
        "steps": 2, "size": "128x128", "sampler": "Euler a", "scheduler": "DDIMScheduler", "seed": 1051198850, "cfg": 6,
        "clip_skip": 2, "hires_prompt": "sharp, <lora:two:1>", "styles": "SetStyle; Other", "checkpoint": "tiny-sd15",
        "checkpoint_hash": "0123abcdef", "template": "ctl <set:Pair> <lora:?q>", "negative_template": "setneg, too",
    }  # fmt: skip
    assert told["sets"] == ["Pair"]
    # "two" is of the refiner's prompt: named, but not added to this one.
    assert short(told) == [("InkWash", 0.5, "name"), ("one", 0.5, "name"), ("two", None, "name")]


def test_sdnext_without_a_prompt_or_a_negative_prompt() -> None:
    steps = "Steps: 2, Size: 128x128, Seed: 5, App: SD.Next"
    only_prompt = parse_infotext(f"cat\nNegative prompt: \n{steps}")
    assert (only_prompt.prompt, only_prompt.negative_prompt) == ("cat", "")
    only_negative = parse_infotext(f"Negative prompt: dog\n{steps}")
    assert (only_negative.prompt, only_negative.negative_prompt) == ("", "dog")
    assert only_negative.parameters["seed"] == 5
    neither = parse_infotext(f"Negative prompt: \n{steps}")
    assert (neither.prompt, neither.negative_prompt, neither.software) == ("", "", "SD.Next")


def test_sdnext_hashes_belong_to_its_networks_when_they_are_as_many() -> None:
    line = "Steps: 2, Size: 1x1, Seed: 5, App: SD.Next, LoRA networks: {}, LoRA hashes: {}"
    paired = parse_infotext("cat\n" + line.format('"a, b"', '"01234567, 89abcdef"'))
    assert [(lora.name, lora.hash) for lora in paired.loras] == [("a", "01234567"), ("b", "89abcdef")]
    one = parse_infotext("cat\n" + line.format("a", "01234567"))
    assert [(lora.name, lora.hash) for lora in one.loras] == [("a", "01234567")]
    unclear = parse_infotext("cat\n" + line.format('"a, b"', "01234567"))
    assert [(lora.name, lora.hash) for lora in unclear.loras] == [("a", None), ("b", None)]


@pytest.mark.parametrize(
    ("version", "software"),
    [
        ("v1.10.1", "A1111"),
        ("f2.0.1v1.10.1-previous-669-gdfdcbab6", "Forge"),
        ("f1.0.0v2-v1.10.1RC-latest-2510-g3b56b268", "Forge"),
        ("neo", "Forge"),
        ("ComfyUI", "ComfyUI"),
        ("Fooocus v2.5.5", "Fooocus"),
        ("", "A1111"),
    ],
)
def test_the_version_tells_the_program(version: str, software: str) -> None:
    line = "Steps: 20, Sampler: Euler, Seed: 1" + (f", Version: {version}" if version else "")
    assert parse_infotext(f"cat\n{line}").software == software


@pytest.mark.parametrize(
    ("prompt", "negative"),
    [
        ("cat", ""),
        ("", "dog"),
        ("", ""),
        ('say "Steps: 9, Sampler: x, Seed: 2", twice', "no: such, thing"),
        ("Steps: 20, Sampler: Euler, Seed: 7", "Steps: 1, a: b, c: d"),
        ("first\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1\nlast", "Template: of a shirt"),
        ("Template: shirt\nSteps: carved in stone", "one\nNegative template: two"),
        ("猫, 🐈‍⬛, naïve café", "über\nalles"),
        ("<lora:a, b:1> {json: [1]} \\(escaped\\)", '"unclosed'),
        ("a cat, Negative prompt: in the same line", "x"),
    ],
)
def test_prompts_come_back_as_they_were(prompt: str, negative: str) -> None:
    text = prompt + (f"\nNegative prompt: {negative}" if negative else "")
    found = parse_infotext(f"{text}\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 8x8")
    assert (found.prompt, found.negative_prompt) == (prompt, negative)
    assert found.parameters["seed"] == 1


def test_what_others_append_does_not_disturb_the_parameters() -> None:
    dynamic = parse_infotext(
        f"{A1111}\nTemplate: a {{castle|tower}}\nSteps: none\nNegative Template: {{a|b}}"
    )
    assert dynamic.parameters["seed"] == 3216132656
    assert dynamic.parameters["template"] == "a {castle|tower}\nSteps: none"
    assert dynamic.parameters["negative_template"] == "{a|b}"
    resources = [
        {"type": "checkpoint", "modelVersionId": 1, "modelName": "Big, one"},
        {
            "type": "lora",
            "weight": 0.8,
            "modelVersionId": 2,
            "modelName": "Ink: wash",
            "modelVersionName": "v1",
        },
    ]
    line = f"Steps: 25, Sampler: Euler a, Seed: 7, Civitai resources: {json.dumps(resources)}, Civitai metadata: {{}}"
    civitai = parse_infotext(f"cat\nNegative prompt: dog\n{line}")
    assert (civitai.software, civitai.prompt, civitai.negative_prompt) == ("Civitai", "cat", "dog")
    assert [(lora.name, lora.weight) for lora in civitai.loras] == [("Ink: wash", 0.8)]


def test_a_line_of_parameters_without_steps_counts_when_programs_write_its_keys() -> None:
    upscaled = parse_infotext("cat\nPostprocess upscale by: 4, Postprocess upscaler: R-ESRGAN, Seed: 3")
    assert (upscaled.prompt, upscaled.parameters) == ("cat", {"seed": 3})
    scene = "a sign: red, a door: blue, a floor: green"
    assert parse_infotext(scene).prompt == scene


def test_seeds_keep_every_digit() -> None:
    found = parse_infotext("cat\nSteps: 20, Sampler: Euler, Seed: 18446744073709551615")
    assert found.parameters["seed"] == 18446744073709551615


def test_names_of_sets_may_hold_commas_and_tell_weights() -> None:
    line = 'Steps: 20, Sampler: Euler, Seed: 1, LoRA sets: "Ink, dark v12, v2 v3 (0.7), Neon v1 (-0.5)", Version: v1'
    assert parse_infotext(f"cat\n{line}").sets == ["Ink, dark", "v2", "Neon"]
