"""LoRA files for hosts: real kohya files with random weights, in the shapes of the model that the host has loaded."""

from __future__ import annotations

import json
import math
import random
import struct
from pathlib import Path

from lora_files import header_bytes

Shapes = dict[str, tuple[int, int]]
SD15_CHANNELS = (320, 640, 1280)
RIVER, LANTERN = "river_ink", "paper_lantern"
RIVER_WORDS, LANTERN_WORDS = "flowing river ink", "glowing lantern"


def sd15_shapes() -> Shapes:
    """(out, in) of a few attention layers of Stable Diffusion 1.5, by kohya's names."""
    shapes: Shapes = {}
    for level, channels in enumerate(SD15_CHANNELS):
        name = f"lora_unet_down_blocks_{level}_attentions_0_transformer_blocks_0_attn2_to"
        shapes[f"{name}_q"], shapes[f"{name}_k"] = (channels, channels), (channels, 768)
        shapes[f"{name}_v"] = (channels, 768)
    return shapes


def shapes_of(model: Path) -> Shapes:
    """The same layers of a diffusers folder, read from the headers of its UNet."""
    shapes: Shapes = {}
    for path in sorted((model / "unet").glob("*.safetensors")):
        with path.open("rb") as file:
            header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        for key, value in header.items():
            layer = key.removesuffix(".weight")
            if layer.endswith((".attn2.to_q", ".attn2.to_k", ".attn2.to_v")):
                shapes["lora_unet_" + layer.replace(".", "_")] = (value["shape"][0], value["shape"][1])
    return shapes


def make_kohya_lora(path: Path, shapes: Shapes, strength: float, **metadata: str) -> Path:
    """Write a LoRA of rank 1; `strength` is the spread of its change of each weight."""
    rng = random.Random(path.stem)
    tensors, body = {}, b""
    for layer, (rows, columns) in shapes.items():
        spread = math.sqrt(strength)
        for part, shape in (("lora_down", [1, columns]), ("lora_up", [rows, 1])):
            count = shape[0] * shape[1]
            data = struct.pack(f"<{count}e", *(rng.gauss(0, spread) for _ in range(count)))
            offsets = [len(body), len(body) + len(data)]
            tensors[f"{layer}.{part}.weight"] = {"dtype": "F16", "shape": shape, "data_offsets": offsets}
            body += data
        tensors[f"{layer}.alpha"] = {"dtype": "F16", "shape": [], "data_offsets": [len(body), len(body) + 2]}
        body += struct.pack("<e", 1.0)
    known = {name.replace("__", "."): value for name, value in metadata.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header_bytes({"__metadata__": known, **tensors}) + body)
    return path


def make_loras(folder: Path, shapes: Shapes) -> None:
    """Two with trigger words, one in a subfolder, and a few more to search among."""
    base = {"ss_base_model_version": "sd_v1", "ss_network_module": "networks.lora", "ss_network_dim": "1"}
    river = make_kohya_lora(
        folder / f"{RIVER}.safetensors",
        shapes,
        0.5,
        **base,
        modelspec__title="River Ink",
        modelspec__trigger_phrase=RIVER_WORDS,
    )
    river.with_suffix(".json").write_text(
        json.dumps({"preferred weight": 0.7, "activation text": RIVER_WORDS})
    )
    lantern = {"modelspec__title": "Paper Lantern", "modelspec__trigger_phrase": LANTERN_WORDS}
    make_kohya_lora(folder / "light" / f"{LANTERN}.safetensors", shapes, 0.5, **base, **lantern)
    for number in range(10):
        title = f"Plain style {number}"
        make_kohya_lora(folder / f"plain_{number}.safetensors", shapes, 0.1, **base, modelspec__title=title)
