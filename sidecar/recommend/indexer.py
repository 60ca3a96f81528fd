"""Keeps the index of prompts and metadata up to date in the background: made anew some time after anything has changed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.database import Database
from sidecar.errors import SidecarError, Unavailable
from sidecar.events import Event, Events

if TYPE_CHECKING:  # numpy is loaded when there is work
    from sidecar.recommend.index import Index

log = logging.getLogger("lora-manager.recommend")

QUIET_SECONDS = 1.0
"""After a change: more of them often follow."""
BUSY_SECONDS = 5.0
"""Between looks at whether a scan is over."""
SHARE = 20.0
"""Making it takes at most one part in so many of the time."""
WANTED_SECONDS = 900.0
"""It is kept up to date so long after somebody has asked for it: nobody pays for what he does not use."""
FIRST_SECONDS = 10.0
"""A request waits so long for the first index; then it is told to come again."""
BREATH_SECONDS = 0.05
"""For others, between two prompts that something is learned from."""
_CHANGES = ("library.changed", "generation.recorded", "lora.edited")


class Indexer:
    """`index` is the latest one, None until the first is made. `busy` tells whether a scan goes on; `made` is called in the
    background after each, with it and a function that is to be called now and then: it lets others work."""

    def __init__(
        self,
        database: Database,
        events: Events,
        folder: Path,
        busy: Callable[[], bool],
        made: Callable[[Index, Callable[[], None]], None] = lambda index, rest: None,
    ) -> None:
        self.index: Index | None = None
        self.building = False
        self._database = database
        self._events = events
        self._folder = folder
        self._busy = busy
        self._made = made
        self._revision = -1
        self._asked = -WANTED_SECONDS
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recommend-index", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._events.subscribe(self._heard)
        self._thread.start()

    def want(self) -> None:
        """Somebody asks for recommendations."""
        self._asked = time.monotonic()
        if self._revision != self._database.revision:
            self._wake.set()

    def get(self) -> Index:
        """The latest index, for somebody who asks for recommendations.

        Raises:
            Unavailable: the first one is still being made after `FIRST_SECONDS`.
        """
        self.want()
        if self.index is None:
            self._ready.wait(FIRST_SECONDS)
        if self.index is None:
            raise Unavailable("Recommendations are being prepared; they are there in a moment.")
        return self.index

    def stop(self) -> None:
        """End after what is being made."""
        self._events.unsubscribe(self._heard)
        self._stopped.set()
        self._ready.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def refresh(self) -> Index:
        """Make it now, in this thread: for programs that cannot wait for the background."""
        from sidecar.recommend.index import Rest
        from sidecar.recommend.making import make_index

        database, started = self._database, time.perf_counter()
        self.building = True
        try:
            revision = database.revision
            index = make_index(database, self._folder, Rest(self._stopped.is_set))
            self.index, self._revision = index, revision
            self._ready.set()
        finally:
            self.building = False
        log.info(
            "Recommendations know %d LoRAs and %d prompts (%.1f s).",
            len(index.loras), len(index.prompts), time.perf_counter() - started,
        )  # fmt: skip
        return index

    def _breathe(self) -> None:
        """Raises Stopped when the app ends."""
        from sidecar.recommend.index import Stopped

        if self._stopped.wait(BREATH_SECONDS):
            raise Stopped

    def _heard(self, event: Event) -> None:
        if event.type in _CHANGES:
            self._wake.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.wait()
            self._wake.clear()
            if self._stopped.wait(QUIET_SECONDS):
                return
            while self._busy():
                if self._stopped.wait(BUSY_SECONDS if self.index else QUIET_SECONDS):
                    return
            if self._database.revision == self._revision or time.monotonic() - self._asked > WANTED_SECONDS:
                continue
            started = time.monotonic()
            try:
                index = self.refresh()
                self._events.publish("recommendations.changed")
                self._made(index, self._breathe)
            except SidecarError as error:
                log.warning("Recommendations are not brought up to date: %s", error.message)
            except Exception:  # the thread's outer edge
                if self._stopped.is_set():
                    return
                log.exception("Recommendations could not be brought up to date")
            if self._stopped.wait(SHARE * (time.monotonic() - started)):
                return
