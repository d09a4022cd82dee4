"""The BG/NBD purchase process: a customer may drop out only right after an order."""

from functools import lru_cache
from typing import ClassVar

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.special import digamma, expit, gammaln

from models.likelihood import Rows, Vector
from models.purchase_process import PurchaseProcess

NODES = 48


class BgNbd(PurchaseProcess):
    """Beta-geometric / negative binomial process (Fader, Hardie and Lee 2005).

    Order rates are gamma distributed over customers (shape `r`, rate `alpha` in days); after each repeat
    order a customer drops out with a probability that is beta distributed (`a`, `b`). A customer without a
    repeat order therefore counts as alive.
    """

    names: ClassVar[tuple[str, ...]] = ("r", "alpha", "a", "b")

    @staticmethod
    def _usual(*, rate: float, lifetime: float) -> Vector:  # noqa: ARG004  (dropout here goes by orders, not by days)
        return np.array([1.0, 1.0 / rate, 1.0, 2.0])

    @staticmethod
    def _terms(parameters: Vector, rows: Rows) -> tuple[Vector, Vector]:
        r, alpha, a, b = parameters
        x, recency, age = rows
        alive = np.log(alpha + age)
        gone = np.log(alpha + recency)
        odds = _log_odds_gone(parameters, rows)
        likelihood = (
            gammaln(r + x) - gammaln(r) + r * np.log(alpha)
            + gammaln(b + x) - gammaln(b) + gammaln(a + b) - gammaln(a + b + x)
            - (r + x) * alive + np.logaddexp(0.0, odds)
        )  # fmt: skip
        share = expit(odds)
        common = digamma(a + b) - digamma(a + b + x)
        slopes = (
            digamma(r + x) - digamma(r) + np.log(alpha) - (1 - share) * alive - share * gone,
            r / alpha - (r + x) * ((1 - share) / (alpha + age) + share / (alpha + recency)),
            common + share / a,
            common + digamma(b + x) - digamma(b) - share / (b + np.maximum(x - 1, 0)),
        )
        return likelihood, np.stack(slopes)

    def alive(self, frequency: Vector, recency_days: Vector, age_days: Vector) -> Vector:
        """P(the customer has not dropped out at `as_of`); 1 without a repeat order."""
        return np.asarray(expit(-_log_odds_gone(self._fitted, (frequency, recency_days, age_days))))

    def _some_if_alive(self, frequency: Vector, age_days: Vector, horizon_days: Vector) -> Vector:
        """P(an order in the horizon) of a customer alive at `as_of`."""
        r, alpha, _, _ = self._fitted
        return np.asarray(-np.expm1(-(r + frequency) * np.log1p(horizon_days / (alpha + age_days))))

    def orders_if_alive(self, frequency: Vector, age_days: Vector, *, horizon_days: float | Vector) -> Vector:
        """Give the expected number of order days in the horizon of a customer alive at `as_of`.

        Equation 10 of the paper before its integral over the dropout probability is solved: the closed form
        overflows for long histories, the quadrature does not.
        """
        r, alpha, a, b = self._fitted
        counts, group = np.unique(frequency, return_inverse=True)
        rules = np.array([_dropout_quadrature(a, b + count) for count in counts.tolist()])
        expected = np.zeros(np.shape(frequency))
        for rule in rules.reshape(-1, 2, NODES).transpose(2, 1, 0):
            dropout, weight = rule[:, group]
            reach = np.log1p(dropout * horizon_days / (alpha + age_days))
            expected = expected - weight * np.expm1(-(r + frequency) * reach) / dropout
        return expected


def _log_odds_gone(parameters: Vector, rows: Rows) -> Vector:
    r, alpha, a, b = parameters
    x, recency, age = rows
    odds = np.log(a) - np.log(b + np.maximum(x - 1, 0)) + (r + x) * np.log((alpha + age) / (alpha + recency))
    return np.where(x > 0, odds, -np.inf)


@lru_cache(maxsize=4096)
def _dropout_quadrature(a: float, b: float) -> tuple[Vector, Vector]:
    """Nodes and weights for expectations over a Beta(a, b) (Golub and Welsch 1969, Jacobi polynomials).

    Own, because the textbook weights scale with 2^(a+b), which overflows from a thousand orders on.
    """
    n = np.arange(1, NODES)
    whole = 2.0 * n + a + b - 2.0
    diagonal = (a * (a + b - 2.0) + 2.0 * n * (n + a + b - 1.0)) / (whole * (whole + 2.0))
    n, whole = n[1:], whole[1:]
    beside = n * (n + a - 1.0) * (n + b - 1.0) * (n + a + b - 2.0) / (whole**2 * (whole**2 - 1.0))
    nodes, vectors = eigh_tridiagonal(
        np.append(a / (a + b), diagonal),
        np.sqrt(np.append(a * b / ((a + b) ** 2 * (a + b + 1.0)), beside)),
    )
    return np.maximum(nodes, np.finfo(np.float64).tiny), vectors[0] ** 2
