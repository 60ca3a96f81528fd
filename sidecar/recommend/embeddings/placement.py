"""Where vectors are made: on the CPU, or on the GPU when the user said so and the host does not need it."""

from __future__ import annotations

from sidecar.events import Events
from sidecar.recommend.embeddings.hostload import HostLoad
from sidecar.settings import Settings

GPU_FROM = 500
"""Missing vectors from which on a GPU is worth the loading."""


class Placement:
    """`note` says why vectors are not made on the GPU although they should be."""

    def __init__(self, events: Events, settings: Settings) -> None:
        self.note: str | None = None
        self._settings = settings
        self._load = HostLoad(events, settings.host_url)

    def start(self) -> None:
        """Begin to listen to what the host does."""
        self._load.start()

    def stop(self) -> None:
        """Listen no more."""
        self._load.stop()

    def choose(self, missing: int, found_no_gpu: bool) -> str:
        """ "cpu" or "gpu" for so many missing vectors; to be asked before each batch."""
        self.note = None
        if self._settings.embedding_device != "gpu" or missing < GPU_FROM:
            return "cpu"
        idle = self._load.is_idle()
        if idle is None:
            self.note = "On the CPU: whether the host needs the GPU cannot be known."
        elif not idle:
            self.note = "On the CPU: the host needs the GPU."
        elif found_no_gpu:
            self.note = "On the CPU: torch finds no GPU that it can use."
        return "gpu" if self.note is None else "cpu"
