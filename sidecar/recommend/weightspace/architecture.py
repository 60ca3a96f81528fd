"""Which files change the same model, so that their ΔW may be compared at all."""

from __future__ import annotations

from sidecar.library.base_model import UNKNOWN, detect
from sidecar.library.header import Header
from sidecar.library.weights.modules import Module, signature

_SDXL = ("SDXL", "Pony", "Illustrious", "NoobAI")  # one architecture, trained on


def architecture_of(header: Header, modules: list[Module]) -> str:
    """The base model's architecture; of one that is not known, the layers themselves ("layers …"), all of which two
    files must then share."""
    name = detect(header)[0]
    if name == UNKNOWN:
        return f"layers {signature(modules)}"
    return "SDXL" if name in _SDXL else name
