"""What a cosine of two texts' meanings tells, whatever the model: what unrelated texts have as well tells nothing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

UNLIKE = 0.4
"""Cosines up to here tell nothing: of all-MiniLM-L6-v2 nine in ten pairs of the corpus are below."""
UNLIKE_PART = 0.9
"""The same for models whose cosines are all high: so many of a large library are not alike."""
SAMPLE = 4_096


def likeness(cosines: Floats) -> Floats:
    """0 for those that tell nothing, rising to 1 for those of 1."""
    some = cosines[:: len(cosines) // SAMPLE + 1]
    usual = float(np.quantile(some, UNLIKE_PART)) if len(cosines) > 1 / (1 - UNLIKE_PART) else 0.0
    unlike = max(UNLIKE, usual)
    found: Floats = np.clip((cosines - unlike) / max(1 - unlike, 1e-6), 0, 1).astype(np.float32)
    return found
