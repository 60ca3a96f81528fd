"""The recommendations' moving parts, made, started and stopped together."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidecar.database import Database
from sidecar.events import Events
from sidecar.recommend.embeddings.service import Embedder
from sidecar.recommend.embeddings.texts import each_text
from sidecar.recommend.indexer import Indexer
from sidecar.recommend.map.keeper import MapKeeper
from sidecar.recommend.use.keeper import latest_use
from sidecar.settings import Settings

if TYPE_CHECKING:  # numpy is loaded when there is work
    from sidecar.recommend.index import Index
    from sidecar.recommend.learning import TasteKeeper
    from sidecar.recommend.meanings import Meanings
    from sidecar.recommend.ranking import Asked


class Recommender:
    """The index of prompts and metadata, what these texts mean, and what was learned from the user's images.

    `busy` tells whether a scan goes on, `hashing` whether a scan or hashing does.
    """

    def __init__(
        self,
        database: Database,
        events: Events,
        folder: Path,
        busy: Callable[[], bool],
        settings: Settings | None = None,
        hashing: Callable[[], bool] | None = None,
    ) -> None:
        self._database = database
        self._events = events
        self._folder = folder
        self._indexer = Indexer(database, events, folder, busy, self._learn)
        self.embedder = Embedder(
            database, events, settings or Settings(data=folder), lambda: each_text(database), hashing or busy
        )
        self.maps = MapKeeper(database, events, folder, self.embedder, busy)

    def start(self) -> None:
        self._indexer.start()
        self.embedder.start()
        self.maps.start()

    def stop(self) -> None:
        self.maps.stop()
        self.embedder.stop()
        self._indexer.stop()

    def recommend(self, asked: Asked) -> dict[str, Any]:
        """{"items", "notes"}: see ranking.recommend; the notes say what could not take part.

        Raises:
            Unavailable: the index is still being made.
        """
        from sidecar.recommend.ranking import Known, recommend
        from sidecar.recommend.texts import plain_prompt

        index = self.index
        text = plain_prompt(asked.prompt)
        vectors, note = self._meanings.of(index, text) if text else (None, None)
        use = latest_use(self._database, self._events) if "<" in asked.prompt else None
        items = recommend(self._database, index, asked, Known(vectors, use, self._tastes.taste))
        return {"items": items, "notes": [note] if note else []}

    def refresh(self) -> None:
        """Bring the index, and what is learned, up to date now."""
        self._learn(self._indexer.refresh())

    @property
    def index(self) -> Index:
        """The latest index, see Indexer.get."""
        return self._indexer.get()

    def status(self) -> dict[str, Any]:
        """{"loras", "examples", "building", "learned"} of the index."""
        index = self._indexer.index
        return {
            "loras": len(index.loras) if index else 0,
            "examples": len(index.prompts) if index else 0,
            "building": self._indexer.building or index is None,
            "learned": self._tastes.status() if index else None,
        }

    @cached_property
    def _meanings(self) -> Meanings:
        from sidecar.recommend.meanings import Meanings

        return Meanings(self.embedder)

    @cached_property
    def _tastes(self) -> TasteKeeper:
        from sidecar.recommend.learning import TasteKeeper

        return TasteKeeper(self._folder)

    def _learn(self, index: Index, rest: Callable[[], None] = lambda: None) -> None:
        """From the user's own images, once there are enough more of them."""
        from sidecar.recommend.learning import learn

        by_meaning = self._meanings.has_most
        if self._tastes.is_due(index, by_meaning):
            vectors = self._meanings.of_known(index) if by_meaning else None
            learned = learn(self._database, index, vectors or (lambda _: None), rest)
            self._tastes.take(index, learned, by_meaning)
