"""Prospects at past snapshots: who was known without an order, and who of them made a first one."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from features.batch import SPINE, put_everybody_on_spine
from features.days import SUBJECT
from features.instants import Cutoff
from features.plan import FeaturePlan
from models.estimator import CALENDAR, columns_of
from models.first_order import FirstOrder
from models.likelihood import Vector
from training.history import History
from training.labels import label_query, label_spine

EVERY = 2
"""Of the snapshots one in so many teaches: neighbours share most of their horizon."""
MOST = 20_000
"""Prospects of a snapshot; of more a draw teaches as well."""
_TAKEN = "prospects"
_TAKE = """
INSERT INTO {taken} SELECT customer_id, as_of, as_of_day, as_of_month FROM {spine} WHERE customer_id NOT IN (
    SELECT customer_id FROM orders WHERE ordered_at < {at} AND ingested_at <= {at}
) ORDER BY hash(customer_id) LIMIT {most}
"""


def first_order(history: History, *, as_of: datetime, seed: int) -> FirstOrder | None:
    """Teach the chance of a first order on what is known at `as_of`.

    Returns
    -------
    Null where nothing with a date tells of prospects, or too few first orders were seen.
    """
    horizon = timedelta(days=history.plan.horizon_days)
    past = [cutoff for cutoff in history.cutoffs(as_of) if cutoff + horizon <= as_of][::EVERY]
    if not past or not tells_of_prospects(history.plan):
        return None
    _put_on_spine(history, past)
    frame, came = _lesson(history, as_of)
    known = frame.loc[:, frame.notna().any()]
    if CALENDAR not in known:
        return None
    return FirstOrder(seed=seed).fit(columns_of(known), came, horizon_days=history.plan.horizon_days)


def tells_of_prospects(plan: FeaturePlan) -> bool:
    """Tell whether something with a date may tell of a customer before the first order."""
    return bool(plan.interaction_kinds or plan.feedback_kinds or plan.knows_joining)


def _put_on_spine(history: History, past: Sequence[datetime]) -> None:
    """Make one spine of all snapshots: prospects are few, and each query costs more than its rows."""
    connection = history.connection
    connection.execute(
        f"CREATE OR REPLACE TABLE {_TAKEN} (customer_id VARCHAR, as_of BIGINT, as_of_day BIGINT, "
        "as_of_month BIGINT)"
    )
    for at in past:
        cutoff = Cutoff.at(at, history.time_zone)
        put_everybody_on_spine(connection, cutoff)
        connection.execute(_TAKE.format(taken=_TAKEN, spine=SPINE, at=cutoff.micros, most=MOST))
    connection.execute(
        f"CREATE OR REPLACE TABLE {SPINE} AS "
        f"SELECT *, row_number() OVER (ORDER BY as_of DESC, customer_id) AS {SUBJECT} FROM {_TAKEN}"
    )


def _lesson(history: History, known_by: datetime) -> tuple[pd.DataFrame, Vector]:
    """Return the features of everybody on the spine, and whether an order came."""
    connection, horizon_days = history.connection, history.plan.horizon_days
    features = history.plan.sql()["duckdb"]["features"]
    rows = connection.execute(
        f"SELECT told.* EXCLUDE (customer_id, as_of) FROM ({features}) AS told "
        f"JOIN {SPINE} USING (customer_id, as_of) ORDER BY {SUBJECT}"
    ).df()
    query = label_query(history.plan, days=(horizon_days,))
    until = Cutoff.at(known_by, history.time_zone).micros
    labels = label_spine(connection, query, days=(horizon_days,), known_by=until)
    return rows, np.asarray(labels[f"orders_{horizon_days}"] > 0, dtype=float)
