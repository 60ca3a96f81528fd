"""Vectors of all texts of an index, in memory while somebody asks for recommendations."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sidecar.errors import SidecarError
from sidecar.recommend.embeddings.service import Embedder
from sidecar.recommend.embeddings.texts import lora_text
from sidecar.recommend.index import Index
from sidecar.recommend.postings import Floats
from sidecar.recommend.signals import Vectors

log = logging.getLogger("lora-manager.recommend")

ENOUGH = 0.9
"""The part of the texts that must have a vector: the fusion was fitted on libraries of which all have."""
AGAIN_SECONDS = 20.0
"""Between two readings while vectors are still being made."""


@dataclass(frozen=True)
class _Read:
    index: Index
    revision: tuple[str, int]
    prompts: Floats
    loras: Floats
    known: float
    """The part of the texts that have a vector."""
    at: float


class Meaning(NamedTuple):
    """The vectors that a ranking takes, or why it has none."""

    vectors: Vectors | None
    note: str | None


class Meanings:
    """`of(index, text)` for one prompt. Reading 150,000 vectors takes seconds, so it is done in a thread of its own, and
    until then there are none."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._read: _Read | None = None
        self._reading = threading.Lock()

    def of(self, index: Index, text: str) -> Meaning:
        """What a prompt (as plain_prompt gives it) means, beside all that the index has."""
        reason = self._embedder.reason
        if reason is not None:
            if self._embedder.model is None:
                self._read = None  # its memory is wanted for something else
            return Meaning(None, None if self._embedder.is_off else reason)
        read = self._latest(index)
        if read is not None and read.known < ENOUGH:  # the model is busy with the rest: it is not asked
            return Meaning(
                None,
                f"The text model has read {read.known:.0%} of your library; from {ENOUGH:.0%} on it takes part.",
            )
        query = self._embedder.embed_query(text)
        if query.vector is None:
            return Meaning(None, query.reason)
        if read is None:  # the model was asked all the same, so that it is loaded by then
            return Meaning(None, "What your prompts mean is being read; it takes part in a moment.")
        if read.loras.shape[1] != len(query.vector):
            return Meaning(None, "The text model was changed; its vectors are being made.")
        return Meaning(Vectors(query.vector, read.prompts, read.loras), None)

    @property
    def has_most(self) -> bool:
        """Whether there is a text model, and it has read enough to take part, as far as is known without reading vectors."""
        status = self._embedder.status()
        done = int(status["done"])
        return bool(status["available"]) and done > 0 and done >= ENOUGH * (done + int(status["pending"]))

    def of_known(self, index: Index) -> Callable[[int], Vectors | None] | None:
        """The vectors for the prompt at each place of the index itself, read now; None where too few are there."""
        self.read(index)
        read = self._read
        if read is None or read.known < ENOUGH:
            return None
        return lambda place: Vectors(read.prompts[place], read.prompts, read.loras)

    def read(self, index: Index) -> None:
        """Read the vectors now, in this thread."""
        embedder = self._embedder
        revision = embedder.revision
        texts = [
            *(prompt.text for prompt in index.prompts),
            *(lora_text(one.title, one.trigger_words, one.tags, one.about) for one in index.loras),
        ]
        vectors, mask = embedder.vectors_for(texts)
        there = np.array([bool(text) for text in texts])
        known = float(mask[there].mean()) if there.any() else 0.0
        count = len(index.prompts)
        self._read = _Read(index, revision, vectors[:count], vectors[count:], known, time.monotonic())

    def _latest(self, index: Index) -> _Read | None:
        """What was read of this index; brought up to date in the background if need be."""
        read = self._read if self._read and self._read.index is index else None
        if read is None or (read.revision != self._embedder.revision and self._is_time(read)):
            self._begin(index)
        return read

    def _is_time(self, read: _Read) -> bool:
        return read.known < ENOUGH or time.monotonic() - read.at > AGAIN_SECONDS

    def _begin(self, index: Index) -> None:
        if self._embedder.model is not None and self._reading.acquire(blocking=False):
            threading.Thread(target=self._work, args=(index,), name="recommend-vectors", daemon=True).start()

    def _work(self, index: Index) -> None:
        try:
            self.read(index)
        except SidecarError as error:
            log.warning("Vectors of texts could not be read: %s", error.message)
        except Exception:  # the thread's outer edge
            log.exception("Vectors of texts could not be read")
        finally:
            self._reading.release()
