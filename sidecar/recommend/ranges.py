"""Rows of a table that is sorted by its first column, given where each value's rows begin."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int64]


def ranges(starts: Places, chosen: Places) -> tuple[Places, Places]:
    """(rows, group): the rows from starts[i] to starts[i + 1] for each chosen i, and which of `chosen` each belongs to."""
    counts = starts[chosen + 1] - starts[chosen]
    group = np.repeat(np.arange(len(chosen)), counts)
    offset = np.arange(len(group)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(starts[chosen], counts) + offset, group
