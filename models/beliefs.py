"""What a treatment adds: as assumed, corrected by what was measured."""

from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from models.likelihood import Vector

INTERVAL = float(norm.ppf(0.9))
"""The 90% quantile of the normal distribution: so many standard deviations on either side hold 80%."""
MOST = 3.0
"""Times as much, or as little, as those an effect was measured on bring: beyond it is not carried further."""


class Belief(NamedTuple):
    """The value that a treatment adds for each of n customers.

    Attributes
    ----------
    mean, sd
        Of the added value, each of shape (n,), in the project's currency.
    trust
        The weight of what was measured, from 0 (all is assumed) to 1.
    """

    mean: Vector
    sd: Vector
    trust: float


class Past(NamedTuple):
    """What plans assumed of the customers that a treatment's effect was measured on.

    Attributes
    ----------
    share
        Of these customers, those of whom it is known.
    assumed
        Their mean, in the project's currency.
    """

    share: float
    assumed: float


def carried(assumed: Vector, value: Vector, *, past: Past | None, held: float) -> float:
    """Return how many times an effect is larger for some customers than for those it was measured on.

    As far as it is known what was assumed of those, it is in the ratio of what is assumed of these: a plan
    chooses of whom much is assumed. Else it is taken to grow with what customers bring without the treatment,
    for relative effects hold more widely than absolute ones (Glasziou and Irwig 1995, BMJ 311; Deeks 2002):
    what a coupon brought on average in three years it does not bring from those who are hardly expected to
    return. Where neither is known to be above 0 the effect stays as it is.

    Parameters
    ----------
    assumed, value
        What is assumed that the treatment adds, and what these customers are expected to bring without it,
        each of shape (n,).
    held
        What those held out brought, on average; NaN where unknown.
    """
    usual = float(value.mean()) / held if held > 0 else 0.0
    times = min(max(usual, 1 / MOST), MOST) if usual > 0 else 1.0
    mean = float(assumed.mean())
    if past is None or not mean > 0:
        return times
    before = past.share * past.assumed + (1 - past.share) * mean / times
    return mean / before if before > 0 else times


def believed(
    assumed: Vector,
    *,
    average: float | None = None,
    error: float | None = None,
    uplift: Vector | None = None,
) -> Belief:
    """Combine what is assumed of a treatment with its measured average effect.

    The assumed average is a normal prior whose 80% interval reaches from nothing to twice the average; the
    posterior weighs both by their precision (Gelman et al. 2013, Bayesian Data Analysis, section 2.5). An
    average that is assumed to be 0 says nothing, and what was measured holds. An assumption that is measured
    to be farther off than its interval says is less sure by as much: its variance is then the likeliest one,
    the squared distance less that of the measured error (empirical Bayes: Morris 1983).

    Parameters
    ----------
    assumed
        Of shape (n,): what is assumed of each customer; their ratios are kept.
    average, error
        What was measured of customers like these, and its standard error; null where nothing was.
    uplift
        Of shape (n,): by how much each customer's effect is measured to differ from the average; then this
        takes the place of the assumed ratios, as far as what was measured is trusted.
    """
    prior = float(assumed.mean()) if len(assumed) else 0.0
    sd = abs(prior) / INTERVAL
    if average is None or error is None:
        return Belief(assumed, np.abs(assumed) / INTERVAL, 0.0)
    variance = max(sd**2, (average - prior) ** 2 - error**2)
    trust = variance / (variance + error**2) if sd > 0 else 1.0
    mean = prior + trust * (average - prior)
    spread = np.sqrt(trust) * error
    shape = assumed / prior if prior else np.ones(len(assumed))
    if uplift is None:
        return Belief(mean * shape, np.abs(shape) * spread, trust)
    own = (1 - trust) * (mean * shape - mean) + trust * (uplift - uplift.mean())
    return Belief(mean + own, np.full(len(assumed), spread), trust)
