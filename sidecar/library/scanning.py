"""The scan: brings the catalogue in line with the disk, in a thread of its own, telling its progress."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from functools import partial
from typing import NamedTuple

from sidecar.database import Database
from sidecar.errors import SidecarError
from sidecar.events import Events
from sidecar.library import folders, store
from sidecar.library.folders import Root
from sidecar.library.readers import BATCH, FIRST_BATCH, INLINE, read_all, read_batch
from sidecar.library.reconcile import compare, follow_moves, in_vanished_folders, root_problem
from sidecar.library.record import FileJob, Record
from sidecar.library.walking import FoundFolder, list_folder, walk

log = logging.getLogger("lora-manager.library")

INDEX_BATCH = 250
EVENT_SECONDS = 0.25
WRITES_AHEAD = 2


@dataclass
class Status:
    """Progress of the scan that runs, or the outcome of the last one."""

    scanning: bool = False
    found: int = 0
    total: int = 0
    read: int = 0
    broken: int = 0
    seconds: float = 0.0
    message: str | None = None


class Place(NamedTuple):
    """What to look at: a folder of a root, alone or with all below it."""

    root: Root
    relative: str = ""
    recursive: bool = True


class Scanner:
    """Runs one scan at a time; requests that come meanwhile are joined into the next."""

    def __init__(self, database: Database, events: Events) -> None:
        self.status = Status()
        self.first_done = threading.Event()
        self.idle = threading.Event()
        self.on_done: Callable[[], None] = lambda: None
        self._database = database
        self._events = events
        self._wanted: dict[Place, None] = {}
        self._wake = threading.Condition()
        self._stopping = False
        self._last_event = 0.0
        self._thread = threading.Thread(target=self._run, name="library-scan", daemon=True)

    def start(self) -> None:
        """Start the thread; it scans whatever was or will be requested."""
        self._thread.start()

    def request(self, places: list[Place] | None = None) -> None:
        """Ask for a scan of `places`, or of every active root."""
        with self._wake:
            for place in places if places is not None else map(Place, folders.active_roots(self._database)):
                self._wanted[place] = None
            self.status.scanning = True
            self.idle.clear()
            self._wake.notify()

    def progress(self) -> dict[str, object]:
        """The status as the API and the events tell it."""
        return asdict(self.status)

    def stop(self) -> None:
        """End the scan between two batches and wait for it."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._wanted or self._stopping)
                if self._stopping:
                    return
                places = list(self._wanted)
                self._wanted.clear()
            try:
                self._scan(places)
            except SidecarError as error:
                self.status.message = error.message
                log.error("The scan stopped: %s", error.message)
            except Exception:
                self.status.message = "The scan stopped on an internal error; the log has it."
                log.exception("The scan stopped")
            with self._wake:
                if not self._wanted:
                    self.status.scanning = False
                    self.first_done.set()
                    self.idle.set()
            self._tell(force=True)
            self.on_done()

    def _scan(self, places: list[Place]) -> None:
        started = time.monotonic()
        self.status = Status(scanning=True)
        changes = _Changes()
        writes: list[Future[list[int]]] = []
        for records in self._read(self._jobs(places, changes)):
            writes.append(self._database.submit(partial(store.save_records, records=records)))
            if len(writes) > WRITES_AHEAD:
                writes.pop(0).result()
            self.status.read += len(records)
            self.status.broken += sum(record.state != "ok" for record in records)
            self.status.seconds = time.monotonic() - started
            self._tell()
        for write in writes:
            write.result()
        moved = self._settle(changes)
        self.status.seconds = time.monotonic() - started
        if self.status.read or changes.gone or changes.back:
            self._events.publish(
                "library.changed",
                added=self.status.read,
                removed=len(changes.gone) - moved,
                changed=len(changes.back) + moved,
            )
            log.info(
                "Scanned %d files in %.2f s: %d read (%d not usable), %d gone, %d back, %d moved.",
                self.status.found,
                self.status.seconds,
                self.status.read,
                self.status.broken,
                len(changes.gone) - moved,
                len(changes.back),
                moved,
            )
        self.first_done.set()
        while not self._stopping and self._database.write(partial(store.index_search, limit=INDEX_BATCH)):
            pass

    def _settle(self, changes: _Changes) -> int:
        """Mark what is gone and back; returns how many of the gone had only moved."""
        if not changes.gone and not changes.back:
            return 0

        def work(connection: sqlite3.Connection) -> int:
            store.mark_missing(connection, changes.gone)
            store.mark_present(connection, changes.back)
            return follow_moves(connection, changes.gone)

        return self._database.write(work)

    def _jobs(self, places: list[Place], changes: _Changes) -> Iterator[FileJob]:
        """Files to read; what needs no reading is noted in `changes` on the way."""
        reader = self._database.reader()
        for place in places:
            problem = root_problem(place.root)
            folders.set_online(self._database, place.root, problem)
            if problem:
                log.warning("%s", problem)
                rows = reader.execute("SELECT id FROM loras WHERE root_id = ? AND present", (place.root.id,))
                changes.gone.extend(row["id"] for row in rows)
                continue
            listed, unlisted = set(), []
            for folder in self._folders(place):
                if folder.error:
                    log.warning("%s", folder.error)
                    unlisted.append(folder.relative)
                    continue
                listed.add(folder.relative)
                self.status.found += len(folder.files)
                difference = compare(reader, place.root, folder)
                changes.gone.extend(difference.gone)
                changes.back.extend(difference.back)
                self.status.total += len(difference.to_read)
                yield from difference.to_read
            if self._stopping:
                return
            if place.recursive:
                changes.gone.extend(in_vanished_folders(reader, place.root, place.relative, listed, unlisted))

    def _folders(self, place: Place) -> Iterator[FoundFolder]:
        if not place.recursive:
            yield list_folder(place.root.path, place.relative)
            return
        yield from walk(place.root.path, place.relative, lambda: self._stopping)

    def _read(self, jobs: Iterator[FileJob]) -> Iterator[list[Record]]:
        """Read a few files here, many in reader processes."""
        first: list[FileJob] = []
        for job in jobs:
            first.append(job)
            if len(first) > INLINE:
                yield from read_all(_batches(first, jobs))
                return
        if first:
            yield read_batch(first)

    def _tell(self, force: bool = False) -> None:
        now = time.monotonic()
        if force or now - self._last_event >= EVENT_SECONDS:
            self._last_event = now
            self._events.publish("library.scan", **self.progress())


class _Changes:
    """Rows whose files are gone or back."""

    def __init__(self) -> None:
        self.gone: list[int] = []
        self.back: list[int] = []


def _batches(first: list[FileJob], rest: Iterator[FileJob]) -> Iterator[list[FileJob]]:
    """A small batch first, so that the list has something to show at once."""
    yield first[:FIRST_BATCH]
    batch = first[FIRST_BATCH:]
    for job in rest:
        batch.append(job)
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
