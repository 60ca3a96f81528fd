"""The recommendations' moving parts, made, started and stopped together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidecar.database import Database
from sidecar.errors import Unavailable
from sidecar.events import Events
from sidecar.recommend.indexer import Indexer

if TYPE_CHECKING:  # numpy is loaded when there is work
    from sidecar.recommend.index import Index


class Recommender:
    """The index of prompts and metadata. `busy` tells whether a scan goes on."""

    def __init__(self, database: Database, events: Events, folder: Path, busy: Callable[[], bool]) -> None:
        self._indexer = Indexer(database, events, folder, busy)

    def start(self) -> None:
        self._indexer.start()

    def stop(self) -> None:
        self._indexer.stop()

    def refresh(self) -> None:
        """Bring the index up to date now."""
        self._indexer.refresh()

    @property
    def index(self) -> Index:
        """The latest index.

        Raises:
            Unavailable: the first one is still being made.
        """
        self._indexer.want()
        if self._indexer.index is None:
            raise Unavailable("Recommendations are being prepared; ask again in a moment.")
        return self._indexer.index

    def status(self) -> dict[str, Any]:
        """{"loras", "examples", "building"} of the index."""
        index = self._indexer.index
        return {
            "loras": len(index.loras) if index else 0,
            "examples": len(index.prompts) if index else 0,
            "building": self._indexer.building or index is None,
        }
