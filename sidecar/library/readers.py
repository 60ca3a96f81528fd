"""Reads many files at once in processes of their own, so that neither a hostile file nor its work reaches the server."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from sidecar.library.base_model import UNKNOWN
from sidecar.library.record import FileJob, Record, read_lora

log = logging.getLogger("lora-manager.library")

FIRST_BATCH = 100
BATCH = 250
INLINE = 200  # fewer files than a new process costs are read right here
WAITING_BATCHES = 2


def read_batch(jobs: list[FileJob]) -> list[Record]:
    """Read files in order; runs in a reader process or inline."""
    return [read_lora(job) for job in jobs]


def read_all(batches: Iterator[list[FileJob]]) -> Iterator[list[Record]]:
    """Read batches on every core, yielding each as it is done. A batch whose reader dies is read again one by one."""
    workers = max(1, min(os.cpu_count() or 1, 8))
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context)
    running: dict[Future[list[Record]], list[FileJob]] = {}
    try:
        for jobs in batches:
            running[pool.submit(read_batch, jobs)] = jobs
            if len(running) >= workers + WAITING_BATCHES:
                yield from _finished(running)
        while running:
            yield from _finished(running)
    except BrokenProcessPool:
        log.warning("A reader process died; the rest is read more slowly and one by one.")
        for jobs in [*running.values(), *batches]:
            yield [_read_alone(job) for job in jobs]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _finished(running: dict[Future[list[Record]], list[FileJob]]) -> Iterator[list[Record]]:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        records = future.result()
        del running[future]
        yield records


def _read_alone(job: FileJob) -> Record:
    """Read one file in a process that may die with it."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(read_lora, job).result()
        except BrokenProcessPool:
            return broken_record(
                job, "Reading this file ended the reader process; it is left alone until it changes."
            )


def broken_record(job: FileJob, reason: str) -> Record:
    """A record for a file that could not be read at all, so that it is still listed."""
    stem, extension = os.path.splitext(job.name)
    return Record(
        root_id=job.root_id,
        folder=job.folder,
        stem=stem,
        extension=extension,
        size=job.size,
        mtime_ns=job.mtime_ns,
        side_stamp=job.side_stamp,
        state="broken",
        state_reason=reason,
        base_model=UNKNOWN,
        base_model_reason="The file could not be read.",
        title=None,
        alias=None,
        weight=None,
        trigger_words="[]",
        tags="[]",
        preview_file=None,
        preview_kind=None,
        preview_stamp=None,
        claimed_autov3=None,
        notes=None,
        description=None,
        plain_description=None,
        facts="{}",
        training_tags="[]",
        examples="[]",
    )
