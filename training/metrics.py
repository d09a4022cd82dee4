"""How far forecasts lie from what happened: measures on arrays, where each row has a weight.

Arrays are of shape (n,), one element per customer and origin. Weights default to ones; a resample counts
its draws in them. What cannot be measured (no row, one class, no value at all) is None, not an error.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from models.likelihood import Vector

CERTAIN = 1e-6
"""Probabilities count as no nearer to 0 and 1 than this in the log loss."""

FLOOR = 1e-4
"""Predicted values count as no smaller than this share of the true mean in the Tweedie deviance."""

BINS = 10


class Ranks(NamedTuple):
    """The places of scores in ascending order; equal scores share one.

    Attributes
    ----------
    groups
        The place of each row, from 0; shape (n,).
    size
        The number of places.
    """

    groups: NDArray[np.intp]
    size: int

    @classmethod
    def of(cls, scores: Vector | Self) -> "Ranks":
        """Rank scores; ranks stay as they are."""
        if isinstance(scores, Ranks):
            return scores
        distinct, groups = np.unique(scores, return_inverse=True)
        return cls(groups, len(distinct))

    def thinned(self, places: int) -> "Ranks":
        """Return ranks of at most so many places."""
        return self if self.size <= places else equal_bins(self, places)

    def totals(self, amounts: Vector) -> Vector:
        """Add up amounts by place, shape (size,)."""
        return np.asarray(np.bincount(self.groups, amounts, self.size), dtype=float)

    def middles(self, rows: Vector) -> Vector:
        """Return the mid-rank of each place, given the number of rows there; shape (size,)."""
        return np.asarray(np.cumsum(rows) - rows / 2)


class GainCurve(NamedTuple):
    """The value that the best-predicted customers hold together, from nobody to everybody.

    Equal predictions are one straight piece, which is the mean over all their orders.

    Attributes
    ----------
    customers, value
        Cumulated shares of customers and of value, from 0 to 1; shape (places + 1,).
    """

    customers: Vector
    value: Vector

    def area(self) -> float:
        """Return the area between the curve and that of a random order."""
        return float(np.trapezoid(self.value, self.customers)) - 0.5

    def at(self, share: float) -> float:
        """Return the share of value that this share of customers holds."""
        return float(np.interp(share, self.customers, self.value))


def auc(churned: Vector, risk: Vector | Ranks, weights: Vector | None = None) -> float | None:
    """Return how often a customer who churned had the higher risk than one who did not; a tie counts half.

    None unless both kinds are there.
    """
    ranks, weights = Ranks.of(risk), weigh(churned, weights)
    gone = ranks.totals(weights * churned)
    stayed = ranks.totals(weights) - gone
    pairs = float(gone.sum() * stayed.sum())
    return dot(gone, ranks.middles(stayed)) / pairs if pairs > 0 else None


def log_losses(churned: Vector, risk: Vector) -> Vector:
    """Return minus the log of the probability given to what happened, per row."""
    right = np.where(churned == 1, risk, 1.0 - risk)
    return np.asarray(-np.log(np.clip(right, CERTAIN, 1.0 - CERTAIN)))


def tweedie_deviances(value: Vector, predicted: Vector) -> Vector | None:
    """Return the unit deviances of a compound Poisson-gamma distribution of power 1.5, per row.

    Power p has 2 (y^(2-p) / ((1-p)(2-p)) - y m^(1-p) / (1-p) + m^(2-p) / (2-p)) (Jorgensen 1987), which at
    1.5 is 4 (sqrt y - sqrt m)^2 / sqrt m. Negative value counts as none; None without any value.
    """
    value = np.maximum(value, 0.0)
    if not value.sum() > 0:
        return None
    root = np.sqrt(np.maximum(predicted, FLOOR * value.mean()))
    return np.asarray(4.0 * (np.sqrt(value) - root) ** 2 / root)


def mean(losses: Vector | None, weights: Vector | None = None) -> float | None:
    """Return the weighted mean of losses per row, None without rows."""
    if losses is None:
        return None
    weights = weigh(losses, weights)
    rows = float(weights.sum())
    return dot(weights, losses) / rows if rows > 0 else None


def equal_bins(predicted: Vector | Ranks, bins: int = BINS) -> Ranks:
    """Cut rows into bins of equal counts by prediction; equal predictions stay together."""
    ranks = Ranks.of(predicted)
    rows = ranks.totals(np.ones(len(ranks.groups)))
    cut = np.floor(ranks.middles(rows) / max(len(ranks.groups), 1) * bins).astype(np.intp)
    return Ranks(cut[ranks.groups], bins)


def calibration_error(
    churned: Vector, risk: Vector, weights: Vector | None = None, bins: Ranks | None = None
) -> float | None:
    """Return the mean absolute difference of mean risk and churn rate over ten bins, weighted by their rows.

    Bins of equal counts as in the reliability diagrams of Niculescu-Mizil and Caruana (2005); the error
    over them is that of Naeini, Cooper and Hauskrecht (2015). Null without rows.
    """
    bins, weights = bins or equal_bins(risk), weigh(churned, weights)
    rows = weights.sum()
    return float(np.abs(bins.totals(weights * (risk - churned))).sum() / rows) if rows > 0 else None


def gain_curve(value: Vector, predicted: Vector | Ranks, weights: Vector | None = None) -> GainCurve | None:
    """Cumulate value over customers, the highest predictions first; negative value counts as none.

    None without any value.
    """
    ranks, weights = Ranks.of(predicted), weigh(value, weights)
    value = ranks.totals(weights * np.maximum(value, 0.0))[::-1]
    rows = ranks.totals(weights)[::-1]
    if not value.sum() > 0:
        return None
    return GainCurve(_shares(rows), _shares(value))


def gini(value: Vector, predicted: Vector | Ranks, weights: Vector | None = None) -> float | None:
    """Return the area under the gain curve less that of a random order, over the same for a perfect order.

    The normalised Gini of Wang, Liu and Miao (2019) for customer value: 1 is the true order, 0 a random
    one, -1 the reverse. None without any value, or where every customer has the same.
    """
    return gini_of(gain_curve(value, predicted, weights), gain_curve(value, value, weights))


def gini_of(curve: GainCurve | None, perfect: GainCurve | None) -> float | None:
    """Return the normalised Gini of a gain curve and the perfect one."""
    if curve is None or perfect is None or perfect.area() < np.finfo(float).eps * len(perfect.value):
        return None
    return curve.area() / perfect.area()


def spearman(value: Vector, predicted: Vector | Ranks, weights: Vector | None = None) -> float | None:
    """Return the correlation of the mid-ranks of value and prediction; None if either never varies."""
    weights = weigh(value, weights)
    return rank_correlation(Ranks.of(predicted), *rank_rows(Ranks.of(value), weights), weights)


def rank_rows(ranks: Ranks, weights: Vector) -> tuple[Vector, float]:
    """Return the mid-rank of each row, shape (n,), and the sum of squares of all about their mean."""
    rows = ranks.totals(weights)
    middles = ranks.middles(rows)
    return middles[ranks.groups], dot(rows, (middles - rows.sum() / 2) ** 2)


def rank_correlation(ranks: Ranks, other: Vector, squares: float, weights: Vector) -> float | None:
    """Correlate ranks with the mid-ranks that `rank_rows` returned of something else."""
    rows = ranks.totals(weights)
    centred = ranks.middles(rows) - rows.sum() / 2
    own_squares = dot(rows, centred**2)
    if not own_squares * squares > 0:
        return None
    return dot(centred, ranks.totals(weights * other)) / float(np.sqrt(own_squares * squares))


def total_bias(value: Vector, predicted: Vector, weights: Vector | None = None) -> float | None:
    """Return by what share the predicted total exceeds the true one; None unless that is positive."""
    weights = weigh(value, weights)
    total = dot(weights, value)
    return dot(weights, predicted) / total - 1.0 if total > 0 else None


def weigh(rows: Vector, weights: Vector | None) -> Vector:
    """Return the weights, ones if there are none."""
    return np.ones(len(rows)) if weights is None else weights


def dot(left: Vector, right: Vector) -> float:
    """Return the sum of products without BLAS, whose threads take 100 times as long on busy cores."""
    return float(np.einsum("i,i->", left, right))


def _shares(amounts: Vector) -> Vector:
    cumulated = np.cumsum(np.append(0.0, amounts))
    return np.asarray(cumulated / cumulated[-1])
