"""The days on which each customer ordered, as known at one `as_of`."""

import duckdb
import ibis

from features.batch import SPINE, put_everybody_on_spine
from features.days import SUBJECT, known, order_days, unbound_spine
from features.instants import Cutoff
from features.plan import FeaturePlan

CALENDAR = "order_calendar"


def put_order_calendar(connection: duckdb.DuckDBPyConnection, plan: FeaturePlan, cutoff: Cutoff) -> None:
    """Make the table ``order_calendar``: one row per customer and day with an order left.

    Its columns are ``customer_id`` and ``day`` (counted from 1970-01-01, in the project's time zone); orders
    that were fully cancelled by the cutoff are none. A plan without orders makes it empty.

    Parameters
    ----------
    connection
        With the staged tables and the matched refunds; its spine is replaced by everybody at the cutoff.
    """
    put_everybody_on_spine(connection, cutoff)
    days = f"SELECT 0::BIGINT AS {SUBJECT}, 0::BIGINT AS day WHERE FALSE"
    if plan.reads_orders:
        lines = known(plan.order_lines(), unbound_spine(), clock="ordered_at")
        days = str(ibis.to_sql(order_days(lines).select(SUBJECT, "day"), dialect="duckdb"))
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {CALENDAR} AS "
        f"SELECT customer_id, day FROM ({days}) JOIN {SPINE} USING ({SUBJECT})"
    )
