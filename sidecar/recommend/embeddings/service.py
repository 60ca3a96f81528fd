"""Text embeddings as the sidecar has them: vectors of all known texts, made in the background, and of a prompt at once."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sidecar.database import Database
from sidecar.errors import SidecarError
from sidecar.events import Event, Events
from sidecar.recommend.embeddings.finding import Model, NoModel, find_model
from sidecar.recommend.embeddings.placement import Placement
from sidecar.recommend.embeddings.texts import clean, count_read
from sidecar.settings import Settings

if TYPE_CHECKING:  # numpy is loaded when there is work
    from sidecar.recommend.embeddings.filling import Filling
    from sidecar.recommend.embeddings.holder import Holder
    from sidecar.recommend.embeddings.store import Mask
    from sidecar.recommend.postings import Floats

log = logging.getLogger("lora-manager.recommend")

QUERY_SECONDS = 1.0
RECENT = 256
START_SECONDS = 40.0
"""After the app's start nothing is made: others need the machine then."""
CALM_SECONDS = 15.0
"""The same after a scan or hashing."""
QUIET_SECONDS = 1.0
"""After a change: more of them often follow."""
LOOK_SECONDS = 30.0
"""Between looks at which model there is, and at whether texts have changed."""
SHARE = 20.0
"""Looking over all texts takes at most one part in so many of the time."""
OFF = "Turned off: texts are not compared by meaning."
_WAKING = ("library.changed", "lora.edited", "generation.recorded", "settings.changed")


class Query(NamedTuple):
    """A prompt's vector (dimension, float32, of unit length), or why there is none."""

    vector: Floats | None
    reason: str | None = None


class Embedder:
    """`texts` gives what is to be known, what matters most first; `busy` tells whether a scan or hashing goes on."""

    def __init__(
        self,
        database: Database,
        events: Events,
        settings: Settings,
        texts: Callable[[], Iterable[str]],
        busy: Callable[[], bool],
    ) -> None:
        self._database = database
        self._events = events
        self._settings = settings
        self._texts = texts
        self._busy = busy
        self._placement = Placement(events, settings)
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._looked_for: tuple[str, bool] | None = None
        self._model: Model | None = None
        self._missing: str | None = None
        self._parts: tuple[Holder, Filling] | None = None
        self._recent: OrderedDict[tuple[str, str], Floats] = OrderedDict()
        self._stored: tuple[str, int] | None = (
            None  # the model, and how many vectors it had when it was found
        )
        self._complete: tuple[str, int] | None = (
            None  # the model, and the database's revision whose texts it has read
        )
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recommend-embeddings", daemon=True)

    @property
    def model(self) -> Model | None:
        """The model in use; None when there is none, and `reason` says why."""
        if self._looked_for != self._wanted:
            with self._looking:  # the first who asks looks, others wait for what he finds
                if self._looked_for != self._wanted:
                    self.look()
        return self._model

    @property
    def is_off(self) -> bool:
        """Whether the user wants no model."""
        return self._settings.embedding_device == "off"

    @property
    def reason(self) -> str | None:
        """Why texts are not compared by meaning, in a person's words; None when they are."""
        model = self.model
        if model is None:
            return self._missing
        return self._parts[0].trouble(model) if self._parts else None

    @property
    def revision(self) -> tuple[str, int]:
        """Another one whenever vectors_for would answer otherwise."""
        model, parts = self.model, self._parts
        return (model.id if model else "", parts[1].revision if parts else 0)

    @property
    def pid(self) -> int | None:
        """Of the process that holds the model; None while there is none."""
        return self._parts[0].pid if self._parts else None

    def embed_query(self, text: str, seconds: float = QUERY_SECONDS) -> Query:
        """The vector of a prompt (as plain_prompt gives it) within `seconds`. While the model is not loaded there is none at
        once, and it is loaded."""
        text = clean(text)
        if not text.strip():
            return Query(None, "The prompt is empty.")
        model = self.model
        if model is None:
            return Query(None, self._missing)
        known = self._recall(model, text)
        if known is not None:
            return Query(known)
        holder, filling = self._made()
        filling.give_way()
        from sidecar.recommend.embeddings.process import ModelBroken, TextRefused, WorkerDied

        try:
            worker = holder.warm(model)
            if worker is None:
                return Query(None, "The text model is being loaded; it takes part in a moment.")
            vector = worker.embed([text], seconds, hurry=True)[0]
        except (ModelBroken, TimeoutError) as error:
            return Query(None, str(error))
        except (WorkerDied, TextRefused) as error:
            return Query(None, f"The text model could not read the prompt: {error}.")
        if not filling.agrees(model, len(vector)):
            self._complete = None
            self._wake.set()
        with self._lock:
            self._recent[model.id, text] = vector
            if len(self._recent) > RECENT:
                self._recent.popitem(last=False)
        return Query(vector)

    def vectors_for(self, texts: Sequence[str]) -> tuple[Floats, Mask]:
        """(vectors, mask) of the model in use, see store.vectors_for; without a model no text has one."""
        from sidecar.recommend.embeddings.store import vectors_for

        model = self.model
        return vectors_for(
            self._database, model.id if model else "", texts, self._made()[1].dimension_of(model)
        )

    def status(self) -> dict[str, Any]:
        """{"available", "model", "dimension", "done", "pending", "device", "message"}.

        Until the texts have been looked over, what is stored counts as done, and LoRAs beyond that as pending.
        """
        model, message, parts = self.model, self.reason, self._parts
        progress = parts[1].progress_of(model) if parts and model else None
        done, pending = progress or (self._guess(model) if model else (0, 0))
        return {
            "available": model is not None and message is None,
            "model": model.name if model else None,
            "dimension": parts[1].dimension_of(model) if parts else None,
            "done": done,
            "pending": pending,
            "device": parts[0].device if parts else None,
            "message": message or self._placement.note,
        }

    def start(self) -> None:
        """Start the thread."""
        self._placement.start()
        self._events.subscribe(self._heard)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and the process with the model; what was made so far is stored."""
        self._placement.stop()
        self._events.unsubscribe(self._heard)
        self._stopped.set()
        self._wake.set()
        with self._lock:
            parts = self._parts
        if parts:
            parts[1].stop_waiting()
            parts[0].close()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def work_off(self) -> None:
        """Make the vectors that are missing now, in this thread; returns early when stopped, when it has to rest, or when
        the model fails.

        Raises:
            Unavailable: the database does not take them.
        """
        model = self.model
        if model is None or self._stopped.is_set():
            return
        holder, filling = self._made()
        if holder.trouble(model) is not None:
            return
        state = (model.id, self._database.revision)
        if self._complete != state and filling.fill(model, self._texts):
            self._complete = state

    def _run(self) -> None:
        not_before = time.monotonic() + START_SECONDS
        looked = -LOOK_SECONDS
        while not self._stopped.is_set():
            now = time.monotonic()
            try:
                if now - looked >= LOOK_SECONDS:
                    looked = now
                    self.look()
                    self._count()
                if self._busy():
                    not_before = max(not_before, now + CALM_SECONDS)
                if now >= not_before:
                    self.work_off()
                    took = self._parts[1].look_seconds if self._parts else 0.0
                    not_before = time.monotonic() + SHARE * took
                if self._parts:
                    self._parts[0].rest()
            except SidecarError as error:
                log.error("Reading texts by meaning waits: %s", error.message)
            except Exception:  # the thread's outer edge: it must go on later
                log.exception("Reading texts by meaning waits after an internal error")
            until = not_before - time.monotonic()
            self._wake.wait(min(LOOK_SECONDS, until) if until > 0 else LOOK_SECONDS)
            self._wake.clear()
            self._stopped.wait(QUIET_SECONDS)

    def _heard(self, event: Event) -> None:
        if event.type == "settings.changed" and self._parts:
            self._parts[0].forgive()
            self._parts[1].forgive()
            self._complete = None
        if event.type in _WAKING:
            self._wake.set()

    def look(self) -> None:
        """See which model there is; it may have been installed, moved or named meanwhile."""
        wanted = self._wanted
        found: Model | None = None
        missing: str | None = OFF
        if not self.is_off:
            try:
                found, missing = find_model(wanted[0]), None
            except NoModel as error:
                missing = str(error)
        with self._lock:
            changed = (found and found.id) != (self._model and self._model.id) or missing != self._missing
            self._model, self._missing, self._looked_for = found, missing, wanted
            parts = self._parts
        if parts and not found:
            parts[0].rest(now=True)
        if changed and found:
            log.info("Texts are compared by meaning with %s (%s).", found.name, found.folder)
        elif changed:
            log.info("Texts are not compared by meaning. %s", missing)

    @property
    def _wanted(self) -> tuple[str, bool]:
        """What decides which model there is."""
        return self._settings.embedding_model, self.is_off

    def _made(self) -> tuple[Holder, Filling]:
        """Made when they are needed: numpy comes with them."""
        from sidecar.recommend.embeddings.filling import Filling
        from sidecar.recommend.embeddings.holder import Holder

        with self._lock:
            if self._parts is None:
                holder = Holder()
                filling = Filling(self._database, self._events, holder, self._placement, self._must_rest)
                if self._stopped.is_set():
                    holder.close()
                self._parts = (holder, filling)
            return self._parts

    def _must_rest(self, model: Model) -> bool:
        """Whether there is something else to do than to read with this model."""
        now = self._model if self._looked_for == self._wanted else None
        return self._stopped.is_set() or self._busy() or now is None or now.id != model.id

    def _count(self) -> None:
        model = self._model
        if model and (self._stored is None or self._stored[0] != model.id):
            self._stored = (model.id, count_read(self._database, model.id))

    def _guess(self, model: Model) -> tuple[int, int]:
        """(done, pending) as far as two counts tell."""
        loras = self._database.reader().execute("SELECT count(*) FROM loras").fetchone()[0]
        stored = self._stored[1] if self._stored and self._stored[0] == model.id else 0
        return stored, max(0, int(loras) - stored)

    def _recall(self, model: Model, text: str) -> Floats | None:
        with self._lock:
            known = self._recent.get((model.id, text))
            if known is not None:
                self._recent.move_to_end((model.id, text))
            return known
