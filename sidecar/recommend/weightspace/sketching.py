"""Takes the sketch of every content in the background, small files first; what is done is stored as it goes."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sidecar.database import Database
from sidecar.errors import SidecarError
from sidecar.events import Events
from sidecar.library.header import BrokenHeader
from sidecar.library.weights.fingerprinting import READABLE, Content

if TYPE_CHECKING:  # numpy is loaded when there is work
    from sidecar.recommend.weightspace.sketch import Sketch

log = logging.getLogger("lora-manager.weights")

WRITE_SECONDS = 2.0
LOOK_SECONDS = 1.0
IDLE_SECONDS = 60.0
REST = 1.0  # of the time that was worked, left to others


class Sketcher:
    """Works off contents without a sketch until stopped; `busy` tells whether it has to wait for scanning or hashing."""

    def __init__(self, database: Database, events: Events, busy: Callable[[], bool]) -> None:
        self._database = database
        self._events = events
        self._busy = busy
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._unreadable: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="library-sketches", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """There may be new contents."""
        self._unreadable.clear()
        self._wake.set()

    def stop(self) -> None:
        """End after the file that is being read."""
        self._stopped.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stopped.is_set():
            waiting = IDLE_SECONDS
            try:
                if not self._busy():
                    self.work_off()
                if self._busy():
                    waiting = LOOK_SECONDS
            except SidecarError as error:
                log.error("Sketching weights waits: %s", error.message)
            except Exception:  # the thread's outer edge: it must go on later
                log.exception("Sketching weights waits after an internal error")
            self._wake.wait(timeout=waiting)
            self._wake.clear()

    def work_off(self) -> None:
        """Do what there is to do now, in this thread; returns early when stopped or when files are to be hashed.

        Raises:
            Unavailable: the database does not take what was found.
        """
        due = self._due()
        if due:
            self._sketch(due)
        if self._may_go_on() and self._has_unpaired():
            from sidecar.recommend.weightspace.pairing import pair_all

            begin = time.monotonic()
            if pair_all(self._database, self._may_go_on):
                log.info("Compared sketches of weights: %.1f s", time.monotonic() - begin)
                self._events.publish("duplicates.changed")

    def _may_go_on(self) -> bool:
        return not self._stopped.is_set() and not self._busy()

    def _has_unpaired(self) -> bool:
        row = self._database.reader().execute(
            "SELECT 1 FROM sketches WHERE paired = 0 AND vector IS NOT NULL"
        )
        return row.fetchone() is not None

    def _sketch(self, due: list[Content]) -> None:
        from sidecar.recommend.weightspace.store import save_sketches

        taken: dict[str, Sketch] = {}
        last_write = time.monotonic()
        for done, content in enumerate(due, start=1):
            if not self._may_go_on():
                break
            self._take(content, taken)
            if taken and time.monotonic() - last_write > WRITE_SECONDS:
                save_sketches(self._database, taken)
                self._events.publish("library.sketches", pending=len(due) - done)
                taken, last_write = {}, time.monotonic()
        if taken:
            save_sketches(self._database, taken)
            self._events.publish("library.sketches", pending=len(self._due()))

    def _due(self) -> list[Content]:
        from sidecar.recommend.weightspace.store import DUE

        rows = self._database.reader().execute(
            f"""SELECT l.body_hash, r.path AS root, l.folder, l.stem || l.extension AS name {READABLE} AND {DUE}
                GROUP BY l.body_hash ORDER BY l.size"""
        )
        return [
            Content(row["body_hash"], os.path.join(row["root"], *row["folder"].split("/"), row["name"]))
            for row in rows
            if row["body_hash"] not in self._unreadable
        ]

    def _take(self, content: Content, taken: dict[str, Sketch]) -> None:
        from sidecar.recommend.weightspace.sketch import Sketch, take_sketch

        begin = time.monotonic()
        try:
            taken[content.body_hash] = take_sketch(content.path)
        except BrokenHeader as error:
            taken[content.body_hash] = Sketch(None, None, None, str(error))
        except OSError as error:
            log.info("No sketch of its weights: %s", error)
            self._unreadable.add(content.body_hash)
        except Exception:  # one odd file must not keep the others from it
            log.exception("No sketch of the weights of %s", content.path)
            self._unreadable.add(content.body_hash)
        self._stopped.wait((time.monotonic() - begin) * REST)
