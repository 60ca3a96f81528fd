"""In the background, at start and once a day: empties what is too old out of the trash, and settles what was left."""

from __future__ import annotations

import logging
import threading

from sidecar.errors import SidecarError
from sidecar.library.files import journal
from sidecar.library.files.purging import purge_expired
from sidecar.library.files.recovery import recover
from sidecar.state import State

log = logging.getLogger("lora-manager.files")

FIRST_SECONDS = 60.0  # after the first scan has the disk for itself
DAY_SECONDS = 86_400.0


class Keeper:
    """Owner of the thread `files-keeper`."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="files-keeper", daemon=True)

    def start(self) -> None:
        """Begin; the first look is a little later."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait a moment for what is being removed."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        pause = FIRST_SECONDS
        while not self._stopped.wait(pause):
            pause = DAY_SECONDS
            try:
                keep_in_order(self._state)
            except SidecarError as error:
                log.warning("The trash was not looked through: %s", error.message)
            except Exception:  # the thread's outer edge: tomorrow is another day
                log.exception("The trash was not looked through")


def keep_in_order(state: State) -> None:
    """Purge the trash of what is older than the setting `trash_days`, and try again what could not be settled.

    Raises:
        Unavailable: the database takes no changes now.
    """
    recover(state.database, state.library.scanner.files_moved)
    journal.prune(state.database)
    removed = purge_expired(state.database, state.settings.trash_days)
    if removed:
        log.info("%d entries older than %d days went out of the trash.", removed, state.settings.trash_days)
        state.events.publish("trash.changed")
