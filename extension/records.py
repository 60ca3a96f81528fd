"""Sends generation records to the sidecar, in a thread of its own; while the sidecar is away they wait in memory."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from .client import Client, Refused, Unavailable
from .kept import kept
from .log import log

WAITING_ROOM = 500
POST_SECONDS = 10.0
RETRY_SECONDS = 5.0


class Recorder:
    """Owner of the thread `lora-manager-records`. A record keeps its uuid, so sending it twice stores it once."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: deque[dict[str, Any]] = kept().setdefault("records", deque())
        self._lock = threading.Condition()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def add(self, record: dict[str, Any]) -> None:
        """Take a record; returns at once."""
        with self._lock:
            if len(self._waiting) >= WAITING_ROOM:
                self._waiting.popleft()
                log.warning(
                    "the sidecar has been away for long: the oldest waiting generation record is dropped"
                )
            self._waiting.append(record)
        self.nudge()

    def nudge(self) -> None:
        """Send what waits: the sidecar is there, or something has come."""
        with self._lock:
            if self._thread is None and self._waiting and not self._stopped:
                self._thread = threading.Thread(target=self._run, name="lora-manager-records", daemon=True)
                self._thread.start()
            self._lock.notify_all()

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            self._lock.notify_all()

    def __len__(self) -> int:
        return len(self._waiting)

    def _run(self) -> None:
        while True:
            with self._lock:
                while not self._waiting and not self._stopped:
                    self._lock.wait()
                if self._stopped:
                    return
                record = self._waiting[0]
            try:
                sent = self._send(record)
            except Exception:  # the thread's outer edge: one bad record must not end it
                log.exception("a generation could not be recorded")
                sent = True
            with self._lock:
                if sent and self._waiting and self._waiting[0] is record:
                    self._waiting.popleft()
                elif not sent and not self._stopped:
                    self._lock.wait(RETRY_SECONDS)

    def _send(self, record: dict[str, Any]) -> bool:
        """True when the record is done with, sent or refused."""
        try:
            self._client.post("generations", record, POST_SECONDS)
        except Unavailable:
            return False
        except Refused as error:
            log.warning("a generation was not recorded: %s", error)
        return True
