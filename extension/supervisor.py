"""Keeps a sidecar at hand: makes its environment, starts it, watches it, starts it again, or shares a running one.

All of it happens in one thread of its own, so that the host's start and its event loop never wait for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from . import process
from .client import Endpoint, open_client
from .kept import kept
from .log import log
from .process import Sidecar
from .settings import Settings

ALREADY_SERVED, WRONG_SETTINGS = 3, 2
START_SECONDS = 60.0
CHECK_SECONDS = 5.0
LONGEST_PAUSE = 30.0
GRACE_SECONDS = 90.0


@dataclass(frozen=True)
class Status:
    """What the sidecar is doing, for the waiting page and for the hooks.

    state: starting, installing, up, failed or stopped.
    """

    state: str
    message: str
    endpoint: Endpoint | None = None


class Supervisor:
    """Owner of the thread `lora-manager-supervisor`."""

    def __init__(
        self, settings: Callable[[], Settings], host_url: Callable[[], str | None] = lambda: None
    ) -> None:
        self._settings = settings
        self._host_url = host_url
        self._status = Status("starting", "LoRA Manager is about to start.")
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = 0
        self._embeddings_tried = False
        self.on_up: list[Callable[[], None]] = []  # at every look that finds it well
        self.on_new: list[Callable[[], None]] = []  # at the first such look, before the others

    @property
    def status(self) -> Status:
        return self._status

    def endpoint(self) -> Endpoint | None:
        """Where to ask, or None while there is nobody to ask."""
        status = self._status
        return status.endpoint if status.state == "up" else None

    def start(self) -> None:
        """Begin, at once and without waiting; a second call does nothing."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="lora-manager-supervisor", daemon=True)
            self._thread.start()

    def poke(self) -> None:
        """Somebody could not reach the sidecar: look now instead of at the next turn."""
        self._wake.set()

    def release(self) -> None:
        """End the thread but leave the sidecar to the supervisor of the reloaded UI; alone for long, it ends."""
        self._halt()
        timer = threading.Timer(GRACE_SECONDS, _stop_abandoned, [kept().get("sidecar")])
        timer.daemon = True
        timer.start()

    def shut_down(self) -> None:
        """End the thread and the sidecar."""
        self._halt()
        _stop_abandoned(kept().get("sidecar"))

    def _halt(self) -> None:
        self._stop.set()
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(2)
        self._status = Status("stopped", "LoRA Manager has been stopped.")

    def _say(self, state: str, message: str, endpoint: Endpoint | None = None) -> None:
        if not self._stop.is_set():
            self._status = Status(state, message, endpoint)

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._cycle(self._settings())
            except Exception as error:  # the thread's outer edge: it must go on
                log.exception("the sidecar could not be started")
                self._say("failed", f"LoRA Manager could not start its own process: {error}")
            self._failures = 0 if time.monotonic() - began > 60 else self._failures + 1
            self._pause(min(LONGEST_PAUSE, 0.5 * 2 ** min(self._failures - 1, 8)) if self._failures else 0.0)

    def _pause(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()

    def _cycle(self, settings: Settings) -> None:
        """One life of a sidecar: find or start it, stay with it until it is gone or the settings change."""
        if settings.address:
            self._follow(Endpoint(settings.address, settings.token), settings, None)
            return
        sidecar = _take_kept(_key(settings))
        if sidecar is None:
            running = process.read_endpoint(settings.data)
            if running is not None and _answers(running):
                log.info("uses the sidecar that already serves %s at %s", settings.data, running.url)
                self._follow(running, settings, None)
                return
            if not self._prepare():
                return
            self._say("starting", "Starting.")
            sidecar = process.start_sidecar(settings.data, settings.folders, self._host_url(), _key(settings))
            kept()["sidecar"] = sidecar
        endpoint = self._wait_until_up(sidecar, settings)
        if endpoint is not None:
            self._follow(endpoint, settings, sidecar)

    def _prepare(self) -> bool:
        """Make or mend the sidecar's environment through install.py, which does nothing when all is well."""
        self._say("installing", "Looking at its environment.")
        lines: list[str] = []

        def on_line(line: str) -> None:
            lines.append(line)
            self._say("installing", f"Being installed: {line}")
            if not line.startswith("fetching"):
                log.info("%s", line)

        if process.run_install([], on_line) == 0:
            return True
        reason = lines[-1] if lines else "install.py gave no reason"
        self._say("failed", f"LoRA Manager could not be installed: {reason}")
        self._failures = max(self._failures, 6)  # no use in hurrying
        return False

    def _wait_until_up(self, sidecar: Sidecar, settings: Settings) -> Endpoint | None:
        limit = time.monotonic() + START_SECONDS
        while not self._stop.is_set():
            self._relay_log(sidecar)
            if not sidecar.alive():
                self._tell_exit(sidecar)
                return None
            endpoint = process.read_endpoint(settings.data)
            if endpoint is not None and _answers(endpoint):
                return endpoint
            if time.monotonic() > limit:
                log.error("the sidecar did not come up within %d s, see %s", START_SECONDS, sidecar.log_path)
                self._say(
                    "failed", f"LoRA Manager's own process does not come up; its log: {sidecar.log_path}"
                )
                sidecar.stop()
                return None
            self._stop.wait(0.1)
        return None

    def _tell_exit(self, sidecar: Sidecar) -> None:
        code = sidecar.process.returncode
        self._relay_log(sidecar)
        if code == ALREADY_SERVED:
            return  # the next turn shares it
        reason = f"it was killed (signal {-code})" if code < 0 else f"{sidecar.last_line} (exit code {code})"
        log.error("the sidecar ended: %s (its log: %s)", reason, sidecar.log_path)
        self._say("failed", f"LoRA Manager's own process ended: {reason}")
        if code == WRONG_SETTINGS:
            self._failures = max(self._failures, 6)

    def _follow(self, endpoint: Endpoint, settings: Settings, sidecar: Sidecar | None) -> None:
        """Stay with a sidecar. `sidecar` is None for one that is not ours."""
        was_up, missed, checked = False, 0, 0.0
        while not self._stop.is_set():
            if sidecar is not None:
                self._relay_log(sidecar)
                if not sidecar.alive():
                    self._tell_exit(sidecar)
                    return
            poked = self._wake.is_set()
            self._wake.clear()
            if poked or time.monotonic() - checked > CHECK_SECONDS:
                checked = time.monotonic()
                if _answers(endpoint):
                    missed = 0
                    self._up(endpoint, settings, sidecar, first=not was_up)
                    was_up = True
                else:
                    missed += 1
                    if sidecar is None:
                        self._say("failed", f"No LoRA Manager sidecar answers at {endpoint.url}.")
                    if missed >= (10 if sidecar is not None else 2):
                        log.warning("the sidecar at %s answers no more", endpoint.url)
                        break
            if self._changed(settings, sidecar):
                break
            self._wake.wait(1.0)
        if sidecar is not None and not self._stop.is_set():
            sidecar.stop()

    def _changed(self, settings: Settings, sidecar: Sidecar | None) -> bool:
        """Whether the user has changed a setting that this sidecar cannot take on as it runs."""
        now = self._settings()
        if sidecar is not None:
            return bool(now.address) or _key(now) != _key(settings)
        return (now.address, now.token, now.data, now.folders) != (
            settings.address,
            settings.token,
            settings.data,
            settings.folders,
        )

    def _up(self, endpoint: Endpoint, settings: Settings, sidecar: Sidecar | None, first: bool) -> None:
        if first and sidecar is None and not settings.address:
            _add_folders(endpoint, settings)
        self._say("up", "Running.", endpoint)
        for tell in [*(self.on_new if first else []), *self.on_up]:
            tell()
        if first:
            log.info("ready (%s)", endpoint.url)
            if sidecar is not None and settings.embeddings and not self._embeddings_tried:
                self._embeddings_tried = True
                _start_embeddings()

    def _relay_log(self, sidecar: Sidecar) -> None:
        """Warnings and errors of the sidecar go to the host's log as well."""
        for line in sidecar.read_log():
            if " WARNING " in line:
                log.warning("%s", line)
            elif " ERROR " in line or " CRITICAL " in line:
                log.error("%s", line)


def _key(settings: Settings) -> tuple[str, ...]:
    """What a running sidecar was started with and cannot change."""
    return (str(settings.data), *settings.folders)


def _answers(endpoint: Endpoint) -> bool:
    try:
        with open_client(endpoint) as client:
            return client.get("health", timeout=2.0).status_code == 200
    except (httpx.HTTPError, httpx.InvalidURL):
        return False


def _add_folders(endpoint: Endpoint, settings: Settings) -> None:
    try:
        with open_client(endpoint) as client:
            client.post(
                "library/folders", json={"add": list(settings.folders)}, timeout=10.0
            ).raise_for_status()
    except httpx.HTTPError as error:
        log.warning("this host's LoRA folders could not be added to the shared sidecar (%s)", error)


def _start_embeddings() -> None:
    """Add text embeddings once the app is up, where the host's torch spares a large download."""
    stamp = process.read_stamp()
    if stamp.get("borrowed") and not stamp.get("embeddings"):
        threading.Thread(target=_add_embeddings, name="lora-manager-embeddings", daemon=True).start()


def _add_embeddings() -> None:
    lines: list[str] = []
    try:
        process.run_install(["embeddings"], lines.append, low_priority=True)
    except OSError as error:
        lines.append(str(error))
    log.info("%s", lines[-1] if lines else "text embeddings: install.py said nothing")


def _take_kept(key: tuple[str, ...]) -> Sidecar | None:
    """The sidecar of the UI before, if it still fits; one that does not is ended."""
    old: Any = kept().get("sidecar")
    if old is None or not old.alive():
        return None
    if old.key != key or old.version != process.sidecar_version():
        old.stop()
        return None
    adopted = Sidecar(old.process, old.key, old.version, old.log_path, old.read_to)
    kept()["sidecar"] = adopted
    return adopted


def _stop_abandoned(sidecar: Sidecar | None) -> None:
    """End a sidecar that nobody has taken over."""
    current: object = kept().get("sidecar")
    if sidecar is None or sidecar is not current:
        return
    kept()["sidecar"] = None
    sidecar.stop()
