"""What a host tells of itself: the base model it has loaded, the options and extensions that change what a prompt does.

Asked for with every generation, so it is cheap, and never has the host load anything.
"""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from typing import Any

from . import host, host_job

OPTIONS = (
    # SDNext
    *(
        "lora_apply_te",
        "lora_fuse_native",
        "lora_in_memory_limit",
        "lora_force_reload",
        "lora_force_diffusers",
    ),
    *("extra_networks_default_multiplier", "lora_apply_tags"),
    # the A1111 line
    *("sd_lora", "lora_preferred_name"),
)
# SDNext's names of model types (modules/modeldata.py, get_model_type) in the words of sidecar/library/base_model.py.
_SDNEXT_TYPES = {
    "sdxl": "SDXL",
    "sd3": "SD 3",
    "f1": "Flux",
    "f2": "Flux.2 D",
    "chroma": "Chroma",
    "auraflow": "AuraFlow",
    "kolors": "Kolors",
    "hunyuandit": "Hunyuan 1",
    "h1": "HiDream",
    "lumina": "Lumina",
    "lumina2": "Lumina",
    "pixartalpha": "PixArt a",
    "pixartsigma": "PixArt E",
    "qwen": "Qwen",
    "sc": "Stable Cascade",
    "zimage": "ZImageTurbo",
}
_FORGE_CLASSES = {"Flux": "Flux", "Chroma": "Chroma"}
# Families that share SDXL's architecture: only a checkpoint's name can tell them apart.
_SDXL_FAMILIES = (
    (re.compile(r"noob", re.I), "NoobAI"),
    (re.compile(r"illustrious|(?<![a-z])ilxl|(?<![a-z])wai(?![a-z])", re.I), "Illustrious"),
    (re.compile(r"pony|(?<![a-z])pdxl", re.I), "Pony"),
)
_SD2_WIDTH = 1024
_FILE_ENDING = re.compile(r"\.(safetensors|ckpt|pt|pth|gguf|sft)$", re.I)


def facts(p: Any = None) -> dict[str, Any]:
    """The facts of the host now, for `prompts/compose` and `prompts/host`; with `p` also those of its generation."""
    wanted = host_job.checkpoint(p)
    folders = host.lora_folders()
    told: dict[str, Any] = {
        "checkpoint_base": checkpoint_base(wanted),
        "options": _options(p),
        "extensions": list(active_extensions()),
        "comments": strips_comments(),
        "lora_dir": folders[0] if folders else None,
    }
    if p is not None:
        told.update(batch_size=host_job.images_at_once(p), n_iter=host_job.rounds(p))
    return told


def _options(p: Any) -> dict[str, Any]:
    overrides = host_job.overrides(p)
    values = {key: overrides.get(key, host.option(key)) for key in OPTIONS}
    if getattr(p, "lora_apply_te", None) is not None:  # SDNext has this one for each generation, too
        values["lora_apply_te"] = p.lora_apply_te
    return {key: value for key, value in values.items() if isinstance(value, (str, int, float, bool))}


@lru_cache(maxsize=1)
def active_extensions() -> tuple[str, ...]:
    """The folder names of the extensions in use, lower case. They are what they were when the host started."""
    active = getattr(host.module("modules.extensions"), "active", None)
    return tuple(str(each.name).lower() for each in active()) if callable(active) else ()


def strips_comments() -> bool:
    """Whether `#` and what follows on its line goes from a prompt before it is read (A1111 1.6 and what descends from
    it). reForge does it always and takes `//` and `/* */` as well. SDNext takes out one `/* */`, before it asks us."""
    if not hasattr(sys.modules.get("modules.processing_scripts.comments"), "strip_comments"):
        return False
    return bool(host.option("enable_prompt_comments", True))


def checkpoint_base(wanted: str | None) -> str | None:
    """The base model of the loaded checkpoint; None when none is loaded, or another than the one that is wanted."""
    model = loaded_model()
    if model is None:
        return None
    names = _names(model)
    if wanted and names and _plain(wanted) not in names:
        return None
    base = _sdnext_base(model) if host.kind() == "sdnext" else _a1111_base(model)
    if base != "SDXL":
        return base
    said = " ".join([wanted or "", *names])
    return next((family for pattern, family in _SDXL_FAMILIES if pattern.search(said)), base)


def loaded_model() -> Any:
    """The model in memory, None while there is none. `shared.sd_model` would load one."""
    data = sys.modules.get("modules.modeldata" if host.kind() == "sdnext" else "modules.sd_models")
    return getattr(getattr(data, "model_data", None), "sd_model", None)


def _sdnext_base(model: Any) -> str | None:
    model_type = host.attribute("modules.shared", "sd_model_type")
    if model_type != "sd":
        return _SDNEXT_TYPES.get(str(model_type))
    config = getattr(getattr(model, "unet", None), "config", None)
    return "SD 2.x" if getattr(config, "cross_attention_dim", None) == _SD2_WIDTH else "SD 1.x"


def _a1111_base(model: Any) -> str | None:
    for flag, base in (("is_sd3", "SD 3"), ("is_sdxl", "SDXL"), ("is_sd2", "SD 2.x"), ("is_sd1", "SD 1.x")):
        if getattr(model, flag, False) is True:
            return base
    return _FORGE_CLASSES.get(type(model).__name__)


def _names(model: Any) -> set[str]:
    """What the loaded checkpoint can be called in an option."""
    info = getattr(model, "sd_checkpoint_info", None)
    given = [
        getattr(info, name, None) for name in ("name", "title", "name_for_extra", "model_name", "filename")
    ]
    return {_plain(each) for each in given if isinstance(each, str) and each}


def _plain(name: str) -> str:
    """A checkpoint's name without folder, ending and hash, in lower case."""
    last = name.split(" [")[0].replace("\\", "/").rsplit("/", 1)[-1]
    return _FILE_ENDING.sub("", last.strip()).lower()
