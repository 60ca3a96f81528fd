"""All hashes of every file in one pass, in the background, on all cores but one.

SHA256, BLAKE3 and CRC32: whole file. Body hash: sha256 of the bytes after the header (kohya's sshs_model_hash). AutoV1:
sha256 of 64 KiB at 0x100000, 8 hex digits; nobody gives one to files under 2 MiB. AutoV2 and AutoV3 are not stored, being
the first 10 digits of SHA256 and the first 12 of the body hash. Sources: A1111 modules/hashes.py, kohya train_util.py,
Civitai's ModelFile.hashes.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import struct
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import NamedTuple

from blake3 import blake3

from sidecar.database import Database
from sidecar.errors import SidecarError
from sidecar.events import Events
from sidecar.library import identities
from sidecar.library.civitai.stored import known_hashes, read_again
from sidecar.library.header import MAX_HEADER
from sidecar.library.store import index_rest

log = logging.getLogger("lora-manager.hashing")

CHUNK = 4 * 1024 * 1024
AUTOV1_START, AUTOV1_SIZE, AUTOV1_SMALLEST = 0x100000, 0x10000, 2 * 1024 * 1024
EVENT_SECONDS = 1.0
WRITE_SECONDS = 0.5


class Hashes(NamedTuple):
    """All hex, lower case (Civitai writes upper case). `autov1` is None for files under 2 MiB."""

    sha256: str
    body: str
    autov1: str | None
    blake3: str
    crc32: str


class Job(NamedTuple):
    """A file to hash, as the catalogue knew it; `place` is its root, folder and stem."""

    lora_id: int
    path: str
    size: int
    mtime_ns: int
    place: tuple[int, str, str]


def hash_file(path: str, stopped: threading.Event | None = None) -> Hashes:
    """Hash one file, reading it once.

    A file that is no .safetensors file has no header to leave out: its body is the whole file.

    Raises:
        OSError: the file cannot be read.
        InterruptedError: `stopped` was set.
    """
    whole, body, window, blake = hashlib.sha256(), hashlib.sha256(), hashlib.sha256(), blake3()
    crc = 0
    buffer = memoryview(bytearray(CHUNK))
    position = 0
    with open(path, "rb", buffering=0) as file:
        start = _body_start(file.read(8), os.fstat(file.fileno()).st_size)
        file.seek(0)
        while count := file.readinto(buffer):
            if stopped and stopped.is_set():
                raise InterruptedError(path)
            chunk = buffer[:count]
            whole.update(chunk)
            blake.update(chunk)
            crc = zlib.crc32(chunk, crc)
            if position + count > start:
                body.update(chunk[max(0, start - position) :])
            if position < AUTOV1_START + AUTOV1_SIZE and position + count > AUTOV1_START:
                window.update(chunk[max(0, AUTOV1_START - position) : AUTOV1_START + AUTOV1_SIZE - position])
            position += count
    return Hashes(
        sha256=whole.hexdigest(),
        body=body.hexdigest(),
        autov1=window.hexdigest()[:8] if position >= AUTOV1_SMALLEST else None,
        blake3=blake.hexdigest(),
        crc32=f"{crc:08x}",
    )


def _body_start(prefix: bytes, size: int) -> int:
    if len(prefix) < 8:
        return 0
    length: int = struct.unpack("<Q", prefix)[0]
    return 8 + length if 0 < length <= min(MAX_HEADER, size - 8) else 0


class Hasher:
    """Works off every row whose hash is pending, small files first, until stopped; can be paused."""

    def __init__(self, database: Database, events: Events, scan_idle: threading.Event) -> None:
        self.on_known: Callable[[list[int]], None] = lambda lora_ids: None
        self._database = database
        self._events = events
        self._scan_idle = scan_idle
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._running = threading.Event()
        self._running.set()
        self._done = 0
        self._bytes = 0
        self._busy_seconds = 0.0
        self._thread = threading.Thread(target=self._run, name="library-hashing", daemon=True)

    def start(self) -> None:
        """Start the thread; it waits for the first scan to end."""
        self._thread.start()

    @property
    def started(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def wake(self) -> None:
        """There may be new files to hash."""
        self._wake.set()

    @property
    def paused(self) -> bool:
        return not self._running.is_set()

    def pause(self, paused: bool) -> None:
        """Stop after the files being read now, or go on."""
        if paused:
            self._running.clear()
        else:
            self._running.set()
        self._tell()

    def stop(self) -> None:
        """Give up the files being read, and end."""
        self._stopped.set()
        self._running.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def status(self) -> dict[str, object]:
        """Files pending and done in this run, whether it is paused, and its speed in bytes a second."""
        row = (
            self._database.reader()
            .execute("SELECT count(*) FROM loras WHERE hash_state = 'pending' AND present")
            .fetchone()
        )
        return {
            "pending": row[0],
            "done": self._done,
            "paused": self.paused,
            "bytes_per_second": round(self._bytes / self._busy_seconds) if self._busy_seconds else 0,
        }

    def _run(self) -> None:
        workers = max(1, (os.cpu_count() or 2) - 1)
        with ThreadPoolExecutor(workers, thread_name_prefix="hash") as pool:
            while not self._stopped.is_set():
                self._running.wait()
                if not self._scan_idle.wait(timeout=0.5):
                    continue
                try:
                    worked = self._work_off(pool, workers)
                except SidecarError as error:
                    log.error("Hashing waits: %s", error.message)
                    worked = False
                except Exception:  # the thread's outer edge: hashing must go on later
                    log.exception("Hashing waits after an internal error")
                    worked = False
                if not worked and not self._stopped.is_set():
                    self._wake.wait(timeout=60)
                    self._wake.clear()

    def _work_off(self, pool: ThreadPoolExecutor, workers: int) -> bool:
        """Hash the next files; False when there were none."""
        jobs = self._next_jobs()
        if not jobs:
            return False
        started = last_write = time.monotonic()
        running: dict[Future[Hashes], Job] = {}
        done: list[tuple[Job, Hashes | None]] = []
        while (jobs or running) and not self._stopped.is_set():
            while jobs and len(running) < 2 * workers and self._running.is_set():
                job = jobs.pop()
                running[pool.submit(self._hash, job)] = job
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                done.append(self._outcome(running.pop(future), future))
            if time.monotonic() - last_write > WRITE_SECONDS:
                self._save(done)
                done, last_write = [], time.monotonic()
        self._save(done)
        self._busy_seconds += time.monotonic() - started
        self._tell()
        return True

    def _next_jobs(self) -> list[Job]:
        rows = self._database.reader().execute(
            """SELECT l.id, l.root_id, r.path AS root, l.folder, l.stem, l.stem || l.extension AS name, l.size, l.mtime_ns
               FROM loras l JOIN roots r ON r.id = l.root_id
               WHERE l.hash_state = 'pending' AND l.present ORDER BY l.size LIMIT 500"""
        )
        jobs = [
            Job(
                row["id"], os.path.join(row["root"], row["folder"], row["name"]), row["size"], row["mtime_ns"],
                (row["root_id"], row["folder"], row["stem"]),
            )
            for row in rows
        ]  # fmt: skip
        return jobs[::-1]

    def _hash(self, job: Job) -> Hashes:
        hashes = hash_file(job.path, self._stopped)
        stat = os.stat(job.path)
        if (stat.st_size, stat.st_mtime_ns) != (job.size, job.mtime_ns):
            raise InterruptedError(f"{job.path} changed while it was read")
        return hashes

    def _outcome(self, job: Job, future: Future[Hashes]) -> tuple[Job, Hashes | None]:
        try:
            hashes = future.result()
        except OSError as error:
            if not self._stopped.is_set():
                log.info("Not hashed: %s", error)
            return job, None
        self._done += 1
        self._bytes += job.size
        return job, hashes

    def _save(self, done: list[tuple[Job, Hashes | None]]) -> None:
        if done and not self._stopped.is_set():
            known = self._database.write(partial(_save_hashes, done=done))
            index_rest(self._database)
            if known:
                self.on_known(known)
            self._tell()

    def _tell(self) -> None:
        self._events.publish("library.hashing", **self.status())


def _save_hashes(connection: sqlite3.Connection, done: list[tuple[Job, Hashes | None]]) -> list[int]:
    """Store results for files still as they were; one that failed waits for its next change, unless it was moved.

    Returns the ids of files of which Civitai said something when they were elsewhere: they are to be read again.
    """
    hashed: list[str] = []
    for job, hashes in done:
        if hashes is None:
            connection.execute(
                "UPDATE loras SET hash_state = 'failed' WHERE id = ? AND root_id = ? AND folder = ? AND stem = ?",
                (job.lora_id, *job.place),
            )
            continue
        changed = connection.execute(
            """UPDATE loras SET sha256 = ?, body_hash = ?, autov1 = ?, blake3 = ?, crc32 = ?, hash_state = 'done'
               WHERE id = ? AND size = ? AND mtime_ns = ?""",
            (*hashes, job.lora_id, job.size, job.mtime_ns),
        ).rowcount
        if changed:
            identities.settle(connection, job.lora_id, hashes.body)
            hashed.append(hashes.sha256)
    return read_again(connection, known_hashes(connection, hashed))
