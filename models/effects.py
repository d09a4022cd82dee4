"""What treatments achieved: those treated against those held out at random, with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from models.likelihood import Vector
from models.policy_value import worth
from models.uplift import UpliftLearner

FEWEST = 20
"""Customers treated, and held out, below which no interval can be trusted; by their weights, too."""
CONFIDENCE = 0.95
ROWS_PER_COLUMN = 10
"""Assignments for each column of the time before that is adjusted for."""
EVERYBODY = "all"
NOBODY_HELD = "nobody_held_out"
TOO_FEW = "too_few"
UNEVEN = "uneven"
NOT_OVER = "not_over"


@dataclass(frozen=True)
class Difference:
    """Between the treated and the held out, in the mean of an outcome per assignment.

    Parameters
    ----------
    treated, held
        The means, weighted by 1 / propensity.
    increment, error
        Adjusted for the time before, and its standard error, clustered by customer.
    freedom
        Degrees of freedom of its t distribution.
    reduced
        By which share adjusting lowered the variance.
    """

    treated: float
    held: float
    increment: float
    error: float
    freedom: float
    reduced: float

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of the 95% interval of the increment."""
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, self.freedom)) * self.error
        return self.increment - half, self.increment + half

    @property
    def chance(self) -> float:
        """The p value of no difference, two-sided."""
        if self.error == 0:
            return float(self.increment == 0)
        return float(2 * stats.t.sf(abs(self.increment) / self.error, self.freedom))


@dataclass(frozen=True)
class Effect:
    """What is known of a treatment from its log.

    Parameters
    ----------
    value, value_se
        The increment of value within the horizon per treated, in units of the currency, and its standard
        error; NaN where `reason` says why not.
    value_held
        What those held out brought within the horizon, on average; NaN where unknown.
    reason
        Why nothing is known; null where something is.
    uplift
        What it adds to the value of which customer, where that differs beyond noise; null elsewhere.
    """

    value: float = np.nan
    value_se: float = np.nan
    value_held: float = np.nan
    reason: str | None = None
    uplift: UpliftLearner | None = None


Effects = Mapping[str, Effect]
"""By the name of the treatment."""


def compare(
    outcome: Vector,
    is_treated: NDArray[np.bool_],
    weight: Vector,
    customer: NDArray[np.int64],
    before: Vector,
) -> Difference:
    """Compare the treated with the held out, adjusted for what they did before.

    The increment is the difference of means with normalised weights (Hajek 1971), adjusted for the columns of
    the time before with one slope for both arms: CUPED (Deng, Xu, Kohavi and Walker 2013); not where that
    makes it less precise. Its variance is the larger of two: that of the influence values summed by customer
    (Liang and Zeger 1986), and that of either arm having the spread of both together. What customers spend is
    so skewed that a small arm without one of the few who spend most seems surer than it is, and lower: by
    its own spread alone, and a slope of its own (Lin 2013), one in four 95% intervals excluded the truth.

    Parameters
    ----------
    outcome, is_treated, weight, customer
        Of each assignment, of shape (n,): ``weight`` is 1 / propensity of what was done, ``customer`` a code.
    before
        What cannot depend on the assignment, of shape (n, c), the most telling first: only as many columns
        are adjusted for as there are ten assignments for each.

    """
    raw = _compared(outcome, is_treated, weight, customer, before[:, :0])
    done = _compared(outcome, is_treated, weight, customer, before[:, : len(outcome) // ROWS_PER_COLUMN])
    if done.error >= raw.error:
        return raw
    return replace(done, treated=raw.treated, held=raw.held, reduced=1 - (done.error / raw.error) ** 2)


def _compared(
    outcome: Vector,
    is_treated: NDArray[np.bool_],
    weight: Vector,
    customer: NDArray[np.int64],
    before: Vector,
) -> Difference:
    known = np.column_stack([is_treated, ~is_treated, before - before.mean(axis=0)]).astype(float)
    slopes = np.linalg.lstsq(known, outcome, rcond=None)[0][2:]
    left = outcome - known[:, 2:] @ slopes
    share = np.where(is_treated, weight / weight[is_treated].sum(), weight / weight[~is_treated].sum())
    treated, held = (float(share[arm] @ left[arm]) for arm in (is_treated, ~is_treated))
    left -= np.where(is_treated, treated, held)
    size = np.where(is_treated, is_treated.sum(), (~is_treated).sum())
    influence = share * left * np.sqrt(size / np.maximum(size - 1, 1))
    by_customer = np.bincount(customer, weights=np.where(is_treated, influence, -influence))
    clusters = len(np.unique(customer))
    own = float(by_customer @ by_customer) * clusters / max(clusters - 1, 1)
    together = float(left @ left) / max(len(left) - known.shape[1], 1) * float(share @ share)
    apart = float(influence @ influence)
    repeated = max(own / apart, 1.0) if apart > 0 else 1.0
    error = float(np.sqrt(max(own, together * repeated)))
    smaller = min(len(np.unique(customer[is_treated])), len(np.unique(customer[~is_treated])))
    return Difference(treated, held, treated - held, error, max(smaller - 1, 1), 0.0)


def holm(chances: Vector) -> Vector:
    """Return p values adjusted for their number (Holm 1979); NaN stays NaN and counts for nothing."""
    known = np.flatnonzero(~np.isnan(chances))
    order = known[np.argsort(chances[known], kind="stable")]
    adjusted = np.full(len(chances), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(chances[order] * np.arange(len(order), 0, -1)), 1.0)
    return adjusted


def effect_table(log: pd.DataFrame, *, before: Sequence[str], groups: Sequence[str] = ()) -> pd.DataFrame:
    """Tell per treatment, and per group of its customers, what it achieved.

    Parameters
    ----------
    log
        One row per assignment that is over and was no exploration: ``treatment``, ``customer_id``,
        ``is_holdout``, ``propensity`` (above 0, of what was done; who could only be treated, or only be held
        out, is compared with nobody), ``value``, ``ordered``, ``cost`` (per treated,
        NaN where unknown), and the columns of `before` and `groups`.
    before
        Columns of the time before the assignment.
    groups
        Columns with names that the assignments are told apart by, as of the assignment; null for unknown.

    Returns
    -------
    One row per treatment (``by`` and ``group`` are ``all``), and per name in each of `groups`: ``treatment,
    by, group, treated, held_out`` (assignments that are compared), ``value_treated, value_held`` (means),
    ``increment, increment_se, increment_low, increment_high``, the same of ``ordered``, ``cost``, ``net,
    net_se, net_low, net_high`` (the increment less the cost), ``return_on_spend, return_low,
    return_high`` (increment per unit of cost), ``variance_reduced``, ``p_value``, ``p_holm`` (adjusted for
    the number of treatments, or of groups), ``reason``: null, or why all this is NaN.
    """
    rows = []
    for treatment, part in log.groupby("treatment", sort=True):
        rows.append({"treatment": treatment, "by": EVERYBODY, "group": EVERYBODY, **_told(part, before)})
        for by in groups:
            for group, inside in part.groupby(by, sort=True):
                rows.append({"treatment": treatment, "by": by, "group": group, **_told(inside, before)})
    table = pd.DataFrame(rows, columns=["treatment", "by", "group", *COLUMNS])
    is_average = (table["by"] == EVERYBODY).to_numpy()
    for family in (is_average, ~is_average):
        table.loc[family, "p_holm"] = holm(table.loc[family, "p_value"].to_numpy(dtype=float))
    return table


COLUMNS = (
    *("treated", "held_out", "value_treated", "value_held"),
    *("increment", "increment_se", "increment_low", "increment_high"),
    *("ordered_treated", "ordered_held", "ordered", "ordered_se", "ordered_low", "ordered_high"),
    *("cost", "net", "net_se", "net_low", "net_high", "return_on_spend", "return_low", "return_high"),
    *("variance_reduced", "p_value", "p_holm", "reason"),
)


def _told(part: pd.DataFrame, before: Sequence[str]) -> dict[str, Any]:
    """Measure one treatment in one group."""
    if part["is_holdout"].any():
        part = part[part["propensity"] < 1]
    held_out = int(part["is_holdout"].sum())
    row: dict[str, Any] = {"treated": len(part) - held_out, "held_out": held_out}
    is_treated = (part["is_holdout"] == 0).to_numpy()
    weight = 1 / part["propensity"].to_numpy(dtype=float)
    customer, _ = pd.factorize(part["customer_id"])
    if (why := _why_not(customer, is_treated, weight)) is not None:
        return row | {"reason": why}
    columns = part[list(before)].to_numpy(dtype=float)

    def difference(outcome: pd.Series) -> Difference:
        return compare(outcome.to_numpy(dtype=float), is_treated, weight, customer, columns)

    cost = part["cost"].where(is_treated, 0.0)
    value, ordered = difference(part["value"]), difference(part["ordered"])
    row |= _named(value, "increment", "value") | _named(ordered, "ordered", "ordered")
    row |= {"variance_reduced": value.reduced, "p_value": value.chance, "reason": None}
    if cost.notna().all():
        spent = float(np.average(cost[is_treated], weights=weight[is_treated]))
        row |= {"cost": spent} | _named(difference(part["value"] - cost), "net")
        if spent > 0:
            low, high = value.interval
            row |= {"return_on_spend": value.increment / spent}
            row |= {"return_low": low / spent, "return_high": high / spent}
    return row


def least_worth(is_treated: NDArray[np.bool_], weight: Vector) -> float:
    """Return how many equal rows would tell as much as the treated, or as the held out: the fewer of both."""
    return min(worth(weight[arm]) for arm in (is_treated, ~is_treated))


def _why_not(customer: NDArray[np.int64], is_treated: NDArray[np.bool_], weight: Vector) -> str | None:
    treated, held = (len(np.unique(customer[arm])) for arm in (is_treated, ~is_treated))
    if not held:
        return NOBODY_HELD
    if min(treated, held) < FEWEST:
        return TOO_FEW
    return UNEVEN if least_worth(is_treated, weight) < FEWEST else None


def _named(difference: Difference, name: str, outcome: str | None = None) -> dict[str, float]:
    low, high = difference.interval
    means = {f"{outcome}_treated": difference.treated, f"{outcome}_held": difference.held} if outcome else {}
    return means | {
        name: difference.increment,
        f"{name}_se": difference.error,
        f"{name}_low": low,
        f"{name}_high": high,
    }
