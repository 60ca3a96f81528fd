"""Makes the small library that the browser tests look at: valid LoRA files, side files, previews, and some that are bad."""

from __future__ import annotations

import json
from pathlib import Path

from lora_files import add_side_file, make_lora, picture

VIDEO = Path(__file__).with_name("preview.webm")
HOSTILE = (
    '<p>A <b>soft</b> style.</p><script>window.hacked = 1</script><img src=x onerror="window.hacked = 2">'
    '<a href="javascript:window.hacked = 3">click</a> <a href="https://example.com/page">page</a>'
    '<svg onload="window.hacked = 4"></svg>'
)


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
    add_side_file(path, ".civitai.info", info)


def make_library(root: Path) -> None:
    """60 plain LoRAs in two folders, and one for each thing that a test needs."""
    for number in range(60):
        path = root / ("styles" if number % 2 else "styles/deep") / f"plain_{number:02}.safetensors"
        make_lora(path, width=768 if number % 3 == 0 else 2048)
        if number < 10:
            add_side_file(path, ".preview.png", picture(colour=f"hsl({number * 36}, 60%, 50%)"))
    samurai = root / "characters" / "neon_samurai.safetensors"
    make_lora(
        samurai, width=2048, ss_tag_frequency=json.dumps({"10_set": {"katana": 40, "armour": 22, "night": 9}})
    )
    add_civitai(
        samurai,
        title="Neon Samurai",
        tags=["character", "neon"],
        words=["n3on samurai", "glowing katana"],
        description=HOSTILE,
    )
    add_side_file(samurai, ".json", {"preferred weight": 0.8, "notes": "from the file"})
    add_side_file(samurai, ".preview.png", picture(colour="purple"))
    for name in ("harbour", "lighthouse", "meadow"):
        path = root / "places" / f"{name}.safetensors"
        make_lora(path, width=2048)
        add_civitai(path, title=name.title(), tags=["landscape", name], words=[f"{name} view"])
    film = root / "places" / "film.safetensors"
    make_lora(film, width=2048)
    add_side_file(film, ".preview.webm", VIDEO.read_bytes())
    (root / "broken_one.safetensors").write_bytes(b"\xff\xff\xff\xff\xff\xff\xff\x7f{}")
    (root / "old_style.pt").write_bytes(b"PK\x03\x04 never opened")
