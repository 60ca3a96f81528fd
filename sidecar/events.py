"""Numbered events for the app: kept for a while so that a client that reconnects misses none."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

KEPT = 1_000


@dataclass(frozen=True)
class Event:
    """Something that happened, for every open page. `n` rises by one an event, over restarts too."""

    n: int
    type: str
    data: dict[str, Any] = field(default_factory=dict)


class Events:
    """The latest events and those who wait for more. `publish` may be called from any thread."""

    def __init__(self) -> None:
        # Starting from the clock keeps numbers rising over restarts without storing any.
        self._next = int(time.time() * 1000)
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._lock = threading.Lock()
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    def publish(self, type: str, **data: Any) -> None:
        """Number an event, keep it and wake every client."""
        with self._lock:
            self._kept.append(Event(self._next, type, data))
            self._next += 1
            waiting = list(self._waiting.items())
        for event, loop in waiting:
            loop.call_soon_threadsafe(event.set)

    @property
    def last(self) -> int:
        """Number of the newest event."""
        return self._next - 1

    def after(self, n: int) -> list[Event] | None:
        """Events newer than `n`, oldest first; None when some of them are no longer kept, or `n` was never given out."""
        with self._lock:
            if n >= self._next:
                return None
            oldest = self._kept[0].n if self._kept else self._next
            if n + 1 < oldest:
                return None
            return [event for event in self._kept if event.n > n]

    async def wait(self, n: int) -> None:
        """Return once there is an event newer than `n`."""
        signal = asyncio.Event()
        with self._lock:
            if self._next - 1 > n:
                return
            self._waiting[signal] = asyncio.get_running_loop()
        try:
            await signal.wait()
        finally:
            with self._lock:
                del self._waiting[signal]
