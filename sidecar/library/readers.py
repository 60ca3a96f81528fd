"""Reads many files at once in processes of their own, so that neither a hostile file nor its work reaches the server."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from typing import TypeVar

from sidecar.library.sources import FileJob

T = TypeVar("T")

log = logging.getLogger("lora-manager.library")

FIRST_BATCH = 100  # small, so that the list has something to show at once
BATCH = 250
INLINE = 200  # fewer files than a new process costs are read right here
WAITING_BATCHES = 2
MAX_READERS = 8


class Readers:
    """Reader processes, started when there is enough to read and kept for as long as the scan goes on."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._count = max(1, min(os.cpu_count() or 1, MAX_READERS))

    def read(
        self, read: Callable[[FileJob], T], jobs: Iterator[FileJob], unread: Callable[[FileJob], T]
    ) -> Iterator[list[tuple[FileJob, T]]]:
        """Yield batches of (job, `read(job)`) as they are done, on every core.

        Args:
            read: a module's function, for the readers import it by name.
            unread: what stands for a file whose reading failed or ended its process; a module's function too.
        """
        first = list(islice(jobs, INLINE + 1))
        if len(first) <= INLINE and self._pool is None:
            if first:
                yield list(zip(first, _read_batch(read, first, unread)))
            return
        running: dict[Future[list[T]], list[FileJob]] = {}
        batches = _batches(chain(first, jobs))
        unsent: list[FileJob] = []
        ended = False
        while not ended:
            try:
                for unsent in batches:
                    running[self._started().submit(_read_batch, read, unsent, unread)] = unsent
                    unsent = []
                    if len(running) >= self._count + WAITING_BATCHES:
                        yield from _finished(running)
                while running:
                    yield from _finished(running)
                ended = True
            except BrokenProcessPool:
                log.warning("A reader process died; looking for the file that did it.")
                self.close()
                for suspect in filter(None, [*running.values(), unsent]):
                    yield _read_carefully(read, suspect, unread)
                running.clear()
                unsent = []

    def close(self) -> None:
        """End the processes, without waiting for what they still read."""
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._count, mp_context=multiprocessing.get_context("spawn"), initializer=_begin_reader
            )
        return self._pool


def _begin_reader() -> None:
    """In a reader process: no looking for cycles, since it makes none, and no life of its own."""
    gc.disable()
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(0)


def _read_batch(
    read: Callable[[FileJob], T], batch: list[FileJob], unread: Callable[[FileJob], T]
) -> list[T]:
    results = []
    for job in batch:
        try:
            results.append(read(job))
        except Exception:  # a reader's outer edge: one file must not cost all others
            log.exception("%s could not be read", job.name)
            results.append(unread(job))
    return results


def _batches(jobs: Iterator[FileJob]) -> Iterator[list[FileJob]]:
    size = FIRST_BATCH
    while batch := list(islice(jobs, size)):
        yield batch
        size = BATCH


def _finished(running: dict[Future[list[T]], list[FileJob]]) -> Iterator[list[tuple[FileJob, T]]]:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        results = future.result()
        yield list(zip(running.pop(future), results))


def _read_carefully(
    read: Callable[[FileJob], T], batch: list[FileJob], unread: Callable[[FileJob], T]
) -> list[tuple[FileJob, T]]:
    """Read a batch in a process that may die, halving it until the deadly file stands alone."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return list(zip(batch, pool.submit(_read_batch, read, batch, unread).result()))
        except BrokenProcessPool:
            if len(batch) == 1:
                return [(batch[0], unread(batch[0]))]
    half = len(batch) // 2
    return _read_carefully(read, batch[:half], unread) + _read_carefully(read, batch[half:], unread)
