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
from sidecar.library.civitai.stored import version_of
from sidecar.library.folders import Root
from sidecar.library.readers import Readers
from sidecar.library.reconcile import (
    Gone,
    compare,
    follow_moves,
    in_vanished_folders,
    present_rows,
    root_problem,
    still_there,
)
from sidecar.library.record import Record, read_lora, unread_record
from sidecar.library.sources import FileJob
from sidecar.library.texts import NO_TEXTS, Texts, read_texts
from sidecar.library.walking import FoundFolder, list_folder, walk

log = logging.getLogger("lora-manager.library")

INDEX_BATCH = 250
EVENT_SECONDS = 0.25
MAX_GATHERED = 2_000


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
        self._moves = 0
        self._moves_before = 0
        self._thread = threading.Thread(target=self._run, name="library-scan", daemon=True)

    def start(self) -> None:
        """Start the thread; it scans whatever was or will be requested."""
        self._thread.start()

    @property
    def started(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def request(self, places: list[Place] | None = None) -> None:
        """Ask for a scan of `places`, or of every active root."""
        with self._wake:
            for place in places if places is not None else map(Place, folders.active_roots(self._database)):
                self._wanted[place] = None
            if self._wanted:
                self.status.scanning = True
                self.idle.clear()
                self._wake.notify()
            elif not self.status.scanning:
                self.idle.set()  # there is no folder

    def files_moved(self) -> None:
        """The app has renamed files on disk and is about to change their rows: what a scan that began before has read
        of them is out of date."""
        self._moves += 1

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
            except Exception:  # the thread's outer edge: the next request must find it alive
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
        """First the list, complete and settled; then the long texts and the search, in the same reader processes."""
        started = time.monotonic()
        self._moves_before = self._moves
        self.status = Status(scanning=True)
        changes = _Changes()
        readers = Readers()
        try:
            self._read_list(readers, places, changes, started)
            moved = self._settle(changes)
            self.status.seconds = time.monotonic() - started
            self._report(changes, moved)
            self.first_done.set()
            self._read_texts(readers)
        finally:
            readers.close()

    def _read_list(self, readers: Readers, places: list[Place], changes: _Changes, started: float) -> None:
        """Read new and changed files; whatever has gathered while the writer was busy is written together."""
        gathered: list[Record] = []
        writing: Future[None] | None = None
        for batch in readers.read(read_lora, self._jobs(places, changes), _unread):
            gathered.extend(record for _, record in batch)
            self.status.read += len(batch)
            self.status.broken += sum(record.state != "ok" for _, record in batch)
            self.status.seconds = time.monotonic() - started
            # Ever larger writes: the first files show at once, and index pages are not written over and over.
            if len(gathered) >= min(self.status.read / 3, MAX_GATHERED):
                if writing is not None:
                    writing.result()
                writing = self._database.submit(partial(self._save, records=gathered))
                gathered = []
            self._tell()
        if writing is not None:
            writing.result()
        if gathered:
            self._database.write(partial(self._save, records=gathered))

    def _save(self, connection: sqlite3.Connection, records: list[Record]) -> None:
        if self._moves != self._moves_before:
            records = still_there(connection, records)
        store.save_records(connection, records)

    def _read_texts(self, readers: Readers) -> None:
        """Read the long parts that are still due, also those that an earlier run did not come to, and index them."""
        reader = self._database.reader()
        due = {
            (row["root_id"], row["folder"], row["name"]): row["id"]
            for row in reader.execute(
                """SELECT id, root_id, folder, stem || extension AS name FROM loras
                   WHERE NOT texts_read AND present ORDER BY root_id, folder"""
            )
        }
        for batch in readers.read(read_texts, self._text_jobs(due), _no_texts):
            texts = [(due[job.root_id, job.folder, job.name], job, text) for job, text in batch]
            self._database.write(partial(store.save_texts, texts=texts))
            self._index([lora_id for lora_id, _, _ in texts])
        rest = store.unindexed(reader)
        for start in range(0, len(rest), INDEX_BATCH):
            self._index(rest[start : start + INDEX_BATCH])

    def _text_jobs(self, due: dict[tuple[int, str, str], int]) -> Iterator[FileJob]:
        roots = {root.id: root for root in folders.active_roots(self._database)}
        for root_id, folder in dict.fromkeys((root_id, folder) for root_id, folder, _ in due):
            if self._stopping:
                return
            if root_id in roots:
                listed = list_folder(roots[root_id].path, folder)
                for file in listed.files:
                    lora_id = due.get((root_id, folder, file.name))
                    if lora_id is not None:
                        fetched = version_of(self._database.reader(), lora_id)
                        yield FileJob(root_id, folder, listed.path, *file, fetched=fetched)

    def _index(self, lora_ids: list[int]) -> None:
        if not self._stopping:
            self._database.write(partial(store.index_search, lora_ids=lora_ids))

    def _report(self, changes: _Changes, moved: int) -> None:
        if self.status.read or changes.gone or changes.back:
            gone, back = len(changes.gone) - moved, len(changes.back)
            self._events.publish(
                "library.changed", added=self.status.read, removed=gone, changed=back + moved
            )
            log.info(
                "Scanned %d files in %.2f s: %d read (%d not usable), %d gone, %d back, %d moved.",
                self.status.found, self.status.seconds, self.status.read, self.status.broken, gone, back, moved,
            )  # fmt: skip

    def _settle(self, changes: _Changes) -> int:
        """Mark what is gone and back; returns how many of the gone had only moved."""
        if not changes.gone and not changes.back:
            return 0

        def work(connection: sqlite3.Connection) -> int:
            store.mark_missing(connection, changes.gone)
            store.mark_present(connection, changes.back)
            return follow_moves(connection, [gone.id for gone in changes.gone])

        return self._database.write(work)

    def _jobs(self, places: list[Place], changes: _Changes) -> Iterator[FileJob]:
        """Files to read; what needs no reading is noted in `changes` on the way."""
        reader = self._database.reader()
        for place in places:
            problem = root_problem(place.root)
            folders.set_online(self._database, place.root, problem)
            if problem:
                log.warning("%s", problem)
                changes.gone.extend(present_rows(reader, place.root))
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

    def _tell(self, force: bool = False) -> None:
        now = time.monotonic()
        if force or now - self._last_event >= EVENT_SECONDS:
            self._last_event = now
            self._events.publish("library.scan", **self.progress())


class _Changes:
    """Rows whose files are gone or back."""

    def __init__(self) -> None:
        self.gone: list[Gone] = []
        self.back: list[int] = []


def _unread(job: FileJob) -> Record:
    return unread_record(
        job, "broken", "Reading this file failed inside; the log has it. It is tried again when it changes."
    )


def _no_texts(_: FileJob) -> Texts:
    return NO_TEXTS
