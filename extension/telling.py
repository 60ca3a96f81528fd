"""Tells the sidecar what the host is and has loaded (`PUT prompts/host`), so that the app's composer can judge a prompt
before it is used. In a thread of its own, and only when something has changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from . import host, host_facts, host_job
from .client import Client, Refused, Unavailable
from .log import log

PUT_SECONDS = 5.0
LEAST_SECONDS = 3.0
UNKNOWN_SECONDS = 300.0


def describe() -> dict[str, Any]:
    """The host as it is now: the body for `prompts/host`."""
    return {"host": host.kind(), "checkpoint": host_job.checkpoint(None), "facts": host_facts.facts()}


class Teller:
    """Owner of the thread `lora-manager-facts`. It looks when nudged, which the supervisor does every few seconds."""

    def __init__(self, client: Client, describe: Callable[[], dict[str, Any]] = describe) -> None:
        self._client = client
        self._describe = describe
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._told: dict[str, Any] | None = None
        self._quiet_until = 0.0

    def nudge(self) -> None:
        """Something may have changed: look soon. Returns at once."""
        if self._thread is None and not self._stopped.is_set():
            self._thread = threading.Thread(target=self._run, name="lora-manager-facts", daemon=True)
            self._thread.start()
        self._wake.set()

    def forget(self) -> None:
        """Another sidecar than before, or the same one started anew: it knows nothing."""
        self._told, self._quiet_until = None, 0.0

    def stop(self) -> None:
        self._stopped.set()
        self._wake.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.wait()
            self._wake.clear()
            if self._stopped.is_set():
                return
            if time.monotonic() >= self._quiet_until:
                self._look()
            self._stopped.wait(LEAST_SECONDS)

    def _look(self) -> None:
        """Tell what has changed. A sidecar that does not take it, an older one, is left alone for a while."""
        try:
            now = self._describe()
            if now != self._told:
                self._client.send("PUT", "prompts/host", now, PUT_SECONDS)
                self._told = now
        except Unavailable:
            pass  # the next nudge comes when it is back
        except Refused as error:
            self._quiet_until = time.monotonic() + UNKNOWN_SECONDS
            if error.status not in (404, 405):
                log.warning("the sidecar was not told of this host: %s", error)
        except Exception:  # the thread's outer edge
            self._quiet_until = time.monotonic() + UNKNOWN_SECONDS
            log.exception("the sidecar was not told of this host")
