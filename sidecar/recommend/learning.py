"""Learns from the user's own images what a LoRA of theirs is chosen by: the parts of the personal score, fitted anew.

Each of the user's prompts is asked for in turn as if it had never been used, and the numbers are moved to where the LoRAs that
were used for it come first: a conditional logit with a Gaussian prior around the numbers that everybody begins with (MAP,
found by Newton's method). A part of the prompts is kept apart; what does not rank those better is not used.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from sidecar.database import Database
from sidecar.recommend.fusion import fuse
from sidecar.recommend.index import Index
from sidecar.recommend.personal import CORRECTED, FEATURES, Taste, personal
from sidecar.recommend.ranges import Places
from sidecar.recommend.signals import Vectors, read_signals
from sidecar.recommend.tokens import words_of

log = logging.getLogger("lora-manager.recommend")

FILE = "recommend-taste.json"
VERSION = 2
ENOUGH = 100
"""Prompts of the user's own, each different, from which on something can be learned."""
MOST = 400
"""So many are asked for, drawn at random."""
GROWN = 1.2
"""It is learned anew when there are so many times more prompts."""
APART = 4
"""Each how-many-th prompt is kept apart."""
FREEDOM = np.array([0.5, 1.5, 0.5, 0.5, 1.0] + [0.5] * len(CORRECTED))
"""How far from its beginning each number may well be: the fusion's scale, then `FEATURES`; the prior's standard deviation."""
STEPS = 20
SEED = 7

Numbers = npt.NDArray[np.float64]


class Learned(NamedTuple):
    """`loss` and `loss_before` are in nats a prompt, on those that were kept apart."""

    taste: Taste
    prompts: int
    loss: float
    loss_before: float

    @property
    def helps(self) -> bool:
        """Whether it ranks what was kept apart better than what everybody begins with."""
        return self.loss < self.loss_before


class Case(NamedTuple):
    """One prompt: the columns of `FREEDOM` for each LoRA, and which of these were used."""

    columns: Numbers
    right: npt.NDArray[np.bool_]


def learn(
    database: Database,
    index: Index,
    vectors: Callable[[int], Vectors | None] = lambda _: None,
    rest: Callable[[], None] = lambda: None,
) -> Learned | None:
    """What the user's own prompts teach; None when there are too few.

    Args:
        vectors: those of the prompt at a place of the index, and of all others.
        rest: called after each prompt.
    """
    cases = list(_cases(database, index, vectors, rest))
    if len(cases) < ENOUGH:
        return None
    begin = _numbers(Taste())
    apart = [case for number, case in enumerate(cases) if number % APART == 0]
    others = [case for number, case in enumerate(cases) if number % APART]
    found = _fit(others, begin)
    return Learned(_taste(found), len(cases), _loss(apart, found), _loss(apart, begin))


def own_prompts(index: Index) -> list[int]:
    """The places of the prompts that the user made images with."""
    return [place for place, prompt in enumerate(index.prompts) if any(use.own for use in prompt.uses)]


class TasteKeeper:
    """Keeps what was learned in a file of the data folder, which may be deleted."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self.prompts = 0
        """How many there were when it was last learned."""
        self.by_meaning = False
        """Whether a text model took part in that."""
        self.learned: Learned | None = None
        self._load()

    @property
    def taste(self) -> Taste:
        """What to rank with."""
        return self.learned.taste if self.learned and self.learned.helps else Taste()

    def status(self) -> dict[str, Any] | None:
        """{"prompts", "helps", "loss", "loss_before"}, None when nothing was learned yet."""
        learned = self.learned
        if learned is None:
            return None
        losses = {"loss": round(learned.loss, 4), "loss_before": round(learned.loss_before, 4)}
        return {"prompts": learned.prompts, "helps": learned.helps, **losses}

    def is_due(self, index: Index, by_meaning: bool) -> bool:
        """Whether there are enough prompts, and enough more than last time, or the text model has come or gone since."""
        count = len(own_prompts(index))
        other = count >= GROWN * self.prompts or by_meaning != self.by_meaning
        return count < self.prompts / GROWN or (count >= ENOUGH and other)

    def take(self, index: Index, learned: Learned | None, by_meaning: bool) -> None:
        """Rank with this from now on, and keep it."""
        self.learned, self.prompts, self.by_meaning = learned, len(own_prompts(index)), by_meaning
        kept: dict[str, Any] = {"version": VERSION, "prompts": self.prompts, "by_meaning": by_meaning}
        kept["learned"] = None
        if learned:
            numbers = dict(zip(("fusion", *FEATURES), _numbers(learned.taste).round(4).tolist()))
            kept["learned"] = {**learned._asdict(), "taste": numbers}
            log.info(
                "Learned from %d of your prompts: %.3f nats a prompt instead of %.3f on those kept apart (%s).",
                learned.prompts, learned.loss, learned.loss_before, "used" if learned.helps else "not used",
            )  # fmt: skip
        part = self._path.with_suffix(".part")
        try:
            part.write_bytes(orjson.dumps(kept))
            os.replace(part, self._path)
        except OSError as error:
            log.warning("What was learned from your images could not be kept: %s", error)

    def _load(self) -> None:
        try:
            kept = orjson.loads(self._path.read_bytes())
            if kept["version"] != VERSION:
                return
            if kept["learned"]:
                numbers = np.array([float(kept["learned"]["taste"][name]) for name in ("fusion", *FEATURES)])
                if not np.isfinite(numbers).all():
                    return
                losses = (float(kept["learned"][name]) for name in ("loss", "loss_before"))
                self.learned = Learned(_taste(numbers), int(kept["learned"]["prompts"]), *losses)
            self.prompts, self.by_meaning = int(kept["prompts"]), bool(kept["by_meaning"])
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.learned = None
            log.warning("What was learned from your images is learned anew: %s", error)


def _cases(
    database: Database, index: Index, vectors: Callable[[int], Vectors | None], rest: Callable[[], None]
) -> Iterator[Case]:
    own = own_prompts(index)
    if len(own) < ENOUGH:
        return
    copies: dict[str, list[int]] = {}
    for place in own:
        copies.setdefault(_key(index, place), []).append(place)
    chosen = np.random.default_rng(SEED).permutation(sorted(one[0] for one in copies.values()))[:MOST]
    for place in map(int, chosen):
        same = copies[_key(index, place)]
        case = _case(database, index, place, np.array(same), vectors(place))
        if case.right.any() and not case.right.all():
            yield case
        rest()


def _case(database: Database, index: Index, place: int, same: Places, vectors: Vectors | None) -> Case:
    """The prompt at `place` as if neither it nor its copies had been used."""
    prompts = [index.prompts[one] for one in same]
    targets = np.array([index.position[use.lora] for use in prompts[0].uses if use.own])
    signals = read_signals(index, prompts[0].text, vectors, leave_out=same)
    features = personal(database, index, signals, left_out=prompts)
    columns = np.column_stack([fuse(signals), features]).astype(np.float64)
    return Case(columns, np.isin(signals.loras, targets))


def _key(index: Index, place: int) -> str:
    return " ".join(words_of(index.prompts[place].text))


def _fit(cases: list[Case], begin: Numbers) -> Numbers:
    """The most likely numbers given the prompts and the prior."""
    numbers, best = begin, _objective(cases, begin, begin)
    for _ in range(STEPS):
        step = np.linalg.solve(*_newton(cases, numbers, begin)).astype(np.float64)
        tried: list[Numbers] = [numbers + size * step for size in (1.0, 0.5, 0.25, 0.1)]
        now, nearest = min((_objective(cases, one, begin), at) for at, one in enumerate(tried))
        if now >= best * (1 - 1e-6):
            break
        numbers, best = tried[nearest], now
    return numbers


def _newton(cases: list[Case], numbers: Numbers, begin: Numbers) -> tuple[Numbers, Numbers]:
    """(curvature, downward slope) of the objective."""
    curvature = np.diag(1 / FREEDOM**2)
    slope = (begin - numbers) / FREEDOM**2
    for columns, right in cases:
        likely = _likely(columns @ numbers)
        mean = likely @ columns
        slope += columns[right].mean(axis=0) - mean
        curvature += (columns * likely[:, None]).T @ columns - np.outer(mean, mean)
    return curvature, slope


def _objective(cases: list[Case], numbers: Numbers, begin: Numbers) -> float:
    """What is made small: the loss of all prompts together, and how unlikely the numbers are."""
    return len(cases) * _loss(cases, numbers) + float(0.5 * (((numbers - begin) / FREEDOM) ** 2).sum())


def _loss(cases: list[Case], numbers: Numbers) -> float:
    """Nats a prompt: the mean negative logarithm of the likelihood of the LoRAs that were used."""
    losses = []
    for columns, right in cases:
        scores = columns @ numbers
        top = scores.max()
        losses.append(top + np.log(np.exp(scores - top).sum()) - scores[right].mean())
    return float(np.mean(losses))


def _likely(scores: Numbers) -> Numbers:
    powers: Numbers = np.exp(scores - scores.max())
    likely: Numbers = powers / powers.sum()
    return likely


def _numbers(taste: Taste) -> Numbers:
    return np.array([taste.fusion, *taste.features], np.float64)


def _taste(numbers: Numbers) -> Taste:
    fusion, *features = (float(one) for one in numbers)
    return Taste(fusion, tuple(features))
