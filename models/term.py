"""How long contracts last from `as_of` on: one coherent curve."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from models.curve import between, crossing, discounted, within
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
        wanted = within(self.days, days)
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
        log_runs = np.log(np.maximum(1.0 - self.ended[:last], TINY))
        day = crossing(self.days[:last], log_runs, float(np.log1p(-chance)))
        return np.where(np.isnan(day), until, day)

    def discounted_value(self, *, until: float, rate: float) -> Vector:
        """Return the fees before a day that is a knot, discounted by the middle of each interval."""
        return discounted(self.days, self.value, until=until, rate=rate)
