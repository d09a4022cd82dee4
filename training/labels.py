"""What customers did in the horizon after an `as_of`: the truth that forecasts are taught and judged by."""

import duckdb
import ibis
import ibis.expr.types as ir
import pandas as pd

from features.batch import SPINE
from features.contract import DAY, SCALE
from features.days import SUBJECT, unbound_spine
from features.plan import FeaturePlan

JUDGED = "judged"
"""The spine with ``known_by``."""


def label_query(plan: FeaturePlan, *, horizon_days: int) -> str:
    """Compile the labels of a plan's orders to SQL, for `label_spine`.

    Parameters
    ----------
    plan
        Says which lines are purchases.
    horizon_days
        Orders of ``[as_of, as_of + horizon_days)`` count.
    """
    return str(ibis.to_sql(_horizon_orders(plan, horizon_days=horizon_days), dialect="duckdb"))


def label_spine(connection: duckdb.DuckDBPyConnection, query: str, *, known_by: int) -> pd.DataFrame:
    """Label the customers on the spine, as known at a later instant.

    Parameters
    ----------
    connection
        With the staged tables, the matched refunds and the spine.
    query
        Of `label_query`.
    known_by
        Nothing that happened at or after this instant, or was ingested after it, is seen (int64 us UTC).

    Returns
    -------
    One row per spine row, in its order: ``orders`` (order days in the horizon that were not fully
    cancelled by its end) and ``value`` (their amounts less their refunds known by its end, in units of
    the currency). Refunds of earlier orders count nowhere.
    """
    labels = connection.execute(
        f"WITH {JUDGED} AS (SELECT *, {known_by}::BIGINT AS known_by FROM {SPINE}) "
        f"SELECT coalesce(orders, 0)::DOUBLE AS orders, coalesce(value, 0) / {SCALE}::DOUBLE AS value "
        f"FROM {SPINE} LEFT JOIN ({query}) USING ({SUBJECT}) ORDER BY {SUBJECT}"
    ).df()
    return labels.astype("float64")


def _horizon_orders(plan: FeaturePlan, *, horizon_days: int) -> ir.Table:
    """Return the orders and their value in the horizon: one row per subject with an order left."""
    judged = ibis.table({**unbound_spine().schema(), "known_by": "int64"}, name=JUDGED)
    joined = judged.join(plan.order_lines(), "customer_id")
    end = joined.as_of + horizon_days * DAY
    seen = (joined.ordered_at < joined.known_by) & (joined.ingested_at <= joined.known_by)
    bought = (joined.ordered_at >= joined.as_of) & (joined.ordered_at < end)
    refunded = bought & (joined.order_at >= joined.as_of) & (joined.ingested_at <= end)
    future = joined.filter(seen & ((joined.is_return == 1).ifelse(refunded, bought)))
    days = future.group_by(SUBJECT, day=future.order_day).aggregate(
        lines=(future.is_purchase - future.cancels).sum(),
        spend=future.amount.sum(),
        refunded=(future.is_return == 1).ifelse(-future.amount, 0).sum(),
    )
    left = days.filter((days.lines > 0) & ((days.spend > 0) | (days.refunded == 0)))
    return left.group_by(SUBJECT).aggregate(orders=left.count(), value=left.spend.sum())
