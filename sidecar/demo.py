"""A small library to look around in, for whoever starts the app without LoRAs of their own: real files, made-up weights."""

from __future__ import annotations

import colorsys
import json
import math
import random
import struct
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

_README = "Made by LoRA Manager to show what it does. Delete this folder whenever you like.\n"
# name, base model as Civitai writes it, title, trigger words, tags, preferred weight, what it is
_DEMO = (
    ("ink_wash_landscape", "SDXL 1.0", "Ink Wash Landscapes", ["ink wash painting"], ["style", "landscape", "monochrome"], 0.8),
    ("paper_cutout", "SDXL 1.0", "Paper Cut-out", ["papercut style", "layered paper"], ["style", "craft"], 0.9),
    ("neon_rain_city", "Pony", "Neon Rain City", ["neon rain"], ["background", "city", "night"], 0.7),
    ("soft_watercolour", "Illustrious", "Soft Watercolour", ["soft watercolour"], ["style", "traditional media"], 0.75),
    ("brass_automaton", "SD 1.5", "Brass Automaton", ["brassauto", "clockwork"], ["character", "steampunk"], 0.85),
    ("film_grain_1970s", "Flux.1 D", "Seventies Film Grain", ["70s film photo"], ["style", "photo"], 0.6),
    ("botanical_plate", "SDXL 1.0", "Botanical Plate", ["botanical plate"], ["style", "plants", "illustration"], 1.0),
    ("glass_sculpture", "Flux.1 D", "Glass Sculpture", ["blown glass"], ["object", "material"], 0.8),
    ("knitted_world", "SD 1.5", "Knitted World", ["knitted wool"], ["style", "craft"], 0.9),
    ("misty_harbour", "Illustrious", "Misty Harbour", ["misty harbour"], ["background", "sea"], None),
    ("chalk_sketch", "NoobAI", "Chalk Sketch", ["chalk sketch", "dark paper"], ["style", "monochrome"], 0.7),
    ("desert_ranger", "Pony", "Desert Ranger", ["desertranger", "dust cloak", "goggles"], ["character", "clothing"], 0.8),
)  # fmt: skip
_UNET = (
    "down_blocks_0",
    "down_blocks_1",
    "down_blocks_2",
    "mid_block",
    "up_blocks_1",
    "up_blocks_2",
    "up_blocks_3",
)
_MODULES = (
    *(f"lora_te_text_model_encoder_layers_{layer}_mlp_fc1" for layer in range(0, 12, 3)),
    *(
        f"lora_unet_{block}_attentions_{number}_transformer_blocks_0_attn1_to_q"
        for block in _UNET
        for number in range({"d": 2, "m": 1, "u": 3}[block[0]])
    ),
)


def make_demo_library(folder: Path) -> Path:
    """Write the demo files that are not there yet; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.txt").write_text(_README)
    for number, (name, base, title, words, tags, weight) in enumerate(_DEMO):
        path = folder / tags[0] / name
        if path.with_suffix(".safetensors").exists():
            continue
        path.parent.mkdir(exist_ok=True)
        rng = random.Random(number)
        metadata = {
            "ss_output_name": name,
            "ss_network_module": "networks.lora",
            "ss_network_dim": "4",
            "ss_network_alpha": "4.0",
            "ss_tag_frequency": json.dumps(
                {"10_" + name: {tag: rng.randint(5, 40) for tag in [*words, *tags]}}
            ),
            "modelspec.title": title,
            "modelspec.trigger_phrase": ", ".join(words),
            "modelspec.tags": ", ".join(tags),
            "modelspec.description": f"{title}: a file with made-up weights, to look around with.",
        }
        path.with_suffix(".safetensors").write_bytes(_safetensors(metadata, rng))
        notes = {"activation text": ", ".join(words), "preferred weight": weight or 0, "notes": ""}
        path.with_suffix(".json").write_text(json.dumps(notes, indent=2))
        info = {
            "modelId": 0,
            "name": "demo",
            "baseModel": base,
            "trainedWords": words,
            "model": {"name": title, "tags": tags},
        }
        path.with_suffix(".civitai.info").write_text(json.dumps(info, indent=2))
        _picture(rng).save(path.with_suffix(".preview.png"))
    return folder


def _safetensors(metadata: dict[str, str], rng: random.Random) -> bytes:
    """Small pairs of rank 4 over the blocks of an SD UNet and its text encoder, stronger towards one of them."""
    header: dict[str, object] = {"__metadata__": metadata}
    body = bytearray()
    middle = rng.uniform(2, 12)
    for number, module in enumerate(_MODULES):
        spread = 0.02 + 0.2 * math.exp(-((number - middle) ** 2) / 8)
        for part, shape, deviation in (("lora_down", [4, 16], 0.5), ("lora_up", [16, 4], spread)):
            values = [rng.gauss(0, deviation) for _ in range(64)]
            offsets = [len(body), len(body) + 128]
            header[f"{module}.{part}.weight"] = {"dtype": "F16", "shape": shape, "data_offsets": offsets}
            body += struct.pack("<64e", *values)
        header[f"{module}.alpha"] = {"dtype": "F16", "shape": [], "data_offsets": [len(body), len(body) + 2]}
        body += struct.pack("<e", 4.0)
    blob = json.dumps(header, separators=(",", ":")).encode()
    blob += b" " * (-len(blob) % 8)
    return struct.pack("<Q", len(blob)) + blob + bytes(body)


def _picture(rng: random.Random, width: int = 320, height: int = 448) -> Image.Image:
    """Soft shapes before a gradient, in one family of colours."""
    hue = rng.random()

    def colour(shift: float, light: float) -> tuple[int, int, int]:
        red, green, blue = colorsys.hls_to_rgb((hue + shift) % 1, light, 0.45)
        return int(red * 255), int(green * 255), int(blue * 255)

    sky, ground = Image.new("RGB", (1, 2)), colour(0.08, 0.25)
    sky.putpixel((0, 0), colour(0, 0.75))
    sky.putpixel((0, 1), colour(0.05, 0.4))
    image = sky.resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    x, y, radius = rng.randint(60, 260), rng.randint(60, 160), rng.randint(24, 60)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour(0.5, 0.82))
    for layer in range(4):
        base = height * (0.5 + layer * 0.13)
        points = [(px, base + rng.randint(-34, 34)) for px in range(0, width + 41, 40)]
        fill = tuple(int(a + (b - a) * layer / 3) for a, b in zip(colour(0.03, 0.5), ground))
        draw.polygon([(0, height), *points, (width, height)], fill=fill)
    return image.filter(ImageFilter.GaussianBlur(1.2))
