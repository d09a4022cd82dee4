"""How many assignments, and how many of them held out, tell a difference from none."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

LEVEL = 0.05
POWER = 0.8
LEAST_HOLDOUT = 0.02
"""A smaller share says nothing of who is left out of it."""
HALF = 0.5


def spread_of(error: float, *, treated: int, held: int) -> float:
    """Return the standard deviation of one assignment's outcome that a standard error speaks of."""
    return float(error / np.sqrt(1 / treated + 1 / held))


def assignments_needed(*, spread: float, difference: float, holdout: float) -> int:
    """Return the assignments, held out ones among them, that tell a difference in means from none.

    With a power of 80% at a two-sided level of 5%, both arms of one variance (Cohen 1988, section 2.4).

    Parameters
    ----------
    spread
        The standard deviation of one outcome, after adjusting.
    difference
        In the same units; not 0.
    holdout
        The share held out, above 0 and below 1.
    """
    return int(np.ceil(_precision(spread, difference) / (holdout * (1 - holdout))))


def holdout_needed(*, spread: float, difference: float, rows: int) -> float | None:
    """Return the least share to hold out of so many assignments to tell the difference; null if none does."""
    product = _precision(spread, difference) / rows if rows else np.inf
    if product > HALF**2:
        return None
    return max(LEAST_HOLDOUT, float(HALF - np.sqrt(HALF**2 - product)))


def _precision(spread: float, difference: float) -> float:
    return float(((norm.ppf(1 - LEVEL / 2) + norm.ppf(POWER)) * spread / difference) ** 2)


@dataclass(frozen=True)
class Advice:
    """For the next round of a treatment.

    Parameters
    ----------
    difference
        In the net gain per treated that is to be told from none: the one measured, or half of the cost where
        that is more.
    needed
        Assignments in all that tell it, at the share held out so far.
    rows
        Assignments so far.
    holdout
        The share of them that was held out.
    least_holdout
        The share that would have told it; null where no share would.
    """

    difference: float
    needed: int
    rows: int
    holdout: float
    least_holdout: float | None

    @classmethod
    def of(cls, *, net: float, error: float, cost: float, treated: int, held: int) -> "Advice | None":
        """Advise from what was measured; nothing can be said where nothing varied or nothing was gained."""
        difference, rows = max(abs(net), cost / 2), treated + held
        if not (error > 0 and difference > 0):
            return None
        spread, holdout = spread_of(error, treated=treated, held=held), held / rows
        needed = assignments_needed(spread=spread, difference=difference, holdout=holdout)
        least = holdout_needed(spread=spread, difference=difference, rows=rows)
        return cls(difference, needed, rows, holdout, least)
