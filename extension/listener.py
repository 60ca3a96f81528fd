"""Has the host read its LoRA folder anew once files have been renamed, moved or deleted through the app.

It waits at the sidecar for the news (`GET events/next`), in a thread of its own, and refreshes in this process, so that
neither the host's login nor its API options matter.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import httpx

from .client import Endpoint, open_client
from .log import log

WAIT_SECONDS = 20.0
RETRY_SECONDS = 5.0
UNKNOWN_SECONDS = 300.0
QUIET_SECONDS = 1.0


class Listener:
    """Owner of the thread `lora-manager-listener`. Whatever goes wrong, the host goes on without the refresh."""

    def __init__(self, endpoint: Callable[[], Endpoint | None], refresh: Callable[[], None]) -> None:
        self._endpoint = endpoint
        self._refresh = refresh
        self._stopped = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._heard: int | None = None  # number of the last event; kept when the sidecar is away for a while

    def nudge(self) -> None:
        """The sidecar is there: listen, now if not already."""
        if self._thread is None and not self._stopped.is_set():
            self._thread = threading.Thread(target=self._run, name="lora-manager-listener", daemon=True)
            self._thread.start()
        self._wake.set()

    def stop(self) -> None:
        """Listen no longer. The thread ends when its request does; it refreshes nothing any more."""
        self._stopped.set()
        self._wake.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            endpoint = self._endpoint()
            pause = RETRY_SECONDS
            if endpoint is not None:
                try:
                    with open_client(endpoint) as client:
                        pause = self._listen(client, endpoint)
                except (httpx.HTTPError, httpx.InvalidURL):
                    pass  # it is away; the supervisor says so
                except Exception:  # the thread's outer edge: the host must not be bothered
                    log.exception("changes of LoRA files are not heard of for a while")
            self._wake.clear()
            (self._stopped if pause == UNKNOWN_SECONDS else self._wake).wait(pause)

    def _listen(self, client: httpx.Client, endpoint: Endpoint) -> float:
        """Stay with one sidecar; returns how long to wait before the next attempt."""
        while not self._stopped.is_set() and self._endpoint() == endpoint:
            began = time.monotonic()
            changed = self._ask(client, WAIT_SECONDS)
            if changed is None:
                return UNKNOWN_SECONDS
            while changed and self._ask(client, QUIET_SECONDS):
                pass  # more of it follows at once
            if changed and not self._stopped.is_set():
                self._tell_host()
            elif time.monotonic() - began < QUIET_SECONDS:
                self._stopped.wait(QUIET_SECONDS)  # it answers without waiting, since it is about to stop
        return 0.0

    def _ask(self, client: httpx.Client, seconds: float) -> bool | None:
        """Whether files have changed since the last time; None when this sidecar is too old to tell."""
        query: dict[str, Any] = {"types": "files.changed", "wait": seconds}
        if self._heard is not None:
            query["after"] = self._heard
        response = client.get("events/next", params=query, timeout=httpx.Timeout(seconds + 10, connect=2.0))
        if response.status_code == 404:
            return None
        response.raise_for_status()
        answer = response.json()
        is_first, self._heard = self._heard is None, int(answer["n"])
        return not is_first and bool(answer["items"] or answer["reset"])

    def _tell_host(self) -> None:
        try:
            self._refresh()
        except Exception:  # the host's own code: whatever it raises, it is not the user's concern
            log.exception("the host did not read its LoRA folder anew; press its refresh button")
