"""The map as a file beside the database. Only a cache: a file that is damaged, or of another version, is made anew."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from sidecar.recommend.map.islands import Circle
from sidecar.recommend.map.neighbours import Places
from sidecar.recommend.postings import Floats

log = logging.getLogger("lora-manager.recommend")

VERSION = 1
WAYS = ("text", "weights")

Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Map:
    """Where every LoRA lies. Row i of each array is the LoRA `ids[i]`.

    `keys` stand for what each was placed by, `groups` for its island, by the place in `islands`; `laid` tells whether it
    was there when the whole was laid out, or came later.
    """

    by: str
    source: str
    """What it was made from: "words", "weights", or a text model's id."""
    made: float
    """Epoch seconds of the last whole layout."""
    ids: Places
    keys: Keys
    points: Floats
    groups: npt.NDArray[np.int16]
    laid: npt.NDArray[np.bool_]
    islands: dict[str, Circle]
    regions: list[dict[str, Any]] = field(default_factory=list)
    """What is told of its parts: {"text", "x", "y", "level", "count"}."""


def path_of(folder: Path, by: str) -> Path:
    """The file of the map by text or by weights."""
    return folder / f"map-{by}.npz"


def save_map(folder: Path, found: Map) -> None:
    """Write the whole file, then put it in the place of the old one.

    Raises:
        OSError: the disk does not take it.
    """
    head = {
        "by": found.by, "source": found.source, "made": found.made,
        "islands": {name: list(one) for name, one in found.islands.items()}, "regions": found.regions,
    }  # fmt: skip
    arrays: dict[str, Any] = {
        "version": np.array([VERSION]),
        "head": np.frombuffer(orjson.dumps(head), np.uint8),
        "ids": found.ids,
        "keys": found.keys,
        "points": found.points.astype(np.float32),
        "groups": found.groups,
        "laid": found.laid,
    }
    path = path_of(folder, found.by)
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            np.savez(file, **arrays)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def load_map(folder: Path, by: str) -> Map | None:
    """The kept map; None when there is none that can be read."""
    try:
        with np.load(path_of(folder, by)) as arrays:
            if int(arrays["version"][0]) != VERSION:
                return None
            head = orjson.loads(arrays["head"].tobytes())
            found = Map(
                head["by"], head["source"], head["made"], arrays["ids"], arrays["keys"], arrays["points"],
                arrays["groups"], arrays["laid"], {name: Circle(*one) for name, one in head["islands"].items()},
                head["regions"],
            )  # fmt: skip
    except FileNotFoundError:
        return None
    except Exception as error:  # a damaged archive fails in any way that zip, numpy and JSON have
        log.warning("The kept map by %s is made anew: %s", by, error)
        return None
    count = len(found.ids)
    whole = all(len(one) == count for one in (found.keys, found.groups, found.laid))
    good = found.by == by and whole and found.points.shape == (count, 2) and np.isfinite(found.points).all()
    return found if good else None
