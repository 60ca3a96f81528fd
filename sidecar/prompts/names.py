"""The names in the library that are nearest to one that nobody knows, out of tens of thousands within a few milliseconds."""

from __future__ import annotations

import re
import threading
import time
from itertools import pairwise
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import OSA

from sidecar.database import Database
from sidecar.prompts.resolve import USABLE

MAX_NEAREST = 3
REREAD_SECONDS = 30.0
_BITS = 64
_SHAPE = re.compile(r"[\W_]+")


class Names:
    """Every name that a prompt can say, each with a bit for every pair of letters in it.

    Two edits change at most 2 × 4 pairs, so names whose bits differ in more than that need not be compared at all.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._revision = -1
        self._read_at = 0.0
        self._names: list[str] = []
        self._plain: list[str] = []
        self._lengths = np.zeros(0, np.int32)
        self._bits = np.zeros(0, np.uint64)

    def nearest(self, name: str) -> list[str]:
        """Up to three names within two edits (one for short names), nearest first; separators and case do not count.

        Names that merely say more ("style" for "style_v2") come after those.
        """
        self._refresh()
        plain = _plain(name)
        if len(plain) < 3:
            return []
        allowed = 1 if len(plain) < 6 else 2
        near = np.abs(self._lengths - len(plain)) <= allowed
        near &= _count_bits(self._bits ^ np.uint64(_bits_of(plain))) <= 4 * allowed
        places = np.flatnonzero(near).tolist()
        found = process.extract(
            plain,
            [self._plain[place] for place in places],
            scorer=OSA.distance,
            score_cutoff=allowed,
            limit=MAX_NEAREST,
        )
        names = [self._names[places[at]] for _, _, at in found]
        if len(names) < MAX_NEAREST and len(plain) >= 5:
            longer = np.flatnonzero((_bits_of(plain) & ~self._bits) == 0).tolist()
            names += [self._names[at] for at in longer if self._plain[at].startswith(plain)][:MAX_NEAREST]
        return list(dict.fromkeys(names))[:MAX_NEAREST]

    def _refresh(self) -> None:
        """Read the names anew if they may have changed, but not all the time while they do."""
        with self._lock:
            revision = self._database.revision
            recent = time.monotonic() - self._read_at < REREAD_SECONDS
            if revision == self._revision or (self._names and recent):
                return
            rows = self._database.reader().execute(
                f"SELECT DISTINCT l.stem FROM loras l JOIN roots r ON r.id = l.root_id WHERE {USABLE}"
            )
            self._names = [row[0] for row in rows]
            self._plain = [_plain(name) for name in self._names]
            self._lengths = np.fromiter(map(len, self._plain), np.int32, len(self._plain))
            self._bits = np.fromiter(map(_bits_of, self._plain), np.uint64, len(self._plain))
            self._revision, self._read_at = revision, time.monotonic()


def _plain(name: str) -> str:
    return _SHAPE.sub("", name.rpartition("/")[2].casefold())


def _bits_of(plain: str) -> int:
    bits = 0
    for left, right in pairwise(plain):
        bits |= 1 << ((ord(left) * 31 + ord(right)) % _BITS)
    return bits


def _count_bits(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """How many bits are set in each (by halves, quarters, …; Hacker's Delight, 5-1)."""
    one, two, four = (
        np.uint64(mask) for mask in (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F)
    )
    values = values - ((values >> np.uint64(1)) & one)
    values = (values & two) + ((values >> np.uint64(2)) & two)
    values = (values + (values >> np.uint64(4))) & four
    sums: NDArray[np.uint64] = (values * np.uint64(0x0101010101010101)) >> np.uint64(56)
    return sums


_known: WeakKeyDictionary[Database, Names] = WeakKeyDictionary()


def nearest_names(database: Database, name: str) -> list[str]:
    """Up to three names of usable files that are nearest to `name`."""
    return _known.setdefault(database, Names(database)).nearest(name)


def only_likely(name: str, nearest: list[str]) -> str | None:
    """The one name that a misspelt one surely means: one candidate, letters apart, the same numbers (v1 is not v2)."""
    near = [one for one in nearest if OSA.distance(_plain(one), _plain(name)) <= 2]
    if len(near) != 1 or len(_plain(name)) < 6 or re.findall(r"\d+", near[0]) != re.findall(r"\d+", name):
        return None
    return near[0]
