"""Why a forecast is what it is: a base, and what everything known of a customer adds to it."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from models.likelihood import Vector, log_odds

PURCHASE_RHYTHM = "purchase_rhythm"
"""What the purchase process, or the rule that stands in its place, makes of past orders: one effect."""
CHURN_RISK, EXPECTED_VALUE, POTENTIAL_SCORE = "churn_risk", "expected_value", "potential_score"
"""What is explained, by the name of the output."""
LEAST_VALUE = 0.01
"""In units of money; a forecast below counts as that in its log."""


class Explanation(NamedTuple):
    """What moved t forecasts of n customers, by f names; everything adds up.

    Attributes
    ----------
    targets
        The outputs that are explained: a chance by its log-odds, ``expected_value`` by its log.
    names
        The features, and `PURCHASE_RHYTHM`.
    base
        What holds for everybody, of shape (t, n): for a customer as is usual.
    effects
        By how much each name moves it, of shape (t, n, f); negative where it lowers.
    values
        The features; for `PURCHASE_RHYTHM` what it forecasts alone; of shape (t, n, f), NaN where not known.
    """

    targets: tuple[str, ...]
    names: tuple[str, ...]
    base: Vector
    effects: Vector
    values: Vector

    @property
    def score(self) -> Vector:
        """The forecasts, of shape (t, n): log-odds and logs, before the curve is made coherent."""
        return np.asarray(self.base + self.effects.sum(axis=2))


def one_effect(churn_risk: Vector, value: Vector, *, usual: Mapping[str, float]) -> Explanation:
    """Explain forecasts that come from one rule.

    Parameters
    ----------
    churn_risk, value
        Of the horizon, of shape (n,).
    usual
        The mean log-odds and log at present by target; without any, even odds and one unit of money.
    """
    scores = {CHURN_RISK: log_odds(churn_risk), EXPECTED_VALUE: np.log(np.maximum(value, LEAST_VALUE))}
    base = np.array([np.full(len(value), usual.get(target, 0.0)) for target in scores])
    return Explanation(
        tuple(scores),
        (PURCHASE_RHYTHM,),
        base,
        (np.array(list(scores.values())) - base)[:, :, None],
        np.array([churn_risk, value])[:, :, None],
    )


def mean(scores: Vector) -> float:
    """Return the mean of scores, of shape (n,), which does not hang on their order."""
    return math.fsum(scores) / max(len(scores), 1)
