"""The answer to how much a set of LoRAs, by name and with weights, interferes; measured once per contents."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson

from sidecar.database import Database
from sidecar.errors import SidecarError
from sidecar.library.weights.tensors import Array
from sidecar.prompts.resolve import resolve_all
from sidecar.recommend.weightspace.interference import Measured, cosines, measure_files, pull_of

KEPT = 64

_lock = threading.Lock()
_one_at_a_time = threading.Lock()
_measured: OrderedDict[tuple[str, ...], Measured] = OrderedDict()


class NotComparable(SidecarError):
    """No two of the LoRAs can be compared by their weights."""

    status = 422
    code = "not_comparable"


class _Member(NamedTuple):
    id: int
    name: str
    weight: float
    path: str
    stamp: str


def interference(database: Database, wanted: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """{"loras", "architecture", "overall", "pull", "blocks", "notes"} of (name, weight) pairs; `pull` as `pull_of` defines it.

    A norm is |weight| · ‖ΔW‖; a cosine is of weighted ΔW, so a negative weight turns its sign. A cosine is null where one
    of the two changes nothing. A LoRA named twice counts once, with the sum of its weights.

    Raises:
        NotComparable: fewer than two of them can be compared. Unavailable: it takes too long.
    """
    members, notes = _members(database, wanted)
    measured = _measure(members) if len(members) >= 2 else Measured()
    for place, problem in sorted(measured.problems.items()):
        notes.append(f"{members[place].name} {problem}; it is left out.")
    kept = [place for place in range(len(members)) if place not in measured.problems]
    if len(kept) < 2:
        reasons = " ".join(notes) or "Name two LoRAs or more."
        raise NotComparable(f"There are no two LoRAs here to compare by their weights. {reasons}", notes)
    weights = np.array([members[place].weight for place in kept])
    blocks = {
        name: gram[np.ix_(kept, kept)] * np.outer(weights, weights) for name, gram in measured.blocks.items()
    }
    return {
        "loras": [
            {"id": members[place].id, "name": members[place].name, "weight": members[place].weight}
            for place in kept
        ],
        "architecture": measured.architecture,
        "overall": cosines(_total(list(blocks.values()))),
        "pull": pull_of(list(blocks.values())),
        "blocks": [
            {
                "name": name,
                "norms": np.sqrt(np.maximum(gram.diagonal(), 0)).tolist(),
                "cosines": cosines(gram),
            }
            for name, gram in blocks.items()
        ],
        "notes": notes,
    }


def _total(grams: list[Array]) -> Array:
    total: Array = np.sum(grams, axis=0)
    return total


def _members(database: Database, wanted: Sequence[tuple[str, float]]) -> tuple[list[_Member], list[str]]:
    """The LoRAs that names mean, and what is to be said of the others."""
    reader = database.reader()
    resolved = resolve_all(reader, [name for name, _ in wanted])
    weights: dict[int, float] = {}
    names: dict[int, str] = {}
    notes = []
    for name, weight in wanted:
        lora = resolved[name]
        if lora is None:
            notes.append(f"{name[:200]} is no LoRA of the library; it is left out.")
            continue
        weights[lora.id] = weights.get(lora.id, 0.0) + weight
        names[lora.id] = lora.name
    rows = reader.execute(
        """SELECT l.id, r.path AS root, l.folder, l.stem || l.extension AS file, l.state, l.body_hash, l.hash_state,
                  l.size, l.mtime_ns
           FROM json_each(?) wanted JOIN loras l ON l.id = wanted.value JOIN roots r ON r.id = l.root_id
           ORDER BY wanted.key""",
        (orjson.dumps(list(weights)).decode(),),
    )
    members = []
    for row in rows:
        name = names[row["id"]]
        if row["state"] == "legacy":
            notes.append(f"{name} is no .safetensors file and is never opened here; it is left out.")
            continue
        hashed = row["hash_state"] == "done" and row["body_hash"]
        stamp = row["body_hash"] if hashed else f"file {row['id']} {row['size']} {row['mtime_ns']}"
        path = os.path.join(row["root"], *row["folder"].split("/"), row["file"])
        members.append(_Member(row["id"], name, weights[row["id"]], path, stamp))
    return members, notes


def _measure(members: list[_Member]) -> Measured:
    """From memory when the same contents were measured before; one set at a time, as it takes a core."""
    key = tuple(member.stamp for member in members)
    with _one_at_a_time:
        with _lock:
            if key in _measured:
                _measured.move_to_end(key)
                return _measured[key]
        measured = measure_files([member.path for member in members])
        if not any("cannot be read" in problem for problem in measured.problems.values()):
            with _lock:
                _measured[key] = measured
                if len(_measured) > KEPT:
                    _measured.popitem(last=False)
        return measured
