"""Remembers small results that were worked out from the database, until it changes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar, cast
from weakref import WeakKeyDictionary

from sidecar.database import Database

T = TypeVar("T")

KEPT = 64

_lock = threading.Lock()
_memories: WeakKeyDictionary[Database, tuple[int, OrderedDict[Hashable, object]]] = WeakKeyDictionary()


def remember(database: Database, key: Hashable, work: Callable[[], T]) -> T:
    """`work()`, or what it returned for the same key since the last change of the database."""
    revision = database.revision
    with _lock:
        known, results = _memories.get(database, (-1, OrderedDict()))
        if known != revision:
            results = OrderedDict()
            _memories[database] = (revision, results)
        elif key in results:
            results.move_to_end(key)
            return cast(T, results[key])
    value = work()
    with _lock:
        results[key] = value
        if len(results) > KEPT:
            results.popitem(last=False)
    return value
