"""How much stacked LoRAs pull on the same directions: exact inner products of their ΔW, block by block, from the files."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from sidecar.errors import Unavailable
from sidecar.library import base_model
from sidecar.library.header import BrokenHeader
from sidecar.library.weights.delta import Delta, read_delta
from sidecar.library.weights.modules import Module, find_modules
from sidecar.library.weights.names import block_of, block_order, is_stability_unet, part_of
from sidecar.library.weights.tensors import Array, BrokenTensor, Tensors
from sidecar.recommend.weightspace.architecture import architecture_of
from sidecar.recommend.weightspace.factors import exact_inner

SECONDS = 60.0  # after which it gives up
_PARTS = ("text encoder", "text encoder 2", "text encoder 3", "unet", "transformer")


@dataclass
class Measured:
    """⟨ΔWᵢ, ΔWⱼ⟩ (at strength 1) of files, summed over each block's layers, as n × n matrices by the block's name.

    `problems` says of a file, by its place, why nothing can be said of it; its rows and columns mean nothing.
    """

    architecture: str | None = None
    blocks: dict[str, Array] = field(default_factory=dict)
    problems: dict[int, str] = field(default_factory=dict)


class _File:
    """An open file's layers by name."""

    def __init__(self, tensors: Tensors) -> None:
        modules = find_modules(tensors.header)[0]
        self.tensors = tensors
        self.unknown = sum(not module.measurable for module in modules)
        self.modules: dict[str, Module] = {one.name: one for one in modules if one.measurable}
        self.architecture = architecture_of(tensors.header, modules)
        self.base = base_model.detect(tensors.header)[0]


def measure_files(paths: Sequence[str]) -> Measured:
    """Measure files of one architecture: that of most of them, or of the first; others are told as problems.

    Raises:
        Unavailable: it takes too long.
    """
    measured = Measured()
    deadline = time.monotonic() + SECONDS
    with ExitStack() as stack:
        files: dict[int, _File] = {}
        for place, path in enumerate(paths):
            try:
                file = _File(stack.enter_context(Tensors(path)))
            except (BrokenHeader, OSError) as error:
                measured.problems[place] = f"cannot be read: {error}"
                continue
            if file.unknown or not file.modules:
                measured.problems[place] = "holds layers whose change cannot be told from the file"
            else:
                files[place] = file
        _keep_one_architecture(files, measured)
        if len(files) >= 2:
            _measure(files, measured, len(paths), deadline)
    return measured


def _keep_one_architecture(files: dict[int, _File], measured: Measured) -> None:
    if not files:
        return
    kinds = Counter(file.architecture for file in files.values())
    measured.architecture = kinds.most_common(1)[0][0]
    shapes: dict[str, tuple[int, int]] = {}
    for place, file in list(files.items()):
        own = {name: (one.out, one.inner) for name, one in file.modules.items()}
        if file.architecture != measured.architecture or any(
            shapes.get(name, shape) != shape for name, shape in own.items()
        ):
            measured.problems[place] = "is for another architecture, so it is not comparable"
            del files[place]
        else:
            shapes |= own


def _measure(files: dict[int, _File], measured: Measured, count: int, deadline: float) -> None:
    names = sorted({name for file in files.values() for name in file.modules})
    is_unet = any(is_stability_unet(name) for name in names)
    base = next(iter(files.values())).base
    grams: dict[tuple[str, str], Array] = {}
    for name in names:
        if time.monotonic() > deadline:
            raise Unavailable("Comparing these files takes too long; compare fewer of them at once.")
        deltas: dict[int, Delta] = {}
        for place, file in files.items():
            if name in file.modules and place not in measured.problems:
                try:
                    deltas[place] = read_delta(file.tensors, file.modules[name])
                except (BrokenTensor, OSError) as error:
                    measured.problems[place] = f"cannot be read: {error}"
        block = (part_of(name, is_unet=is_unet), block_of(name, base))
        gram = grams.setdefault(block, np.zeros((count, count)))
        places = list(deltas)
        with np.errstate(all="ignore"):  # what is not a number is found below
            for at, one in enumerate(places):
                for other in places[at:]:
                    found = exact_inner(deltas[one], deltas[other])
                    gram[one, other] += found
                    if one != other:
                        gram[other, one] += found
    squares = np.sum([gram.diagonal() for gram in grams.values()], axis=0)
    for place in files:
        if not np.isfinite(squares[place]):
            measured.problems.setdefault(place, "holds infinity or no numbers (NaN)")
        elif not squares[place] > 0:
            measured.problems.setdefault(place, "changes nothing: all its weights are zero")

    def order(block: tuple[str, str]) -> tuple[int, tuple[int, str, int]]:
        return (_PARTS.index(block[0]) if block[0] in _PARTS else 9, block_order(block[1]))

    measured.blocks = {
        block[1] if block[0] in ("unet", "transformer") else f"{block[0]} {block[1]}": grams[block]
        for block in sorted(grams, key=order)
    }


def cosines(gram: Array) -> list[list[float | None]]:
    """The cosines of a matrix of inner products; None where one of the two is nothing."""
    norms = np.sqrt(np.maximum(gram.diagonal(), 0))
    return [
        [
            float(np.clip(gram[i, j] / (norms[i] * norms[j]), -1, 1))
            if norms[i] > 0 and norms[j] > 0
            else None
            for j in range(len(gram))
        ]
        for i in range(len(gram))
    ]


def pull_of(blocks: list[Array]) -> float:
    """How much a set's LoRAs pull on the same directions, 0 to 1: the mean of |cosine| over all blocks and pairs of LoRAs,
    each weighed by the product of the pair's norms in that block, Σ|⟨ΔWᵢ, ΔWⱼ⟩| / Σ‖ΔWᵢ‖‖ΔWⱼ‖.

    0: what they change has nothing in common; 1: it is the same (or the opposite) everywhere. 0 too when no block is
    changed by two of them.
    """
    shared = possible = 0.0
    for gram in blocks:
        norms = np.sqrt(np.maximum(gram.diagonal(), 0))
        upper = np.triu_indices(len(gram), 1)
        shared += float(np.abs(gram[upper]).sum())
        possible += float(np.outer(norms, norms)[upper].sum())
    return min(1.0, shared / possible) if possible > 0 else 0.0
