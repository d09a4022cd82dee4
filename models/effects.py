"""What treatments achieved: those treated against those held out at random, with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from models.likelihood import Vector
from models.uplift import UpliftLearner

FEWEST = 20
"""Customers treated, and held out, below which no interval can be trusted."""
CONFIDENCE = 0.95
ROWS_PER_COLUMN = 10
"""Assignments that either arm has for each column of the time before that is adjusted for."""
EVERYBODY = "all"
NOBODY_HELD = "nobody_held_out"
TOO_FEW = "too_few"
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

    The increment is the augmented inverse propensity estimate with normalised weights (Robins, Rotnitzky and
    Zhao 1994; Hajek 1971) and linear outcome models, one per arm, over the columns of the time before: CUPED
    (Deng, Xu, Kohavi and Walker 2013) with a slope for each arm (Lin 2013), which never estimates less
    precisely in large samples. The error is that of its influence values summed by customer (Liang and
    Zeger 1986).

    Parameters
    ----------
    outcome, is_treated, weight, customer
        Of each assignment, of shape (n,): ``weight`` is 1 / propensity of what was done, ``customer`` a code.
    before
        What cannot depend on the assignment, of shape (n, c), the most telling first: of small arms only as
        many columns are adjusted for as there are ten assignments for each.

    """
    raw = _fitted(outcome, is_treated, weight, customer, before[:, :0])
    smaller = int(min(is_treated.sum(), (~is_treated).sum()))
    done = _fitted(outcome, is_treated, weight, customer, before[:, : smaller // ROWS_PER_COLUMN])
    reduced = 1 - (done.error / raw.error) ** 2 if raw.error > 0 else 0.0
    return Difference(raw.treated, raw.held, done.increment, done.error, done.freedom, reduced)


def _fitted(
    outcome: Vector,
    is_treated: NDArray[np.bool_],
    weight: Vector,
    customer: NDArray[np.int64],
    before: Vector,
) -> Difference:
    centred = np.column_stack([np.ones(len(outcome)), before - before.mean(axis=0)])
    means, gains, influence = {}, {}, np.zeros(len(outcome))
    for sign, arm in ((1, is_treated), (-1, ~is_treated)):
        share = np.where(arm, weight, 0.0) / weight[arm].sum()
        root = np.sqrt(share[arm])[:, None]
        slopes = np.linalg.lstsq(centred[arm] * root, outcome[arm] * root[:, 0], rcond=None)[0]
        told = centred @ slopes
        freedom = max(arm.sum() - centred.shape[1], 1)
        gains[sign], means[sign] = told, float(share @ outcome)
        influence += sign * share * (outcome - told) * np.sqrt(arm.sum() / freedom)
    gain = gains[1] - gains[-1]
    increment = float(gain.mean())
    influence += (gain - increment) / len(outcome)
    by_customer = np.bincount(customer, weights=influence)
    clusters = len(np.unique(customer))
    error = float(np.sqrt((by_customer**2).sum() * clusters / max(clusters - 1, 1)))
    smaller = min(len(np.unique(customer[is_treated])), len(np.unique(customer[~is_treated])))
    return Difference(means[1], means[-1], increment, error, max(smaller - 1, 1), 0.0)


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
    by, group, treated, held_out`` (assignments), ``value_treated, value_held`` (means), ``increment,
    increment_se, increment_low, increment_high``, the same of ``ordered``, ``cost``, ``net, net_se, net_low,
    net_high`` (the increment less the cost), ``return_on_spend, return_low, return_high`` (increment per
    unit of cost), ``variance_reduced``, ``p_value``, ``p_holm`` (adjusted for the number of treatments, or
    of groups), ``reason``: null, or why all this is NaN.
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
    held_out = int(part["is_holdout"].sum())
    row: dict[str, Any] = {"treated": len(part) - held_out, "held_out": held_out}
    if held_out:
        part = part[part["propensity"] < 1]
    is_treated = (part["is_holdout"] == 0).to_numpy()
    customer, _ = pd.factorize(part["customer_id"])
    if (why := _why_not(customer, is_treated)) is not None:
        return row | {"reason": why}
    weight = 1 / part["propensity"].to_numpy(dtype=float)
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


def _why_not(customer: NDArray[np.int64], is_treated: NDArray[np.bool_]) -> str | None:
    treated, held = (len(np.unique(customer[arm])) for arm in (is_treated, ~is_treated))
    if not held:
        return NOBODY_HELD
    return TOO_FEW if min(treated, held) < FEWEST else None


def _named(difference: Difference, name: str, outcome: str | None = None) -> dict[str, float]:
    low, high = difference.interval
    means = {f"{outcome}_treated": difference.treated, f"{outcome}_held": difference.held} if outcome else {}
    return means | {
        name: difference.increment,
        f"{name}_se": difference.error,
        f"{name}_low": low,
        f"{name}_high": high,
    }
