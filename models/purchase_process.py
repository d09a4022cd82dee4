"""What every purchase process offers: a fit to order histories, and three answers about the horizon."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple, Self

import numpy as np

from models.likelihood import Rows, Vector, distinct, maximise

logger = logging.getLogger(__name__)
YEAR_DAYS = 365.0


class Outlook(NamedTuple):
    """What a process says of each customer; at one horizon each of shape (n,)."""

    alive: Vector
    no_order: Vector
    expected_orders: Vector


class PurchaseProcess(ABC):
    """Customers order at random while alive, and drop out unseen.

    A history is three numbers: `frequency`, the repeat order days (the first order day does not count);
    `recency_days`, days from the first to the last order; `age_days`, days from the first order to `as_of`.
    All arrays have shape (n,).

    Attributes
    ----------
    parameters_
        The fitted parameters by name, times in days.
    log_likelihood_
        Of the histories fitted, with times in days.
    note_
        Empty, or what went wrong in the fit and what was done about it.
    """

    names: ClassVar[tuple[str, ...]]
    parameters_: dict[str, float]
    log_likelihood_: float
    note_: str

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, float]) -> Self:
        """Restore a fitted process from its `parameters_`."""
        process = cls()
        process.parameters_ = {name: float(parameters[name]) for name in cls.names}
        process.note_ = ""
        return process

    def fit(
        self, frequency: Vector, recency_days: Vector, age_days: Vector, *, near: Self | None = None
    ) -> Self:
        """Find the most likely parameters for these histories, sooner if near those of similar ones."""
        rows, weights = distinct(frequency, recency_days, age_days)
        usual, repeaters = self._usual_for(rows, weights), weights[rows[0] > 0].sum()
        start = None if near is None else near._fitted  # noqa: SLF001 - of the same kind
        maximum = maximise(self._terms, rows, weights, usual=usual, informative=repeaters, near=start)
        self.parameters_ = dict(zip(self.names, maximum.parameters.tolist(), strict=True))
        self.log_likelihood_ = float(weights @ self._terms(maximum.parameters, rows)[0])
        self.note_ = maximum.note
        if self.note_:
            logger.info("%s: %s", type(self).__name__, self.note_)
        return self

    def _usual_for(self, rows: Rows, weights: Vector) -> Vector:
        orders, exposure = float(weights @ rows[0]), float(weights @ rows[2])
        lifetime = exposure / float(weights.sum()) if exposure > 0 else YEAR_DAYS
        return self._usual(rate=(orders + 1.0) / (exposure + lifetime), lifetime=lifetime)

    @property
    def _fitted(self) -> Vector:
        return np.array([self.parameters_[name] for name in self.names])

    @staticmethod
    @abstractmethod
    def _usual(*, rate: float, lifetime: float) -> Vector:
        """Usual parameters for `rate` repeat orders per day and customers `lifetime` days old."""

    @staticmethod
    @abstractmethod
    def _terms(parameters: Vector, rows: Rows) -> tuple[Vector, Vector]:
        """Log likelihood of each history (n,), and its slope in each parameter (k, n)."""

    @abstractmethod
    def alive(self, frequency: Vector, recency_days: Vector, age_days: Vector) -> Vector:
        """P(the customer has not dropped out at `as_of`)."""

    def outlook(
        self, frequency: Vector, recency_days: Vector, age_days: Vector, *, horizon_days: float | Vector
    ) -> Outlook:
        """Give all three answers at the price of one and a half.

        Horizons of shape (k, 1) give ``no_order`` and ``expected_orders`` of shape (k, n).
        """
        alive = self.alive(frequency, recency_days, age_days)
        whole = np.broadcast_shapes(np.shape(horizon_days), np.shape(alive))
        each = (np.ravel(part + np.zeros(whole)) for part in (frequency, age_days, horizon_days))
        some = self._some_if_alive(*each).reshape(whole)
        orders = self.orders_if_alive(frequency, age_days, horizon_days=horizon_days)
        return Outlook(alive, 1.0 - alive * some, orders * alive)

    def no_order(
        self, frequency: Vector, recency_days: Vector, age_days: Vector, *, horizon_days: float
    ) -> Vector:
        """P(no order in the `horizon_days` after `as_of`)."""
        return self.outlook(frequency, recency_days, age_days, horizon_days=horizon_days).no_order

    def expected_orders(
        self, frequency: Vector, recency_days: Vector, age_days: Vector, *, horizon_days: float
    ) -> Vector:
        """Give the expected number of order days in the `horizon_days` after `as_of`."""
        return self.outlook(frequency, recency_days, age_days, horizon_days=horizon_days).expected_orders

    @abstractmethod
    def _some_if_alive(self, frequency: Vector, age_days: Vector, horizon_days: Vector) -> Vector:
        """P(an order in the own `horizon_days` after `as_of`) of a customer alive at `as_of`."""

    @abstractmethod
    def orders_if_alive(self, frequency: Vector, age_days: Vector, *, horizon_days: float | Vector) -> Vector:
        """Give the expected number of order days in the horizon of a customer alive at `as_of`.

        Horizons of shape (k, 1) give k rows of shape (n,) at little more than the price of one.
        """
