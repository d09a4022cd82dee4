"""What customers did in the horizon after an `as_of`: the truth that forecasts are taught and judged by."""

from collections.abc import Sequence

import duckdb
import ibis
import ibis.expr.types as ir
import pandas as pd

from features.batch import SPINE
from features.contract import DAY, SCALE
from features.days import SUBJECT, cost_of, unbound_spine
from features.plan import FeaturePlan

JUDGED = "judged"
"""The spine with ``known_by``."""


def label_query(plan: FeaturePlan, *, days: Sequence[int]) -> str:
    """Compile the labels of a plan's orders to SQL, for `label_spine`.

    Parameters
    ----------
    plan
        Says which lines are purchases.
    days
        Orders of ``[as_of, as_of + d)`` count, for each of these numbers of days.
    """
    return str(ibis.to_sql(_coming_orders(plan, days), dialect="duckdb"))


def label_spine(
    connection: duckdb.DuckDBPyConnection, query: str, *, days: Sequence[int], known_by: int
) -> pd.DataFrame:
    """Label the customers on the spine, as known at a later instant.

    Parameters
    ----------
    connection
        With the staged tables, the matched refunds and the spine.
    query
        Of `label_query`, for the same days.
    known_by
        Nothing that happened at or after this instant, or was ingested after it, is seen (int64 us UTC).

    Returns
    -------
    One row per spine row, in its order: ``customer_id`` and, for each number of days, ``orders_{d}``
    (order days in them that were not fully cancelled by their end) and ``value_{d}`` (their amounts less
    their refunds known by then, and less their costs where value is the margin, in units of the
    currency). Refunds of earlier orders count nowhere.
    """
    orders = ", ".join(f"coalesce(orders_{day}, 0)::DOUBLE AS orders_{day}" for day in days)
    values = ", ".join(f"coalesce(value_{day}, 0) / {SCALE}::DOUBLE AS value_{day}" for day in days)
    return connection.execute(
        f"WITH {JUDGED} AS (SELECT *, {known_by}::BIGINT AS known_by FROM {SPINE}) "
        f"SELECT customer_id, {orders}, {values} "
        f"FROM {SPINE} LEFT JOIN ({query}) USING ({SUBJECT}) ORDER BY {SUBJECT}"
    ).df()


def _coming_orders(plan: FeaturePlan, days: Sequence[int]) -> ir.Table:
    """Return the orders and their value in the days: one row per subject with an order left."""
    judged = ibis.table({**unbound_spine().schema(), "known_by": "int64"}, name=JUDGED)
    joined = judged.join(plan.order_lines(), "customer_id")
    seen = (joined.ordered_at < joined.known_by) & (joined.ingested_at <= joined.known_by)
    belongs = (joined.is_return == 0) | (joined.order_at >= joined.as_of)
    last = joined.as_of + max(days) * DAY
    coming = joined.filter(seen & belongs & (joined.ordered_at >= joined.as_of) & (joined.ordered_at < last))
    by_day = coming.group_by(SUBJECT, day=coming.order_day).aggregate(
        **{name: value for end in days for name, value in _known_by_end(coming, end).items()},
        **({f"cost_{end}": _cost_by_end(coming, end) for end in days} if plan.is_margin else {}),
    )
    left = {end: _is_left(by_day, end) for end in days}
    return by_day.group_by(SUBJECT).aggregate(
        **{f"orders_{end}": is_left.cast("int64").sum() for end, is_left in left.items()},
        **{
            f"value_{end}": is_left.ifelse(_worth(by_day, end, plan), 0).sum()
            for end, is_left in left.items()
        },
    )


def _known_by_end(lines: ir.Table, days: int) -> dict[str, ir.Value]:
    """Sum the lines of an order that came, and were known if refunds, by the end of so many days."""
    counts, is_return = _counts(lines, days), lines.is_return == 1
    return {
        f"lines_{days}": counts.ifelse(lines.is_purchase - lines.cancels, 0).sum(),
        f"spend_{days}": counts.ifelse(lines.amount, 0).sum(),
        f"refunded_{days}": (counts & is_return).ifelse(-lines.amount, 0).sum(),
    }


def _counts(lines: ir.Table, days: int) -> ir.BooleanValue:
    end = lines.as_of + days * DAY
    return (lines.ordered_at < end) & ((lines.is_return == 0) | (lines.ingested_at <= end))


def _cost_by_end(lines: ir.Table, days: int) -> ir.Value:
    return _counts(lines, days).ifelse(cost_of(lines), 0).sum()


def _worth(orders: ir.Table, days: int, plan: FeaturePlan) -> ir.Value:
    spend = orders[f"spend_{days}"]
    return spend - orders[f"cost_{days}"] if plan.is_margin else spend


def _is_left(orders: ir.Table, days: int) -> ir.BooleanValue:
    spend, refunded = orders[f"spend_{days}"], orders[f"refunded_{days}"]
    return (orders[f"lines_{days}"] > 0) & ((spend > 0) | (refunded == 0))
