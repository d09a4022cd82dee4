"""The value from which a customer counts among the top fifth, as it stood at an `as_of`."""

import json
from collections.abc import Sequence
from functools import lru_cache

import duckdb
import ibis

from features.batch import SPINE
from features.contract import SCALE
from features.days import SUBJECT, known, order_days, unbound_spine
from features.instants import Cutoff
from features.plan import FeaturePlan

TOP_SHARE = 0.2
"""Of the customers, who spend most."""
_MEASURES = f"quantile_cont(value, {1 - TOP_SHARE}), min(value) FILTER (WHERE value > 0)"


def cut_query(plan: FeaturePlan) -> str:
    """Compile to DuckDB's SQL what `cut_point` asks for the horizon and value of a plan, once a process."""
    return f"SELECT {_MEASURES} FROM ({_values(json.dumps(plan.to_json()))})"


def cut_point(connection: duckdb.DuckDBPyConnection, query: str) -> float:
    """Return the 80% quantile of the value that customers realised in the horizon before the `as_of`.

    They are those on the spine with an order known at its `as_of`, all of one `as_of`; the value is net of
    the refunds known there, in units of the currency. Where fewer than a fifth bought for more than nothing
    it is the least that anybody bought for: any purchase counts.

    Parameters
    ----------
    connection
        With the staged tables, the matched refunds and the spine.
    query
        Of `cut_query`.
    """
    quantile, least = connection.execute(query).fetchall()[0]
    return _amount(quantile, least)


def cut_points(
    connection: duckdb.DuckDBPyConnection, plan: FeaturePlan, cutoffs: Sequence[Cutoff]
) -> list[float]:
    """Return the `cut_point` of every snapshot on the spine."""
    told = connection.execute(
        f"SELECT as_of, {_MEASURES} FROM ({_values(json.dumps(plan.to_json()))}) "
        f"JOIN {SPINE} USING ({SUBJECT}) GROUP BY as_of"
    ).fetchall()
    amounts = {as_of: _amount(quantile, least) for as_of, quantile, least in told}
    return [amounts.get(cutoff.micros, _amount(None, None)) for cutoff in cutoffs]


def _amount(quantile: float | None, least: int | None) -> float:
    return float(quantile if quantile is not None and quantile > 0 else least or 1) / SCALE


@lru_cache(maxsize=8)
def _values(told: str) -> str:
    plan = FeaturePlan.from_json(json.loads(told))
    lines = known(plan.order_lines(), unbound_spine(), clock="ordered_at")
    days = order_days(lines, less_costs=plan.is_margin)
    realised = (days.age <= plan.horizon_days).ifelse(days.spend, 0).sum()
    return str(ibis.to_sql(days.group_by(SUBJECT).aggregate(value=realised), dialect="duckdb"))
