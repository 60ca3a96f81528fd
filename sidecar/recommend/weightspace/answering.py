"""The answer to how much a set of LoRAs, by name and with weights, interferes; each pair of contents is measured once."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson

from sidecar.database import Database
from sidecar.errors import SidecarError, Unavailable
from sidecar.library.weights.tensors import Array
from sidecar.prompts.resolve import resolve_all
from sidecar.recommend.weightspace.interference import (
    Known,
    Measured,
    Pair,
    Step,
    cosines,
    measure_files,
    pull_of,
)

KEPT = 64  # sets in memory
KEPT_PAIRS = 10_000  # of contents, some kilobytes each
SECONDS = 60.0  # after which a request gives up; a task goes on
SMALL = 32_000_000  # bytes of all files together that take a fraction of a second

_lock = threading.Lock()
_one_at_a_time = threading.Lock()
_measured: OrderedDict[tuple[str, ...], Measured] = OrderedDict()
_pairs: OrderedDict[tuple[str, str], Known] = OrderedDict()


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
    size: int


def _until(deadline: float) -> Step:
    def step(done: int, total: int) -> None:
        if time.monotonic() > deadline:
            raise Unavailable("Comparing these files takes too long; compare fewer of them at once.")

    return step


def work_ahead(database: Database, wanted: Sequence[tuple[str, float]]) -> int:
    """How many bytes `interference` has to look at before it can answer; 0 when that is done in no time."""
    members, _ = _members(database, wanted)
    key = tuple(member.stamp for member in members)
    with _lock:
        if len(members) < 2 or key in _measured:
            return 0
        known = _known(key)
    places = range(len(members))
    new = {
        place
        for one in places
        for other in places[one:]
        if (one, other) not in known
        for place in (one, other)
    }
    size = sum(members[place].size for place in new)
    return size if size > SMALL else 0


def measure_ahead(database: Database, wanted: Sequence[tuple[str, float]], step: Step) -> None:
    """Do what `interference` needs, so that it answers at once. What `step` raises ends it."""
    members, _ = _members(database, wanted)
    if len(members) >= 2:
        _measure(members, step)


def interference(database: Database, wanted: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """{"loras", "architecture", "overall", "pull", "blocks", "notes"} of (name, weight) pairs; `pull` as `pull_of` defines it.

    Blocks {"name", "part", "norms", "cosines"} are in the order in which the signal passes them. A norm is |weight| · ‖ΔW‖;
    a cosine is of weighted ΔW, so a negative weight turns its sign, and null where one of the two changes nothing. A LoRA
    named twice counts once, with the sum of its weights.

    Raises:
        NotComparable: fewer than two of them can be compared. Unavailable: it takes too long.
    """
    members, notes = _members(database, wanted)
    step = _until(time.monotonic() + SECONDS)
    measured = _measure(members, step) if len(members) >= 2 else Measured()
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
                "part": measured.parts[name],
                "norms": np.sqrt(np.maximum(gram.diagonal(), 0)).tolist(),
                "cosines": cosines(gram),
            }
            for name, gram in blocks.items()
        ],
        "notes": notes,
    }


def lowest_cosine(database: Database, lora_ids: Sequence[int], seconds: float) -> float | None:
    """The exact cosine of the two least alike of some LoRAs; None when they cannot all be compared, or not in that time."""
    ids = dict.fromkeys(lora_ids, 1.0)
    members = _readable(database.reader(), ids, dict.fromkeys(lora_ids, ""), [])
    if len(members) < len(ids):
        return None
    try:
        measured = _measure(members, _until(time.monotonic() + seconds))
    except Unavailable:
        return None
    if measured.problems:
        return None
    found = [cosine for row in cosines(_total(list(measured.blocks.values()))) for cosine in row]
    return None if None in found else min(cosine for cosine in found if cosine is not None)


def measured_pair(one: str, other: str) -> float | None:
    """The exact cosine of two contents, by their body hashes, when they were measured since the start."""
    first, second = min(one, other), max(one, other)
    with _lock:
        pairs = [_pairs.get(pair) for pair in ((first, second), (first, first), (second, second))]
    if any(pair is None for pair in pairs):
        return None
    inner, *squares = (sum(value for _, value in pair.values()) for pair in pairs if pair is not None)
    return float(np.clip(inner / np.sqrt(squares[0] * squares[1]), -1, 1))


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
    return _readable(reader, weights, names, notes), notes


def _readable(
    reader: sqlite3.Connection, weights: dict[int, float], names: dict[int, str], notes: list[str]
) -> list[_Member]:
    """The files of LoRAs by id, in the order of `weights`; what is said of those that are never opened is added to `notes`."""
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
        members.append(_Member(row["id"], name, weights[row["id"]], path, stamp, row["size"]))
    return members


def _measure(members: list[_Member], step: Step) -> Measured:
    """From memory when the same contents were measured before; one set at a time, as it takes a core."""
    key = tuple(member.stamp for member in members)
    while not _one_at_a_time.acquire(timeout=0.1):
        step(0, 0)
    try:
        with _lock:
            if key in _measured:
                _measured.move_to_end(key)
                return _measured[key]
            known = _known(key)
        measured = measure_files([member.path for member in members], known, step)
        with _lock:
            _keep(key, measured)
        return measured
    finally:
        _one_at_a_time.release()


def _known(key: tuple[str, ...]) -> dict[Pair, Known]:
    """What is in memory of these contents' pairs."""
    found = {}
    for at, one in enumerate(key):
        for to, other in enumerate(key[at:], start=at):
            pair = _pairs.get((one, other) if one <= other else (other, one))
            if pair is not None:
                found[at, to] = pair
    return found


def _keep(key: tuple[str, ...], measured: Measured) -> None:
    if not any("cannot be read" in problem for problem in measured.problems.values()):
        _measured[key] = measured
        if len(_measured) > KEPT:
            _measured.popitem(last=False)
    good = [place for place in range(len(key)) if place not in measured.problems]
    if len(good) < 2:
        return  # nothing was measured
    for at, one in enumerate(good):
        for other in good[at:]:
            pair = (key[one], key[other])
            _pairs[min(pair), max(pair)] = measured.pair(one, other)
    while len(_pairs) > KEPT_PAIRS:
        _pairs.popitem(last=False)
