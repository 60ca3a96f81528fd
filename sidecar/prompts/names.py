"""The names in the library that are nearest to one that nobody knows, out of tens of thousands within a few milliseconds."""

from __future__ import annotations

import logging
import re
import sqlite3
import threading
import time
from bisect import bisect_left
from itertools import pairwise
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import OSA

from sidecar.database import Database
from sidecar.prompts.resolve import USABLE

log = logging.getLogger("lora-manager.prompts")

MAX_NEAREST = 3
REREAD_SECONDS = 30.0
_BITS = 64
_SHAPE = re.compile(r"[\W_]+")


class _Known(NamedTuple):
    """The names as they were at one revision, in the order of `plain`: without separators and capitals."""

    names: list[str]
    plain: list[str]
    lengths: NDArray[np.int32]
    bits: NDArray[np.uint64]
    revision: int
    read_at: float


class Names:
    """Every name that a prompt can say, each with a bit for every pair of letters in it.

    Two edits change at most 2 × 4 pairs, so names whose bits differ in more than that need not be compared at all.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._known = _Known([], [], np.zeros(0, np.int32), np.zeros(0, np.uint64), -1, 0.0)

    def nearest(self, name: str) -> list[str]:
        """Up to three names within two edits (one for short names), nearest first; separators and case do not count.

        Names that merely say more ("style" for "style_v2") come after those.
        """
        self._refresh()
        known, plain = self._known, _plain(name)
        if len(plain) < 3:
            return []
        allowed = 1 if len(plain) < 6 else 2
        bits = np.uint64(_bits_of(plain))
        alike = np.flatnonzero(np.abs(known.lengths - len(plain)) <= allowed)
        places = alike[_count_bits(known.bits[alike] ^ bits) <= 4 * allowed].tolist()
        found = process.extract(
            plain,
            [known.plain[place] for place in places],
            scorer=OSA.distance,
            score_cutoff=allowed,
            limit=MAX_NEAREST,
        )
        names = [known.names[places[at]] for _, _, at in found]
        if len(names) < MAX_NEAREST and len(plain) >= 5:
            start = bisect_left(known.plain, plain)
            longer = known.plain[start : start + MAX_NEAREST]
            names += [known.names[start + at] for at, one in enumerate(longer) if one.startswith(plain)]
        return list(dict.fromkeys(names))[:MAX_NEAREST]

    def _refresh(self) -> None:
        """Read the names if that has not been done; if they may have changed, read them anew for the next time."""
        if not self._known.names:
            with self._lock:
                if not self._known.names:
                    self._known = self._read()
        elif self._known.revision != self._database.revision and self._lock.acquire(blocking=False):
            threading.Thread(target=self._read_anew, name="prompt-names", daemon=True).start()

    def _read_anew(self) -> None:
        try:
            if time.monotonic() - self._known.read_at > REREAD_SECONDS:
                self._known = self._read()
        except sqlite3.Error as error:  # the database is closed, or busy: the next one who asks begins again
            log.debug("names were not read: %s", error)
        finally:
            self._lock.release()

    def _read(self) -> _Known:
        revision = self._database.revision
        rows = self._database.reader().execute(
            f"SELECT DISTINCT l.stem FROM loras l JOIN roots r ON r.id = l.root_id WHERE {USABLE}"
        )
        pairs = sorted((_plain(row[0]), row[0]) for row in rows)
        names, plain = [name for _, name in pairs], [one for one, _ in pairs]
        lengths = np.fromiter(map(len, plain), np.int32, len(plain))
        bits = np.fromiter(map(_bits_of, plain), np.uint64, len(plain))
        return _Known(names, plain, lengths, bits, revision, time.monotonic())


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
    """Up to three names of usable files that are nearest to `name`, or to what stands before a = in it."""
    return _known.setdefault(database, Names(database)).nearest(name.partition("=")[0] or name)


def only_likely(name: str, nearest: list[str]) -> str | None:
    """The one name that a misspelt one surely means: one candidate, letters apart, the same numbers (v1 is not v2)."""
    near = [one for one in nearest if OSA.distance(_plain(one), _plain(name)) <= 2]
    if len(near) != 1 or len(_plain(name)) < 6 or re.findall(r"\d+", near[0]) != re.findall(r"\d+", name):
        return None
    return near[0]
