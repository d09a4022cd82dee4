"""The level of the whole shop: how far everybody together lay from the purchase process, and will lie."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from models.likelihood import Vector
from models.snapshots import SETTLED_DAYS

YEAR_DAYS = 364
"""A year in whole weeks, so that weekdays meet weekdays."""
LAPSE_DAYS = 31
"""For so long after last year's last snapshot its level stands for the season."""
SEASONED_DAYS = 180
"""Of history before a snapshot whose level may tell of a season."""
HALF_LIFE_DAYS = 30
"""After which a snapshot's level counts half in what is usual."""
BELIEF = np.array([0.5, 0.8])
"""How much of the usual level, and of last year's deviation from it, returns, before anything was seen."""
PATIENCE = 0.05
"""How much squared deviation must be seen until what was seen counts as much as the belief.

Belief, patience and half-life were chosen by the error of the level over all origins of two public shops.
"""


class Level:
    """Forecast the shop's level by its usual level and by the same season a year ago.

    A level is the amount, in log-odds or logs, by which all customers' forecasts of one snapshot must move
    for their total to be right. Both parts are weighted by a ridge regression over the origins at which
    their own forecast can be compared with what came (Hoerl and Kennard 1970), around a prior belief:
    where the usual level and the season never told anything, they are given no weight.

    Attributes
    ----------
    days_, levels_
        Of the snapshots whose level is known, of shape (s,); ``levels_`` of those that can tell of a season.
    usual_
        The mean level of the snapshots of a settled shop, the latest counting most.
    weights_
        Of the usual level, and of last year's deviation from it.
    tried_
        What it would have said at each settled snapshot, by what was known there; not kept in its state.
    """

    def fit(self, days: Vector, history_days: Vector, levels: Vector, *, knot: float) -> Self:
        """Learn from snapshots, in order.

        Parameters
        ----------
        days
            Of the snapshots, days since 1970-01-01, of shape (s,).
        history_days
            Of the shop before each snapshot, of shape (s,).
        levels
            Of the snapshots, over `knot` days, of shape (s,).
        knot
            A level is known so many days after its snapshot.
        """
        settled = history_days >= SETTLED_DAYS
        days, history_days, levels = days[settled], history_days[settled], levels[settled]
        seen = [days + knot <= day for day in days]
        parts = np.array(
            [
                self._parts(day, days[known], history_days[known], levels[known])
                for day, known in zip(days, seen, strict=True)
            ]
        ).reshape(-1, 2)
        share = own_share(days, knot)
        self.weights_ = _weights(parts, levels, share)
        self.tried_ = np.array(
            [
                one @ _weights(parts[known], levels[known], share)
                for one, known in zip(parts, seen, strict=True)
            ]
        )
        self.usual_ = _usual(days, levels)
        seasoned = history_days >= SEASONED_DAYS
        self.days_, self.levels_ = days[seasoned], levels[seasoned]
        return self

    def at(self, day: float) -> float:
        """Forecast the level of a snapshot at a day (days since 1970-01-01)."""
        parts = np.array([self.usual_, self._deviation(day, self.days_, self.levels_, self.usual_)])
        return float(self.weights_ @ parts)

    def state(self) -> dict[str, Any]:
        """Return what was learnt as plain data."""
        return {
            "days": self.days_.tolist(),
            "levels": self.levels_.tolist(),
            "usual": self.usual_,
            "weights": self.weights_.tolist(),
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> "Level":
        """Take up what was learnt."""
        level = cls()
        level.days_, level.levels_ = np.array(state["days"]), np.array(state["levels"])
        level.usual_, level.weights_ = float(state["usual"]), np.array(state["weights"])
        return level

    @classmethod
    def _parts(cls, day: float, days: Vector, history_days: Vector, levels: Vector) -> Vector:
        if levels.size == 0:
            return np.zeros(2)
        usual, seasoned = _usual(days, levels), history_days >= SEASONED_DAYS
        return np.array([usual, cls._deviation(day, days[seasoned], levels[seasoned], usual)])

    @staticmethod
    def _deviation(day: float, days: Vector, levels: Vector, usual: float) -> float:
        """Return last year's deviation from the usual level; 0 where last year is not known."""
        then = day - YEAR_DAYS
        if days.size == 0 or not days[0] <= then <= days[-1] + LAPSE_DAYS:
            return 0.0
        return float(np.interp(then, days, levels)) - usual


def own_share(days: Vector, knot: float) -> float:
    """Return which share of a window of so many days each of these snapshots has for itself."""
    return min(float(np.median(np.diff(days)) / knot), 1.0) if days.size > 1 else 1.0


def _weights(parts: Vector, levels: Vector, share: float) -> Vector:
    """Weigh both parts, of shape (s, 2), by ridge regression around the belief."""
    squares = PATIENCE * np.eye(2) + share * parts.T @ parts
    weights = np.linalg.solve(squares, PATIENCE * BELIEF + share * parts.T @ levels)
    return np.clip(weights, 0.0, 1.0)


def _usual(days: Vector, levels: Vector) -> float:
    """Return the exponentially weighted mean of levels, oldest first; 0 without any."""
    if levels.size == 0:
        return 0.0
    weights = 0.5 ** ((days[-1] - days) / HALF_LIFE_DAYS)
    return float(weights @ levels / weights.sum())
