"""How much stacked LoRAs pull on the same directions: exact inner products of their ΔW, block by block, from the files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from sidecar.library import base_model
from sidecar.library.header import BrokenHeader
from sidecar.library.weights.delta import Delta, read_delta
from sidecar.library.weights.modules import Module, find_modules
from sidecar.library.weights.names import block_of, block_order, is_stability_unet, part_of
from sidecar.library.weights.tensors import Array, BrokenTensor, Tensors
from sidecar.recommend.weightspace.architecture import architecture_of
from sidecar.recommend.weightspace.factors import exact_inner

_PARTS = ("text encoder", "text encoder 2", "text encoder 3", "unet", "transformer")

Pair = tuple[int, int]
"""Two files by their places, the smaller first; a file with itself is one too."""
Step = Callable[[int, int], None]
"""Told (layers done, layers in all); what it raises ends the work."""


@dataclass
class Measured:
    """⟨ΔWᵢ, ΔWⱼ⟩ (at strength 1) of files, summed over each block's layers, as n × n matrices by the block's name.

    Blocks are in the order in which the signal passes them; `parts` says which model each is of. `problems` says of a file,
    by its place, why nothing can be said of it; its rows and columns mean nothing.
    """

    architecture: str | None = None
    blocks: dict[str, Array] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    problems: dict[int, str] = field(default_factory=dict)

    def pair(self, one: int, other: int) -> Known:
        """What `measure_files` takes as known of two files."""
        return {name: (self.parts[name], float(gram[one, other])) for name, gram in self.blocks.items()}


Known = Mapping[str, tuple[str, float]]
"""Of two files: each block's part and inner product."""


class _File:
    """An open file's layers by name."""

    def __init__(self, tensors: Tensors) -> None:
        modules = find_modules(tensors.header)[0]
        self.tensors = tensors
        self.unknown = sum(not module.measurable for module in modules)
        self.modules: dict[str, Module] = {one.name: one for one in modules if one.measurable}
        self.architecture = architecture_of(tensors.header, modules)
        self.base = base_model.detect(tensors.header)[0]


def measure_files(
    paths: Sequence[str], known: Mapping[Pair, Known] | None = None, step: Step = lambda done, total: None
) -> Measured:
    """Measure files of one architecture: that of most of them, or of the first; others are told as problems.

    Pairs that are `known` are not computed again, and a file of which all pairs are is read no further than its header.
    """
    measured = Measured()
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
            _measure(files, measured, len(paths), known or {}, step)
    return measured


def _keep_one_architecture(files: dict[int, _File], measured: Measured) -> None:
    if not files:
        return
    kinds = Counter(file.architecture for file in files.values())
    measured.architecture = kinds.most_common(1)[0][0]
    shapes: dict[str, tuple[int, int]] = {}
    for place, file in list(files.items()):
        own = {name: (one.out, one.inner) for name, one in file.modules.items()}
        if file.architecture != measured.architecture:
            which = _which(file.architecture, measured.architecture)
            measured.problems[place] = f"is for another architecture{which}, so it is not comparable"
            del files[place]
        elif any(shapes.get(name, shape) != shape for name, shape in own.items()):
            measured.problems[place] = "has layers of other sizes than the others, so it is not comparable"
            del files[place]
        else:
            shapes |= own


def _which(own: str, others: str | None) -> str:
    """The two architectures, where both have a name that people know."""
    named = others and not any(one.startswith("layers ") for one in (own, others))
    return f" ({own}, not {others})" if named else ""


def _measure(
    files: dict[int, _File], measured: Measured, count: int, known: Mapping[Pair, Known], step: Step
) -> None:
    wanted = [(one, other) for one in files for other in files if one <= other]
    missing = {pair for pair in wanted if pair not in known}
    read = {place for pair in missing for place in pair}
    names = sorted({name for place in read for name in files[place].modules})
    is_unet = any(is_stability_unet(name) for file in files.values() for name in file.modules)
    base = next(iter(files.values())).base
    grams: dict[str, Array] = {}
    order: dict[str, tuple[int, tuple[int, str, int]]] = {}

    def gram_of(name: str, part: str) -> Array:
        if name not in grams:
            grams[name] = np.zeros((count, count))
            measured.parts[name] = part
            block = name.removeprefix(part).strip()
            order[name] = (_PARTS.index(part) if part in _PARTS else 9, block_order(block))
        return grams[name]

    for pair in wanted:
        for name, (part, value) in known.get(pair, {}).items():
            gram_of(name, part)[pair] = value
    for done, name in enumerate(names):
        step(done, len(names))
        part, block = part_of(name, is_unet=is_unet), block_of(name, base)
        gram = gram_of(block if part in ("unet", "transformer") else f"{part} {block}", part)
        _add_layer(gram, name, {place: files[place] for place in files if place in read}, missing, measured)
    for gram in grams.values():
        gram += np.triu(gram, 1).T
    squares = np.sum([gram.diagonal() for gram in grams.values()], axis=0)
    for place in files:
        if not np.isfinite(squares[place]):
            measured.problems.setdefault(place, "holds infinity or no numbers (NaN)")
        elif not squares[place] > 0:
            measured.problems.setdefault(place, "changes nothing: all its weights are zero")
    measured.blocks = {name: grams[name] for name in sorted(grams, key=order.__getitem__)}


def _add_layer(
    gram: Array, name: str, files: dict[int, _File], missing: set[Pair], measured: Measured
) -> None:
    """Add one layer's inner products of the missing pairs to its block's (the upper half)."""
    deltas: dict[int, Delta] = {}
    for place, file in files.items():
        if name in file.modules and place not in measured.problems:
            try:
                deltas[place] = read_delta(file.tensors, file.modules[name])
            except (BrokenTensor, OSError) as error:
                measured.problems[place] = f"cannot be read: {error}"
    with np.errstate(all="ignore"):  # what is not a number is found afterwards
        for one in deltas:
            for other in deltas:
                if (one, other) in missing:
                    gram[one, other] += exact_inner(deltas[one], deltas[other])


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
