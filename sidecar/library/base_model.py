"""Which base model a LoRA was made for, and what tells so. Says "Unknown" with the reason rather than guess."""

from __future__ import annotations

import re
from functools import lru_cache

from sidecar.library.header import Header
from sidecar.library.source import BaseModel

UNKNOWN = "Unknown"

# Civitai's names (https://civitai.com, model version "baseModel") on ours; others pass through as they are.
_CIVITAI = (
    (r"SD ?1(\.\d)?( .*)?", "SD 1.x"),
    (r"SD ?2(\.\d)?( .*)?", "SD 2.x"),
    (r"SDXL( .*)?", "SDXL"),
    (r"Pony( Diffusion)?( V6.*)?", "Pony"),  # V7 is another model, on AuraFlow
    (r"Illustrious( .*)?", "Illustrious"),
    (r"NoobAI( .*)?", "NoobAI"),
    (r"SD ?3(\.\d)?( .*)?", "SD 3"),
    (r"Flux\.1( .*)?", "Flux"),
)
# Families that share SDXL's architecture: only names can tell them apart.
_SDXL_FAMILIES = (
    (re.compile(r"noob", re.I), "NoobAI"),
    (re.compile(r"illustrious|(?<![a-z])ilxl|(?<![a-z])wai", re.I), "Illustrious"),
    (re.compile(r"pony|(?<![a-z])pdxl", re.I), "Pony"),
)
# Stability's model spec (modelspec.architecture) and kohya's ss_base_model_version, by how they begin.
_ARCHITECTURES = (
    ("stable-diffusion-xl", "SDXL"),
    ("sdxl", "SDXL"),
    ("stable-diffusion-3", "SD 3"),
    ("sd3", "SD 3"),
    ("flux", "Flux"),
    ("stable-diffusion-v2", "SD 2.x"),
    ("sd_v2", "SD 2.x"),
    ("sd_2", "SD 2.x"),
    ("stable-diffusion-v1", "SD 1.x"),
    ("sd_v1", "SD 1.x"),
    ("sd_1", "SD 1.x"),
)
_CROSS_ATTENTION = {768: "SD 1.x", 1024: "SD 2.x", 2048: "SDXL"}
_FLUX_WIDTH = 3072
_CROSS_ATTENTION_INPUT = re.compile(r"attn2[._](to_[kv]|processor\.to_[kv]_lora)")
_DOWN = re.compile(r"lora_down|lora_A|\.down\.|hada_w1_b|lokr_w")


@lru_cache(maxsize=1_000)
def from_civitai(name: str) -> str:
    """Our name for Civitai's `baseModel`."""
    name = name.strip()
    for pattern, ours in _CIVITAI:
        if re.fullmatch(pattern, name):
            return ours
    return name[:80] if name and name not in ("Other", UNKNOWN) else UNKNOWN


def detect(header: Header) -> tuple[str, str]:
    """Return (base model, reason) from the header alone."""
    return detected(header)[:2]


def detected(header: Header) -> BaseModel:
    """The base model by a header's tensors, their shapes, then what training wrote; `UNKNOWN` with the reason.

    Tensors come first because `modelspec.architecture` can be bogus; metadata tells families of one architecture apart.
    """
    name, how = _from_tensors(header)
    from_tensors = BaseModel(name or UNKNOWN, how, "tensors")
    stated = _from_metadata(header.metadata)
    if name and name != "SDXL":
        return from_tensors
    if name == "SDXL" or (stated and stated.name == "SDXL"):
        return _sdxl_family(header.metadata) or (from_tensors if name or stated is None else stated)
    if stated:
        return stated
    if not header.tensors:
        return BaseModel(UNKNOWN, "The file holds no tensors and names no base model.", "tensors")
    return BaseModel(UNKNOWN, f"{how} Its metadata names no base model.", "tensors")


def _sdxl_family(metadata: dict[str, str]) -> BaseModel | None:
    for key in ("ss_sd_model_name", "modelspec.title", "ss_output_name", "modelspec.tags"):
        for pattern, family in _SDXL_FAMILIES:
            if pattern.search(metadata.get(key, "")):
                return BaseModel(family, f"SDXL tensors; {key} says {metadata[key][:80]!r}.", _source_of(key))
    return None


def _from_metadata(metadata: dict[str, str]) -> BaseModel | None:
    for key in ("ss_base_model_version", "modelspec.architecture"):
        value = metadata.get(key, "").lower()
        for beginning, name in _ARCHITECTURES:
            if value.startswith(beginning):
                return BaseModel(name, f"{key} says {value[:80]!r}.", _source_of(key))
    if metadata.get("ss_v2") == "True":
        return BaseModel("SD 2.x", "ss_v2 says 'True'.", "kohya")
    return None


def _source_of(key: str) -> str:
    return "modelspec" if key.startswith("modelspec.") else "kohya"


def _from_tensors(header: Header) -> tuple[str | None, str]:
    """Tell the architecture by block names, else by the width of cross-attention's input."""
    xl_blocks = False
    for name, (_, shape) in header.tensors.items():
        if any(part in name for part in ("double_blocks", "single_blocks", "single_transformer_blocks")):
            return _single_and_double_blocks(header, name)
        if "joint_blocks" in name or ("transformer_blocks" in name and "add_q_proj" in name):
            if _FLUX_WIDTH in shape:
                return "Flux", f"The tensor {name[:80]!r} is {_FLUX_WIDTH} wide, as Flux is."
            return "SD 3", f"The tensor {name[:80]!r} belongs to SD 3's joint blocks."
        if name.startswith(("lora_te2_", "text_encoder_2.")):
            return "SDXL", "It has weights for a second text encoder."
        if (
            "input_blocks_7_1_transformer_blocks_2" in name
            or "down_blocks_2_attentions_0_transformer_blocks_2" in name
        ):
            xl_blocks = True
        if _CROSS_ATTENTION_INPUT.search(name) and _DOWN.search(name) and len(shape) >= 2:
            known = _CROSS_ATTENTION.get(shape[1])
            if known:
                return known, f"Cross-attention takes {shape[1]} values, as {known} does."
    if xl_blocks:
        return "SDXL", "Its blocks are as deep as only SDXL's are."
    return None, "Its tensors fit no known base model."


def _single_and_double_blocks(header: Header, name: str) -> tuple[str, str]:
    stated = " ".join(
        header.metadata.get(key, "") for key in ("ss_base_model_version", "modelspec.architecture")
    )
    for other in ("Hunyuan Video", "Chroma"):
        if other.split()[0].lower() in stated.lower():
            return other, f"Its metadata names {other}, which shares Flux's block names."
    return "Flux", f"The tensor {name[:80]!r} belongs to Flux's transformer."
