"""Pictures of SwarmUI, Fooocus and NovelAI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from infotext_pictures import asking, png, short, with_comment, with_exif
from starlette.testclient import TestClient

from sidecar.prompts.images.infotext import Infotext
from sidecar.prompts.images.reading import read_infotext, read_picture

SWARM = {
    "sui_image_params": {
        "prompt": "a castle, fog", "negativeprompt": "blurry", "model": "OfficialStableDiffusion/sd_xl_base_1.0", "images": 1,
        "seed": 1512087212, "steps": 20, "cfgscale": 7.5, "aspectratio": "Custom", "width": 1024, "height": 640, "sampler": "euler",
        "scheduler": "karras", "loras": ["styles/Ink", "nobody"], "loraweights": ["0.65", "1"], "swarm_version": "0.9.5.0",
    },
    "sui_models": [{"name": "styles/Ink.safetensors", "param": "loras", "hash": "0xHASH"}, {"name": "sd_xl_base_1.0.safetensors", "param": "model", "hash": "0x31e35c80fc4829d14f90153f4c74cd59c90b779f6afe05a74cd6120b893f7e5b"}],
}  # fmt: skip
FOOOCUS = {
    "adm_guidance": "(1.5, 0.8, 0.3)", "base_model": "juggernautXL_v8Rundiffusion", "base_model_hash": "aeb7e9e689",
    "full_negative_prompt": ["blurry", "anime"], "full_prompt": ["cinematic still castle", "fog"], "guidance_scale": 4,
    "lora_combined_1": "Ink.safetensors : 0.1", "loras": [["Ink", 0.65, "0123456789"], ["Two", 1, None]], "negative_prompt": "blurry",
    "performance": "Speed", "prompt": "castle", "resolution": "(1152, 896)", "sampler": "dpmpp_2m_sde_gpu", "scheduler": "karras",
    "seed": "4302452374552413", "steps": 30, "vae": "Default (model)", "version": "Fooocus v2.5.5",
}  # fmt: skip


def read(**texts: Any) -> Infotext:
    found = read_infotext(
        {key: text if isinstance(text, str) else json.dumps(text) for key, text in texts.items()}
    )
    assert found is not None
    return found


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_swarm_ui(prompt_library: Path, api: TestClient, hash_all: Any, form: str) -> None:
    hash_all()
    items = {item["name"]: item["id"] for item in api.get("loras", params={"limit": 1000}).json()["items"]}
    body = api.get(f"loras/{items['InkWash']}").json()["hashes"]["autov3"]
    text = json.dumps(SWARM).replace("HASH", body)
    content = (
        png({"parameters": text}) if form == "PNG" else with_comment(b"UNICODE\0" + text.encode("utf-16-be"))
    )
    told = asking(api)(content)
    assert (told["software"], told["prompt"]) == (
        "SwarmUI",
        "a castle, fog <lora:InkWash:0.65> <lora:nobody:1>",
    )
    assert told["negative_prompt"] == "blurry"
    assert short(told) == [("Ink", 0.65, "hash"), ("nobody", 1, None)]
    assert told["parameters"] == {
        "steps": 20, "seed": 1512087212, "sampler": "euler", "scheduler": "karras", "cfg": 7.5, "size": "1024x640",
        "checkpoint": "sd_xl_base_1.0",
    }  # fmt: skip


def test_swarm_ui_of_old_wrote_texts_with_commas() -> None:
    values = {"prompt": "a", "loras": "x/Ink.safetensors,Two", "loraweights": "0.5", "swarm_version": "0.6"}
    found = read(parameters={"sui_image_params": values})
    assert [(lora.name, lora.weight) for lora in found.loras] == [("Ink", 0.5), ("Two", 1)]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_fooocus(form: str) -> None:
    text = json.dumps(FOOOCUS)
    exif: dict[int, Any] = {0x9286: text, 0x0131: "Fooocus v2.5.5", 0x927C: "fooocus"}
    content = (
        png({"parameters": text, "fooocus_scheme": "fooocus"}) if form == "PNG" else with_exif(exif, form)
    )
    found = read_picture(content)
    assert found is not None
    assert (found.software, found.prompt, found.negative_prompt) == (
        "Fooocus",
        "cinematic still castle, fog",
        "blurry, anime",
    )
    assert [(lora.name, lora.weight, lora.hash) for lora in found.loras] == [
        ("Ink", 0.65, "0123456789"),
        ("Two", 1, None),
    ]
    assert found.parameters == {
        "steps": 30, "seed": 4302452374552413, "sampler": "dpmpp_2m_sde_gpu", "scheduler": "karras", "cfg": 4, "size": "1152x896",
        "checkpoint": "juggernautXL_v8Rundiffusion", "checkpoint_hash": "aeb7e9e689",
    }  # fmt: skip


def test_fooocus_in_the_form_of_a1111_tells_weights() -> None:
    line = 'Steps: 30, Sampler: DPM++ 2M SDE, Seed: 4, Size: 8x8, Lora hashes: "Ink: 0123456789, Two: 89abcdef01", Lora weights: "Ink: 0.65, Two: 1", Version: Fooocus v2.5.5'
    found = read(parameters=f"castle\nNegative prompt: blurry\n{line}")
    assert (found.software, found.prompt) == ("Fooocus", "castle")
    assert [(lora.name, lora.weight, lora.hash) for lora in found.loras] == [
        ("Ink", 0.65, "0123456789"),
        ("Two", 1, "89abcdef01"),
    ]


def test_novel_ai() -> None:
    comment = {
        "steps": 28,
        "sampler": "k_euler",
        "seed": 4076624157,
        "scale": 11,
        "uc": "lowres",
        "height": 768,
        "width": 512,
    }
    found = read(Title="AI generated image", Description="a castle", Software="NovelAI", Comment=comment)
    assert (found.software, found.prompt, found.negative_prompt) == ("NovelAI", "a castle", "lowres")
    assert found.parameters == {
        "steps": 28,
        "sampler": "k_euler",
        "seed": 4076624157,
        "cfg": 11,
        "size": "512x768",
    }


def test_json_of_nobody_known_is_no_prompt() -> None:
    assert read_infotext({"UserComment": '{"device": "camera"}', "Software": "Camera 1.0"}) is None
