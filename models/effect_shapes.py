"""How an effect may hang on features: a ridge regression of scores, or small boosted trees."""

from typing import Protocol, Self

import lightgbm as lgb
import numpy as np

from models.boosting import tree_settings
from models.likelihood import Vector

QUANTILES = np.linspace(0.0, 1.0, 101)
PULLS = np.geomspace(1e-4, 1e6, 41)
"""Ridges that are tried, in units of the variance of the noise over that of one weight and per 1,000 rows."""


class Shape(Protocol):
    """A regression of scores, of shape (n,), on features, of shape (n, f)."""

    def fit(self, matrix: Vector, score: Vector, weight: Vector) -> Self:
        """Learn from rows, each counting its weight."""
        ...

    def predict(self, matrix: Vector) -> Vector:
        """Return what it says of rows, of shape (n,)."""
        ...


class Ranks:
    """Features as ranks from -1 to 1 among the rows learnt from; a missing one is 0 and is marked.

    A customer who spent a hundred times the usual is the highest, and no more than that.

    Attributes
    ----------
    quantiles_
        By feature, of shape (f, 101); NaN for one that is never known.
    marked_
        The features that are missing at times.
    """

    def fit(self, matrix: Vector) -> Self:
        """Learn the ranks from features of shape (n, f)."""
        known = [column[~np.isnan(column)] for column in matrix.T]
        self.quantiles_ = [np.quantile(column, QUANTILES) if column.size else None for column in known]
        self.marked_ = [number for number, column in enumerate(known) if 0 < column.size < len(matrix)]
        return self

    def transform(self, matrix: Vector) -> Vector:
        """Return ranks and marks, of shape (n, f + marks)."""
        ranks = [
            _rank(column, quantiles) for column, quantiles in zip(matrix.T, self.quantiles_, strict=True)
        ]
        marks = [np.isnan(matrix[:, number]).astype(float) for number in self.marked_]
        return np.stack([*ranks, *marks], axis=1)


def _rank(column: Vector, quantiles: Vector | None) -> Vector:
    if quantiles is None:
        return np.zeros(len(column))
    low = np.searchsorted(quantiles, column, side="left")
    high = np.searchsorted(quantiles, column, side="right")
    between = np.interp(column, quantiles, QUANTILES)
    tied = (low + high - 1) / 2 / (len(quantiles) - 1)
    return np.nan_to_num(2.0 * np.where(high - low > 1, tied, between) - 1.0)


class RidgeShape:
    """A sum over ranks of the features, the ridge chosen by the likelihood (empirical Bayes: MacKay 1992).

    Attributes
    ----------
    weights_, centre_, level_
        Of the sum: ``level + (design - centre) @ weights``.
    """

    def fit(self, matrix: Vector, score: Vector, weight: Vector) -> Self:
        """Learn from rows, each counting its weight."""
        self.ranks_ = Ranks().fit(matrix)
        design = self.ranks_.transform(matrix)
        total = weight.sum()
        self.centre_, self.level_ = weight @ design / total, float(weight @ score / total)
        root = np.sqrt(weight * len(weight) / total)
        apart, target = (design - self.centre_) * root[:, None], (score - self.level_) * root
        values, axes = np.linalg.eigh(apart.T @ apart)
        self.weights_ = axes @ _shrunk(np.maximum(values, 0.0), axes.T @ (apart.T @ target), target)
        return self

    def predict(self, matrix: Vector) -> Vector:
        """Return what it says of rows, of shape (n,)."""
        return np.asarray(self.level_ + (self.ranks_.transform(matrix) - self.centre_) @ self.weights_)


def _shrunk(values: Vector, along: Vector, target: Vector) -> Vector:
    """Return the weights along the axes under the likeliest ridge.

    The evidence of a ridge ``pull``, noise of variance s2 and weights of variance s2 / pull:
    -2 log p = n log s2 + sum log(1 + values / pull), s2 the mean of what is left, each pulled.
    """
    count, whole = len(target), float(target @ target)
    if whole == 0:
        return np.zeros_like(along)
    pulls = PULLS * count / 1000.0
    left = whole - (along**2 / (values + pulls[:, None])).sum(axis=1)
    evidence = count * np.log(left / count) + np.log1p(values / pulls[:, None]).sum(axis=1)
    return np.asarray(along / (values + pulls[int(np.argmin(evidence))]))


class TreeShape:
    """Small boosted trees, few and slow: what is learnt of effects is mostly noise.

    Parameters
    ----------
    rounds
        How many trees.
    seed
        Of the sampling of rows and features.
    """

    def __init__(self, *, rounds: int, seed: int) -> None:
        self.rounds, self.seed = rounds, seed

    def fit(self, matrix: Vector, score: Vector, weight: Vector) -> Self:
        """Learn from rows, each counting its weight."""
        settings = tree_settings(
            len(score), leaves=4, learning_rate=0.04, feature_share=0.6, seed=self.seed
        ) | {
            "objective": "regression",
            "min_child_samples": max(20, len(score) // 40),
        }
        data = lgb.Dataset(matrix, score, weight=weight * len(weight) / weight.sum())
        self.booster_ = lgb.train(settings, data, self.rounds)
        return self

    def predict(self, matrix: Vector) -> Vector:
        """Return what it says of rows, of shape (n,)."""
        return np.asarray(self.booster_.predict(matrix, num_threads=1))
