"""Lives of a simulated shop's buyers from one day on, many times: what a treatment then truly brings each."""

import copy
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaincc, gammainccinv

from training.shop_buyers import NEVER, Course, Integers, Treatment, happens
from training.shop_truth import Twins

Numbers = NDArray[np.float64]
LIVES = 600
"""Of each buyer with a treatment, and as many without."""


class Futures(Twins):
    """Lives up to a day, and from it on many more of some buyers, with and without each treatment.

    Nobody can know whether a silent buyer has left for good, nor when the next order of the others falls:
    each further life draws both anew, given the orders so far and all that the buyer is by nature.

    Parameters
    ----------
    dates
        Those up to the day, and the horizon after it.
    rows
        The places of the buyers.

    Attributes
    ----------
    gained_
        By treatment the baskets that it adds within the horizon, of shape (LIVES, buyers).
    """

    def __init__(
        self,
        truth: pd.DataFrame,
        dates: pd.DatetimeIndex,
        rng: np.random.Generator,
        *,
        treatments: Sequence[Treatment],
        rows: Integers,
        horizon_days: int,
    ) -> None:
        self._treatments, self._rows = treatments, rows
        self._days = len(dates) - horizon_days
        self.gained_: dict[str, Numbers] = {}
        super().__init__(truth, dates, rng, horizon_days=horizon_days)

    def _assign(self, treatment: Treatment, today: int, chosen: NDArray[np.bool_]) -> None:
        if not self._is_twin:
            super(Twins, self)._assign(treatment, today, chosen)

    def _live(self, today: int) -> None:
        if today < self._days or self._is_twin:
            super()._live(today)

    def _treat(self, today: int) -> None:
        if today < self._days:
            super()._treat(today)
        if today == self._days - 1:
            self._only(self._rows).go_on(today)

    def _only(self, rows: Integers) -> "Futures":
        """Copy some of the buyers."""
        some = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray) and len(value) == len(self._basket):
                setattr(some, name, value[rows])
        vars(some)["_course"] = self._course.only(rows)
        return some

    def go_on(self, today: int) -> None:
        """Live on with and without each treatment."""
        past = Past.of(self._course, self._last_order, self._shape, today)
        for treatment in self._treatments:
            self.gained_[treatment.name] = np.stack(list(self._gains(treatment, today, past)))

    def _gains(self, treatment: Treatment, today: int, past: "Past") -> Iterator[Numbers]:
        everybody = np.arange(len(self._basket))
        for seed in range(LIVES):
            baskets = []
            for treated in (everybody, everybody[:0]):
                twin = copy.copy(self)
                twin.part(today, seed)
                twin.begin(today, past)
                baskets.append(twin.lived(treatment, today, treated)[:, 1])
            yield baskets[0] - baskets[1]

    def begin(self, today: int, past: "Past") -> None:
        """Draw who is still there, until when, and when the next order falls."""
        self.left_ = np.where(happens(self._rng, past.here, len(past.here)), NEVER, today)
        self._patience = self._rng.exponential(size=len(past.here))
        self._wait = past.wait(self._rng)


class Past(NamedTuple):
    """What the days since the last order tell of buyers, each of shape (n,).

    Attributes
    ----------
    shape
        Of the gaps between orders.
    elapsed
        Of the present gap, in units of its mean.
    here
        The chance that the buyer has not left.
    """

    shape: Integers
    elapsed: Numbers
    here: Numbers

    @classmethod
    def of(cls, course: Course, last_order: Integers, shape: Integers, today: int) -> "Past":
        """Weigh each day on which a buyer may have left by how likely there was no order until then."""
        since = np.arange(today + 1)[:, None] > last_order
        elapsed = np.where(since, course.speed[: today + 1], 0.0).cumsum(axis=0)
        stayed = np.exp(-np.where(since, course.risk[: today + 1], 0.0).cumsum(axis=0))
        silent = gammaincc(shape, shape * elapsed)
        before = [np.vstack([np.ones(len(shape)), each[:-1]]) for each in (stayed, silent)]
        left = ((before[0] - stayed) * before[1]).sum(axis=0)
        here = stayed[-1] * silent[-1]
        return cls(shape, elapsed[-1], here / (here + left))

    def wait(self, rng: np.random.Generator) -> Numbers:
        """Draw the rest of the gap of those who have not left."""
        rest = rng.random(len(self.shape)) * gammaincc(self.shape, self.shape * self.elapsed)
        return np.asarray(gammainccinv(self.shape, rest) / self.shape - self.elapsed).clip(1e-9)
