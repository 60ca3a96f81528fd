"""Numbered events for the app: kept for a while so that a client that reconnects misses none."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
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
        self._listeners: list[Callable[[Event], None]] = []
        self.closed = False

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        """Have `listener` called with every event, in the thread that publishes it: it must return at once."""
        self._listeners = [*self._listeners, listener]

    def unsubscribe(self, listener: Callable[[Event], None]) -> None:
        """Take a listener back."""
        self._listeners = [one for one in self._listeners if one != listener]

    def close(self) -> None:
        """Nobody need wait any longer: the sidecar is about to stop. Not to be called from a signal handler."""
        self.closed = True
        with self._lock:
            waiting = list(self._waiting.items())
        for signal, loop in waiting:
            loop.call_soon_threadsafe(signal.set)

    def publish(self, type: str, **data: Any) -> None:
        """Number an event, keep it and wake every client."""
        with self._lock:
            event = Event(self._next, type, data)
            self._kept.append(event)
            self._next += 1
            waiting = list(self._waiting.items())
        for signal, loop in waiting:
            loop.call_soon_threadsafe(signal.set)
        for listener in self._listeners:
            listener(event)

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
        """Return once there is an event newer than `n`, or no more will come."""
        signal = asyncio.Event()
        with self._lock:
            if self._next - 1 > n or self.closed:
                return
            self._waiting[signal] = asyncio.get_running_loop()
        try:
            await signal.wait()
        finally:
            with self._lock:
                del self._waiting[signal]
