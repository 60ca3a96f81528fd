"""How well each LoRA goes with given ones, in one number: a log-linear model over a few signals.

The signals of one given LoRA (of several the strongest counts), for every candidate:
    together    evidence of baskets with both (`counts.EVIDENCE`)
    lift        how much more often that is than by chance, shrunk towards 1 for small counts
    popular     evidence of baskets in which the candidate stands with any other
    text        what is said of the two is alike: outfits of a character, parts of a series
    as_others   LoRAs like the given one are used with it
    like_known  it is like what the given one is used with
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sidecar.recommend.use.index import UseIndex

Floats = npt.NDArray[np.float32]

SIGNALS = ("together", "lift", "popular", "text", "as_others", "like_known")
WEIGHTS = np.array([2.0, 0.5, 1.56, 6.66, 1.34, 1.49], np.float32)
"""In logits. The first two are set by hand, since an author's stack is hardly ever posted twice and so cannot teach them;
the others are fitted on half of the corpus's stacks (benchmarks/companions.py --fit)."""
ALIKE = 30
"""LoRAs like the given one whose companions are looked at."""
KNOWN = 10
"""Companions of the given one whose like are looked at."""
SHRINK = 0.5
"""Evidence that is added to both sides of the lift."""
FLOOR = 0.01


def signals_of(index: UseIndex, given: Sequence[int]) -> Floats:
    """(n, signals), the columns of `SIGNALS`; all are 0 or more."""
    each = [_signals_of_one(index, place) for place in given]
    popular = np.log1p(index.counts.paired)[:, None]
    strongest = np.max(each, axis=0)
    return np.concatenate([strongest[:, :2], popular, strongest[:, 2:]], axis=1).astype(np.float32)


def used_together(index: UseIndex, given: Sequence[int]) -> Floats:
    """(n, 2): together and lift with the given LoRAs alone, at the cost of a look at their baskets."""
    each = [np.stack(_together_and_lift(index, place), axis=1) for place in given]
    strongest: Floats = np.max(each, axis=0).astype(np.float32)
    return strongest


def _together_and_lift(index: UseIndex, place: int) -> tuple[Floats, Floats]:
    counts = index.counts
    together = counts.together(place)
    expected = counts.used[place] * counts.used / max(counts.total, 1.0)
    lift = np.where(together > 0, np.log((together + SHRINK) / (expected + SHRINK)), 0)
    return np.log1p(together), np.maximum(lift, 0)


def _signals_of_one(index: UseIndex, place: int) -> Floats:
    text = index.about.like(place)
    together, lift = _together_and_lift(index, place)
    columns = (
        together,
        lift,
        np.sqrt(text),
        _on_a_scale(_as_others(index, text + index.prompts.like(place))),
        _on_a_scale(_like_known(index, np.expm1(together))),
    )
    return np.stack(columns, axis=1)


def _as_others(index: UseIndex, alike: Floats) -> Floats:
    """What part of their baskets the LoRAs that are most alike share with each; the nearer ones count more."""
    counts = index.counts
    places = best(alike, ALIKE)
    nearness = alike[places] ** 2
    found = np.zeros(counts.count, np.float32)
    for place, weight in zip(places, nearness):
        others, evidence = counts.companions(int(place))
        found[others] += weight * evidence / (counts.paired[place] + 1)
    found /= np.float32(nearness.sum() + 0.3)
    return found


def _like_known(index: UseIndex, together: Floats) -> Floats:
    places = best(together, KNOWN)
    found = np.zeros(index.counts.count, np.float32)
    whole = float(together[places].sum()) + 1
    for place in places:
        np.maximum(found, together[place] / whole * index.about.like(int(place)), out=found)
    return found


def _on_a_scale(share: Floats) -> Floats:
    """Logarithm of a share, 0 for none."""
    scaled: Floats = np.log1p(share / FLOOR).astype(np.float32)
    return scaled


def best(scores: Floats, count: int) -> npt.NDArray[np.int64]:
    """Where the highest scores above 0 stand, the best first."""
    places = np.argpartition(scores, -count)[-count:] if len(scores) > count else np.arange(len(scores))
    found: npt.NDArray[np.int64] = places[scores[places] > 0]
    return found[np.argsort(-scores[found], kind="stable")]
