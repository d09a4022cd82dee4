"""What one rule of who gets which treatment earns beyond another, by a log of what was left to chance."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from models.likelihood import Vector

Flags = NDArray[np.bool_]
WIDE = float(norm.ppf(0.975))
FEWEST = 30
"""What agrees with a rule must weigh as much as so many equal rows: else a mean is not nearly normal."""
ODD = 5.0
"""Standard errors by which what agrees with two rules may stand for different numbers of rows."""
ROUNDED = 0.01
"""By so much they may differ besides: propensities are written with few digits."""
FOLDS = 5
ROWS_PER_COLUMN = 30
"""Equal rows that agree with a rule for each column that its outcome is expected by."""
NO_OVERLAP = "no_overlap"
CONTRADICTED = "contradicted"


@dataclass(frozen=True)
class PolicyGain:
    """By how much the mean outcome under one rule lies above that under another.

    Parameters
    ----------
    value, standard_error
        In units of the outcome per row; NaN where `reason` says why not.
    reason
        ``no_overlap``: what was done agrees with a rule as much as `number` equal rows would, fewer than are
        needed. ``contradicted``: what agrees with the first rule stands for `number` times as many rows as
        what agrees with the second, so the propensities are not those of what was done. Else null.
    """

    value: float = np.nan
    standard_error: float = np.nan
    reason: str | None = None
    number: float = np.nan

    @property
    def low(self) -> float:
        """The lower end of the 95% interval."""
        return self.value - WIDE * self.standard_error

    @property
    def high(self) -> float:
        """The upper end of the 95% interval."""
        return self.value + WIDE * self.standard_error


@dataclass(frozen=True)
class RandomisedLog:
    """What came of what was done, and the chance of it: one row per assignment.

    Parameters
    ----------
    outcome
        Less the cost of what was done, of shape (n,).
    propensity
        The chance of what was done, above 0, of shape (n,).
    customer
        A code of each row's customer, of shape (n,): the rows of one are told together.
    before
        What cannot depend on what was done, of shape (n, c), the most telling first. With it gains are doubly
        robust (Dudik, Langford and Li 2011), by weighted linear regression learnt from other customers;
        without it by inverse propensity alone, weights normalised (Hajek 1971). Either way they are right
        only where the propensities are.
    """

    outcome: Vector
    propensity: Vector
    customer: NDArray[np.int64]
    before: Vector | None = None

    def gain(self, does: Flags, *, over: Flags) -> PolicyGain:
        """Tell how much more a rule earns per row than another.

        Parameters
        ----------
        does, over
            Whether what was done is what the rule does, of shape (n,): a rule that knows no outcome of the
            row's customer. Each rule does with every row something that had a chance.
        """
        mine, other = (np.where(agrees, 1 / self.propensity, 0.0) for agrees in (does, over))
        rows = min(worth(mine), worth(other))
        if rows < FEWEST:
            return PolicyGain(reason=NO_OVERLAP, number=rows)
        apart = mine - other
        if abs(apart.mean()) > ODD * apart.std() / np.sqrt(len(apart)) + ROUNDED * other.mean():
            return PolicyGain(reason=CONTRADICTED, number=float(mine.mean() / other.mean()))
        return self._mean(self._earned(mine) - self._earned(other))

    def _earned(self, weight: Vector) -> Vector:
        """Return of each row what a rule is told to earn, of shape (n,): their mean is what it earns."""
        expected = self._expected(weight)
        return np.asarray(expected + weight / weight.mean() * (self.outcome - expected))

    def _expected(self, weight: Vector) -> Vector:
        """Return the outcome to expect under a rule, learnt from other customers, of shape (n,)."""
        if (before := self.before) is None:
            return np.full(len(weight), np.average(self.outcome, weights=weight))
        expected, fold = np.empty(len(weight)), self.customer % FOLDS
        for block in range(FOLDS):
            taught, asked = np.flatnonzero((weight > 0) & (fold != block)), fold == block
            told = before[:, : int(worth(weight[taught])) // ROWS_PER_COLUMN]
            design = np.column_stack([np.ones(len(told)), told])
            root = np.sqrt(weight[taught])
            slopes = np.linalg.lstsq(design[taught] * root[:, None], self.outcome[taught] * root, rcond=None)
            expected[asked] = design[asked] @ slopes[0]
        return expected

    def _mean(self, earned: Vector) -> PolicyGain:
        value, customers = float(earned.mean()), len(np.unique(self.customer))
        of_customer = np.bincount(self.customer, weights=earned - value)
        variance = (of_customer**2).sum() * customers / max(customers - 1, 1)
        return PolicyGain(value, float(np.sqrt(variance) / len(earned)))


def worth(weight: Vector) -> float:
    """Return how many equal rows would tell as much (Kish 1965); rounded, so that equal ones count whole."""
    squares = float(weight @ weight)
    return round(float(weight.sum() ** 2 / squares), 9) if squares else 0.0
