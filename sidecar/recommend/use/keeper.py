"""Keeps the index of co-use: made when it is first asked for, and anew in the background after its data has changed."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sidecar.database import Database
from sidecar.errors import Unavailable
from sidecar.events import Event, Events

if TYPE_CHECKING:  # numpy is loaded when there is work
    from sidecar.recommend.use.index import UseIndex

log = logging.getLogger("lora-manager.recommend")

WAIT_SECONDS = 0.5
"""A request waits so long for an index that is being brought up to date: a small library always has a fresh one."""
FIRST_SECONDS = 10.0
"""The same for the first index: after that a request is told to come again."""
SHARE = 10.0
"""Making it takes at most one part in so many of the time, once it takes longer than requests wait."""
_CHANGES = ("library.changed", "files.changed", "lora.edited", "generation.recorded", "sets.changed")


class UseKeeper:
    """`get` gives the latest index of one database."""

    def __init__(self, events: Events) -> None:
        self._index: UseIndex | None = None
        self._words: Any = None
        self._building = threading.Lock()
        self._changed = threading.Event()
        self._ready = threading.Event()
        self._written: tuple[Any, ...] = ()
        self._not_before = 0.0
        events.subscribe(self._heard)

    def get(self, database: Database) -> UseIndex:
        """The index. One that is out of date is made anew in the background, and answers meanwhile once it has been
        waited for a moment; the first one is waited for longer.

        Raises:
            Unavailable: the first one is still being made.
        """
        self.warm_up(database)
        self._ready.wait(FIRST_SECONDS if self._index is None else WAIT_SECONDS)
        if self._index is None:
            raise Unavailable("What goes together is being prepared; ask again in a moment.")
        return self._index

    def latest(self, database: Database) -> UseIndex | None:
        """The index as it is, at once; None until the first is made."""
        self.warm_up(database)
        return self._index

    def warm_up(self, database: Database) -> None:
        """Make the index in the background if there is none, or if its data has changed."""
        due = self._index is None or (self._is_stale(database) and time.monotonic() >= self._not_before)
        if due and self._building.acquire(blocking=False):
            self._ready.clear()
            threading.Thread(target=self._make_anew, args=(database,), name="use-index", daemon=True).start()

    def _heard(self, event: Event) -> None:
        if event.type in _CHANGES:
            self._changed.set()

    def _is_stale(self, database: Database) -> bool:
        return self._changed.is_set() or self._written != _written(database)

    def _make(self, database: Database) -> UseIndex:
        from sidecar.recommend.index import Rest
        from sidecar.recommend.use.index import make_index
        from sidecar.recommend.use.words import Words

        started = time.monotonic()
        self._words = self._words or Words()
        self._changed.clear()
        self._written = _written(database)
        index = make_index(database, self._words, Rest())
        took = time.monotonic() - started
        self._not_before = time.monotonic() + (SHARE * took if took > WAIT_SECONDS else 0)
        log.info("Co-use knows %d LoRAs (%.1f s).", len(index.loras), took)
        return index

    def _make_anew(self, database: Database) -> None:
        try:
            self._index = self._make(database)
        except sqlite3.Error as error:  # closed, or busy: the next one who asks begins again
            self._changed.set()
            log.debug("co-use was not read: %s", error)
        except Exception:  # the thread's outer edge
            log.exception("Co-use could not be brought up to date")
        finally:
            self._building.release()
            self._ready.set()


def _written(database: Database) -> tuple[Any, ...]:
    """What tells that images or sets were added, whoever added them."""
    row = database.reader().execute(
        """SELECT (SELECT max(id) FROM generations), (SELECT max(modified) FROM sets), (SELECT count(*) FROM sets),
                  (SELECT count(deleted) FROM sets)"""
    )
    return tuple(row.fetchone())


_keepers: WeakKeyDictionary[Database, UseKeeper] = WeakKeyDictionary()
_lock = threading.Lock()


def use_index(database: Database, events: Events) -> UseIndex:
    """The index of co-use of this database.

    Raises:
        Unavailable: the first one is still being made.
    """
    return _keeper(database, events).get(database)


def latest_use(database: Database, events: Events) -> UseIndex | None:
    """The index of co-use as it is, at once; None until the first is made, which begins with this."""
    return _keeper(database, events).latest(database)


def _keeper(database: Database, events: Events) -> UseKeeper:
    with _lock:
        if database not in _keepers:
            _keepers[database] = UseKeeper(events)
        return _keepers[database]
