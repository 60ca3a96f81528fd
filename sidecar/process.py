"""The sidecar as a process: one a data folder, known by its lock and its `sidecar.json`, gone when its parent is."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import orjson
import psutil

from sidecar import __version__
from sidecar.errors import DataFolderInUse, StartError

log = logging.getLogger("lora-manager")

INFO_FILE = "sidecar.json"
LOCK_FILE = "sidecar.lock"
PARENT_POLL_SECONDS = 1.0


def prepare_data_folder(folder: Path) -> None:
    """Make the folder and see that it can be written.

    Raises:
        StartError: it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StartError(
            f"The data folder {folder} cannot be written ({error.strerror or error}); "
            "make it writable or choose another one with --data."
        ) from error


@contextmanager
def data_folder_lock(folder: Path) -> Iterator[None]:
    """Hold the data folder for this process.

    Raises:
        DataFolderInUse: another sidecar holds it; the message says which.
    """
    lock = filelock.FileLock(folder / LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        info = read_info(folder)
        who = f"process {info['pid']} at {info['url']}" if info else "another process that is just starting"
        raise DataFolderInUse(
            f"The data folder {folder} is in use by {who}. Use that one, stop it, or choose another with --data."
        ) from error
    try:
        yield
    finally:
        (folder / INFO_FILE).unlink(missing_ok=True)
        lock.release()


def write_info(folder: Path, url: str, port: int) -> None:
    """Tell others where this process serves."""
    info = {"pid": os.getpid(), "port": port, "url": url, "version": __version__, "started": time.time()}
    handle, temporary = tempfile.mkstemp(dir=folder)
    with os.fdopen(handle, "wb") as file:
        file.write(orjson.dumps(info))
    os.replace(temporary, folder / INFO_FILE)


def read_info(folder: Path) -> dict[str, Any] | None:
    """What the process that holds the folder has told, if it has."""
    try:
        info = orjson.loads((folder / INFO_FILE).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return info if isinstance(info, dict) and {"pid", "url"} <= info.keys() else None


def follow_parent(pid: int | None, stdin: bool, stop: Callable[[], None]) -> None:
    """Call `stop` once the parent has gone: its process vanished, or stdin was closed. Hosts end without a word."""

    def watch_pid(process: psutil.Process) -> None:
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(PARENT_POLL_SECONDS)
        log.info("The parent process %d has gone; stopping.", process.pid)
        stop()

    def watch_stdin() -> None:
        while sys.stdin.buffer.read(1024):
            pass
        log.info("Standard input was closed; stopping.")
        stop()

    if pid is not None:
        try:
            parent = psutil.Process(pid)
        except psutil.NoSuchProcess as error:
            raise StartError(f"The parent process {pid} does not exist.") from error
        threading.Thread(
            target=_quietly, args=(watch_pid, parent, stop), name="parent-watch", daemon=True
        ).start()
    if stdin and sys.stdin is not None:
        threading.Thread(target=watch_stdin, name="stdin-watch", daemon=True).start()


def _quietly(
    watch: Callable[[psutil.Process], None], parent: psutil.Process, stop: Callable[[], None]
) -> None:
    try:
        watch(parent)
    except psutil.NoSuchProcess:
        stop()
