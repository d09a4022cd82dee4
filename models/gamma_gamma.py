"""The Gamma-Gamma model of how much a customer's orders are worth on average."""

import logging
from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
from scipy.special import digamma, gammaln

from models.likelihood import Rows, Vector, distinct, maximise

logger = logging.getLogger(__name__)
LEAST_Q = 1.05  # at 1 the population's mean order value is infinite, and just above it the tail rules it
CREDIBLE = (
    1.5  # the factor by which the model's mean may differ from that of the values up to their 99th percentile
)


class GammaGamma:
    """Gamma-gamma spend model (Fader, Hardie and Lee 2005).

    A customer's order values are gamma distributed (shape `p`) around an own mean; the rates of these
    distributions are gamma distributed over customers (shape `q` > 1, rate `gamma` in money).

    Attributes
    ----------
    parameters_
        The fitted `p`, `q` and `gamma`.
    log_likelihood_
        Of the mean values fitted, in their own currency.
    note_
        Empty, or what went wrong in the fit and what was done about it.
    """

    names: ClassVar[tuple[str, ...]] = ("p", "q", "gamma")
    parameters_: dict[str, float]
    log_likelihood_: float
    note_: str

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, float]) -> Self:
        """Restore a fitted model from its `parameters_`."""
        model = cls()
        model.parameters_ = {name: float(parameters[name]) for name in cls.names}
        model.note_ = ""
        return model

    def fit(self, count: Vector, mean_value: Vector, *, near: Self | None = None) -> Self:
        """Find the most likely parameters.

        Parameters
        ----------
        count
            Orders that the mean is taken over (all of them, the first one too), of shape (n,).
        mean_value
            Their mean value, of shape (n,); customers without a positive one do not take part. Where nobody
            has one, orders are worth nothing.
        near
            A model fitted to similar customers, from which the search is short.
        """
        usable = (count > 0) & (mean_value > 0)
        rows, weights = distinct(count[usable], mean_value[usable])
        middle = _mean_without_tail(mean_value[usable])
        usual = np.array([4.0, 3.0, middle])
        start = None if near is None or near.parameters_["gamma"] == 0 else near._climbed  # noqa: SLF001
        maximum = maximise(_terms, rows, weights, usual=usual, informative=weights.sum(), near=start)
        parameters, self.note_ = maximum.parameters, maximum.note
        if weights.size and abs(np.log(parameters[2] / middle)) > np.log(CREDIBLE):
            parameters = _with_mean_held(rows, weights, middle)
            self.note_ = (
                "the tail of the values is too heavy for the model: its mean is held at the observed one"
            )
        self.parameters_ = dict(zip(self.names, _natural(parameters), strict=True))
        self.log_likelihood_ = float(weights @ _terms(parameters, rows)[0]) if weights.size else 0.0
        if self.note_:
            logger.info("GammaGamma: %s", self.note_)
        return self

    @property
    def _climbed(self) -> Vector:
        """The parameters as they are searched for: p, the excess of q, and the mean order value."""
        p, q, gamma = (self.parameters_[name] for name in self.names)
        return np.array([p, q - LEAST_Q, gamma * p / (q - 1.0)])

    def expected_value(self, count: Vector, mean_value: Vector) -> Vector:
        """Give the expected value of a customer's order: between the own mean and the population's.

        Parameters
        ----------
        count
            Orders that the mean is taken over, of shape (n,).
        mean_value
            Their mean value, of shape (n,); where it is not positive, or missing, the answer is the
            population's mean.
        """
        p, q, gamma = (self.parameters_[name] for name in self.names)
        usable = (count > 0) & (mean_value > 0)
        told = p * np.where(usable, count, 0.0)
        own = np.where(usable, mean_value, 0.0)
        return np.asarray((p * gamma + told * own) / (told + q - 1.0))


def _mean_without_tail(values: Vector) -> float:
    if values.size == 0:
        return 0.0
    return float(np.minimum(values, np.quantile(values, 0.99, method="lower")).mean())


def _with_mean_held(rows: Rows, weights: Vector, mean: float) -> Vector:
    def terms(parameters: Vector, rows: Rows) -> tuple[Vector, Vector]:
        likelihood, slopes = _terms(np.append(parameters, mean), rows)
        return likelihood, slopes[:2]

    maximum = maximise(terms, rows, weights, usual=np.array([4.0, 3.0]), informative=weights.sum())
    return np.append(maximum.parameters, mean)


def _natural(parameters: Vector) -> tuple[float, float, float]:
    p, excess, mean = parameters.tolist()
    q = LEAST_Q + excess
    return p, q, mean * (q - 1.0) / p


def _terms(parameters: Vector, rows: Rows) -> tuple[Vector, Vector]:
    p, q, gamma = _natural(parameters)
    count, value = rows
    shape, total = p * count, count * value
    in_p = digamma(shape + q) - digamma(shape) + np.log(total) - np.log(gamma + total)
    in_q = digamma(shape + q) - digamma(q) + np.log(gamma) - np.log(gamma + total)
    in_gamma = q / gamma - (shape + q) / (gamma + total)
    likelihood = (
        gammaln(shape + q) - gammaln(shape) - gammaln(q) - np.log(value)
        + shape * (np.log(total) - np.log(gamma + total)) + q * (np.log(gamma) - np.log(gamma + total))
    )  # fmt: skip
    slopes = (
        count * in_p - in_gamma * gamma / p,
        in_q + in_gamma * gamma / (q - 1.0),
        in_gamma * gamma / parameters[2],
    )
    return likelihood, np.stack(slopes)
