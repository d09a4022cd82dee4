"""What each customer is expected to do by each day after `as_of`: one coherent curve."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple, Self

import numpy as np

from models.likelihood import Vector

KNOTS = (7, 14, 30, 60, 90, 180, 270, 365)
"""Days after `as_of` at which forecasts are made; between them they are interpolated."""


@cache
def knots(*days: int) -> tuple[int, ...]:
    """Return the knots together with the days that a forecast is about, in order."""
    return tuple(sorted({*KNOTS, *days}))


class Curve(NamedTuple):
    """Forecasts of n customers by k days, in order; the day before the first is day 0, without an order.

    Attributes
    ----------
    days
        Days after `as_of`, of shape (k,).
    no_order
        P(no order before that day), of shape (k, n).
    orders, value
        Expected orders, and their value in the frame's unit of money, before that day, of shape (k, n).
    """

    days: Vector
    no_order: Vector
    orders: Vector
    value: Vector

    def coherent(self) -> Self:
        """Let no order grow less likely with time, orders and value never fall, and none be negative.

        There are at least as many orders expected as it is likely that there is one.
        """
        no_order = np.minimum.accumulate(np.minimum(np.maximum(self.no_order, 0.0), 1.0))
        orders = np.maximum.accumulate(np.maximum(self.orders, 1.0 - no_order))
        value = np.maximum.accumulate(np.maximum(self.value, 0.0))
        return self._replace(no_order=no_order, orders=orders, value=value)

    def at(self, days: Sequence[float]) -> Self:
        """Read the curve at other days, none beyond its last.

        Between knots the hazard of the next order is constant, and orders and value come steadily
        (discrete-time survival: Singer and Willett 1993), orders no later than the chance of one.

        Raises
        ------
        ValueError
            A day lies beyond the last knot.
        """
        wanted = within(self.days, days)
        survival = np.log(np.maximum(self.no_order, np.finfo(float).tiny))
        no_order = np.exp(self._between(survival, wanted))
        return self._replace(
            days=wanted,
            no_order=no_order,
            orders=np.maximum(self._between(self.orders, wanted), 1.0 - no_order),
            value=self._between(self.value, wanted),
        )

    def median_day(self) -> Vector:
        """Return the day by which an order is as likely as not, of shape (n,); NaN where that lies beyond."""
        survival = np.log(np.maximum(self.no_order, np.finfo(float).tiny))
        return crossing(self.days, survival, np.log(0.5))

    def discounted_value(self, *, until: float, rate: float) -> Vector:
        """Return the value before a day that is a knot, discounted by the middle of each interval.

        Parameters
        ----------
        until
            The day, one of the knots.
        rate
            Of discounting, per year.
        """
        return discounted(self.days, self.value, until=until, rate=rate)

    def _between(self, values: Vector, wanted: Vector) -> Vector:
        return between(self.days, values, wanted)


def within(days: Vector, wanted: Sequence[float]) -> Vector:
    """Return the days that a curve is asked for.

    Raises
    ------
    ValueError
        One of them lies beyond the last day of the curve.
    """
    asked = np.asarray(wanted, dtype=float)
    if asked.size and (asked.max() > days[-1] or asked.min() < 0):
        raise ValueError(f"the curve ends at day {days[-1]:g}; ask for days from 0 to there")
    return asked


def crossing(days: Vector, log_survival: Vector, level: float) -> Vector:
    """Return the day by which log survival (k, n) falls from 0 to a level, of shape (n,); NaN if never."""
    survival, days = _from_day_0(log_survival), np.append(0.0, days)
    after = np.argmax(survival <= level, axis=0)
    reached, after = after > 0, np.maximum(after, 1)
    column = np.arange(survival.shape[1])
    high, low = survival[after - 1, column], survival[after, column]
    part = (high - level) / np.where(high > low, high - low, 1.0)
    return np.where(reached, days[after - 1] + part * (days[after] - days[after - 1]), np.nan)


def between(days: Vector, values: Vector, wanted: Vector) -> Vector:
    """Interpolate values of shape (k, n) along k days; everything is 0 at day 0."""
    known, days = _from_day_0(values), np.append(0.0, days)
    after = np.clip(np.searchsorted(days, wanted), 1, days.size - 1)
    part = ((wanted - days[after - 1]) / (days[after] - days[after - 1]))[:, None]
    return np.asarray(known[after - 1] * (1.0 - part) + known[after] * part)


def discounted(days: Vector, value: Vector, *, until: float, rate: float) -> Vector:
    """Return the value (k, n) that comes before one of k days, discounted by a rate per year; (n,)."""
    last = int(np.searchsorted(days, until)) + 1
    ends = days[:last]
    gains = value[:last].copy()
    gains[1:] -= value[: last - 1]
    middles = (np.append(0.0, ends[:-1]) + ends) / 2
    return np.asarray((1.0 + rate) ** (-middles / 365.0) @ gains)


def _from_day_0(values: Vector) -> Vector:
    """Put zeros before values of shape (k, n)."""
    return np.concatenate((np.zeros((1, values.shape[1])), values))
