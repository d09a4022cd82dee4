"""What outcome was to be expected of each customer under each arm, without having seen it."""

from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from models.boosting import tree_settings
from models.effect_shapes import RidgeShape
from models.likelihood import Vector

ROUNDS = 80
PRIOR_ROWS = 50.0
"""How many rows the prior of an arm's weights is worth."""


def cross_fitted(
    matrix: Vector, outcome: Vector, arm: NDArray[np.int64], fold: NDArray[np.int64], *, arms: int, seed: int
) -> Vector:
    """Expect outcomes under every arm, each row's from the other folds, of shape (n, arms).

    Trees and a ridge regression learn from all arms together; then each arm has its own level and its own
    weights of the two: most of what tells outcomes apart is the same under every arm.
    """
    told = np.ones((len(outcome), 3))
    for block in np.unique(fold):
        taught, tested = fold != block, fold == block
        told[tested, 1] = _trees(matrix[taught], outcome[taught], matrix[tested], seed)
        ridge = RidgeShape().fit(matrix[taught], outcome[taught], np.ones(int(taught.sum())))
        told[tested, 2] = ridge.predict(matrix[tested])
    expected = np.empty((len(outcome), arms))
    for block in np.unique(fold):
        taught, tested = fold != block, fold == block
        for number in range(arms):
            mine = taught & (arm == number)
            expected[tested, number] = told[tested] @ _weights(told[mine], outcome[mine])
    return expected


def _trees(matrix: Vector, outcome: Vector, asked: Vector, seed: int) -> Vector:
    is_binary = np.isin(outcome, (0.0, 1.0)).all()
    settings: dict[str, Any] = tree_settings(
        len(outcome), leaves=8, learning_rate=0.05, feature_share=0.6, seed=seed
    ) | {"objective": "binary" if is_binary else "regression"}
    booster = lgb.train(settings, lgb.Dataset(matrix, outcome), ROUNDS)
    return np.asarray(booster.predict(asked, num_threads=1))


def _weights(told: Vector, outcome: Vector) -> Vector:
    """Return level and weights of trees and ridge, pulled towards a half each."""
    prior = np.array([0.0, 0.5, 0.5])
    pull = np.diag([1e-9, 1.0, 1.0]) * PRIOR_ROWS * told[:, 1:].var(axis=0).mean() if len(told) else np.eye(3)
    return np.asarray(np.linalg.lstsq(told.T @ told + pull, told.T @ outcome + pull @ prior, rcond=None)[0])
