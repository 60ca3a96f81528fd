"""Tells a host that runs elsewhere (`--host URL`) to look at its LoRA folder anew, a moment after files have changed.

A host that has the extension is told by the extension (extension/listener.py); this is for a sidecar started by hand.
"""

from __future__ import annotations

import logging
import threading

import requests

from sidecar.events import Event, Events

log = logging.getLogger("lora-manager.host")

QUIET_SECONDS = 2.0
ANSWER_SECONDS = 60.0


class HostRefresh:
    """Owner of the thread `host-refresh`."""

    def __init__(self, events: Events, url: str) -> None:
        self._events = events
        self._address = f"{url.rstrip('/')}/sdapi/v1/refresh-loras"
        self._changed = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="host-refresh", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._events.subscribe(self._on_event)
        self._thread.start()

    def stop(self) -> None:
        """Stop, without waiting for a host that is slow to answer."""
        self._events.unsubscribe(self._on_event)
        self._stopped.set()
        self._changed.set()

    def _on_event(self, event: Event) -> None:
        if event.type == "files.changed":
            self._changed.set()

    def _run(self) -> None:
        while True:
            self._changed.wait()
            if self._stopped.wait(QUIET_SECONDS):  # more may follow at once
                return
            self._changed.clear()
            try:
                with requests.Session() as session:
                    session.trust_env = False  # a proxy of the environment is for the internet
                    session.post(self._address, timeout=ANSWER_SECONDS).raise_for_status()
                log.info("The host has read its LoRA folder anew.")
            except requests.RequestException as error:
                log.warning("The host could not be told to read its LoRA folder anew: %s", error)
