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


class OutcomeModel(NamedTuple):
    """What was learnt from all arms together.

    Attributes
    ----------
    booster, ranks
        Their mean is what tells customers apart.
    levels
        By how much the outcome of each arm lay above it, of shape (arms,).
    """

    booster: lgb.Booster
    ranks: RankShape
    levels: Vector

    def expected(self, inputs: Inputs) -> Vector:
        """Return the outcome of rows under each arm, of shape (n, arms)."""
        return np.asarray(_told(self.booster, self.ranks, inputs)[:, None] + self.levels)


class ExpectedOutcome:
    """Expect outcomes under every arm, each row's by what was learnt without its fold.

    Trees and a sum over ranks learn from all arms together, and each arm has its own level: most of what
    tells outcomes apart is the same under every arm, and an arm may have few rows.

    Attributes
    ----------
    models_
        By fold.
    expected_
        Of the rows learnt from, of shape (n, arms).
    """

    def fit(self, inputs: Inputs, outcome: Vector, arm: Arms, *, fold: Arms, arms: int, seed: int) -> Self:
        """Learn from outcomes, of shape (n,), under what was done."""
        self.models_: list[OutcomeModel] = []
        self.expected_ = np.empty((len(outcome), arms))
        for block in np.unique(fold):
            taught, tested = fold != block, fold == block
            model = _learnt(inputs.rows(taught), outcome[taught], arm[taught], arms=arms, seed=seed)
            self.expected_[tested] = model.expected(inputs.rows(tested))
            self.models_.append(model)
        return self

    def untreated(self, inputs: Inputs) -> Vector:
        """Return the outcome of other rows under nothing, the mean of all folds', of shape (n,)."""
        return np.asarray(np.mean([model.expected(inputs)[:, 0] for model in self.models_], axis=0))


def _learnt(inputs: Inputs, outcome: Vector, arm: Arms, *, arms: int, seed: int) -> OutcomeModel:
    is_binary = np.isin(outcome, (0.0, 1.0)).all() and 0 < outcome.mean() < 1
    settings: dict[str, Any] = tree_settings(
        len(outcome), leaves=8, learning_rate=0.05, feature_share=0.6, seed=seed
    ) | {"objective": "binary" if is_binary else "regression"}
    booster = lgb.train(settings, lgb.Dataset(inputs.matrix, outcome), ROUNDS)
    ranks = RankShape().fit(inputs, outcome, np.ones(len(outcome)))
    above = outcome - _told(booster, ranks, inputs)
    levels = [above[arm == number].mean() if (arm == number).any() else 0.0 for number in range(arms)]
    return OutcomeModel(booster, ranks, np.array(levels))


def _told(booster: lgb.Booster, ranks: RankShape, inputs: Inputs) -> Vector:
    by_trees = np.asarray(booster.predict(inputs.matrix, num_threads=1))
    return np.asarray((by_trees + ranks.predict(inputs)) / 2.0)
