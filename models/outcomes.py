"""What outcome is to be expected of each customer under each arm, without having seen it."""

from typing import Any, NamedTuple, Self

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from models.boosting import tree_settings
from models.effect_shapes import Inputs, RankShape
from models.likelihood import Vector

Arms = NDArray[np.int64]
ROUNDS = 80
PRIOR_ROWS = 50.0
"""How many rows the prior of an arm's weights is worth."""


class OutcomeModel(NamedTuple):
    """What was learnt without one fold.

    Attributes
    ----------
    booster, ranks
        Of all arms together.
    weights
        By arm its level and its weights of the two, of shape (arms, 3).
    """

    booster: lgb.Booster
    ranks: RankShape
    weights: Vector

    def expected(self, inputs: Inputs) -> Vector:
        """Return the outcome of rows under each arm, of shape (n, arms)."""
        return np.asarray(_told(self.booster, self.ranks, inputs) @ self.weights.T)


class ExpectedOutcome:
    """Expect outcomes under every arm, each row's by what was learnt without its fold.

    Trees and a sum over ranks learn from all arms together; then each arm has its own level and its own
    weights of the two: most of what tells outcomes apart is the same under every arm.

    Attributes
    ----------
    models_
        By fold.
    expected_
        Of the rows learnt from, of shape (n, arms).
    """

    def fit(self, inputs: Inputs, outcome: Vector, arm: Arms, *, fold: Arms, arms: int, seed: int) -> Self:
        """Learn from outcomes, of shape (n,), under what was done."""
        told = np.ones((len(outcome), 3))
        learnt = []
        for block in np.unique(fold):
            taught, tested = fold != block, fold == block
            booster = _trees(inputs.matrix[taught], outcome[taught], seed)
            ranks = RankShape().fit(inputs.rows(taught), outcome[taught], np.ones(int(taught.sum())))
            told[tested] = _told(booster, ranks, inputs.rows(tested))
            learnt.append((booster, ranks))
        self.models_: list[OutcomeModel] = []
        self.expected_ = np.empty((len(outcome), arms))
        for block, (booster, ranks) in zip(np.unique(fold), learnt, strict=True):
            others = fold != block
            weights = [_weights(told[others & (arm == k)], outcome[others & (arm == k)]) for k in range(arms)]
            self.models_.append(OutcomeModel(booster, ranks, np.array(weights)))
            self.expected_[~others] = told[~others] @ np.array(weights).T
        return self

    def untreated(self, inputs: Inputs) -> Vector:
        """Return the outcome of other rows under nothing, the mean of all folds', of shape (n,)."""
        return np.asarray(np.mean([model.expected(inputs)[:, 0] for model in self.models_], axis=0))


def _told(booster: lgb.Booster, ranks: RankShape, inputs: Inputs) -> Vector:
    by_trees = np.asarray(booster.predict(inputs.matrix, num_threads=1))
    return np.stack([np.ones(len(by_trees)), by_trees, ranks.predict(inputs)], axis=1)


def _trees(matrix: Vector, outcome: Vector, seed: int) -> lgb.Booster:
    is_binary = np.isin(outcome, (0.0, 1.0)).all() and 0 < outcome.mean() < 1
    settings: dict[str, Any] = tree_settings(
        len(outcome), leaves=8, learning_rate=0.05, feature_share=0.6, seed=seed
    ) | {"objective": "binary" if is_binary else "regression"}
    return lgb.train(settings, lgb.Dataset(matrix, outcome), ROUNDS)


def _weights(told: Vector, outcome: Vector) -> Vector:
    """Return level and weights of trees and ranks by least squares, pulled towards a half each.

    The level is that of the arm, however few its rows.
    """
    if not len(told):
        return np.array([0.0, 0.5, 0.5])
    centre, level = told[:, 1:].mean(axis=0), outcome.mean()
    apart = told[:, 1:] - centre
    pull = PRIOR_ROWS * np.diag(np.maximum(apart.var(axis=0), np.finfo(float).tiny))
    weights = np.linalg.solve(
        apart.T @ apart + pull, apart.T @ (outcome - level) + pull @ np.array([0.5, 0.5])
    )
    return np.array([level - centre @ weights, *weights])
