"""Whether tiers treat groups of customers alike, and whether forecasts are as true for each of them."""

from collections.abc import Sequence
from itertools import pairwise

import duckdb
import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame

from features.attributes import customers_at
from features.instants import Cutoff
from features.parsing import identifier
from features.protected import check_attributes
from models.likelihood import Vector
from training.intervals import log_ratio, wilson

FEWEST = 200
"""Customers that a group needs before anything is concluded about it."""
FOUR_FIFTHS = 0.8
"""A ratio of rates below which a difference is called adverse (EEOC, Uniform Guidelines 1978)."""
UNKNOWN = "not known"
"""The group of those whose attribute is missing."""
MOST_VALUES = 12
"""A number with more values is told by its quarters."""


def attributes_at(
    connection: duckdb.DuckDBPyConnection, names: Sequence[str], *, cutoff: Cutoff
) -> pd.DataFrame:
    """Read attributes of customers, as known at a cutoff.

    Parameters
    ----------
    connection
        With the staged ``customers``.
    names
        Columns of ``customers``.

    Returns
    -------
    One row per customer, indexed by customer_id: of several rows the latest with ``valid_from`` before the
    cutoff, else the one without.

    Raises
    ------
    InputError
        There is no such column.
    """
    check_attributes(connection, names)
    columns = ", ".join(map(identifier, names))
    rows = connection.execute(f"SELECT customer_id, {columns} FROM ({customers_at(cutoff)})").df()
    return rows.set_index("customer_id")


def tier_rates(tiers: pd.Series, attributes: pd.DataFrame, *, best: str, worst: str) -> pd.DataFrame:
    """Compare between groups how many are in the best and in the worst tier.

    Parameters
    ----------
    tiers
        The tier of each customer, by customer_id.
    attributes
        By customer_id, one column per attribute; a customer without a row, and a missing value, are of the
        group ``not known``.
    best, worst
        The names of the first and the last tier.

    Returns
    -------
    One row per attribute, tier (the best first) and group (largest first): ``attribute``, ``tier``,
    ``group``, ``customers``, ``in_tier``, ``rate``, its 95% interval ``low`` to ``high`` (Wilson 1927);
    ``favoured``, the group treated best among those of at least 200 (the highest rate of the best tier, the
    lowest of the worst; null without a second group to compare); ``ratio`` of the rate to that group's and
    its 95% interval ``ratio_low`` to ``ratio_high`` (Katz and others 1978; NaN for the favoured group); and
    ``alert``: of a group of at least 200, in the best tier a ``ratio_high`` below 4/5, in the worst a
    ``ratio_low`` above 5/4.
    """
    compared = [
        _compared(tiers == tier, groups, is_good=tier == best).assign(attribute=name, tier=tier)
        for name, groups in _groups(attributes, tiers.index)
        for tier in (best, worst)
    ]
    columns = ["attribute", "tier", "group", "customers", "in_tier", "rate", "low", "high"]
    columns += ["favoured", "ratio", "ratio_low", "ratio_high", "alert"]
    return pd.concat(compared, ignore_index=True)[columns] if compared else pd.DataFrame(columns=columns)


def calibration_by_group(churn_risk: pd.Series, churned: pd.Series, attributes: pd.DataFrame) -> pd.DataFrame:
    """Compare between groups the predicted churn with what came.

    Parameters
    ----------
    churn_risk
        As predicted, by customer_id; customers without one are left out.
    churned
        1 for who churned, 0 for who did not, NaN where the outcome was not seen (these are left out).
    attributes
        As in `tier_rates`.

    Returns
    -------
    One row per attribute and group (largest first): ``attribute``, ``group``, ``customers``,
    ``predicted``, the mean churn risk, ``churned``, the share that churned, its 95% interval ``low`` to
    ``high`` (Wilson 1927), and ``alert``: of a group of at least 200, the prediction lies outside of it.
    """
    seen = pd.DataFrame({"predicted": churn_risk, "churned": churned}).dropna()
    tables = []
    for name, groups in _groups(attributes, seen.index) if len(seen) else []:
        rows = _by_group(seen["churned"], seen["predicted"], groups).rename(columns={"true": "churned"})
        low, high = wilson(rows["churned"].to_numpy(), rows["customers"].to_numpy())
        outside = (rows["predicted"] < low) | (rows["predicted"] > high)
        alert = outside & (rows["customers"] >= FEWEST)
        tables.append(rows.assign(attribute=name, low=low, high=high, alert=alert))
    columns = ["attribute", "group", "customers", "predicted", "churned", "low", "high", "alert"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def _compared(in_tier: pd.Series, groups: pd.Series, *, is_good: bool) -> pd.DataFrame:
    """Compare the rate of a tier in each group with that in the group treated best."""
    in_tier = in_tier.astype(float)
    rows = _by_group(in_tier, in_tier, groups).drop(columns="predicted").rename(columns={"true": "rate"})
    customers, rates = rows["customers"].to_numpy(), rows["rate"].to_numpy()
    hits = np.rint(rates * customers)
    low, high = wilson(rates, customers)
    rows = rows.assign(in_tier=hits.astype(int), low=low, high=high)
    judged = customers >= FEWEST
    if len(rows) == 1 or not judged.any() or not hits.any():
        return rows.assign(favoured=None, ratio=np.nan, ratio_low=np.nan, ratio_high=np.nan, alert=False)
    favoured = int(np.argmax(np.where(judged, rates if is_good else -rates, -np.inf)))
    ratios = log_ratio(hits, customers, of_hits=hits[favoured], of_rows=customers[favoured])
    others = np.arange(len(rows)) != favoured
    ratio, ratio_low, ratio_high = (np.where(others, each, np.nan) for each in ratios)
    unlike = ratio_high < FOUR_FIFTHS if is_good else ratio_low > 1 / FOUR_FIFTHS
    return rows.assign(
        favoured=rows["group"].iloc[favoured],
        ratio=ratio,
        ratio_low=ratio_low,
        ratio_high=ratio_high,
        alert=unlike & judged,
    )


def _by_group(true: pd.Series, predicted: pd.Series, groups: pd.Series) -> pd.DataFrame:
    """Return of every group, largest first, the ``customers`` and the means ``true`` and ``predicted``.

    Equal customers are one row with a weight: a frame of metrics takes a minute for a million rows.
    """
    cells = (
        predicted.groupby([groups.rename("group"), true.rename("true")]).agg(["size", "mean"]).reset_index()
    )
    metrics = {"customers": _count, "true": _mean_true, "predicted": _mean_predicted}
    frame = MetricFrame(
        metrics=metrics,
        y_true=cells["true"],
        y_pred=cells["mean"],
        sensitive_features=cells["group"],
        sample_params={name: {"weight": cells["size"]} for name in metrics},
    )
    rows: pd.DataFrame = frame.by_group.astype(float).reset_index()
    rows = rows.sort_values(["customers", "group"], ascending=[False, True], ignore_index=True)
    return rows.astype({"customers": int})


def _groups(attributes: pd.DataFrame, customers: pd.Index) -> list[tuple[str, pd.Series]]:
    known = attributes.reindex(customers)
    return [(str(name), _named(column)) for name, column in known.items()]


def _named(column: pd.Series) -> pd.Series:
    """Name the group of each customer: numbers of many values by quarter, what is missing as not known."""
    if pd.api.types.is_numeric_dtype(column) and column.nunique() > MOST_VALUES:
        edges = sorted(set(column.quantile([0, 0.25, 0.5, 0.75, 1])))
        names = [f"{low:.12g} to {high:.12g}" for low, high in pairwise(edges)]
        column = pd.cut(column, edges, labels=names, include_lowest=True, ordered=False).astype(object)
    elif pd.api.types.is_numeric_dtype(column):
        column = column.map({value: f"{value:.12g}" for value in column.dropna().unique()}).astype(object)
    return column.where(column.notna(), UNKNOWN).astype(str)


def _count(_: Vector, __: Vector, *, weight: Vector) -> float:
    return float(np.sum(weight))


def _mean_true(true: Vector, _: Vector, *, weight: Vector) -> float:
    return float(np.average(true, weights=weight))


def _mean_predicted(_: Vector, predicted: Vector, *, weight: Vector) -> float:
    return float(np.average(predicted, weights=weight))
