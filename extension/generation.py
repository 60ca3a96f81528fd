"""One generation of the host, from our side: its prompt is composed before, and it is recorded after.

Whatever fails here, the generation goes on as typed and one line in the log says why.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import host, host_job
from .client import Client, Refused, Unavailable
from .composition import Composition
from .generated import make_records
from .log import log
from .records import Recorder
from .settings import Settings

JOB, CHOICE = "lora_manager_job", "lora_manager_choice"


@dataclass
class Job:
    """What is remembered between before and after. images: each saved file, and the batch it is of."""

    composition: Composition
    began: float = field(default_factory=time.monotonic)
    created: float = field(default_factory=time.time)
    images: dict[str, int] = field(default_factory=dict)
    done: bool = False


@dataclass(frozen=True)
class Choice:
    """What the accordion in the prompt says."""

    enabled: bool
    trigger_words: bool


class Generations:
    """The three moments of a generation that the hooks report: before, an image is saved, after."""

    def __init__(self, client: Client, recorder: Recorder, settings: Callable[[], Settings]) -> None:
        self._client = client
        self._recorder = recorder
        self._settings = settings
        self._told = ""
        self._current = threading.local()

    def before(self, p: Any, choice: Choice | None = None) -> None:
        """Compose the prompts of `p` in place. `choice` None: what the settings say (Control, API without arguments)."""
        host_job.forget_last_moment(p)
        if is_nested() or (host.has_process_callbacks() and _open_job(p) is not None):
            return
        settings = self._settings()
        choice = choice or getattr(p, CHOICE, None) or Choice(True, settings.trigger_words)
        if not choice.enabled:
            setattr(p, JOB, None)
            return
        job = Job(Composition(self._client, choice.trigger_words))
        setattr(p, JOB, job)
        self._current.job = job
        if self._attempt(job.composition.begin, p):
            host_job.LastMoment(p, lambda: self._last(p, job), lambda: self._stop(p, job))

    def _last(self, p: Any, job: Job) -> None:
        self._attempt(job.composition.finish, p)

    def _stop(self, p: Any, job: Job) -> None:
        if job.composition.stopped:
            host_job.stop(p, _reason(job))
            log.error("the job was stopped before its first step, as the settings ask for")

    def _attempt(self, compose: Callable[[Any], None], p: Any) -> bool:
        """Compose; whatever fails, the prompt goes on as it is and one line says why."""
        try:
            compose(p)
            self._told = ""
            return True
        except (Unavailable, Refused) as error:
            self._tell(f"the prompt goes on as typed: {error}")
        except Exception:  # the hook's outer edge: a generation must never end here
            log.exception("the prompt goes on as typed")
        return False

    def _tell(self, text: str) -> None:
        """Say a thing once, not with every image while it lasts."""
        if text != self._told:
            log.warning("%s", text)
        self._told = text

    def batch(self, p: Any) -> None:
        """One of the job's batches begins."""
        job = _open_job(p)
        if job is not None:
            job.composition.narrow(p)

    def image_saved(self, p: Any, filename: str) -> None:
        job = getattr(p, JOB, None) or getattr(self._current, "job", None)
        if job is None or job.done or not filename:
            return
        path = os.path.abspath(filename)
        grids = host_job.grid_folder(p)
        if path not in job.images and not (grids and path.startswith(grids + os.sep)):
            job.images[path] = int(getattr(p, "iteration", 0) or 0)

    def after(self, p: Any) -> None:
        """Record the generation, unless it has been recorded, was none of ours, or failed without an image."""
        job = _open_job(p)
        if job is None or is_nested():
            return
        job.done = True
        try:
            self._record(p, job)
        except Exception:  # the hook's outer edge
            log.exception("the generation was not recorded")
        job.composition.restore(p)

    def _record(self, p: Any, job: Job) -> None:
        if job.composition.stopped and not job.images:
            host_job.explain_stop(_reason(job))
            return
        failed = sys.exc_info()[0] is not None
        if self._settings().record and (job.images or not failed):
            for record in make_records(p, job.images, job.began, job.created):
                self._recorder.add(record)


def is_nested() -> bool:
    """Whether this is a generation within a generation (a detailer, an upscaler): it has been composed already."""
    depth = 0
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None and depth < 2:
        depth += frame.f_code.co_name == "process_images" and "p" in frame.f_code.co_varnames[:1]
        frame = frame.f_back
    return depth >= 2


def _reason(job: Job) -> str:
    return f"LoRA Manager stopped this job, nothing was generated. {job.composition.stopped}"


def _open_job(p: Any) -> Job | None:
    job = getattr(p, JOB, None)
    return job if job is not None and not job.done else None
