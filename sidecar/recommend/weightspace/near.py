"""How alike a few contents are by their weights, of what is known already: sketches, and pairs measured since the start.

No file is read here, so that it can be asked for at every letter that is typed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from sidecar.database import Database
from sidecar.prompts.request import Likeness

if TYPE_CHECKING:  # numpy is loaded when there is work
    from sidecar.library.weights.tensors import Array

MOST = 200  # LoRAs of one prompt
LEAST = 0.5  # cosines below are not told
_KEPT = 512  # sketches in memory, 4 kB each


class _Kept(NamedTuple):
    architecture: str
    norm: float
    bits: Array


_lock = threading.Lock()
_kept: OrderedDict[str, _Kept] = OrderedDict()


def likeness(database: Database, contents: Sequence[str]) -> Likeness:
    """What can be said of the first `MOST` contents by their body_hash."""
    found = _read(database, contents[:MOST])
    norms = {content: one.norm for content, one in found.items()}
    if len(found) < 2:
        return Likeness(norms, {})
    import numpy as np

    from sidecar.recommend.weightspace.answering import measured_pair
    from sidecar.recommend.weightspace.sketch import cosines

    hashes = list(found)
    packed = np.stack([one.bits for one in found.values()])
    told: dict[tuple[str, str], float] = {}
    for at, one in enumerate(hashes):
        estimated = cosines(packed[at + 1 :], packed[at])
        for behind in np.flatnonzero(np.abs(estimated) >= LEAST).tolist():
            other = hashes[at + 1 + behind]
            if found[one].architecture == found[other].architecture:
                exact = measured_pair(one, other)
                told[one, other] = told[other, one] = float(estimated[behind]) if exact is None else exact
    return Likeness(norms, told)


def _read(database: Database, contents: Sequence[str]) -> dict[str, _Kept]:
    """Sketches by body_hash, each read once while it is in use."""
    with _lock:
        found = {one: _kept[one] for one in contents if one in _kept}
        for one in found:
            _kept.move_to_end(one)
    new = [one for one in dict.fromkeys(contents) if one not in found]
    rows = database.reader().execute(
        f"""SELECT body_hash, version, architecture, norm, vector FROM sketches
            WHERE vector IS NOT NULL AND body_hash IN ({", ".join("?" * len(new))})""",
        new,
    ) if new else []  # fmt: skip
    if rows := list(rows):
        import numpy as np

        from sidecar.recommend.weightspace.sketch import BYTES, VERSION

        read = {
            row["body_hash"]: _Kept(row["architecture"], row["norm"], np.frombuffer(row["vector"], np.uint64))
            for row in rows
            if row["version"] == VERSION and len(row["vector"]) == BYTES
        }
        found |= read
        with _lock:
            _kept.update(read)
            while len(_kept) > _KEPT:
                _kept.popitem(last=False)
    return found
