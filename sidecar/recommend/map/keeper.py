"""Keeps the maps up to date while somebody looks at them: a process of low priority makes them, this tells how far it is."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from sidecar.database import Database
from sidecar.events import Events
from sidecar.recommend.embeddings.service import Embedder

if TYPE_CHECKING:  # numpy is loaded when there is work
    from sidecar.recommend.map.store import Map

log = logging.getLogger("lora-manager.recommend")

ROOT = Path(__file__).resolve().parents[3]
BY = ("text", "weights")
QUIET_SECONDS = 2.0
"""After a change: more of them often follow."""
BUSY_SECONDS = 2.0
"""Between looks at whether a scan is over."""
SHARE = 20.0
"""Making it takes at most one part in so many of the time."""
WANTED_SECONDS = 900.0
"""It is kept up to date so long after somebody has looked at it."""
EVENT_SECONDS = 0.5
FAILED_SECONDS = 60.0
"""After a failure, before the next try."""
TOLD = 300


class _Way:
    """One of the two maps."""

    def __init__(self) -> None:
        self.asked = -WANTED_SECONDS
        self.made_of: tuple[int, str] | None = None
        self.map: Map | None = None
        self.loaded = False
        self.part: float | None = None
        self.message: str | None = None
        self.not_before = 0.0


class MapKeeper:
    """`busy` tells whether a scan goes on."""

    def __init__(
        self, database: Database, events: Events, folder: Path, embedder: Embedder, busy: Callable[[], bool]
    ) -> None:
        self._database = database
        self._events = events
        self._folder = folder
        self._embedder = embedder
        self._busy = busy
        self._ways = {by: _Way() for by in BY}
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recommend-map", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and the process if one is at work."""
        self._stopped.set()
        self._wake.set()
        with self._lock:
            if self._process:
                self._process.kill()
        if self._thread.is_alive():
            self._thread.join(10)

    def look(self, by: str) -> tuple[Map | None, dict[str, Any]]:
        """The map as it is, None before the first, and its state; it is brought up to date in the background.

        The state: {"building", "part" (0 to 1 of the work, or null), "source" ("words", "embeddings", "weights" or null), "model" (the
        text model's name, or null), "made" (epoch seconds), "stale", "message"}.
        """
        way = self._ways[by]
        way.asked = time.monotonic()
        if not way.loaded:
            from sidecar.recommend.map.store import load_map

            way.map, way.loaded = load_map(self._folder, by), True
        stale = way.made_of != self._now(by)
        if stale:
            self._wake.set()
        found = way.map
        model = self._embedder.model
        read = found is not None and found.source not in ("words", "weights")
        state = {
            "building": way.part is not None or (found is None and way.message is None),
            "part": way.part,
            "source": "embeddings" if read else found.source if found else None,
            "model": model.name if found and model and found.source == model.id else None,
            "made": found.made if found else None,
            "stale": stale,
            "message": way.message,
        }
        return found, state

    def refresh(self, by: str) -> None:
        """Bring a map up to date now, and wait for it."""
        now = self._now(by)
        way = self._ways[by]
        way.part, way.message = 0.0, None
        self._events.publish("map.progress", by=by, part=0.0)
        started = time.monotonic()
        try:
            changed = self._make(by, way, now[1])
        finally:
            way.part = None
            way.not_before = time.monotonic() + SHARE * (time.monotonic() - started)
        if changed is None:
            way.not_before = max(way.not_before, time.monotonic() + FAILED_SECONDS)
        else:
            way.made_of = now
            if changed or way.map is None:
                from sidecar.recommend.map.store import load_map

                way.map, way.loaded = load_map(self._folder, by), True
        self._events.publish("map.changed", by=by)

    def _now(self, by: str) -> tuple[int, str]:
        model = self._embedder.model if by == "text" else None
        return self._database.revision, model.id if model else ""

    def _run(self) -> None:
        while not self._stopped.is_set():
            due = [by for by in BY if self._is_due(by)]
            if not due:
                waiting = [way.not_before - time.monotonic() for way in self._ways.values() if way.not_before]
                self._wake.wait(max(QUIET_SECONDS, min(waiting)) if any(one > 0 for one in waiting) else None)
                self._wake.clear()
                continue
            if self._stopped.wait(QUIET_SECONDS if any(self._ways[by].map for by in due) else 0):
                return
            while self._busy():
                if self._stopped.wait(BUSY_SECONDS):
                    return
            for by in due:
                try:
                    self.refresh(by)
                except Exception:  # the thread's outer edge: it must go on later
                    if self._stopped.is_set():
                        return
                    log.exception("The map could not be made")

    def _is_due(self, by: str) -> bool:
        way = self._ways[by]
        now = time.monotonic()
        wanted = now - way.asked < WANTED_SECONDS and now >= way.not_before
        return wanted and not self._stopped.is_set() and way.made_of != self._now(by)

    def _make(self, by: str, way: _Way, model: str) -> bool | None:
        """Run the process; whether there is another map now, None when it failed (`message` says how)."""
        with self._lock:
            if self._stopped.is_set():
                return None
            process = self._process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.worker", str(self._folder), by, model],
                cwd=ROOT,
                env={
                    **os.environ,
                    "OMP_NUM_THREADS": "1",
                    "OPENBLAS_NUM_THREADS": "1",
                    "MKL_NUM_THREADS": "1",
                },
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        assert process.stdin is not None and process.stdout is not None
        changed: bool | None = None
        told = time.monotonic()
        with process, process.stdin:
            for line in process.stdout:
                message = orjson.loads(line)
                if "changed" in message:
                    changed = bool(message["changed"])
                elif "error" in message:
                    way.message = f"The map could not be made: {message['error']}"[:TOLD]
                else:
                    way.part = float(message["part"])
                    if time.monotonic() - told > EVENT_SECONDS:
                        told = time.monotonic()
                        self._events.publish("map.progress", by=by, part=way.part)
        with self._lock:
            self._process = None
        if changed is None and not self._stopped.is_set():
            way.message = (
                way.message or f"The map could not be made: its process ended ({process.returncode})."
            )
            log.warning("%s", way.message)
        return changed
