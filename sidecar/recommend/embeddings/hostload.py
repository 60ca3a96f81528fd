"""Whether the image host is at rest, so that its GPU may be used for something else."""

from __future__ import annotations

import threading
import time

import requests

from sidecar.events import Event, Events

ANSWER_SECONDS = 1.0
LOOK_SECONDS = 2.0
QUIET_SECONDS = 30.0
"""After an image the next one is likely to follow."""


class HostLoad:
    """Asks the host at `url` (None: there is none, and so it is at rest) for its progress, at most once in `LOOK_SECONDS`."""

    def __init__(self, events: Events, url: str | None) -> None:
        self._events = events
        self._address = f"{url.rstrip('/')}/sdapi/v1/progress?skip_current_image=true" if url else None
        self._lock = threading.Lock()
        self._looked = -LOOK_SECONDS
        self._idle: bool | None = None
        self._busy_until = 0.0

    def start(self) -> None:
        """Begin to listen for images."""
        self._events.subscribe(self._heard)

    def stop(self) -> None:
        """Listen no more."""
        self._events.unsubscribe(self._heard)

    def is_idle(self) -> bool | None:
        """Whether the host has had nothing to do for a while; None when it does not say."""
        if self._address is None:
            return True
        with self._lock:
            now = time.monotonic()
            if now - self._looked >= LOOK_SECONDS:
                self._looked = now
                self._idle = self._ask(self._address)
                if self._idle is False:
                    self._busy_until = now + QUIET_SECONDS
            return self._idle and now >= self._busy_until

    def _heard(self, event: Event) -> None:
        if event.type == "generation.recorded":
            self._busy_until = time.monotonic() + QUIET_SECONDS

    @staticmethod
    def _ask(address: str) -> bool | None:
        try:
            with requests.Session() as session:
                session.trust_env = False  # a proxy of the environment is for the internet
                answer = session.get(address, timeout=ANSWER_SECONDS)
                answer.raise_for_status()
                content = answer.json()
        except (requests.RequestException, ValueError):
            return None
        state = content.get("state") if isinstance(content, dict) else None
        jobs = state.get("job_count") if isinstance(state, dict) else None
        if not isinstance(state, dict) or not isinstance(jobs, int):
            return None
        return jobs == 0 and not state.get("job")
