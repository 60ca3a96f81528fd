"""How alike LoRAs are in what is said of them, by meaning: cosines of the text model's vectors, where there are any."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sidecar.errors import SidecarError
from sidecar.recommend.embeddings.service import Embedder
from sidecar.recommend.embeddings.texts import lora_text
from sidecar.recommend.likeness import likeness
from sidecar.recommend.use.index import UseIndex
from sidecar.recommend.use.scoring import Floats

log = logging.getLogger("lora-manager.recommend")

WAIT_SECONDS = 0.5
"""A request waits so long for vectors to be read: of a small library they always are."""
AGAIN_SECONDS = 20.0
"""Between two readings while vectors are still being made."""
COUNTS = 0.4
"""What the same meaning in other words counts beside the same words (1). More of it brings LoRAs whose prompts are less alike."""
ROWS = 4_096


@dataclass(frozen=True)
class _Read:
    of: weakref.ref[UseIndex]
    revision: tuple[str, int]
    vectors: npt.NDArray[np.float16]
    """One row a LoRA, zero where there is none."""
    at: float


class Meant:
    """The vectors of one index's LoRAs, read in the background when somebody asks and others have been made since."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._read: _Read | None = None
        self._reading = threading.Lock()
        self._ready = threading.Event()

    def like(self, index: UseIndex, place: int) -> tuple[Floats | None, str | None]:
        """(cosines, note): those of the LoRA at `place` with each, 0 to 1, with itself 0; None without a model, or while the
        vectors are being read, which the note then says."""
        if self._embedder.model is None:
            return None, None
        if not self._is_fresh(index) and self._reading.acquire(blocking=False):
            self._ready.clear()
            threading.Thread(target=self._work, args=(index,), name="similar-vectors", daemon=True).start()
        self._ready.wait(WAIT_SECONDS)
        read = self._read
        if read is None or read.of() is not index:
            return None, "What texts mean is being read; it takes part in a moment."
        query = read.vectors[place].astype(np.float32)
        found = np.zeros(len(read.vectors), np.float32)
        for start in range(0, len(found), ROWS):
            found[start : start + ROWS] = read.vectors[start : start + ROWS].astype(np.float32) @ query
        found[place] = 0
        return np.clip(found, 0, 1), None

    def _is_fresh(self, index: UseIndex) -> bool:
        read = self._read
        if read is None or read.of() is not index:
            return False
        return read.revision == self._embedder.revision or time.monotonic() - read.at < AGAIN_SECONDS

    def _work(self, index: UseIndex) -> None:
        try:
            revision = self._embedder.revision
            texts = [lora_text(one.title, one.trigger_words, one.tags, one.about) for one in index.loras]
            vectors, _ = self._embedder.vectors_for(texts)
            self._read = _Read(weakref.ref(index), revision, vectors.astype(np.float16), time.monotonic())
        except SidecarError as error:
            log.warning("Vectors of texts could not be read: %s", error.message)
        except Exception:  # the thread's outer edge
            log.exception("Vectors of texts could not be read")
        finally:
            self._reading.release()
            self._ready.set()


def mixed(words: Floats, meaning: Floats) -> Floats:
    """Likeness by text, 0 to 1, from that of the words and from cosines of meaning."""
    alike: Floats = (1 - (1 - words) * (1 - COUNTS * likeness(meaning))).astype(np.float32)
    return alike


_meant: weakref.WeakKeyDictionary[Embedder, Meant] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def meant_by(embedder: Embedder) -> Meant:
    """The one that keeps the vectors of this embedder."""
    with _lock:
        if embedder not in _meant:
            _meant[embedder] = Meant(embedder)
        return _meant[embedder]
