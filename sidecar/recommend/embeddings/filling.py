"""Makes the vectors that are missing, batch by batch; what is done is stored as it goes, so it goes on where it ended."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from sidecar.database import Database
from sidecar.events import Events
from sidecar.recommend.documents import text_key
from sidecar.recommend.embeddings import store
from sidecar.recommend.embeddings.finding import Model
from sidecar.recommend.embeddings.holder import Holder
from sidecar.recommend.embeddings.placement import Placement
from sidecar.recommend.embeddings.process import ModelBroken, TextRefused, WorkerDied
from sidecar.recommend.postings import Floats

log = logging.getLogger("lora-manager.recommend")

BATCH = {"cpu": 4, "gpu": 64}
"""Texts of a batch: on a CPU more of them are no faster, and a prompt of the user's has to wait for one."""
BATCH_CHARACTERS = {"cpu": 2_000, "gpu": 40_000}
"""Or one text."""
WINDOW = 256
"""Texts that are put in order of length, so that those of a batch are about as long."""
HELD = 5_000
"""Missing texts that are held in memory; then all are looked over again."""
WRITE_SECONDS = 5.0
EVENT_SECONDS = 1.0
REST = 0.25  # of the time that was worked, left to others
LOOKED_OVER = 20
BREATH = 0.001  # seconds for other threads after each `LOOKED_OVER` texts
TYPING_SECONDS = 2.0
"""So long after a prompt of the user's nothing is made: the next one finds the model free."""

Text = tuple[bytes, str]


class _Overview(NamedTuple):
    """What there is: the keys of all texts, how many of them are missing, and the first `HELD` of those."""

    wanted: set[bytes]
    missing: int
    due: list[Text]


class Filling:
    """`placement` says where vectors are made; `must_rest` whether to end with a model."""

    def __init__(
        self,
        database: Database,
        events: Events,
        holder: Holder,
        placement: Placement,
        must_rest: Callable[[Model], bool],
    ) -> None:
        self.revision = 0
        """Rises whenever vectors were stored or removed."""
        self.look_seconds = 0.0
        """How long it took to look over all texts the last time."""
        self._database = database
        self._events = events
        self._holder = holder
        self._placement = placement
        self._must_rest = must_rest
        self._pause = threading.Event()
        self._model_id = ""
        self._dimension: int | None = None
        self._checked = self._alone = False
        self._refused: set[bytes] = set()
        self._progress: tuple[int, int] | None = None
        self._told = self._not_before = 0.0

    def progress_of(self, model: Model) -> tuple[int, int] | None:
        """(done, pending): texts with a vector of this model, and without; None before the first look."""
        return self._progress if model.id == self._model_id else None

    def dimension_of(self, model: Model | None) -> int | None:
        """How long this model's vectors are, once that is known."""
        return self._dimension if model and model.id == self._model_id else None

    def agrees(self, model: Model, size: int) -> bool:
        """Whether this model's vectors are of the size that they are taken to have; if not, those in the database are checked
        anew."""
        if self.dimension_of(model) in (None, size):
            return True
        self._dimension, self._checked = size, False
        return False

    def forgive(self) -> None:
        """Try again what the model did not take."""
        self._refused.clear()

    def give_way(self) -> None:
        """The user is typing: leave the model to him for a moment."""
        self._not_before = time.monotonic() + TYPING_SECONDS

    def stop_waiting(self) -> None:
        """End the rests between batches."""
        self._pause.set()

    def fill(self, model: Model, texts: Callable[[], Iterable[str]]) -> bool:
        """Make what is missing, until all is done, or it has to rest, or the model fails; returns whether all is done.

        `texts` gives all that are to be known, anew each time. When all is done, what is superfluous is removed by the rules
        that store.py tells.

        Raises:
            Unavailable: the database does not take what was made.
        """
        if model.id != self._model_id:
            self._model_id, self._dimension = model.id, None
            self._checked = self._alone = False
            self._progress = None
            self._refused.clear()
            self.revision += 1
        self._check_sizes(model)
        while (found := self._look_over(model, texts())) is not None:
            self._progress = len(found.wanted) - found.missing, found.missing
            if self._must_rest(model):
                return False
            if not found.due:
                self._clean_up(model, found.wanted)
                return True
            if not self._make(model, found):
                break
        return False

    def _look_over(self, model: Model, texts: Iterable[str]) -> _Overview | None:
        """Go through all texts; None when there is something else to do first."""
        begin = time.monotonic()
        known = store.known_keys(self._database, model.id)
        wanted: set[bytes] = set()
        missing, due = 0, list[Text]()
        for number, text in enumerate(texts):
            if number % LOOKED_OVER == 0:
                time.sleep(BREATH)
                if self._must_rest(model):
                    return None
            key = text_key(text)
            if key in wanted or not text or text.isspace():
                continue
            wanted.add(key)
            if key not in known and key not in self._refused:
                missing += 1
                if len(due) < HELD:
                    due.append((key, text))
        self.look_seconds = time.monotonic() - begin
        return _Overview(wanted, missing, due)

    def _check_sizes(self, model: Model) -> None:
        """Once for each model: what is in the database of another size goes."""
        if self._dimension is None:
            self._dimension = store.usual_dimension(self._database, model.id)
        if self._dimension is not None and not self._checked:
            self._checked = True
            gone = store.remove_misfits(self._database, model.id, self._dimension)
            if gone:
                self.revision += 1
                log.info("%d vectors of another size are made anew.", gone)

    def _clean_up(self, model: Model, wanted: set[bytes]) -> None:
        """An empty library tells nothing of what is superfluous."""
        if not wanted:
            return
        if not self._alone:
            store.remove_others(self._database, model.id)
            self._alone = True
        if store.remove_orphans(self._database, model.id, wanted):
            self.revision += 1

    def _make(self, model: Model, found: _Overview) -> bool:
        """Vectors for what is due; returns whether it came to the end of that."""
        taken: list[tuple[bytes, Floats]] = []
        written = time.monotonic()
        device, due = "cpu", found.due
        done, pending = len(found.wanted) - found.missing, found.missing
        try:
            self._tell(done, pending)
            for window in (due[start : start + WINDOW] for start in range(0, len(due), WINDOW)):
                window.sort(key=lambda one: len(one[1]))
                while window:
                    if self._must_rest(model):
                        return False
                    begin = time.monotonic()
                    device = self._placement.choose(pending, self._holder.found_no_gpu)
                    batch = _next_batch(window, device)
                    made = self._embed(model, device, batch)
                    if made and self._is_other_size(model, made[0][1]):
                        return False
                    taken += made
                    done, pending = done + len(made), pending - len(batch)
                    self._progress = done, pending
                    if time.monotonic() - written > WRITE_SECONDS:
                        self._save(model, taken)
                        taken, written = [], time.monotonic()
                    if time.monotonic() - self._told > EVENT_SECONDS:
                        self._tell(done, pending)
                    now = time.monotonic()
                    if self._pause.wait(max((now - begin) * REST, self._not_before - now)):
                        return False
            return True
        except (ModelBroken, WorkerDied, TimeoutError) as error:
            log.info("Reading texts by meaning waits: %s", error)
            return False
        finally:
            self._save(model, taken)
            if device == "gpu":
                self._holder.rest(now=True)  # its memory is the host's
            self._tell(done, pending)

    def _is_other_size(self, model: Model, vector: Floats) -> bool:
        """Take over the model's true size; whether there may be vectors that now have the wrong one."""
        if self._dimension == len(vector):
            return False
        before, self._dimension, self._checked = self._dimension, len(vector), False
        self._check_sizes(model)
        return before is not None

    def _embed(self, model: Model, device: str, batch: list[Text]) -> list[tuple[bytes, Floats]]:
        """Vectors of a batch; when the model fails over it, of each text alone, and those that it cannot take are left out.

        Raises:
            ModelBroken, TimeoutError: it does not work at all. WorkerDied: it died over one text alone, which is left out
                from now on.
        """
        try:
            vectors = self._holder.embed(model, device, [text for _, text in batch])
        except (TextRefused, WorkerDied) as error:
            if self._must_rest(model):
                raise WorkerDied("there is something else to do") from error
            if len(batch) > 1:
                return [made for one in batch for made in self._embed(model, device, [one])]
            log.info("A text is left out, since the text model failed over it: %s", error)
            self._refused.add(batch[0][0])
            return []
        whole = np.isfinite(vectors).all(axis=1) & (np.abs(vectors).sum(axis=1) > 0)
        self._refused.update(key for (key, _), good in zip(batch, whole) if not good)
        return [(key, vector) for (key, _), vector, good in zip(batch, vectors, whole) if good]

    def _save(self, model: Model, taken: list[tuple[bytes, Floats]]) -> None:
        if taken:
            store.save(self._database, model.id, taken)
            self.revision += 1

    def _tell(self, done: int, pending: int) -> None:
        self._told = time.monotonic()
        self._events.publish("embeddings.progress", done=done, pending=pending)


def _next_batch(window: list[Text], device: str) -> list[Text]:
    """Take texts from the front of `window`: as many as this device reads best at once."""
    batch = [window.pop(0)]
    characters = len(batch[0][1])
    while window and len(batch) < BATCH[device]:
        characters += len(window[0][1])
        if characters > BATCH_CHARACTERS[device]:
            break
        batch.append(window.pop(0))
    return batch
