"""What a treatment adds to an outcome, customer by customer: a doubly robust learner.

Own lines rather than a library: econml and causalml bring some twenty packages for estimators of which this
needs one, and neither asks first whether effects differ at all, nor weighs shapes of the effect by what
they said of unseen outcomes, which is most of what follows.
"""

from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import nnls

from features.errors import InputError
from models.effect_shapes import RidgeShape, Shape, TreeShape
from models.heterogeneity import Differs
from models.likelihood import Vector
from models.outcomes import cross_fitted

Arms = NDArray[np.int64]
BLOCKS = 5
ROUNDS = 60
FEWEST = 500
"""Rows in which differences of an effect are looked for."""
BELIEF = 0.5
"""The standard deviation of the prior of each shape's weight, around equal weights that sum to 1."""


class UpliftLearner:
    """Learn the effect of each arm over nothing from assignments whose chances are known.

    Scores (Robins, Rotnitzky and Zhao 1994) compare each row's outcome with what was expected of it under
    every arm, divided by the chance of what was done: their mean is the average effect, and their regression
    on features the effect of a customer (the DR-learner: Kennedy 2020). Outcomes are expected by trees and a
    ridge regression that did not see the row (cross-fitting: Chernozhukov et al. 2018). The regression is a
    weighted sum of shapes, weighed by how well they predicted scores out of fold (stacking: Wolpert 1992; Nie
    and Wager 2021). Rows count the more the less noisy their score is by its chances. Where the effect does
    not differ beyond noise, it is the average for everybody.

    Parameters
    ----------
    seed
        Of folds and trees; the same seed learns the same.

    Attributes
    ----------
    average_, average_se_
        The mean effect over the rows to which the arm was open, and its standard error, of shape (k,).
    differs_
        By arm, whether its effect differs between customers.
    """

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, features: pd.DataFrame, outcome: Vector, arm: Arms, propensity: Vector) -> Self:
        """Learn from assignments.

        Parameters
        ----------
        features
            Known at the assignment: numbers, NaN where unknown; one row per assignment.
        outcome
            1 and 0, or money, of shape (n,).
        arm
            What was done: 1 to k, 0 for nothing, of shape (n,).
        propensity
            The chance of every arm, nothing first, of shape (n, k + 1), 0 where an arm was closed; or the
            chance of what was done, of shape (n,).

        Raises
        ------
        InputError
            Where an arm, or nothing, was never done, or the chance of what was done is not above 0.
        """
        self.names_ = list(features.columns)
        matrix, outcome = _matrix(features), np.asarray(outcome, dtype=float)
        chances = _chances(arm, np.asarray(propensity, dtype=float))
        fold = np.random.default_rng(self.seed).permutation(len(outcome)) % BLOCKS
        expected = cross_fitted(matrix, outcome, arm, fold, arms=chances.shape[1], seed=self.seed)
        scores = _scores(outcome, arm, chances, expected)
        learnt = [
            ArmEffect(seed=self.seed).fit(matrix, scores[:, k - 1], fold, _trust(chances, k))
            for k in range(1, chances.shape[1])
        ]
        self.arms_ = learnt
        self.average_ = np.array([each.average_ for each in learnt])
        self.average_se_ = np.array([each.average_se_ for each in learnt])
        self.differs_ = tuple(each.differs_ for each in learnt)
        return self

    def effect(self, features: pd.DataFrame) -> Vector:
        """Return what each arm is expected to add to nothing, of shape (n, k), in units of the outcome."""
        matrix = _matrix(features[self.names_])
        return np.stack([each.predict(matrix) for each in self.arms_], axis=1)


class ArmEffect:
    """The effect of one arm from its scores: a weighted sum of shapes, or the average.

    Attributes
    ----------
    average_, average_se_, differs_
        As those of the learner.
    weights_
        Of the shapes; empty where the effect does not differ.
    """

    def __init__(self, *, seed: int) -> None:
        self.seed = seed

    def fit(self, matrix: Vector, score: Vector, fold: Arms, trust: Vector) -> Self:
        """Learn from scores, each counting its trust; those with none are left out."""
        open_ = trust > 0
        matrix, score, fold, trust = matrix[open_], score[open_], fold[open_], trust[open_]
        self.average_ = float(score.mean())
        self.average_se_ = float(score.std(ddof=1) / np.sqrt(len(score)))
        self.weights_, self.centres_ = np.empty(0), np.empty(0)
        self.shapes_: list[Shape] = []
        self.differs_ = Differs(1.0, np.nan, np.nan)
        if len(score) < FEWEST:
            return self
        self.differs_ = self._test(matrix, score, fold, trust)
        if self.differs_.is_worth_acting_on:
            self._weigh(matrix, score, fold, trust)
        return self

    def predict(self, matrix: Vector) -> Vector:
        """Return the effect of rows, of shape (n,)."""
        effect = np.full(len(matrix), self.average_)
        for weight, shape, centre in zip(self.weights_, self.shapes_, self.centres_, strict=True):
            effect += weight * (shape.predict(matrix) - centre)
        return effect

    def _shapes(self) -> list[Shape]:
        return [RidgeShape(), TreeShape(rounds=ROUNDS, seed=self.seed)]

    def _test(self, matrix: Vector, score: Vector, fold: Arms, trust: Vector) -> Differs:
        """Predict each block from the earlier ones, by the mean of the shapes, and compare."""
        predicted = np.zeros(len(score))
        for block in range(1, BLOCKS):
            taught, tested = fold < block, fold == block
            predicted[tested] = np.mean(
                [
                    shape.fit(matrix[taught], score[taught], trust[taught]).predict(matrix[tested])
                    for shape in self._shapes()
                ],
                axis=0,
            )
        later = fold > 0
        return Differs.test(score[later], predicted[later], fold[later], trust[later])

    def _weigh(self, matrix: Vector, score: Vector, fold: Arms, trust: Vector) -> None:
        told = np.zeros((len(score), len(self._shapes())))
        for block in range(BLOCKS):
            taught, tested = fold != block, fold == block
            for number, shape in enumerate(self._shapes()):
                shape.fit(matrix[taught], score[taught], trust[taught])
                told[tested, number] = shape.predict(matrix[tested])
        self.weights_ = _stacked(told, score, fold, trust)
        self.shapes_ = [shape.fit(matrix, score, trust) for shape in self._shapes()]
        self.centres_ = np.array([shape.predict(matrix).mean() for shape in self.shapes_])


def _stacked(told: Vector, score: Vector, fold: Arms, trust: Vector) -> Vector:
    """Weigh what shapes told of unseen scores, each block around its mean, at least 0 each."""
    told, score = told.copy(), score.copy()
    for block in range(BLOCKS):
        mine = fold == block
        told[mine] -= np.average(told[mine], axis=0, weights=trust[mine])
        score[mine] -= np.average(score[mine], weights=trust[mine])
    noise = np.average(score**2, weights=trust) * trust.mean()
    root = np.sqrt(trust / noise)[:, None]
    shapes = told.shape[1]
    prior = np.full(shapes, 1.0 / shapes)
    design = np.vstack([told * root, np.eye(shapes) / BELIEF])
    weights, _ = nnls(design, np.concatenate([score * root[:, 0], prior / BELIEF]))
    return np.asarray(weights)


def _matrix(features: pd.DataFrame) -> Vector:
    return features.to_numpy(dtype=float)


def _chances(arm: Arms, propensity: Vector) -> Vector:
    """Return the chance of every arm, of shape (n, k + 1)."""
    arms = int(arm.max(initial=0)) + 1 if propensity.ndim == 1 else propensity.shape[1]
    for number in range(arms):
        if not (arm == number).any():
            name = "nothing" if number == 0 else f"treatment {number}"
            raise InputError(
                f"assignments: of {len(arm)} none was given {name}; its effect cannot be learnt without"
            )
    rows = np.arange(len(arm))
    done = propensity if propensity.ndim == 1 else propensity[rows, arm]
    if not (done > 0).all():
        raise InputError(
            f"assignments: the propensity of what was done is not above 0 in {int((~(done > 0)).sum())}"
            f" of {len(arm)} rows; leave them out or record it"
        )
    if propensity.ndim == 2:  # noqa: PLR2004 - a table
        return propensity
    share = np.bincount(arm, minlength=arms) / len(arm)
    chances = np.where(np.arange(arms) == arm[:, None], 0.0, share)
    chances *= (1.0 - done)[:, None] / chances.sum(axis=1, keepdims=True)
    chances[rows, arm] = done
    return np.asarray(chances)


def _scores(outcome: Vector, arm: Arms, chances: Vector, expected: Vector) -> Vector:
    """Return doubly robust scores of each arm over nothing, of shape (n, k)."""
    rows = np.arange(len(arm))
    surprise = (outcome - expected[rows, arm]) / chances[rows, arm]
    done = expected.copy()
    done[rows, arm] += surprise
    return np.asarray(done[:, 1:] - done[:, :1])


def _trust(chances: Vector, arm: int) -> Vector:
    """Return the inverse of the variance that chances alone give to a score, of shape (n,)."""
    treated, left = chances[:, arm], chances[:, 0]
    return np.asarray(treated * left / np.maximum(treated + left, np.finfo(float).tiny))
