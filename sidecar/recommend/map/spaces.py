"""What the map is laid out from: for every LoRA that a host can load a vector, grouped by what can be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from sidecar.database import Database
from sidecar.prompts.resolve import USABLE
from sidecar.recommend.documents import LoraText, read_loras, text_key
from sidecar.recommend.embeddings.store import vectors_for
from sidecar.recommend.embeddings.texts import lora_text
from sidecar.recommend.map.neighbours import Places, to_unit
from sidecar.recommend.map.store import Keys
from sidecar.recommend.map.words import word_vectors
from sidecar.recommend.postings import Floats
from sidecar.recommend.weightspace.store import read_sketches

ENOUGH = 0.9
"""The part of the texts that must have a vector of the text model, or the words are counted instead."""
SKETCHED = 1024
"""Bits of a sketch that are enough to place it."""
SILENT = "Nothing is said of these"
UNSEEN = "Not compared by weights"


@dataclass
class Space:
    """LoRAs that can be compared. `vectors` (rows × n, of unit length) has zeros where there is none; `fallback`, if there is
    one, gives vectors of another kind for all rows, to place those by."""

    name: str
    ids: Places
    keys: Keys
    vectors: Floats
    fallback: Callable[[], Floats] | None = None


@dataclass
class Spaces:
    """All of them; `rest` are the ids that have nothing to be placed by, and what they are called."""

    source: str
    spaces: list[Space]
    rest: Space


def text_spaces(database: Database, loras: list[LoraText], model: str) -> Spaces:
    """One space by what is said of LoRAs: by the text model's vectors when it has read enough of them, else by words."""
    texts = [lora_text(one.title, one.trigger_words, one.tags, one.about) for one in loras]
    ids = np.array([one.id for one in loras], np.int64)
    keys = _keys(text_key(f"{one.stem}\n{text}") for one, text in zip(loras, texts))
    there = np.array([bool(text) for text in texts], bool)
    if model and there.any():
        vectors, mask = vectors_for(database, model, texts)
        mask &= there
        if mask.sum() >= ENOUGH * there.sum():
            vectors[~mask] = 0
            space = Space("", ids, keys, to_unit(vectors), lambda: word_vectors(loras))
            return Spaces(model, [space], nobody(SILENT))
    return Spaces("words", [Space("", ids, keys, word_vectors(loras))], nobody(SILENT))


def weight_spaces(database: Database) -> Spaces:
    """One space for each architecture, by sketches of the weights."""
    rows = (
        database.reader()
        .execute(
            f"""SELECT l.id, l.body_hash FROM loras l JOIN roots r ON r.id = l.root_id WHERE {USABLE} ORDER BY l.id"""
        )
        .fetchall()
    )
    names = [row[0] for row in database.reader().execute("SELECT DISTINCT architecture FROM sketches")]
    holders: dict[str, list[int]] = {}
    for row in rows:
        if row["body_hash"]:
            holders.setdefault(row["body_hash"], []).append(row["id"])
    spaces, seen = [], set()
    for name in sorted(name for name in names if name):
        sketches = read_sketches(database, name)
        places = [
            (lora, at) for at, content in enumerate(sketches.hashes) for lora in holders.get(content, ())
        ]
        if places:
            places.sort()
            ids = np.array([lora for lora, _ in places], np.int64)
            at = np.array([place for _, place in places], np.int64)
            keys = _keys(text_key(sketches.hashes[place]) for place in at)
            spaces.append(Space(name, ids, keys, sketches.sides(at, SKETCHED)))
            seen.update(ids.tolist())
    left = np.array([row["id"] for row in rows if row["id"] not in seen], np.int64)
    empty = np.zeros((len(left), 1), np.float32)
    return Spaces("weights", spaces, Space(UNSEEN, left, np.zeros(len(left), np.uint64), empty))


def read_spaces(database: Database, by: str, model: str) -> tuple[Spaces, list[LoraText]]:
    """The spaces of a map, and what is said of all LoRAs, for its regions' names."""
    loras = read_loras(database)
    return (text_spaces(database, loras, model) if by == "text" else weight_spaces(database)), loras


def nobody(name: str) -> Space:
    """A space without anybody."""
    return Space(name, np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros((0, 1), np.float32))


def _keys(hashes: Iterator[bytes]) -> Keys:
    return np.array([int.from_bytes(one[:8], "little") for one in hashes], np.uint64)
