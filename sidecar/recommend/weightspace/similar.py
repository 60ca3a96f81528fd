"""LoRAs whose weights are like those of one, by their sketches."""

from __future__ import annotations

import numpy as np
import orjson

from sidecar.database import Database
from sidecar.errors import NotFound
from sidecar.prompts.resolve import USABLE
from sidecar.recommend.weightspace.sketch import VERSION, cosines
from sidecar.recommend.weightspace.store import read_sketches

CHANCE = 0.06
"""Cosines of sketches below it may be chance: 6 standard errors of unrelated LoRAs."""


def similar_by_weights(
    database: Database, lora_id: int, limit: int
) -> tuple[list[tuple[int, float]], list[str]]:
    """([(LoRA id, estimated cosine)], notes): those of the same architecture, the most alike first; one file a content.

    Cosines that may be chance are left out; a note says why nothing can be compared.

    Raises:
        NotFound: no such LoRA.
    """
    reader = database.reader()
    row = reader.execute(
        """SELECT l.body_hash, s.architecture, s.reason FROM loras l
           LEFT JOIN sketches s ON s.body_hash = l.body_hash AND s.version = ? WHERE l.id = ?""",
        (VERSION, lora_id),
    ).fetchone()
    if row is None:
        raise NotFound(f"There is no LoRA with the id {lora_id}.")
    if row["reason"] is not None:
        return [], [f"Not compared by weights: {row['reason']}"]
    if row["architecture"] is None:
        return [], ["Its weights are not looked at yet."]
    sketches = read_sketches(database, row["architecture"])
    if row["body_hash"] not in sketches.hashes:
        return [], ["Its weights are not looked at yet."]
    own = sketches.hashes.index(row["body_hash"])
    likeness = cosines(sketches.packed, sketches.packed[own])
    likeness[own] = -1
    best = np.argsort(-likeness)[: 2 * limit + 16]  # some may be gone from the disk
    wanted = {sketches.hashes[at]: float(likeness[at]) for at in best if likeness[at] >= CHANCE}
    found = reader.execute(
        f"""SELECT min(l.id) AS id, l.body_hash FROM json_each(?) wanted JOIN loras l ON l.body_hash = wanted.value
            JOIN roots r ON r.id = l.root_id WHERE {USABLE} GROUP BY l.body_hash""",
        (orjson.dumps(list(wanted)).decode(),),
    )
    pairs = [(int(one["id"]), wanted[one["body_hash"]]) for one in found]
    return sorted(pairs, key=lambda pair: -pair[1])[:limit], []
