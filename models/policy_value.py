"""What a rule of who gets which treatment would have earned, told from a log of what was done by chance."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from features.errors import InputError
from models.likelihood import Vector

Arms = NDArray[np.int64]
WIDE = float(norm.ppf(0.975))
FEWEST = 30
"""What agrees with the rule must weigh as much as so many equal rows: else a mean is not nearly normal."""
ODD = 5.0
"""Standard errors by which the counts of what was done may differ from the chances given for it."""
ROUNDED = 0.01
"""By so much they may differ besides: propensities are written with few digits."""


@dataclass(frozen=True)
class PolicyValue:
    """The mean outcome less cost per customer under a rule, or by how much two rules differ.

    Parameters
    ----------
    value, standard_error
        In units of the outcome.
    """

    value: float
    standard_error: float

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
    """What was done with which chance, and what came of it: one row per assignment.

    Parameters
    ----------
    outcome
        Of shape (n,).
    arm
        What was done: 0 for nothing, of shape (n,).
    propensity
        The chance of what was done, of shape (n,), or of every arm, nothing first, of shape (n, k + 1).
    cost
        Of each arm, nothing first, in units of the outcome, of shape (k + 1,) or (n, k + 1).
    expected
        The outcome that was to be expected under every arm, learnt without the row, of shape (n, k + 1): with
        it values are doubly robust (Dudik, Langford and Li 2011), without it by inverse propensity alone
        (Horvitz and Thompson 1952). Either way they are right only where the propensities are.

    Raises
    ------
    InputError
        Where propensities are unknown or no chances above 0.
    """

    outcome: Vector
    arm: Arms
    propensity: Vector
    cost: Vector
    expected: Vector | None = None

    def __post_init__(self) -> None:
        done, rows = self._done(), len(self.arm)
        if unknown := int(np.isnan(done).sum()):
            raise InputError(
                f"the value of a policy: the propensity of {unknown:,} of {rows:,} assignments is not known;"
                " record the chance of what was done, or leave those assignments out"
            )
        if wrong := int((~((done > 0) & (done <= 1))).sum()):
            raise InputError(
                f"the value of a policy: the propensity of {wrong:,} of {rows:,} assignments is not above 0"
                " and at most 1; record the chance of what was done"
            )

    def value(self, chosen: Arms) -> PolicyValue:
        """Tell what a rule would have earned per customer.

        Parameters
        ----------
        chosen
            The arm that the rule gives to each row, of shape (n,), chosen without looking at its outcome.

        Raises
        ------
        InputError
            Where the log does not overlap with the rule: an arm that it gives had no chance, was hardly ever
            done where the rule gives it, or was done far more or less often than its propensities say.
        """
        return _mean(self._earned(chosen))

    def gain(self, chosen: Arms, *, over: Arms) -> PolicyValue:
        """Tell how much more a rule would have earned per customer than another; raises as `value` does."""
        return _mean(self._earned(chosen) - self._earned(over))

    def _done(self) -> Vector:
        given = np.asarray(self.propensity, dtype=float)
        return given if given.ndim == 1 else given[np.arange(len(given)), self.arm]

    def _earned(self, chosen: Arms) -> Vector:
        """Return of each row an unbiased estimate of what the rule would have earned, of shape (n,)."""
        self._check_overlap(chosen)
        rows = np.arange(len(chosen))
        expected = np.zeros(len(chosen)) if self.expected is None else self.expected[rows, chosen]
        surprise = np.where(chosen == self.arm, (self.outcome - expected) / self._done(), 0.0)
        cost = np.broadcast_to(self.cost, (len(chosen), np.shape(self.cost)[-1]))
        return np.asarray(expected + surprise - cost[rows, chosen])

    def _check_overlap(self, chosen: Arms) -> None:
        weight = np.where(chosen == self.arm, 1.0 / self._done(), 0.0)
        squares = float(weight @ weight)
        worth = weight.sum() ** 2 / squares if squares else 0.0
        if worth < FEWEST:
            raise InputError(
                f"the value of a policy: what was done to {len(chosen):,} customers agrees with it as much as"
                f" {worth:.0f} equal rows would, and {FEWEST} are needed; leave more to chance"
            )
        for arm in np.unique(chosen):
            self._check_arm(int(arm), chosen == arm, weight)

    def _check_arm(self, arm: int, asked: NDArray[np.bool_], weight: Vector) -> None:
        """Refuse an arm that was closed to rows it is given to, or whose weights do not average to 1."""
        given, mine = np.asarray(self.propensity), weight[asked]
        closed = int((given[asked, arm] <= 0).sum()) if given.ndim > 1 else 0
        if closed:
            raise InputError(
                f"the value of a policy: it gives treatment {arm} to {closed:,} of {len(weight):,} customers"
                " who had no chance of it, so nothing is known of them; choose among the arms open to each"
            )
        # The mean of 1 / chance: 1 more than a weight varies; from what agreed where no more is known.
        inverse = (1.0 / given[asked, arm]).mean() if given.ndim > 1 else mine @ mine / max(mine.sum(), 1.0)
        off = abs(mine.mean() - 1.0)
        if len(mine) >= FEWEST and off > ODD * np.sqrt(max(inverse - 1.0, 0.0) / len(mine)) + ROUNDED:
            raise InputError(
                f"the value of a policy: treatment {arm} was done {mine.mean():.2f} times as often as its"
                f" propensities say to the {len(mine):,} customers who would get it; correct them, or leave"
                " out those who had no chance of it"
            )


def _mean(earned: Vector) -> PolicyValue:
    return PolicyValue(float(earned.mean()), float(earned.std(ddof=1) / np.sqrt(len(earned))))
