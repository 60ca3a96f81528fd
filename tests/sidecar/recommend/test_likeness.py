"""What cosines tell: of a model whose unrelated texts are all near, no more than of another one."""

from __future__ import annotations

import numpy as np
import pytest

from sidecar.recommend.likeness import likeness


@pytest.mark.parametrize("usual", [0.1, 0.45, 0.8])
def test_what_all_have_tells_nothing_and_what_stands_out_does(usual: float) -> None:
    cosines = np.full(50_000, usual, np.float32)
    cosines[[7, 30_000]] = 1.0, 0.95
    found = likeness(cosines)
    assert found[7] == 1 and found[30_000] > 0.5 and np.count_nonzero(found) == 2


def test_of_few_texts_the_one_that_is_near_is_told() -> None:
    assert likeness(np.array([0.9], np.float32))[0] > 0.8
    assert likeness(np.array([], np.float32)).shape == (0,)
