"""The host's LoRAs: what lies in its folder, `<lora:…>` tags taken out of prompts, and which of them take effect."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules import paths, shared
from modules.cmd_args import FLAVOUR

TAG = re.compile(r"<(\w+):([^>]+)>")


@dataclass(frozen=True)
class OnDisk:
    name: str
    filename: str

    @property
    def shorthash(self) -> str:
        return hashlib.sha256(Path(self.filename).read_bytes()).hexdigest()[:12]


@dataclass
class Network:
    """A loaded LoRA, with the names that hosts give these fields."""

    name: str
    mentioned_name: str
    unet_multiplier: float
    network_on_disk: OnDisk


available: dict[str, OnDisk] = {}
loaded: list[Network] = []
if FLAVOUR == "sdnext":
    from modules.lora import lora_common

    loaded = lora_common.loaded_networks


def list_available() -> None:
    folder = Path(shared.cmd_opts.lora_dir or os.path.join(paths.models_path, "Lora"))
    files = sorted(folder.rglob("*.safetensors")) if folder.is_dir() else []
    available.clear()
    for file in files:
        entry = OnDisk(file.stem, str(file))
        available[file.stem] = entry
        if FLAVOUR == "sdnext":
            available[file.stem.replace(".", "_")] = entry


def parse(prompts: list[str]) -> tuple[list[str], list[list[str]]]:
    """Prompts without tags, and the arguments of the `lora` tags that count for the whole batch.

    Of several prompts, SDNext takes the tags of the last that has any, the A1111 line those of the first prompt.
    """
    found = [[m[2].split(":") for m in TAG.finditer(text) if m[1] in ("lora", "lyco")] for text in prompts]
    stripped = [TAG.sub("", text) for text in prompts]
    if FLAVOUR == "sdnext":
        return stripped, next((tags for tags in reversed(found) if tags), [])
    return stripped, found[0] if found else []


def activate(tags: list[list[str]]) -> None:
    """Load what the tags name. An unknown name: SDNext leaves it out, the A1111 line then loads nothing at all."""
    loaded.clear()
    wanted = []
    for name, *arguments in tags:
        if name not in available:
            list_available()
        if name in available:
            wanted.append(Network(available[name].name, name, _weight(arguments), available[name]))
        elif FLAVOUR == "sdnext":
            print(f"*** Network not found: {name}", file=sys.stderr)
        else:
            print(f"*** Couldn't find Lora {name}; no Lora is used", file=sys.stderr)
            return
    loaded.extend(wanted)


def _weight(arguments: list[str]) -> float:
    """The first plain number. One that cannot be read is 1.0 on SDNext and an error on the A1111 line."""
    plain = [text for text in arguments if "=" not in text]
    named = dict(text.split("=", 1) for text in arguments if "=" in text)
    try:
        return float(named.get("unet") or (plain[0] if plain else 1.0))
    except ValueError:
        if FLAVOUR == "sdnext":
            return 1.0
        raise


def for_infotext() -> dict[str, Any]:
    if not loaded:
        return {}
    if FLAVOUR == "sdnext":
        return {"LoRA networks": ", ".join(f"{each.name}:{each.unet_multiplier}" for each in loaded)}
    hashes = (f"{each.mentioned_name}: {each.network_on_disk.shorthash}" for each in loaded)
    return {"Lora hashes": ", ".join(hashes)}
