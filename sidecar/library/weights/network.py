"""What kind of network a LoRA file holds, told from the names of its tensors alone. Runs in scans: no numpy here.

Names as LyCORIS, kohya's sd-scripts, PEFT and diffusers write them.
"""

from __future__ import annotations

from sidecar.library.header import Header

# In this order: DoRA is a rescaling on top of any of the others, and LyCORIS may mix kinds in one file.
_MARKS = (
    ("DoRA", (".dora_scale", ".lora_magnitude_vector")),
    ("LoKr", (".lokr_w", ".lokr_t")),
    ("LoHa", (".hada_w", ".hada_t")),
    ("GLoRA", (".a1.weight",)),
    ("OFT", (".oft_", ".oft.")),
    ("IA3", (".on_input",)),
)
_PAIRS = (".lora_down.", ".lora_A.", ".lora.down.", "_lora.down.", ".lora_linear_layer.down.", "_lora1.down.")
_FULL = (".diff", ".diff_b", ".w_norm")


def network_type(header: Header) -> str:
    """DoRA, LoKr, LoHa, GLoRA, OFT, IA3, LoCon (LoRA on convolutions larger than 1×1 too), LoRA, Full, or ""."""
    names = "\n".join(header.tensors) + "\n"
    for kind, marks in _MARKS:
        if any(mark in names for mark in marks):
            return kind
    if any(pair in names for pair in _PAIRS):
        return "LoCon" if ".lora_mid." in names or _has_convolution(header) else "LoRA"
    return "Full" if any(f"{ending}\n" in names for ending in _FULL) else ""


def _has_convolution(header: Header) -> bool:
    return any(
        len(shape) > 3 and shape[-1] > 1 and any(pair in name for pair in _PAIRS)
        for name, (_, shape) in header.tensors.items()
    )
