"""Names of layers: one name for a layer whichever tool wrote it, and the block it belongs to as the field names it.

A layer is called "unet:input_blocks_4_1_…" after the names that Stability's own code gives (kohya flattens their dots):
diffusers' down_blocks, mid_block and up_blocks of SD 1.x, 2.x and SDXL are renamed to them, as the map in kohya's
library/sdxl_model_util.py has it. Text encoders are "te1:", "te2:", "te3:". Transformers keep the name they have.
"""

from __future__ import annotations

import re
from functools import lru_cache

# What stands before a layer's own path, longest first where one begins with another.
_PREFIXES = (
    ("lora_te1_", "te1"), ("lora_te2_", "te2"), ("lora_te3_", "te3"), ("lora_te_", "te1"), ("lora_prior_te_", "te1"),
    ("text_encoder_2.", "te2"), ("text_encoder_3.", "te3"), ("text_encoder.", "te1"), ("text_encoders.", "te1"),
    ("lora_unet_", "unet"), ("lora_transformer_", "unet"), ("lora_prior_unet_", "unet"), ("lycoris_", "unet"),
    ("model.diffusion_model.", "unet"), ("diffusion_model.", "unet"), ("unet.", "unet"), ("transformer.", "unet"),
    ("base_model.model.", ""),
)  # fmt: skip
_RESNET = {
    "norm1": "in_layers_0",
    "conv1": "in_layers_2",
    "time_emb_proj": "emb_layers_1",
    "norm2": "out_layers_0",
    "conv2": "out_layers_3",
    "conv_shortcut": "skip_connection",
}
_UNET = re.compile(
    r"(?P<side>down|up|mid)_blocks?_(?:(?P<block>\d+)_)?"
    r"(?P<kind>attentions|resnets|downsamplers|upsamplers)_(?P<at>\d+)(?:_(?P<rest>.+))?"
)
_OUTSIDE = {
    "conv_in": "input_blocks_0_0",
    "conv_out": "out_2",
    "time_embedding_linear_1": "time_embed_0",
    "time_embedding_linear_2": "time_embed_2",
    "add_embedding_linear_1": "label_emb_0_0",
    "add_embedding_linear_2": "label_emb_0_2",
}

_STABILITY_BLOCK = re.compile(r"(input_blocks|middle_block|output_blocks)_(\d+)")
_NUMBERED = re.compile(r"(?:^|_)((?:[a-z]+_)*?[a-z]*(?:blocks?|layers?))_(\d+)(?:_|$)")
_UPSAMPLER = re.compile(r"(output_blocks_\d+)_[12]_conv")
_SIDES = {"input_blocks": "IN", "output_blocks": "OUT"}
_FLUX_WIDTH, _FLUX_DOUBLE, _FLUX_SINGLE = 3072, 19, 38
_TRANSFORMER_BLOCKS = {
    "double_blocks": "double", "single_blocks": "single", "single_transformer_blocks": "single",
    "joint_blocks": "joint", "double_layers": "double", "single_layers": "single",
}  # fmt: skip
_ORDER = {"IN": 0, "MID": 1, "OUT": 2, "joint": 0, "double": 1, "single": 2}


@lru_cache(maxsize=16_384)
def layer_name(path: str) -> str:
    """The one name of a layer, from the part of a tensor's name that says which layer it belongs to."""
    part, rest = "unet", path
    for _ in range(3):  # some stand behind one another
        for prefix, meant in _PREFIXES:
            if rest.startswith(prefix):
                part, rest = meant or part, rest[len(prefix) :]
                break
        else:
            break
    flat = rest.replace(".processor.", ".").replace(".", "_").lower()
    if part == "unet" and flat.startswith("text_model_"):
        part = "te1"
    if part != "unet":
        return f"{part}:{flat}"
    if flat.endswith("_to_out"):
        flat += "_0"
    return f"unet:{_as_stability(flat)}"


def _as_stability(flat: str) -> str:
    found = _UNET.fullmatch(flat)
    if found is None:
        upsampler = _UPSAMPLER.fullmatch(
            flat
        )  # its place depends on whether the block has attention before it
        return f"{upsampler[1]}_upsample_conv" if upsampler else _OUTSIDE.get(flat, flat)
    side, kind, at = found["side"], found["kind"], int(found["at"])
    rest = found["rest"] or ""
    if kind == "resnets":
        rest = _RESNET.get(rest, rest)
    ending = f"_{rest}" if rest else ""
    if side == "mid":
        return f"middle_block_{1 if kind == 'attentions' else 2 * at}{ending}"
    if found["block"] is None:
        return flat
    block = int(found["block"])
    if kind == "downsamplers":
        return f"input_blocks_{3 * (block + 1)}_0_op"
    if kind == "upsamplers":
        return f"output_blocks_{3 * block + 2}_upsample_conv"
    place = 1 if kind == "attentions" else 0
    if side == "down":
        return f"input_blocks_{3 * block + at + 1}_{place}{ending}"
    return f"output_blocks_{3 * block + at}_{place}{ending}"


def part_of(layer: str, *, is_unet: bool) -> str:
    """The model a layer belongs to, for people: unet, transformer, text encoder, text encoder 2…"""
    part = layer.partition(":")[0]
    if part == "unet":
        return "unet" if is_unet else "transformer"
    return "text encoder" if part == "te1" else f"text encoder {part[2:]}"


def is_stability_unet(layer: str) -> bool:
    """Whether a layer is one of an SD 1.x, 2.x or SDXL UNet."""
    return _STABILITY_BLOCK.match(layer.partition(":")[2]) is not None


def block_of(layer: str, base_model: str = "") -> str:
    """The block of a layer: IN00…, MID, OUT00…; double 0, single 0 (Flux); joint 0 (SD 3); layer 0; else "other"."""
    part, _, name = layer.partition(":")
    found = _STABILITY_BLOCK.match(name)
    if found:
        return f"{_SIDES[found[1]]}{int(found[2]):02d}" if found[1] in _SIDES else "MID"
    numbered = _NUMBERED.search(name)
    if numbered is None:
        return "other"
    number = int(numbered[2])
    if part != "unet":
        return f"layer {number}"
    kind = _TRANSFORMER_BLOCKS.get(numbered[1])
    if kind is None and numbered[1] == "transformer_blocks":
        kind = {"Flux": "double", "SD 3": "joint"}.get(base_model)
    return f"{kind or numbered[1].replace('_', ' ').removesuffix('s')} {number}"


def block_order(block: str) -> tuple[int, str, int]:
    """A key that sorts blocks as the model runs them."""
    found = re.fullmatch(r"(.*?) ?(\d+)", block)
    name, number = (found[1], int(found[2])) if found else (block, 0)
    return (9 if name == "other" else _ORDER.get(name, 3), name, number)


def all_blocks(part: str, base_model: str, found: set[str]) -> list[str]:
    """Every block the model has, touched or not, where that is known; else those that were found."""
    known: list[str] = []
    if part == "unet":
        count = 12 if base_model in ("SD 1.x", "SD 2.x") else 9
        if any(block_order(block)[2] >= count for block in found):
            count = 12
        known = [f"IN{n:02d}" for n in range(count)] + ["MID"] + [f"OUT{n:02d}" for n in range(count)]
    elif part == "transformer" and base_model == "Flux":
        known = [f"double {n}" for n in range(_FLUX_DOUBLE)] + [f"single {n}" for n in range(_FLUX_SINGLE)]
    elif part == "text encoder" and found <= {f"layer {n}" for n in range(12)}:
        known = [f"layer {n}" for n in range(12)]
    elif part == "text encoder 2" and found <= {f"layer {n}" for n in range(32)}:
        known = [f"layer {n}" for n in range(32)]
    return sorted({*known, *found}, key=block_order)
