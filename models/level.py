"""The level of the whole shop: how far everybody together lay from the purchase process, and will lie."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from models.likelihood import Vector
from models.snapshots import SETTLED_DAYS, Snapshot

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
MOST_KNOWN = 1_000
"""Levels that are remembered, because requests ask for the same day again and again."""
PARTS = ("no_order", "orders", "value")
"""What has a level: the log-odds of no order, the logs of the orders per buyer and of the value."""


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
        share = float(np.median(np.diff(days)) / knot) if days.size > 1 else 1.0
        squares, products = PATIENCE * np.eye(2), PATIENCE * BELIEF
        for day, level in zip(days, levels, strict=True):
            known = days + knot <= day
            parts = self._parts(day, days[known], history_days[known], levels[known])
            squares = squares + min(share, 1.0) * np.outer(parts, parts)
            products = products + min(share, 1.0) * parts * level
        self.weights_ = np.clip(np.linalg.solve(squares, products), 0.0, 1.0)
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


def _usual(days: Vector, levels: Vector) -> float:
    """Return the exponentially weighted mean of levels, oldest first; 0 without any."""
    if levels.size == 0:
        return 0.0
    weights = 0.5 ** ((days[-1] - days) / HALF_LIFE_DAYS)
    return float(weights @ levels / weights.sum())


class ShopLevel:
    """The levels of every part of a forecast by every knot.

    Attributes
    ----------
    levels_
        Per part of `PARTS` a `Level` by each knot, until the longest that is known.
    """

    def __init__(self) -> None:
        self.levels_: dict[str, list[Level]] = {part: [] for part in PARTS}
        self._known: dict[tuple[str, float], Vector] = {}

    def fit(self, past: Sequence[Snapshot], knots: Sequence[int]) -> Self:
        """Learn from snapshots, oldest first."""
        for place, days in enumerate(knots):
            known = [snapshot for snapshot in past if snapshot.is_known(place)]
            if not known:
                break
            told = np.array([(one.day, one.history_days, *one.level(place)) for one in known]).T
            for part, levels in zip(PARTS, told[2:], strict=True):
                self.levels_[part].append(Level().fit(told[0], told[1], levels, knot=days))
        return self

    def at(self, days: Vector, *, knots: int) -> dict[str, Vector]:
        """Forecast by part the level by each of k knots, for rows by their snapshots' days, of shape (n,).

        A knot whose level is not known yet has that of the last that is. Each has shape (k, n), or (k, 1)
        where all rows are of one day.
        """
        if days.size and (days == days[0]).all():
            return {part: self._on(part, float(days[0]), knots)[:, None] for part in PARTS}
        return {part: self._of_many(part, days, knots) for part in PARTS}

    def _of_many(self, part: str, days: Vector, knots: int) -> Vector:
        asked, places = np.unique(days, return_inverse=True)
        known = np.array([self._on(part, day, knots) for day in asked.tolist()])
        return known.reshape(-1, knots).T[:, places]

    def _on(self, part: str, day: float, knots: int) -> Vector:
        level = self._known.get((part, day))
        if level is None:
            levels = [each.at(day) for each in self.levels_[part]] or [0.0]
            level = np.array(levels + levels[-1:] * (knots - len(levels)))
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[part, day] = level
        return level

    def state(self) -> dict[str, Any]:
        """Return what was learnt as plain data."""
        return {part: [level.state() for level in levels] for part, levels in self.levels_.items()}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> "ShopLevel":
        """Take up what was learnt."""
        shop = cls()
        shop.levels_ = {part: [Level.restore(one) for one in levels] for part, levels in state.items()}
        return shop
