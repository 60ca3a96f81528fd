"""The text model's process, as the sidecar sees it: started, asked one thing at a time, ended; its death costs an answer."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import orjson

from sidecar.recommend.embeddings.texts import clean
from sidecar.recommend.embeddings.wire import WireBroken, receive, receive_json, send
from sidecar.recommend.postings import Floats

ROOT = Path(__file__).resolve().parents[3]
FEW_CORES = 4
"""On a machine with up to so many, one thread: two that wait for each other are slower there as soon as others work."""
CLOSE_SECONDS = 2.0


class WorkerDied(Exception):
    """The process ended, or does not speak as it should; the message says how."""


class ModelBroken(Exception):
    """The model cannot be loaded; the message is what the library said."""


class TextRefused(Exception):
    """The model could not take these texts."""


class _Answer(NamedTuple):
    number: int
    vectors: Floats | None
    error: str


class Worker:
    """One process with the model of `folder` on "cpu" or "gpu". `ready` once it is loaded or failed; `device` is then the
    one it is on."""

    def __init__(self, folder: Path, device: str) -> None:
        self.wanted = device
        self.device = device
        self.ready = threading.Event()
        self.last_used = time.monotonic()
        self.hurried = 0
        """How many wait for it that cannot wait long."""
        self._failure: Exception | None = None
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._answers: queue.SimpleQueue[_Answer | None] = queue.SimpleQueue()
        threads = 1 if (os.cpu_count() or 1) <= FEW_CORES else 2
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker", str(folder), device, str(threads)],
            cwd=ROOT,
            env=_environment(threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._requests: IO[bytes] = self._process.stdin
        threading.Thread(
            target=self._listen, args=(self._process.stdout,), name="text-model", daemon=True
        ).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_warm(self) -> bool:
        """Whether it can answer now."""
        return self.ready.is_set() and self._failure is None

    @property
    def failure(self) -> Exception | None:
        """Why it cannot answer: ModelBroken or WorkerDied."""
        return self._failure

    def embed(self, texts: list[str], seconds: float, *, hurry: bool = False) -> Floats:
        """Vectors of unit length, a row a text. With `hurry` it goes before those that wait without.

        Raises:
            ModelBroken: the model cannot be loaded. WorkerDied: the process ended meanwhile.
            TextRefused: the model took these texts and failed. TimeoutError: not within `seconds`.
        """
        end = time.monotonic() + seconds
        self._wait_for_turn(end, hurry)
        try:
            return self._ask(texts, end)
        finally:
            self.last_used = time.monotonic()
            self._lock.release()

    def _wait_for_turn(self, end: float, hurry: bool) -> None:
        if not self.ready.wait(max(0.0, end - time.monotonic())):
            raise TimeoutError("The text model is still being loaded.")
        if hurry:
            self.hurried += 1
            try:
                if not self._lock.acquire(timeout=max(0.0, end - time.monotonic())):
                    raise TimeoutError("The text model is busy.")
            finally:
                self.hurried -= 1
            return
        while self.hurried and time.monotonic() < end:
            time.sleep(0.005)
        if not self._lock.acquire(timeout=max(0.0, end - time.monotonic())):
            raise TimeoutError("The text model is busy.")

    def _ask(self, texts: list[str], end: float) -> Floats:
        number = next(self._numbers)
        try:
            if self._failure is None:
                send(self._requests, orjson.dumps({"id": number, "texts": [clean(text) for text in texts]}))
        except (OSError, ValueError):
            self.ready.wait(CLOSE_SECONDS)  # the listener learns why
        while True:
            if self._failure is not None:
                raise self._failure
            try:
                answer = self._answers.get(timeout=max(0.001, end - time.monotonic()))
            except queue.Empty:
                raise TimeoutError("The text model took too long.") from None
            if answer is None or answer.number != number:
                continue  # of somebody who did not wait for it
            if answer.vectors is None:
                raise TextRefused(answer.error)
            if len(answer.vectors) != len(texts):
                raise WorkerDied("it answered with another number of vectors")
            return answer.vectors

    def close(self) -> None:
        """End the process and give its memory back."""
        with contextlib.suppress(OSError):  # it has gone already
            self._requests.close()
        try:
            self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listen(self, pipe: IO[bytes]) -> None:
        """In a thread: take what the process says until it ends."""
        try:
            hello = receive_json(pipe)
            if "error" in hello:
                self._fail(ModelBroken(str(hello["error"])))
                return
            self.device = str(hello.get("device", self.device))
            self.ready.set()
            while True:
                self._answers.put(_read_answer(pipe))
        except WireBroken as error:
            self._fail(WorkerDied(self._how_it_ended(error)))
        finally:
            pipe.close()

    def _fail(self, failure: Exception) -> None:
        self._failure = failure
        self.ready.set()
        self._answers.put(None)

    def _how_it_ended(self, error: WireBroken) -> str:
        """Waits for its end, which is near when the wire is; one that goes on is ended."""
        try:
            code = self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return f"the process was ended, since it did not speak as it should: {error}"
        if code < 0:
            return f"the process was ended by signal {-code}" + (" (out of memory?)" if code == -9 else "")
        return f"the process ended with code {code}"


def _read_answer(pipe: IO[bytes]) -> _Answer:
    head: dict[str, Any] = receive_json(pipe)
    number = head.get("id")
    if not isinstance(number, int):
        raise WireBroken("an answer without a number")
    if "error" in head:
        return _Answer(number, None, str(head["error"]))
    body = receive(pipe)
    rows, dimension = head.get("count"), head.get("dimension")
    if not isinstance(rows, int) or not isinstance(dimension, int) or len(body) != 4 * rows * dimension:
        raise WireBroken("an answer whose vectors are not whole")
    return _Answer(number, np.frombuffer(body, "<f4").reshape(rows, dimension), "")


def _environment(threads: int) -> dict[str, str]:
    """As ours, but offline, and with no more threads than are meant."""
    return {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "PYTHONUNBUFFERED": "1",
    }
