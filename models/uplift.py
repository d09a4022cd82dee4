"""What a treatment adds to an outcome, customer by customer: a doubly robust learner.

Own lines rather than a library: econml would add 10 packages (shap, numba and statsmodels among them) and
causalml 21, for a hundred lines of scores. What decides here, asking first whether effects differ at all and
shrinking them by what they told of unseen outcomes, would have to stand around either all the same.
"""

from typing import NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.errors import InputError
from models.effect_difference import EffectDifference
from models.effect_shapes import Inputs, Ranks
from models.likelihood import Vector
from models.outcomes import ExpectedOutcome

Arms = NDArray[np.int64]
FOLDS = 5
FARTHEST = 5.0
"""Standard deviations beyond which an expected outcome counts as no farther."""
AT_ONCE = 100_000
"""Rows whose effects are told at a time, as many as memory likes."""


class Uplift(NamedTuple):
    """What is expected of n customers, in units of the outcome.

    Attributes
    ----------
    effect
        What each arm adds to nothing, of shape (n, k).
    untreated
        The outcome under nothing, by those learnt from, of shape (n,).
    """

    effect: Vector
    untreated: Vector

    def of(self, rows: NDArray[np.int64]) -> "Uplift":
        """Return that of some customers."""
        return Uplift(self.effect[rows], self.untreated[rows])


class UpliftLearner:
    """Learn the effect of each arm over nothing from assignments whose chances are known.

    Scores (Robins, Rotnitzky and Zhao 1994) compare each row's outcome with what was expected of it under
    every arm, divided by the chance of what was done: their mean is the average effect, and their regression
    on features tells the effect of a customer (the DR-learner: Kennedy 2020). What is expected of a row was
    learnt without it (cross-fitting: Chernozhukov et al. 2018). The less noisy a score is by its chances, the
    more its row counts.

    Where the effect of an arm does not differ between customers beyond noise, everybody has its average.

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
            chance of what was done, of shape (n,), where every arm was open to all.

        Raises
        ------
        InputError
            Where an arm, or nothing, was never done, or the chance of what was done is not above 0.
        """
        outcome = np.asarray(outcome, dtype=float)
        chances = _chances(arm, np.asarray(propensity, dtype=float))
        fold = np.random.default_rng(self.seed).permutation(len(outcome)) % FOLDS
        self.names_ = list(features.columns)
        self.ranks_ = Ranks().fit(features.to_numpy(dtype=float))
        inputs = self._inputs(features)
        self.outcome_ = ExpectedOutcome().fit(
            inputs, outcome, arm, fold=fold, arms=chances.shape[1], seed=self.seed
        )
        untreated = self.outcome_.expected_[:, 0]
        self.centre_, self.scale_ = untreated.mean(), max(untreated.std(), np.finfo(float).tiny)
        self.untreated_ranks_ = Ranks().fit(untreated[:, None])
        scores = _scores(outcome, arm, chances, self.outcome_.expected_)
        self._average(scores, chances)
        beside = self._beside(inputs, untreated)
        self.differences_ = [
            EffectDifference(seed=self.seed, features=inputs.design.shape[1]).fit(
                beside, scores[:, k - 1], fold, _trust(chances, k)
            )
            for k in range(1, chances.shape[1])
        ]
        self.differs_ = tuple(each.differs_ for each in self.differences_)
        return self

    def told(self, features: pd.DataFrame) -> Uplift:
        """Tell of customers what each arm adds, and what they bring under nothing."""
        starts = range(0, max(len(features), 1), AT_ONCE)
        parts = [self._told(features.iloc[start : start + AT_ONCE]) for start in starts]
        return Uplift(*(np.concatenate(each) for each in zip(*parts, strict=True)))

    def _told(self, features: pd.DataFrame) -> Uplift:
        inputs = self._inputs(features[self.names_])
        untreated = self.outcome_.untreated(inputs)
        inputs = self._beside(inputs, untreated)
        differences = [each.predict(inputs) for each in self.differences_]
        return Uplift(np.asarray(self.average_ + np.stack(differences, axis=1)), untreated)

    def _inputs(self, features: pd.DataFrame) -> Inputs:
        matrix = features.to_numpy(dtype=float)
        return Inputs(matrix, self.ranks_.transform(matrix))

    def _beside(self, inputs: Inputs, untreated: Vector) -> Inputs:
        """Put the outcome expected without treatment beside the ranks, as it is and as a rank."""
        far = np.clip((untreated - self.centre_) / self.scale_, -FARTHEST, FARTHEST)
        ranks = self.untreated_ranks_.transform(untreated[:, None])
        return inputs._replace(design=np.column_stack([inputs.design, far, ranks]))

    def _average(self, scores: Vector, chances: Vector) -> None:
        is_open = (chances[:, 1:] > 0) & (chances[:, :1] > 0)
        known = [score[mine] for score, mine in zip(scores.T, is_open.T, strict=True)]
        self.average_ = np.array([score.mean() for score in known])
        self.average_se_ = np.array([score.std(ddof=1) / np.sqrt(len(score)) for score in known])


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
