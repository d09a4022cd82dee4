"""How well customers like this one were forecast at past origins, on the level that the shop then had."""

from typing import Self

import numpy as np

from models.likelihood import CERTAIN, Vector

LEAST_ORDERS = (1, 2, 3, 6)
"""Groups of customers: by their orders, from so many on."""
ENOUGH = 50
"""Customers in a group that is judged."""


class Skill:
    """The skill of the churn risk by how many orders a customer has.

    The skill is 1 - loss / loss of the shop's rate, in log loss (Murphy 1973): 1 is certain and right, 0
    no better than telling everybody the rate of the whole shop, below 0 worse.

    Attributes
    ----------
    skills_
        By group of `LEAST_ORDERS`, NaN where too few customers were seen.
    """

    def __init__(self) -> None:
        self.skills_ = np.full(len(LEAST_ORDERS), np.nan)

    def fit(self, orders: Vector, no_order: Vector, came: Vector) -> Self:
        """Compare what was forecast with what came.

        Parameters
        ----------
        orders
            Known at the forecast, of shape (n,).
        no_order
            P(no order), of shape (n,).
        came
            1 where there was none, else 0, of shape (n,).
        """
        rate = came.mean() if came.size else 0.0
        if not 0.0 < rate < 1.0:
            return self
        loss, of_rate = _loss(no_order, came), _loss(np.full(came.size, rate), came)
        group = _group(orders)
        for number in range(len(LEAST_ORDERS)):
            mine = group == number
            if mine.sum() >= ENOUGH:
                self.skills_[number] = 1.0 - loss[mine].mean() / of_rate[mine].mean()
        return self

    def at(self, orders: Vector) -> Vector:
        """Return the skill of each customer's group, of shape (n,); NaN where it is not known."""
        group = _group(orders)
        return np.where(group >= 0, self.skills_[np.maximum(group, 0)], np.nan)

    def state(self) -> list[float | None]:
        """Return what was learnt as plain data."""
        return [None if np.isnan(skill) else float(skill) for skill in self.skills_]

    @classmethod
    def restore(cls, state: list[float | None]) -> "Skill":
        """Take up what was learnt."""
        skill = cls()
        skill.skills_ = np.array([np.nan if one is None else one for one in state])
        return skill


def _group(orders: Vector) -> Vector:
    return np.asarray(np.searchsorted(LEAST_ORDERS, np.fmax(orders, 0.0), side="right") - 1)


def _loss(chance: Vector, came: Vector) -> Vector:
    chance = np.clip(chance, CERTAIN, 1.0 - CERTAIN)
    return np.asarray(-np.log(np.where(came > 0, chance, 1.0 - chance)))
