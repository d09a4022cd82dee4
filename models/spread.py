"""How far the value of customers lies from what was expected: quantiles of a distribution with many zeros."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from models.likelihood import Vector

LOW, HIGH = 0.1, 0.9
GRID = np.linspace(0.0, 1.0, 101)
MOST_GROUPS = 10
ENOUGH = 100
"""Customers with an order in a group whose quantiles are told apart."""


class ValueSpread:
    """The distribution of a customer's value, given the chance of no order and the expected value.

    A value is 0 with the chance of no order; else it is the expected value of those who order times a
    factor, whose quantiles are those seen among customers of about the same expected value. Such a
    mixture is a hurdle model (Cragg 1971). Before anything was seen, the factor is that of an exponential
    distribution. No interval holds when the whole shop moves.

    Attributes
    ----------
    edges_
        Expected values that part the groups, of shape (g - 1,).
    factors_
        Per group 101 evenly spaced quantiles of the factor, of shape (g, 101).
    """

    def __init__(self) -> None:
        self.edges_ = np.empty(0)
        self.factors_ = -np.log1p(-np.minimum(GRID, 0.995))[None, :]

    def fit(self, no_order: Vector, expected: Vector, value: Vector) -> Self:
        """Learn from forecasts and what came, each of shape (n,)."""
        came = (value > 0) & (expected > 0)
        if not came.any():
            return self
        factor = value[came] / _if_any(no_order[came], expected[came])
        groups = int(np.clip(came.sum() // ENOUGH, 1, MOST_GROUPS))
        self.edges_ = np.quantile(expected[came], np.linspace(0, 1, groups + 1)[1:-1])
        group = np.searchsorted(self.edges_, expected[came], side="right")
        seen = [factor[group == number] for number in range(groups)]
        self.factors_ = np.array([np.quantile(part if part.size else factor, GRID) for part in seen])
        return self

    def interval(self, no_order: Vector, expected: Vector) -> tuple[Vector, Vector]:
        """Return the 10% and the 90% quantile of each value, each of shape (n,)."""
        low, high = self.quantile(np.array([[LOW], [HIGH]]), no_order, expected)
        return low, high

    def quantile(self, share: float | Vector, no_order: Vector, expected: Vector) -> Vector:
        """Return the quantile of each value, of shape (n,); by shares of shape (k, 1), of shape (k, n)."""
        within = (share - no_order) / np.maximum(1.0 - no_order, 1e-12)
        place = np.minimum(np.maximum(within, 0.0), 1.0) * (GRID.size - 1)
        lower = np.minimum(place.astype(int), GRID.size - 2)
        group = np.searchsorted(self.edges_, expected, side="right")
        part = place - lower
        factor = self.factors_[group, lower] * (1 - part) + self.factors_[group, lower + 1] * part
        return np.where(share > no_order, factor * _if_any(no_order, expected), 0.0)

    def probability(self, value: Vector, no_order: Vector, expected: Vector) -> tuple[Vector, Vector]:
        """Return the forecast P(value below that) and P(value at most that), each of shape (n,)."""
        group = np.searchsorted(self.edges_, expected, side="right")
        scale = np.maximum(_if_any(no_order, expected), 1e-12)
        below = np.empty(len(value))
        for number in np.flatnonzero(np.bincount(group)):
            mine = group == number
            below[mine] = np.interp(value[mine] / scale[mine], self.factors_[number], GRID)
        positive = no_order + (1.0 - no_order) * below
        return np.where(value > 0, positive, 0.0), np.where(value > 0, positive, no_order)

    def reaching(self, least: float, no_order: Vector, expected: Vector) -> Vector:
        """Return the forecast P(value at least this much, above 0), of shape (n,)."""
        below, _ = self.probability(np.full(len(expected), least), no_order, expected)
        return np.asarray(1.0 - below)

    def state(self) -> dict[str, Any]:
        """Return what was learnt as plain data."""
        return {"edges": self.edges_.tolist(), "factors": self.factors_.tolist()}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> "ValueSpread":
        """Take up what was learnt."""
        spread = cls()
        spread.edges_, spread.factors_ = np.array(state["edges"]), np.array(state["factors"])
        return spread


def _if_any(no_order: Vector, expected: Vector) -> Vector:
    """Return the expected value of a customer who orders."""
    return np.asarray(expected / np.maximum(1.0 - no_order, 1e-12))
