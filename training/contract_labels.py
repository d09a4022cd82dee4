"""When contracts ended after an `as_of`, and the fees until then: the truth of the contractual setting."""

from collections.abc import Sequence

import duckdb
import ibis
import numpy as np
import pandas as pd

from features.batch import SPINE
from features.contract import DAY, SCALE
from features.contracts import OPEN, periods, unbound_contracts
from features.days import known, unbound_spine

JUDGED = "judged"
"""The spine, its `as_of` moved to the instant that the labels are known at."""


def contract_label_query(*, days: Sequence[int], fee_days: float) -> str:
    """Write the query of `label_contracts` for these numbers of days."""
    judged = ibis.table(unbound_spine().schema(), name=JUDGED)
    rows = ibis.to_sql(periods(known(unbound_contracts(), judged, clock="started_at")), dialect="duckdb")
    fees = ", ".join(
        f"sum(fee * greatest(0, least(until, spine.as_of + {day * DAY}) - greatest(started_at, spine.as_of))"
        f"::DOUBLE) / {DAY * fee_days * SCALE} AS value_{day}"
        for day in days
    )
    return (
        f"WITH laid_out AS ({rows}), "
        "numbered AS (SELECT *, sum(opens) OVER (PARTITION BY subject ORDER BY started_at) AS chain "
        "FROM laid_out), "
        "chains AS (SELECT *, min(started_at) OVER chain AS begun_at, max(until) OVER chain AS bound_until "
        "FROM numbered WINDOW chain AS (PARTITION BY subject, chain)) "
        f"SELECT any_value(customer_id) AS customer_id, "
        f"(max(bound_until) + {DAY} - any_value({SPINE}.as_of)) / {DAY} AS left_days, "
        f"{fees} FROM {SPINE} LEFT JOIN chains ON chains.subject = {SPINE}.subject "
        f"AND begun_at < {SPINE}.as_of AND bound_until >= {SPINE}.as_of - {DAY} "
        f"GROUP BY {SPINE}.subject ORDER BY {SPINE}.subject"
    )


def label_contracts(
    connection: duckdb.DuckDBPyConnection, query: str, *, days: Sequence[int], known_by: int
) -> pd.DataFrame:
    """Label the customers on the spine whose contract runs, as known at a later instant.

    Parameters
    ----------
    query
        Of `contract_label_query`, for the same days.
    known_by
        Nothing that happened at or after this instant, or was ingested after it, is seen (int64 us UTC).

    Returns
    -------
    One row per spine row, in its order: ``customer_id`` and, for each number of days, ``ended_{d}`` (1
    where the contract has ended: a day has gone by without one; else 0) and ``value_{d}``, the fees from
    `as_of` on until then in units of the currency, NaN without a fee. A contract that is known no more counts
    as ended at once.
    """
    connection.execute(
        f"CREATE OR REPLACE TABLE {JUDGED} AS SELECT * REPLACE ({known_by}::BIGINT AS as_of) FROM {SPINE}"
    )
    rows = connection.execute(query).df()
    left = rows["left_days"].fillna(0.0).where(rows["left_days"] < (OPEN // 2) / DAY, np.inf)
    ended = {f"ended_{day}": (left < day).astype(float) for day in days}
    return pd.concat([rows.drop(columns="left_days"), pd.DataFrame(ended)], axis=1)
