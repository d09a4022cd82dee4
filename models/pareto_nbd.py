"""The Pareto/NBD purchase process: a customer may drop out at any time."""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import numpy as np
from scipy.special import digamma, exprel, gammaln

from models.likelihood import Rows, Vector
from models.purchase_process import PurchaseProcess

NODES, WEIGHTS = (0.5 * array[:, None] for array in np.polynomial.legendre.leggauss(24))
NODES = NODES + 0.5
NEGLIGIBLE = 32.0  # the integrand is left out where it has fallen by this much, in logs
CHUNK = 2_048  # rows at a time: the quadrature then stays in the processor's cache


class ParetoNbd(PurchaseProcess):
    """Pareto / negative binomial process (Schmittlein, Morrison and Colombo 1987; Fader and Hardie 2005).

    Order rates are gamma distributed over customers (shape `r`, rate `alpha` in days), and so are dropout
    rates (shape `s`, rate `beta` in days).
    """

    names: ClassVar[tuple[str, ...]] = ("r", "alpha", "s", "beta")

    @staticmethod
    def _usual(*, rate: float, lifetime: float) -> Vector:
        return np.array([1.0, 1.0 / rate, 1.0, lifetime])

    @staticmethod
    def _terms(parameters: Vector, rows: Rows) -> tuple[Vector, Vector]:
        r, alpha, s, beta = parameters
        likelihood, slopes = np.empty(rows[0].size), np.empty((4, rows[0].size))
        for part in _chunks(rows[0].size):
            x, recency, age = some = tuple(column[part] for column in rows)
            silence = _silence(r + x, alpha, s, beta, recency, age)
            orders = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
            likelihood[part] = orders + s * np.log(beta) + silence.log_likelihood
            slopes[:, part] = _slopes(parameters, some, silence)
        return likelihood, slopes

    def alive(self, frequency: Vector, recency_days: Vector, age_days: Vector) -> Vector:
        """P(the customer has not dropped out at `as_of`)."""
        r, alpha, s, beta = self._fitted
        answer = np.empty(np.shape(frequency))
        for part in _chunks(answer.size):
            silence = _silence(r + frequency[part], alpha, s, beta, recency_days[part], age_days[part])
            answer[part] = silence.survived
        return answer

    def _some_if_alive(self, frequency: Vector, age_days: Vector, horizon_days: Vector) -> Vector:
        """P(an order in the horizon) of a customer alive at `as_of`.

        No order is a silence that long under the rates updated by the history, so the integral is that of
        the likelihood.
        """
        r, alpha, s, beta = self._fitted
        silent = np.empty(np.shape(frequency))
        for part in _chunks(silent.size):
            shape, since = r + frequency[part], age_days[part]
            now = np.zeros(since.size)
            silence = _silence(shape, alpha + since, s, beta + since, now, horizon_days[part])
            scale = shape * np.log(alpha + since) + s * np.log(beta + since)
            silent[part] = np.exp(np.minimum(scale + silence.log_likelihood, 0.0))
        return 1.0 - silent

    def orders_if_alive(self, frequency: Vector, age_days: Vector, *, horizon_days: float | Vector) -> Vector:
        """Give the expected number of order days of a customer alive (Fader and Hardie 2005)."""
        r, alpha, s, beta = self._fitted
        growth = np.log1p(horizon_days / (beta + age_days))
        lifetime = (beta + age_days) * growth * exprel((1.0 - s) * growth)
        return np.asarray((r + frequency) / (alpha + age_days) * lifetime)


def _chunks(size: int) -> Iterator[slice]:
    return (slice(start, start + CHUNK) for start in range(0, size, CHUNK))


class _Silence(NamedTuple):
    """What a silence tells of a customer.

    Its log likelihood (n,), whether the customer `survived` it (n,) or `dropped` out at which of the nodes
    (24, n), as probabilities, and both rate parameters plus the time at each node, with their logs (24, n).
    """

    log_likelihood: Vector
    survived: Vector
    dropped: Vector
    alpha_then: Vector
    beta_then: Vector
    log_alpha_then: Vector
    log_beta_then: Vector


def _silence(shape: Vector, alpha: Vector, s: float, beta: Vector, start: Vector, end: Vector) -> _Silence:
    """Integrate the chance of no order from `start` to `end`: survived, or dropped out at some time between.

    This is Fader and Hardie 2005 before the hypergeometric function, which overflows and cancels, comes in.
    Gauss-Legendre nodes lie in the logarithm of the smaller rate parameter plus time, where the integrand is
    smooth whatever the parameters. All arguments broadcast to (n,); the smaller one is the same in all rows.
    """
    smaller = np.minimum(alpha, beta)
    fade_of_orders = (alpha + start) * np.expm1(np.minimum(NEGLIGIBLE / shape, 600.0))
    fade_of_dropout = (beta + start) * np.expm1(min(NEGLIGIBLE / s, 600.0))
    length = np.minimum(end - start, np.minimum(fade_of_orders, fade_of_dropout))
    width = np.log1p(length / (smaller + start))
    then, log_then = (smaller + start) * np.exp(NODES * width), np.log(smaller + start) + NODES * width
    other_then = then + np.abs(alpha - beta)
    pairs = (then, other_then), (log_then, np.log(other_then))
    both_then, logs_then = pairs if np.all(alpha <= beta) else (pair[::-1] for pair in pairs)
    logs = np.log(s * WEIGHTS) + (np.log(np.maximum(width, np.finfo(np.float64).tiny)) + log_then)
    logs = logs - shape * logs_then[0] - (s + 1.0) * logs_then[1]
    survived = -shape * np.log(alpha + end) - s * np.log(beta + end)
    peak = np.maximum(logs.max(axis=0), survived)
    parts, survived = np.exp(logs - peak), np.exp(survived - peak)
    whole = parts.sum(axis=0) + survived
    return _Silence(peak + np.log(whole), survived / whole, parts / whole, *both_then, *logs_then)


def _slopes(parameters: Vector, rows: Rows, silence: _Silence) -> Vector:
    r, alpha, s, beta = parameters
    x, _, age = rows
    survived, dropped = silence.survived, silence.dropped

    def mean(at_the_end: Vector, then: Vector) -> Vector:
        return np.asarray(survived * at_the_end + np.einsum("ij,ij->j", dropped, then))

    gone = 1.0 - survived
    sooner = np.einsum("ij,ij->j", dropped, 1 / silence.beta_then)
    slopes = (
        digamma(r + x) - digamma(r) + np.log(alpha) - mean(np.log(alpha + age), silence.log_alpha_then),
        r / alpha - (r + x) * mean(1 / (alpha + age), 1 / silence.alpha_then),
        np.log(beta) + gone / s - mean(np.log(beta + age), silence.log_beta_then),
        s / beta - s * survived / (beta + age) - (s + 1.0) * sooner,
    )
    return np.stack(slopes)
