"""For whom an effect lies above its average, and by how much: nothing where that is not beyond noise."""

from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from models.effect_shapes import Inputs, RankShape, TreeShape
from models.heterogeneity import Differs
from models.likelihood import Vector

Folds = NDArray[np.int64]
FEWEST = 500
"""Rows in which differences of an effect are looked for."""
PRIOR = np.array([0.8, 0.2])
"""Weights of the sum over ranks and of the trees, before anything was seen."""
BELIEF = 0.3
"""The standard deviation of the prior of each weight."""


class Shape(Protocol):
    """A regression of scores on features."""

    def fit(self, inputs: Inputs, target: Vector, weight: Vector) -> Self:
        """Learn from rows, each counting its weight."""
        ...

    def predict(self, inputs: Inputs) -> Vector:
        """Return what it says of rows, of shape (n,)."""
        ...


class EffectDifference:
    """How an effect differs from its average, as a weighted sum of shapes learnt from scores.

    First the check whether it differs beyond noise. Then the shapes are weighed by how well they predicted
    scores out of fold (stacking: Wolpert 1992; of effects: Nie and Wager 2021), and so shrunk
    where they had promised too much.

    Parameters
    ----------
    seed
        Of the trees.
    features
        The number of ranks; the columns after them tell the expected outcome, and are shrunk on their own:
        an effect that grows with the outcome is the likeliest difference of all.

    Attributes
    ----------
    differs_
        Whether it differs beyond noise.
    weights_
        Of the shapes; empty where it does not.
    """

    def __init__(self, *, seed: int, features: int) -> None:
        self.seed, self.features = seed, features

    def fit(self, inputs: Inputs, score: Vector, fold: Folds, trust: Vector) -> Self:
        """Learn from scores, each counting its trust; those with none are left out."""
        told = trust > 0
        inputs, score, fold, trust = inputs.rows(told), score[told], fold[told], trust[told]
        self.weights_, self.centres_ = np.empty(0), np.empty(0)
        self.shapes_: list[Shape] = []
        self.differs_ = Differs(1.0, np.nan, np.nan)
        if len(score) >= FEWEST:
            self.differs_ = self._test(inputs, score, fold, trust)
        if self.differs_.is_worth_acting_on:
            self.weights_ = _weigh(self._out_of_fold(inputs, score, fold, trust), score, fold, trust)
            self.shapes_ = [shape.fit(inputs, score, trust) for shape in self._shapes()]
            self.centres_ = np.array([shape.predict(inputs).mean() for shape in self.shapes_])
        return self

    def predict(self, inputs: Inputs) -> Vector:
        """Return by how much the effect of rows differs from the average, of shape (n,)."""
        difference = np.zeros(len(inputs.matrix))
        for weight, shape, centre in zip(self.weights_, self.shapes_, self.centres_, strict=True):
            difference += weight * (shape.predict(inputs) - centre)
        return difference

    def _shapes(self) -> list[Shape]:
        return [RankShape(first_of_last=self.features), TreeShape(seed=self.seed)]

    def _test(self, inputs: Inputs, score: Vector, fold: Folds, trust: Vector) -> Differs:
        predicted = np.zeros(len(score))
        blocks = np.unique(fold)
        for block in blocks[1:]:
            told = self._told(inputs, score, trust, taught=fold < block, tested=fold == block)
            predicted[fold == block] = told @ PRIOR
        later = fold > blocks[0]
        return Differs.test(score[later], predicted[later], fold[later], trust[later])

    def _out_of_fold(self, inputs: Inputs, score: Vector, fold: Folds, trust: Vector) -> Vector:
        told = np.zeros((len(score), len(PRIOR)))
        for block in np.unique(fold):
            told[fold == block] = self._told(inputs, score, trust, taught=fold != block, tested=fold == block)
        return told

    def _told(
        self,
        inputs: Inputs,
        score: Vector,
        trust: Vector,
        *,
        taught: NDArray[np.bool_],
        tested: NDArray[np.bool_],
    ) -> Vector:
        """Return what the shapes say of rows that did not teach them, of shape (m, shapes)."""
        learn, ask = inputs.rows(taught), inputs.rows(tested)
        shapes = [shape.fit(learn, score[taught], trust[taught]) for shape in self._shapes()]
        return np.stack([shape.predict(ask) for shape in shapes], axis=1)


def _weigh(told: Vector, score: Vector, fold: Folds, trust: Vector) -> Vector:
    """Weigh what shapes told of unseen scores, each fold around its mean; no weight is below 0."""
    told, score = told.copy(), score.copy()
    for block in np.unique(fold):
        mine = fold == block
        told[mine] -= np.average(told[mine], axis=0, weights=trust[mine])
        score[mine] -= np.average(score[mine], weights=trust[mine])
    root = np.sqrt(trust / np.average(score**2 * trust))
    design = np.vstack([told * root[:, None], np.eye(len(PRIOR)) / BELIEF])
    return np.asarray(nnls(design, np.concatenate([score * root, PRIOR / BELIEF]))[0])
