"""The process that makes a map: `python -m sidecar.recommend.map.worker DATA text|weights MODEL`, MODEL being the text model's id
or "".

It only reads the database, and writes the map's file. What it says on standard output are lines of JSON: `{"part": 0 to 1}` as it
goes on, at last `{"changed": whether there is another map than before}` or `{"error"}`. It ends with its parent, when
standard input is closed.
"""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import psutil

from sidecar.database import Database
from sidecar.recommend.documents import LoraText
from sidecar.recommend.map.making import make_map
from sidecar.recommend.map.regions import name_regions
from sidecar.recommend.map.spaces import SILENT, UNSEEN, read_spaces
from sidecar.recommend.map.store import Map, load_map, save_map

NICENESS = 15
READ = 0.1
"""The part of the work that reading is, about."""


def main(folder: Path, by: str, model: str) -> None:
    """Make it and write it."""
    _tell(part=0.0)
    try:
        _tell(changed=work(folder, by, model))
    except Exception as error:  # the process's outer edge: its parent says it
        _tell(error=f"{type(error).__name__}: {error}")
        raise


def work(folder: Path, by: str, model: str) -> bool:
    """Bring the kept map up to date; returns whether it is another one now.

    Raises:
        OSError: it cannot be written.
    """
    database = Database(folder, read_only=True)
    spaces, loras = read_spaces(database, by, model)
    _tell(part=READ)
    before = load_map(folder, by)
    made = make_map(by, spaces, before, lambda part: _tell(part=round(READ + (0.95 - READ) * part, 3)))
    made = replace(made, regions=find_regions(made, loras))
    if before is not None and _same(before, made):
        return False
    save_map(folder, made)
    return True


def find_regions(made: Map, loras: list[LoraText]) -> list[dict[str, Any]]:
    """The names of all parts; an island of its own name has it on level −1."""
    found: list[dict[str, Any]] = []
    for place, (name, circle) in enumerate(made.islands.items()):
        rows = np.flatnonzero(made.groups == place)
        if name:
            found.append(
                {"text": name, "x": circle.x, "y": circle.y - circle.radius, "level": -1, "count": len(rows)}
            )
        if name not in (SILENT, UNSEEN):
            found += name_regions(loras, made.ids[rows], made.points[rows])
    return found


def _same(one: Map, other: Map) -> bool:
    return (
        one.made == other.made
        and np.array_equal(one.ids, other.ids)
        and np.array_equal(one.points, other.points)
        and one.regions == other.regions
    )


def _tell(**message: Any) -> None:
    sys.stdout.buffer.write(orjson.dumps(message) + b"\n")
    sys.stdout.buffer.flush()


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)


def _step_back() -> None:
    """Let everything else on this machine go first."""
    own = psutil.Process()
    if sys.platform == "win32":
        own.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    else:
        own.nice(NICENESS)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    _step_back()
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
