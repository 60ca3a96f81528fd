"""What text embeddings can do now, for those who ask over HTTP."""

from __future__ import annotations

from typing import Any

from sidecar.state import State


def embedding_status(state: State) -> dict[str, Any]:
    """{"available", "model", "dimension", "done", "pending", "device", "message"}.

    `model` is its name, null without one; `dimension` null until it is known; `device` that of the process that holds it,
    null while there is none; `message` says why it is not available, or not on the GPU.
    """
    return state.recommender.embedder.status()
