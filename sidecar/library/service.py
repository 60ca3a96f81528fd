"""The library's moving parts, made, started and stopped together."""

from __future__ import annotations

import logging
from pathlib import Path

import orjson

from sidecar.database import Database
from sidecar.errors import SidecarError
from sidecar.events import Events
from sidecar.library import folders
from sidecar.library.civitai.stored import pause_all
from sidecar.library.files.recovery import recover
from sidecar.library.hashing import Hasher
from sidecar.library.scanning import Place, Scanner
from sidecar.library.search import vocabulary_of
from sidecar.library.watching import Watcher
from sidecar.library.weights.fingerprinting import Fingerprinter
from sidecar.library.write_back import OFF, WriteBack
from sidecar.recommend.weightspace.sketching import Sketcher
from sidecar.settings import Settings

log = logging.getLogger("lora-manager.library")


class Library:
    """Scanner, hasher, watcher, the comparing of weights and writing back, over one database."""

    def __init__(
        self, database: Database, events: Events, settings: Settings | None = None, *, watch: bool = True
    ) -> None:
        self.scanner = Scanner(database, events)
        self.hasher = Hasher(database, events, self.scanner.idle)
        self.weights = Fingerprinter(database, events, self.is_reading)
        self.sketcher = Sketcher(database, events, self.is_reading)
        self.write_back = WriteBack(database, events, lambda: settings.write_back if settings else OFF)
        self._watcher = Watcher(self.scanner) if watch else None
        self._database = database
        self._events = events
        self.scanner.on_done = self._after_scan
        self.hasher.on_known = self.scan_places_of

    def _after_scan(self) -> None:
        self._recover(wait=False)  # a drive may be back that was pulled in the middle of something
        self.hasher.wake()
        self.weights.wake()
        self.sketcher.wake()
        self.write_back.scanned()
        vocabulary_of(self._database).refresh()  # so that the first typo does not wait for it

    def is_reading(self) -> bool:
        """Whether scanning or hashing comes first, or hashing was paused and all that follows it too."""
        if self.hasher.paused or not self.scanner.idle.is_set():
            return True  # without counting what is pending, which takes a while in a large library
        return bool(self.hasher.status()["pending"])

    def start(self) -> None:
        """Settle file operations that were interrupted, scan everything, then hash and watch."""
        self._recover()
        pause_all(self._database)
        self.scanner.request()
        self.scanner.start()
        self.hasher.start()
        self.weights.start()
        self.sketcher.start()
        self.write_back.start()
        if self._watcher:
            self._watcher.watch(folders.active_roots(self._database))

    def _recover(self, *, wait: bool = True) -> None:
        try:
            settled = recover(self._database, self.scanner.files_moved, wait=wait)
        except SidecarError as error:
            log.warning("Interrupted file operations are looked at later: %s", error.message)
            return
        if settled:
            self._events.publish("library.changed", added=0, removed=0, changed=settled)
            self._events.publish("files.changed", count=settled)

    def scan_places_of(self, lora_ids: list[int]) -> None:
        """Have the folders of these LoRAs looked at soon."""
        rows = self._database.reader().execute(
            """SELECT DISTINCT l.root_id, l.folder FROM json_each(?) wanted JOIN loras l ON l.id = wanted.value""",
            (orjson.dumps(lora_ids).decode(),),
        )
        roots = {root.id: root for root in folders.active_roots(self._database)}
        places = [
            Place(roots[row["root_id"]], row["folder"], False) for row in rows if row["root_id"] in roots
        ]
        if places:
            self.scanner.request(places)

    def add_folders(self, paths: list[Path]) -> None:
        """Take up more LoRA folders and scan those that are new.

        Raises:
            BadRequest: a path is not absolute.
        """
        before = set(folders.active_roots(self._database))
        roots = folders.activate(self._database, paths)
        new = [root for root in roots if root not in before]
        if new:
            self.scanner.request([Place(root) for root in new])
            if self._watcher:
                self._watcher.watch(roots)

    def edited(self) -> None:
        """The user changed something about LoRAs."""
        self.write_back.wake()

    def is_complete(self) -> bool:
        """Whether the catalogue knows every file there is: scanned to the end, every folder within reach."""
        offline = (
            self._database.reader().execute("SELECT 1 FROM roots WHERE active AND NOT online").fetchone()
        )
        known = self._database.reader().execute("SELECT 1 FROM roots WHERE active").fetchone()
        return self.scanner.first_done.is_set() and offline is None and known is not None

    def stop(self) -> None:
        """Stop all threads; what is half done is taken up at the next start."""
        if self._watcher:
            self._watcher.stop()
        self.write_back.stop()
        self.sketcher.stop()
        self.weights.stop()
        self.hasher.stop()
        self.scanner.stop()
