"""What one LoRA file holds: rank, alpha, modules, number formats, and how strongly it changes each block.

A module's strength is the Frobenius norm of its ΔW (see delta.py); a block's is the root of its modules' squares added
up, and so on for a part and the whole. Reads the file; knows no database.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from sidecar.library import base_model
from sidecar.library.header import Header
from sidecar.library.weights.delta import norm, read_delta
from sidecar.library.weights.modules import Module, find_modules
from sidecar.library.weights.names import all_blocks, block_of, is_stability_unet, part_of
from sidecar.library.weights.network import network_type
from sidecar.library.weights.tensors import BrokenTensor, Tensors

_PARTS = ("text encoder", "text encoder 2", "text encoder 3", "unet", "transformer")
NAMED = 3


def inspect_file(
    path: str, progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, Any]:
    """Everything about the weights of one file; `progress` is told modules done and in all.

    Raises:
        BrokenHeader: it is no .safetensors file, or one that is cut off.
        OSError: it cannot be read.
    """
    with Tensors(path) as tensors:
        modules, others = find_modules(tensors.header)
        strengths: dict[str, float | None] = {}
        broken: list[str] = []
        for done, module in enumerate(modules):
            progress(done, len(modules))
            try:
                strengths[module.name] = _strength(tensors, module)
            except BrokenTensor as error:
                strengths[module.name] = None
                broken.append(str(error))
        alphas = _alphas(tensors, modules)
    return {
        **_counts(tensors.header, modules),
        "alpha": _spread(alphas),
        "strength": _together(strengths.values()),
        "parts": _parts(tensors.header, modules, strengths),
        "problems": _problems(modules, strengths, broken, others),
    }


def _strength(tensors: Tensors, module: Module) -> float | None:
    """None when ΔW is not in the file, not a number when it holds infinity or no numbers."""
    if not module.measurable:
        return None
    delta = read_delta(tensors, module)
    return norm(delta) if delta.finite else math.nan


def _counts(header: Header, modules: list[Module]) -> dict[str, Any]:
    weights = [
        header.tensors[tensor]
        for module in modules
        for role, tensor in module.tensors.items()
        if role != "alpha"
    ]
    return {
        "network": network_type(header),
        "rank": _spread([module.rank for module in modules if module.rank]),
        "modules": len(modules),
        "parameters": sum(math.prod(shape) for _, shape in weights),
        "dtypes": dict(Counter(dtype for dtype, _ in weights).most_common()),
    }


def _alphas(tensors: Tensors, modules: list[Module]) -> list[float]:
    found = []
    for module in modules:
        if "alpha" in module.tensors:
            try:
                value = tensors.read(module.tensors["alpha"])
            except BrokenTensor:
                continue  # told with the module
            if value.size == 1 and math.isfinite(float(value.reshape(()))):
                found.append(float(value.reshape(())))
    return found


def _spread(values: list[int] | list[float]) -> dict[str, Any]:
    """Smallest, largest, and each value with its number of modules, the most frequent first."""
    counted = Counter(values).most_common()
    return {
        "min": min(values, default=None),
        "max": max(values, default=None),
        "values": [{"value": value, "modules": count} for value, count in counted],
    }


def _together(strengths: Any) -> float | None:
    known = [value for value in strengths if value is not None and math.isfinite(value)]
    return math.sqrt(sum(value * value for value in known)) if known else None


def _parts(header: Header, modules: list[Module], strengths: dict[str, float | None]) -> list[dict[str, Any]]:
    base = base_model.detect(header)[0]
    is_unet = any(is_stability_unet(module.name) for module in modules)
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for module in modules:
        found[part_of(module.name, is_unet=is_unet)][block_of(module.name, base)].append(module.name)
    parts = []
    for part in sorted(found, key=lambda name: (_PARTS.index(name) if name in _PARTS else 9, name)):
        blocks = found[part]
        names = [name for block in blocks.values() for name in block]
        parts.append(
            {
                "name": part,
                "modules": len(names),
                "strength": _together(strengths[name] for name in names),
                "blocks": [
                    {
                        "name": block,
                        "modules": len(blocks.get(block, ())),
                        "strength": _together(strengths[name] for name in blocks.get(block, ())),
                    }
                    for block in all_blocks(part, base, set(blocks))
                ],
            }
        )
    return parts


def _problems(
    modules: list[Module], strengths: dict[str, float | None], broken: list[str], others: list[str]
) -> list[dict[str, str]]:
    def some(names: list[str]) -> str:
        shown = ", ".join(name.partition(":")[2] for name in names[:NAMED])
        return f"{shown}{f' and {len(names) - NAMED:,} more' if len(names) > NAMED else ''}"

    problems = []

    def tell(code: str, message: str) -> None:
        problems.append({"code": code, "message": message})

    if not modules:
        tell("no_network", "No tensor of it belongs to a kind of network that is known here.")
    wrong = [name for name, value in strengths.items() if value is not None and not math.isfinite(value)]
    if wrong:
        tell(
            "not_finite",
            f"{len(wrong):,} of {len(modules):,} modules hold infinity or no numbers (NaN) and spoil every picture: {some(wrong)}.",
        )
    measured = [name for name, value in strengths.items() if value is not None and math.isfinite(value)]
    zero = [name for name in measured if strengths[name] == 0]
    if zero and len(zero) == len(measured) and not wrong:
        tell("all_zero", "Every weight of it comes to zero: it changes nothing.")
    elif zero:
        tell("some_zero", f"{len(zero):,} of {len(modules):,} modules come to zero: {some(zero)}.")
    misfits = [module.name for module in modules if module.kind == "broken"]
    if misfits:
        tell("shapes", f"The tensors of {len(misfits):,} modules do not fit each other: {some(misfits)}.")
    if broken:
        tell("tensors", " ".join(broken[:NAMED]))
    elsewhere = [module.name for module in modules if not module.measurable and module.kind != "broken"]
    if elsewhere:
        tell(
            "not_measured",
            f"What {len(elsewhere):,} modules change depends on the checkpoint's own weights, so it is not measured: {some(elsewhere)}.",
        )
    if others:
        tell(
            "other_tensors",
            f"{len(others):,} tensors belong to no module: {', '.join(others[:NAMED])[:300]}.",
        )
    return problems
