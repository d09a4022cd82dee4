"""How long contracts last from `as_of` on: one coherent curve."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from models.curve import between, discounted
from models.likelihood import Vector

TINY = float(np.finfo(float).tiny)


class Term(NamedTuple):
    """Forecasts of n contracts by k days, in order; the day before the first is day 0, when all run.

    Attributes
    ----------
    days
        Days after `as_of`, of shape (k,).
    ended
        P(the contract has ended before that day), of shape (k, n); never falls with the days.
    orders
        NaN: of orders a contract says nothing; of shape (k, n).
    value
        The expected fees before that day, in the frame's unit of money, of shape (k, n).
    """

    days: Vector
    ended: Vector
    orders: Vector
    value: Vector

    @classmethod
    def of(cls, days: Sequence[float], runs: Vector, fee: Vector) -> Self:
        """Turn P(the contract still runs) into a curve.

        Between two days the hazard of an end is constant (discrete-time survival: Singer and Willett 1993).

        Parameters
        ----------
        runs
            Of shape (k, n).
        fee
            Of a day while a contract runs, of shape (n,).
        """
        at = np.asarray(days, dtype=float)
        log_runs = np.log(np.maximum(runs, TINY))
        fallen = -np.diff(log_runs, axis=0, prepend=0.0)
        begun = np.exp(log_runs + fallen)
        part = np.where(fallen > 1e-9, -np.expm1(-fallen) / np.maximum(fallen, TINY), 1.0)  # noqa: PLR2004
        lasted = np.cumsum(np.diff(at, prepend=0.0)[:, None] * begun * part, axis=0)
        return cls(at, 1.0 - runs, np.full(runs.shape, np.nan), lasted * fee)

    def at(self, days: Sequence[float]) -> Self:
        """Read the curve at other days, none beyond its last.

        Raises
        ------
        ValueError
            A day lies beyond the last knot.
        """
        wanted = np.asarray(days, dtype=float)
        if wanted.size and (wanted.max() > self.days[-1] or wanted.min() < 0):
            raise ValueError(f"the curve ends at day {self.days[-1]:g}; ask for days from 0 to there")
        log_runs = np.log(np.maximum(1.0 - self.ended, TINY))
        return self._replace(
            days=wanted,
            ended=-np.expm1(between(self.days, log_runs, wanted)),
            orders=np.full((wanted.size, self.orders.shape[1]), np.nan),
            value=between(self.days, self.value, wanted),
        )

    def lasts(self, chance: float, *, until: float) -> Vector:
        """Return the day by which a contract has ended with this chance, at most `until`, a knot; (n,)."""
        last = int(np.searchsorted(self.days, until)) + 1
        days = np.append(0.0, self.days[:last])
        log_runs = np.log(np.maximum(1.0 - self.ended[:last], TINY))
        log_runs = np.vstack([np.zeros(log_runs.shape[1]), log_runs])
        wanted = np.log1p(-chance)
        after = np.maximum(np.argmax(log_runs <= wanted, axis=0), 1)
        column = np.arange(log_runs.shape[1])
        high, low = log_runs[after - 1, column], log_runs[after, column]
        part = np.clip((high - wanted) / np.maximum(high - low, TINY), 0.0, 1.0)
        day = days[after - 1] + part * (days[after] - days[after - 1])
        return np.where(log_runs[-1] <= wanted, day, until)

    def discounted_value(self, *, until: float, rate: float) -> Vector:
        """Return the fees before a day that is a knot, discounted by the middle of each interval."""
        return discounted(self.days, self.value, until=until, rate=rate)
