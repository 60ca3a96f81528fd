"""Pictures of InvokeAI, old and new."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from infotext_pictures import asking, png, short
from lora_files import make_lora
from starlette.testclient import TestClient

from sidecar.prompts.images.infotext import Infotext
from sidecar.prompts.images.reading import read_infotext

# As invokeai/app/invocations/metadata.py writes it since version 4.
NEW: dict[str, Any] = {
    "app_version": "5.6.0", "generation_mode": "sdxl_txt2img", "positive_prompt": "a castle, fog", "negative_prompt": "blurry",
    "width": 1024, "height": 768, "seed": 2704832187, "rand_device": "cpu", "cfg_scale": 7.5, "cfg_rescale_multiplier": 0, "steps": 30,
    "scheduler": "dpmpp_3m_k", "seamless_x": False, "seamless_y": False, "clip_skip": 0,
    "model": {"key": "1c2", "hash": "blake3:8a3f6e1d2c4b5a69", "name": "Juggernaut XL v9", "base": "sdxl", "type": "main"},
    "loras": [
        {"model": {"key": "7d1", "hash": "blake3:HASH", "name": "My ink", "base": "sdxl", "type": "lora"}, "weight": 0.65},
        {"model": {"key": "7d2", "hash": "random:0123456789abcdef", "name": "nobody", "base": "sdxl", "type": "lora"}, "weight": 1},
    ],
    "positive_style_prompt": "a castle, fog", "negative_style_prompt": "",
}  # fmt: skip


def read(**texts: Any) -> Infotext:
    found = read_infotext(
        {key: text if isinstance(text, str) else json.dumps(text) for key, text in texts.items()}
    )
    assert found is not None
    return found


def test_its_loras_are_appended_by_blake3(prompt_library: Path, api: TestClient, hash_all: Any) -> None:
    hash_all()
    items = {item["name"]: item["id"] for item in api.get("loras", params={"limit": 1000}).json()["items"]}
    digest = api.get(f"loras/{items['InkWash']}").json()["hashes"]["blake3"]
    text = json.dumps(NEW).replace("HASH", digest)
    told = asking(api)(
        png({"invokeai_metadata": text, "invokeai_workflow": "{}", "invokeai_graph": '{"nodes": {}}'})
    )
    assert (told["software"], told["infotext"]) == ("InvokeAI", text)
    assert told["prompt"] == "a castle, fog <lora:InkWash:0.65> <lora:nobody:1>"
    assert told["negative_prompt"] == "blurry"
    assert told["parameters"] == {
        "steps": 30, "seed": 2704832187, "cfg": 7.5, "sampler": "dpmpp_3m_k", "clip_skip": 0, "size": "1024x768",
        "checkpoint": "Juggernaut XL v9", "checkpoint_hash": "8a3f6e1d2c4b5a69",
    }  # fmt: skip
    assert short(told) == [("My ink", 0.65, "hash"), ("nobody", 1, None)]
    assert (told["missing"], told["sets"]) == (["nobody"], [])


def test_version_3_names_its_models_otherwise() -> None:
    lora = {"lora": {"model_name": "ink_wash", "base_model": "sd-1"}, "weight": 0.75}
    found = read(
        invokeai_metadata={
            "app_version": "3.4.0", "positive_prompt": "castle", "negative_prompt": None, "seed": 5,
            "model": {"model_name": "stable-diffusion-v1-5", "base_model": "sd-1", "model_type": "main"}, "loras": [lora],
        }
    )  # fmt: skip
    assert (found.prompt, found.negative_prompt) == ("castle", "")
    assert found.parameters == {"seed": 5, "checkpoint": "stable-diffusion-v1-5"}
    assert [(one.name, one.weight, one.hash) for one in found.loras] == [("ink_wash", 0.75, None)]


def test_a_second_prompt_that_says_something_else_follows_the_first() -> None:
    found = read(
        invokeai_metadata={**NEW, "positive_style_prompt": "oil painting", "negative_style_prompt": "photo"}
    )
    assert (found.prompt, found.negative_prompt) == ("a castle, fog, oil painting", "blurry, photo")


def test_version_2_has_negative_parts_and_loras_in_its_prompt() -> None:
    image = {
        "prompt": [{"prompt": "a castle withLora(inkWash,0.7) [blurry, text] in fog withLora(plain)", "weight": 1.0}],
        "steps": 50, "cfg_scale": 7.5, "threshold": 0, "height": 768, "width": 512, "seed": 3822, "type": "txt2img", "sampler": "k_lms",
    }  # fmt: skip
    found = read(
        **{
            "sd-metadata": {
                "model": "stable diffusion",
                "model_weights": "sd-1.5",
                "app_version": "2.3.5",
                "image": image,
            }
        },
        Dream='"another prompt" -s 20',
    )
    assert (found.software, found.prompt, found.negative_prompt) == (
        "InvokeAI",
        "a castle in fog",
        "blurry, text",
    )
    assert [(one.name, one.weight) for one in found.loras] == [("inkWash", 0.7), ("plain", 1)]
    assert found.parameters == {
        "steps": 50, "seed": 3822, "sampler": "k_lms", "cfg": 7.5, "size": "512x768", "checkpoint": "sd-1.5",
    }  # fmt: skip


def test_the_oldest_has_a_command_line() -> None:
    found = read(Dream='"a \\"big\\" castle [blurry]" -s 50 -S 3822 -W 512 -H 768 -C 7.5 -A k_lms')
    assert (found.prompt, found.negative_prompt) == ('a "big" castle', "blurry")
    assert found.parameters == {"steps": 50, "seed": 3822, "cfg": 7.5, "sampler": "k_lms", "size": "512x768"}


def test_found_by_name_what_has_no_hash(
    prompt_library: Path, api: TestClient, loras: Path, scan: Any
) -> None:
    make_lora(loras / "ink_wash.safetensors")
    scan()
    lora = {"lora": {"model_name": "ink_wash"}, "weight": 0.75}
    told = asking(api)(png({"invokeai_metadata": json.dumps({"positive_prompt": "castle", "loras": [lora]})}))
    assert (told["prompt"], short(told)) == ("castle <lora:ink_wash:0.75>", [("ink_wash", 0.75, "name")])
