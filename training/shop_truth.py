"""What the treatments of the simulated shop truly bring: the same lives with and without each of them."""

import copy
from collections import defaultdict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.shop import Shop
from training.shop_buyers import GUIDE, TREATMENTS, Integers, Lives, Treatment, draw_customers, draw_truth

DAILY = 10
"""Of what is assigned every day one day in so many is lived twice."""
DISCOUNT = 0.2
"""The mean share taken off a line that is reduced."""


class Twins(Lives):
    """Lives that are lived twice from each assignment on: by everybody it is intended for, with and without.

    Both begin in the same state and with the same random numbers, and go on as the shop would, with further
    complaints and treatments. They differ by the assignment alone.

    Attributes
    ----------
    with_, without_
        By treatment, per assignment: the orders of the horizon, and their baskets as of `basket`; of shape
        (n, 2).
    """

    def __init__(
        self, truth: pd.DataFrame, dates: pd.DatetimeIndex, rng: np.random.Generator, *, horizon_days: int
    ) -> None:
        self._horizon_days, self._last = horizon_days, len(dates) - horizon_days
        self._basket = basket(truth)
        self._is_twin = False
        self.with_: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
        self.without_: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
        super().__init__(truth, dates, rng)

    def _assign(self, treatment: Treatment, today: int, chosen: NDArray[np.bool_]) -> None:
        rows = np.flatnonzero(chosen)
        is_lived_twice = treatment is not GUIDE or today % DAILY == 0
        if is_lived_twice and not self._is_twin and len(rows) and today < self._last:
            seed = int(self._rng.integers(2**63))
            for kept, is_treated in ((self.with_, True), (self.without_, False)):
                twin = copy.copy(self)
                twin.part(today, seed)
                lived = twin.lived(treatment, today, rows if is_treated else rows[:0])
                kept[treatment.name].append(lived[rows])
        super()._assign(treatment, today, chosen)

    def part(self, today: int, seed: int) -> None:
        """Stop sharing what changes with whom this is a copy of, and draw on by a seed."""
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                setattr(self, name, value.copy())
        coming, course = slice(today, today + self._horizon_days), self._course
        self._course = copy.copy(course)
        for name in ("speed", "risk"):
            ahead = np.zeros(getattr(course, name).shape)
            ahead[coming] = getattr(course, name)[coming]
            setattr(self._course, name, ahead)
        self._rng, self._is_twin = np.random.default_rng(seed), True
        self.orders_, self.complaints_, self.treatments_ = [], [], []

    def lived(self, treatment: Treatment, today: int, treated: Integers) -> NDArray[np.float64]:
        """Treat some, live through the horizon, and return the orders of each buyer, and their baskets."""
        self._course.treat(treatment, day=today, rows=treated)
        for day in range(today + 1, today + self._horizon_days):
            self._live(day)
            self._treat(day)
        orders = np.zeros(len(self._basket))
        for _, rows in self.orders_:
            orders[rows] += 1
        return np.column_stack([orders, orders * self._basket])


def basket(truth: pd.DataFrame) -> NDArray[np.float64]:
    """Tell how large an order of each buyer is on average, but for the prices of the shop."""
    reduced = 1 - DISCOUNT * truth["discount_affinity"]
    return np.asarray(truth["price_level"] * truth["lines_per_order"] * reduced, dtype=np.float64)


def basket_price(shop: Shop) -> float:
    """Return what a basket of 1 is worth in a shop, net of refunds."""
    orders = shop.orders[shop.orders["is_return"] == 0].drop_duplicates("order_id")
    baskets = pd.Series(basket(shop.truth), index=shop.truth["customer_id"])
    return float(shop.orders["amount"].sum() / baskets.loc[orders["customer_id"]].sum())


def true_effects(
    *, customers: int, days: int, horizon_days: int, seed: int, start: str = "2023-01-01"
) -> pd.DataFrame:
    """Live through a shop twice from every assignment on, and tell what the treatments bring in the horizon.

    A customer's assignment is one of those that `simulate_shop` makes, whose horizon ends in the shop's days;
    it is at 7 o'clock, so that the horizon ends before the orders of its last day.

    Returns
    -------
    One row per assignment: ``treatment``, and by how much it raised the number of ``orders``, their
    ``baskets`` (worth `basket_price` each) and whether there was one (``ordered``).
    """
    rng = np.random.default_rng(seed)
    truth = draw_truth(draw_customers(customers, days, rng), rng)
    twins = Twins(truth, pd.date_range(start, periods=days, tz="UTC"), rng, horizon_days=horizon_days)
    told = []
    for name in TREATMENTS:
        with_, without = np.concatenate(twins.with_[name]), np.concatenate(twins.without_[name])
        told.append(
            pd.DataFrame(with_ - without, columns=["orders", "baskets"]).assign(
                treatment=name, ordered=(with_[:, 0] > 0).astype(float) - (without[:, 0] > 0)
            )
        )
    return pd.concat(told, ignore_index=True)
