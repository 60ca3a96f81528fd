"""Holds the text model's process: started when it is needed, ended when nobody needs it, not started over and over again."""

from __future__ import annotations

import logging
import threading
import time

from sidecar.recommend.embeddings.finding import Model
from sidecar.recommend.embeddings.process import ModelBroken, Worker, WorkerDied
from sidecar.recommend.postings import Floats

log = logging.getLogger("lora-manager.recommend")

IDLE_SECONDS = 300.0
RETRY_SECONDS = 600.0
DEATHS = 3
"""One after the other, and it rests for `RETRY_SECONDS`."""
BATCH_SECONDS = 180.0
"""Loading the model included."""


class Holder:
    """At most one process, with one model on one device."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._model_id = ""
        self._deaths = 0
        self._trouble: tuple[str, float, str] | None = None  # the model's id, when, what
        self._closed = False
        self.found_no_gpu = False
        """Whether a process that was to use a GPU found none."""

    @property
    def device(self) -> str | None:
        """The device of the process that runs, as torch calls it; None without one that can answer."""
        worker = self._worker
        return worker.device if worker is not None and worker.is_warm else None

    @property
    def pid(self) -> int | None:
        """Of the process that runs."""
        worker = self._worker
        return worker.pid if worker is not None else None

    def trouble(self, model: Model) -> str | None:
        """Why this model is not tried now, in a person's words."""
        trouble = self._trouble
        if trouble is None or trouble[0] != model.id:
            return None
        if time.monotonic() - trouble[1] > RETRY_SECONDS:
            self.forgive()
            return None
        return trouble[2]

    def forgive(self) -> None:
        """Try again what failed: something was changed."""
        self._trouble, self._deaths, self.found_no_gpu = None, 0, False

    def warm(self, model: Model) -> Worker | None:
        """The process with this model if it can answer now; else it is started, on the CPU, and not waited for.

        Raises:
            ModelBroken: it is not tried now. WorkerDied: it cannot be started.
        """
        with self._lock:
            worker = self._fitting(model, None)
        return worker if worker.is_warm else None

    def embed(self, model: Model, device: str, texts: list[str]) -> Floats:
        """Vectors for a batch, by a process that is started first if need be.

        Raises:
            ModelBroken: the model cannot be loaded, or is not tried now. WorkerDied: the process ended meanwhile.
            TextRefused: the model took these texts and failed. TimeoutError: it took far too long.
        """
        with self._lock:
            worker = self._fitting(model, device)
        try:
            vectors = worker.embed(texts, BATCH_SECONDS)
        except (ModelBroken, WorkerDied):
            with self._lock:
                self._end(worker)
            raise
        except TimeoutError:
            with self._lock:
                self._end(worker, WorkerDied("it did not answer"))
            raise
        self._deaths = 0
        self.found_no_gpu = self.found_no_gpu or (worker.wanted == "gpu" and worker.device == "cpu")
        return vectors

    def rest(self, *, now: bool = False) -> None:
        """End the process when it has had nothing to do for a while (or `now`)."""
        with self._lock:
            worker = self._worker
            if worker is not None and (now or time.monotonic() - worker.last_used > IDLE_SECONDS):
                self._worker = None
                worker.close()

    def close(self) -> None:
        """End the process for good."""
        self._closed = True
        self.rest(now=True)

    def _fitting(self, model: Model, device: str | None) -> Worker:
        """Under the lock: the process for this model and device (None: any), started when there is no such one."""
        worker = self._worker
        if worker is not None:
            if worker.failure is None and self._model_id == model.id and device in (None, worker.wanted):
                return worker
            self._end(worker)
        trouble = self.trouble(model)
        if trouble is not None:
            raise ModelBroken(trouble)
        if self._closed:
            raise WorkerDied("the app is being stopped")
        self._model_id = model.id
        try:
            self._worker = Worker(model.folder, device or "cpu")
        except OSError as error:
            raise WorkerDied(f"its process cannot be started ({error.strerror or error})") from error
        return self._worker

    def _end(self, worker: Worker, failure: Exception | None = None) -> None:
        """Under the lock: end a process, and remember what was wrong with it if something was."""
        if self._worker is not worker:
            return  # somebody else has done so
        failure = failure or worker.failure
        self._worker = None
        worker.close()
        if failure is None or self._closed:
            return
        if isinstance(failure, ModelBroken):
            text = f"The text model cannot be loaded: {failure}"
        else:
            self._deaths += 1
            log.info("The text model's process has gone: %s.", failure)
            if self._deaths < DEATHS:
                return
            text = f"The text model keeps failing: {failure}. It is tried again in some minutes."
        log.warning("%s", text)
        self._trouble = (self._model_id, time.monotonic(), text)
