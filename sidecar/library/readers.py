"""Reads many files at once in processes of their own, so that neither a hostile file nor its work reaches the server."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
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
            unread: what stands for a file whose reading ended its process.
        """
        first = list(islice(jobs, INLINE + 1))
        if len(first) <= INLINE and self._pool is None:
            if first:
                yield [(job, read(job)) for job in first]
            return
        running: dict[Future[list[T]], list[FileJob]] = {}
        batches = _batches(chain(first, jobs))
        try:
            pool = self._started()
            for batch in batches:
                running[pool.submit(_read_batch, read, batch)] = batch
                if len(running) >= self._count + WAITING_BATCHES:
                    yield from _finished(running)
            while running:
                yield from _finished(running)
        except BrokenProcessPool:
            log.warning(
                "A reader process died; the rest is read more slowly, each file in a process of its own."
            )
            self.close()
            for batch in [*running.values(), *batches]:
                yield [(job, _read_alone(read, job, unread)) for job in batch]

    def close(self) -> None:
        """End the processes, without waiting for what they still read."""
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._count, mp_context=multiprocessing.get_context("spawn"), initializer=gc.disable
            )
        return self._pool


def _read_batch(read: Callable[[FileJob], T], batch: list[FileJob]) -> list[T]:
    return [read(job) for job in batch]


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


def _read_alone(read: Callable[[FileJob], T], job: FileJob, unread: Callable[[FileJob], T]) -> T:
    """Read one file in a process that may die with it."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(partial(read, job)).result()
        except BrokenProcessPool:
            return unread(job)
