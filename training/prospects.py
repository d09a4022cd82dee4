"""Prospects at past snapshots: who was known without an order, and who of them made a first one."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from features.batch import SPINE, put_everybody_on_spine, put_on_spine
from features.instants import Cutoff
from features.plan import FeaturePlan
from models.estimator import CALENDAR, columns_of
from models.first_order import FirstOrder
from training.history import History
from training.labels import label_query, label_spine

EVERY = 2
"""Of the snapshots one in so many teaches: neighbours share most of their horizon."""
MOST = 20_000
"""Prospects of a snapshot; of more a draw teaches as well."""
_WITHOUT_AN_ORDER = """
SELECT customer_id FROM {spine} WHERE customer_id NOT IN (
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
    query = label_query(history.plan, days=(history.plan.horizon_days,))
    parts = [_snapshot(history, cutoff, as_of, query) for cutoff in past]
    frame = pd.concat([part for part in parts if not part.empty] or parts[:1], ignore_index=True)
    came = frame.pop("came").to_numpy(dtype=float)
    known = frame.loc[:, frame.notna().any()]
    if CALENDAR not in known:
        return None
    return FirstOrder(seed=seed).fit(columns_of(known), came, horizon_days=history.plan.horizon_days)


def tells_of_prospects(plan: FeaturePlan) -> bool:
    """Tell whether something with a date may tell of a customer before the first order."""
    return bool(plan.interaction_kinds or plan.feedback_kinds or plan.knows_joining)


def _snapshot(history: History, at: datetime, known_by: datetime, query: str) -> pd.DataFrame:
    connection, plan = history.connection, history.plan
    cutoff = Cutoff.at(at, history.time_zone)
    put_everybody_on_spine(connection, cutoff)
    chosen = _WITHOUT_AN_ORDER.format(spine=SPINE, at=cutoff.micros, most=MOST)
    put_on_spine(connection, chosen, cutoff)
    features = plan.sql()["duckdb"]["features"]
    rows = connection.execute(f"SELECT * EXCLUDE (as_of) FROM ({features}) ORDER BY customer_id").df()
    until = Cutoff.at(known_by, history.time_zone).micros
    labels = label_spine(connection, query, days=(plan.horizon_days,), known_by=until)
    came = np.asarray(labels.sort_values("customer_id")[f"orders_{plan.horizon_days}"] > 0, dtype=float)
    return rows.drop(columns="customer_id").assign(came=came)
