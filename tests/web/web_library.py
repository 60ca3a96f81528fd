"""Makes the small library that the browser tests look at: valid LoRA files, side files, previews, and some that are bad."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path

from PIL import Image

VIDEO = Path(__file__).with_name("preview.webm")
HOSTILE = (
    '<p>A <b>soft</b> style.</p><script>window.hacked = 1</script><img src=x onerror="window.hacked = 2">'
    '<a href="javascript:window.hacked = 3">click</a> <a href="https://example.com/page">page</a>'
    '<svg onload="window.hacked = 4"></svg>'
)


def make_lora(
    path: Path, *, base: str = "sdxl_base_v1-0", tags: dict[str, int] | None = None, **metadata: str
) -> None:
    """Write a valid LoRA with one tiny tensor pair; `tags` are training tags with counts, the rest goes in the header."""
    known = {
        "ss_base_model_version": base,
        "ss_network_module": "networks.lora",
        "ss_network_dim": "4",
        **metadata,
    }
    if tags:
        known["ss_tag_frequency"] = json.dumps({"10_set": tags})
    tensors = {
        "lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": {
            "dtype": "F16",
            "shape": [4, 8],
            "data_offsets": [0, 64],
        },
        "lora_unet_mid_block_attentions_0_proj_in.lora_up.weight": {
            "dtype": "F16",
            "shape": [8, 4],
            "data_offsets": [64, 128],
        },
    }
    header = json.dumps({"__metadata__": known, **tensors}).encode()
    body = (path.stem.encode() * 128)[:128]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(header)) + header + body)


def add_civitai(path: Path, *, title: str, tags: list[str], words: list[str], description: str = "") -> None:
    """Write the `.civitai.info` beside a LoRA."""
    info = {
        "id": 1,
        "modelId": 7,
        "name": "v1",
        "baseModel": "SDXL 1.0",
        "trainedWords": words,
        "description": "",
        "model": {"name": title, "type": "LORA", "tags": tags, "description": description},
        "images": [
            {
                "url": "https://example.com/a.jpeg",
                "meta": {
                    "prompt": "a quiet harbour at dawn",
                    "negativePrompt": "blurry",
                    "steps": 20,
                    "sampler": "Euler a",
                },
            }
        ],
    }
    path.with_suffix(".civitai.info").write_text(json.dumps(info))


def add_picture(path: Path, colour: str) -> None:
    """Write a preview picture beside a LoRA."""
    picture = io.BytesIO()
    Image.new("RGB", (60, 90), colour).save(picture, "PNG")
    path.with_suffix(".preview.png").write_bytes(picture.getvalue())


def make_library(root: Path) -> None:
    """60 plain LoRAs in two folders, and one for each thing that a test needs."""
    for number in range(60):
        path = root / ("styles" if number % 2 else "styles/deep") / f"plain_{number:02}.safetensors"
        make_lora(path, base="sd_1.5" if number % 3 == 0 else "sdxl_base_v1-0")
        if number < 10:
            add_picture(path, f"hsl({number * 36}, 60%, 50%)")
    samurai = root / "characters" / "neon_samurai.safetensors"
    make_lora(samurai, tags={"katana": 40, "armour": 22, "night": 9})
    add_civitai(
        samurai,
        title="Neon Samurai",
        tags=["character", "neon"],
        words=["n3on samurai", "glowing katana"],
        description=HOSTILE,
    )
    samurai.with_suffix(".json").write_text(json.dumps({"preferred weight": 0.8, "notes": "from the file"}))
    add_picture(samurai, "purple")
    for name in ("harbour", "lighthouse", "meadow"):
        path = root / "places" / f"{name}.safetensors"
        make_lora(path)
        add_civitai(path, title=name.title(), tags=["landscape", name], words=[f"{name} view"])
    film = root / "places" / "film.safetensors"
    make_lora(film)
    film.with_suffix(".preview.webm").write_bytes(VIDEO.read_bytes())
    (root / "broken_one.safetensors").write_bytes(b"\xff\xff\xff\xff\xff\xff\xff\x7f{}")
    (root / "old_style.pt").write_bytes(b"PK\x03\x04 never opened")
