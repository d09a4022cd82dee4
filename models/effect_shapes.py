"""How an outcome or an effect may hang on features: a sum over their ranks, or small boosted trees."""

from typing import NamedTuple, Self

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from models.boosting import tree_settings
from models.likelihood import Vector

QUANTILES = np.linspace(0.0, 1.0, 101)
SHARES = np.geomspace(1e-7, 1e-1, 13)
"""Variances of one weight that are tried, in units of the variance of what is learnt."""
SWEEPS = 2


class Inputs(NamedTuple):
    """Features of rows, twice.

    Attributes
    ----------
    matrix
        As they are, NaN where unknown, of shape (n, f).
    design
        As ranks, of shape (n, d).
    """

    matrix: Vector
    design: Vector

    def rows(self, mine: NDArray[np.bool_]) -> "Inputs":
        """Return some of the rows."""
        return Inputs(self.matrix[mine], self.design[mine])


class Ranks:
    """Features as ranks from -1 to 1 among the rows learnt from; a missing one is 0 and is marked.

    A customer who spent a hundred times the usual is the highest, and no more than that.

    Attributes
    ----------
    quantiles_
        By feature, of shape (101,); empty for one that is never known.
    marked_
        The places of the features that are missing at times.
    """

    def fit(self, matrix: Vector) -> Self:
        """Learn the ranks from features of shape (n, f)."""
        known = [column[~np.isnan(column)] for column in matrix.T]
        self.quantiles_ = [np.quantile(each, QUANTILES) if each.size else np.empty(0) for each in known]
        self.marked_ = [number for number, each in enumerate(known) if 0 < each.size < len(matrix)]
        return self

    def transform(self, matrix: Vector) -> Vector:
        """Return ranks and marks, of shape (n, d)."""
        ranks = [_rank(column, among) for column, among in zip(matrix.T, self.quantiles_, strict=True)]
        marks = [np.isnan(matrix[:, number]).astype(float) for number in self.marked_]
        return np.stack([*ranks, *marks], axis=1)


def _rank(column: Vector, quantiles: Vector) -> Vector:
    if not quantiles.size:
        return np.zeros(len(column))
    low, high = (np.searchsorted(quantiles, column, side=side) for side in ("left", "right"))
    tied = (low + high - 1) / 2 / (len(quantiles) - 1)
    between = np.interp(column, quantiles, QUANTILES)
    return np.nan_to_num(2.0 * np.where(high - low > 1, tied, between) - 1.0)


class RankShape:
    """A weighted sum over ranks, shrunk as far as the data are likeliest (empirical Bayes: MacKay 1992).

    Parameters
    ----------
    first_of_last
        From which column on the weights have a variance of their own; null: all weights share one.

    Attributes
    ----------
    weights_, centre_, level_
        Of the sum: ``level + (design - centre) @ weights``.
    """

    def __init__(self, *, first_of_last: int | None = None) -> None:
        self.first_of_last = first_of_last

    def fit(self, inputs: Inputs, target: Vector, weight: Vector) -> Self:
        """Learn from rows, each counting its weight."""
        total = weight.sum()
        self.centre_, self.level_ = weight @ inputs.design / total, float(weight @ target / total)
        root = np.sqrt(weight * len(weight) / total)
        apart, left = (inputs.design - self.centre_) * root[:, None], (target - self.level_) * root
        noise = float(left @ left) / len(left)
        self.weights_ = np.zeros(apart.shape[1])
        if noise > 0:
            scale = np.maximum(np.sqrt((apart**2).mean(axis=0)), 1e-6)
            apart /= scale
            block = np.arange(len(scale)) >= (
                len(scale) if self.first_of_last is None else self.first_of_last
            )
            self.weights_ = _likeliest(apart.T @ apart, apart.T @ left / noise, noise, block) / scale
        return self

    def predict(self, inputs: Inputs) -> Vector:
        """Return what it says of rows, of shape (n,)."""
        return np.asarray(self.level_ + (inputs.design - self.centre_) @ self.weights_)


def _likeliest(gram: Vector, along: Vector, noise: float, block: NDArray[np.bool_]) -> Vector:
    """Return the weights under the likeliest variances of the two blocks, one searched after the other.

    With weights ~ N(0, share x noise) and noise known, -2 log p = log det(I + G V) - along' P along, where
    P = (G + 1 / V)^-1 in units of the noise.
    """
    number = block.astype(int)
    shares = np.full(2, SHARES[len(SHARES) // 2])

    def posterior(shares: Vector) -> tuple[float, Vector]:
        variance = shares[number]
        factor = cho_factor(gram + np.diag(1.0 / variance), lower=True)
        weights = cho_solve(factor, along)
        spread = 2.0 * np.log(np.diag(factor[0])).sum() + np.log(variance).sum()
        return float(spread - noise * along @ weights), np.asarray(noise * weights)

    for _ in range(SWEEPS if block.any() else 1):
        for which in range(2 if block.any() else 1):
            tried = [np.where(np.arange(2) == which, share, shares) for share in SHARES]
            shares = min(tried, key=lambda each: posterior(each)[0])
    return posterior(shares)[1]


class TreeShape:
    """Small boosted trees, few and slow: most of what scores of an effect say is noise.

    Parameters
    ----------
    seed
        Of the sampling of rows and features.
    """

    rounds = 30

    def __init__(self, *, seed: int) -> None:
        self.seed = seed

    def fit(self, inputs: Inputs, target: Vector, weight: Vector) -> Self:
        """Learn from rows, each counting its weight."""
        settings = tree_settings(
            len(target), leaves=4, learning_rate=0.04, feature_share=0.6, seed=self.seed
        ) | {"objective": "regression", "min_child_samples": max(20, len(target) // 10)}
        data = lgb.Dataset(inputs.matrix, target, weight=weight * len(weight) / weight.sum())
        self.booster_ = lgb.train(settings, data, self.rounds)
        return self

    def predict(self, inputs: Inputs) -> Vector:
        """Return what it says of rows, of shape (n,)."""
        return np.asarray(self.booster_.predict(inputs.matrix, num_threads=1))
