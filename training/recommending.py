"""How often the next product is told right: recall on the next order, beside what is simpler."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import duckdb
import numpy as np
import pandas as pd

from features.instants import Cutoff
from features.plan import FeaturePlan
from models.likelihood import Vector
from models.next_product import BOUGHT, POPULAR, next_products, put_bought

COMBINED, AGAIN, MOST_POPULAR = "next product", "buy again", "most popular"
OFFERED = 10
"""Products per customer that are judged: recall@10."""
MOST_JUDGED = 5_000
"""Customers of an origin who are judged, drawn by a hash of their id."""
LISTED = 1_000
"""Popular products that the simpler rankings choose from beside a customer's own."""
RESAMPLES = 1_000
RANKED = ("ranking", "only_new", "customer_id", "product_id")


def judge_next_products(
    connection: duckdb.DuckDBPyConnection,
    plan: FeaturePlan,
    *,
    origins: Sequence[datetime],
    time_zone: str,
    horizon_days: int,
    known_by: datetime,
) -> pd.DataFrame:
    """Rank products as known at each origin, and look which of them were in the next order.

    Parameters
    ----------
    connection
        With the staged ``orders`` and their matched refunds.
    origins
        Beginnings of a day in `time_zone`.
    horizon_days
        The next order is the first day with an order within so many days.
    known_by
        The truth is what was known at this instant.

    Returns
    -------
    One row per origin, customer with an order before and after it, ``ranking`` (next product; buy again: what
    the customer had in most orders, of equals the latest, then what is popular; most popular: of most
    customers in the last 60 days) and ``only_new``: whether only products new to the customer are ranked and
    looked for. ``recall`` is the share of the products of the order that the best 10 hold. Buy again
    has no new products.
    """
    judged = [
        _at_origin(connection, plan, at, horizon_days, Cutoff.at(known_by, time_zone)).assign(origin=origin)
        for origin, at in ((origin, Cutoff.at(origin, time_zone)) for origin in origins)
    ]
    return pd.concat(judged, ignore_index=True)


def recalls(judged: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Average recall, with 95% intervals by bootstrap of customers, each with all its origins.

    Parameters
    ----------
    judged
        Of `judge_next_products`.

    Returns
    -------
    One row per ``only_new`` and ``ranking``: ``orders`` judged, ``recall``, ``low``, ``high``, and by how
    much next product is better than it: ``gain``, ``gain_low``, ``gain_high`` (paired; its own is 0).
    """
    rng = np.random.default_rng(seed)
    rows = []
    for only_new, part in judged.groupby("only_new"):
        by_customer = part.pivot_table(
            index="customer_id", columns="ranking", values="recall", aggfunc="sum", sort=True
        )
        orders = part[part["ranking"] == COMBINED].groupby("customer_id").size().loc[by_customer.index]
        drawn = rng.multinomial(len(orders), np.full(len(orders), 1 / len(orders)), size=RESAMPLES).astype(
            float
        )
        ours = _means(by_customer[COMBINED], orders, drawn)
        for ranking in by_customer:
            theirs = _means(by_customer[ranking], orders, drawn)
            rows.append(
                {"only_new": only_new, "ranking": ranking, "orders": int(orders.sum())}
                | dict(zip(("recall", "low", "high"), _interval(theirs), strict=True))
                | dict(zip(("gain", "gain_low", "gain_high"), _interval(ours - theirs), strict=True))
            )
    return pd.DataFrame(rows)


def _means(sums: "pd.Series[float]", orders: "pd.Series[int]", drawn: Vector) -> Vector:
    """Return the mean recall of all orders, and of every draw of customers behind it."""
    weights = np.vstack([np.ones(len(orders)), drawn])
    return np.asarray((weights @ sums.to_numpy()) / (weights @ orders.to_numpy()))


def _interval(values: Vector) -> Iterable[float]:
    return float(values[0]), *map(float, np.quantile(values[1:], (0.025, 0.975)))


def _at_origin(
    connection: duckdb.DuckDBPyConnection, plan: FeaturePlan, at: Cutoff, horizon_days: int, known_by: Cutoff
) -> pd.DataFrame:
    put_bought(connection, plan, cutoff=known_by)
    connection.execute(_COMING.format(first=at.day, last=at.day + horizon_days, most=MOST_JUDGED))
    connection.execute(f"CREATE OR REPLACE TEMP TABLE ranked ({' VARCHAR, '.join(RANKED)} VARCHAR)")
    asked = "(SELECT DISTINCT customer_id FROM coming)"
    for only_new in (False, True):
        found = next_products(
            connection, plan, cutoff=at, customers=asked, most=OFFERED, only_new=only_new
        ).project(f"'{COMBINED}', {only_new}, customer_id, product_id")
        found.insert_into("ranked")
    connection.execute(_SIMPLER)
    return connection.execute(_RECALL).df()


_COMING = f"""
CREATE OR REPLACE TEMP TABLE coming AS
SELECT customer_id, product_id FROM {BOUGHT}
WHERE day >= {{first}} AND day < {{last}} AND customer_id IN (
    SELECT customer_id FROM {BOUGHT} GROUP BY customer_id
    HAVING min(day) < {{first}} AND count_if(day >= {{first}} AND day < {{last}}) > 0
    ORDER BY hash(customer_id), customer_id LIMIT {{most}}
)
QUALIFY day = min(day) OVER (PARTITION BY customer_id)
"""
_SIMPLER = f"""
INSERT INTO ranked
WITH own AS (
    SELECT customer_id, product_id, count(*) AS orders, min(age) AS age
    FROM {BOUGHT} WHERE customer_id IN (SELECT customer_id FROM coming) GROUP BY ALL
), listed AS (
    FROM (SELECT DISTINCT customer_id FROM coming),
        (SELECT product_id FROM {POPULAR} ORDER BY customers DESC, product_id LIMIT {LISTED})
    UNION SELECT customer_id, product_id FROM own
), known AS (
    SELECT listed.*, customers, coalesce(orders, 0) AS orders, age
    FROM listed JOIN {POPULAR} USING (product_id) LEFT JOIN own USING (customer_id, product_id)
)
SELECT '{MOST_POPULAR}', FALSE, customer_id, product_id FROM known QUALIFY row_number()
    OVER (PARTITION BY customer_id ORDER BY customers DESC, product_id) <= {OFFERED}
UNION ALL
SELECT '{MOST_POPULAR}', TRUE, customer_id, product_id FROM known WHERE orders = 0 QUALIFY row_number()
    OVER (PARTITION BY customer_id ORDER BY customers DESC, product_id) <= {OFFERED}
UNION ALL
SELECT '{AGAIN}', FALSE, customer_id, product_id FROM known QUALIFY row_number()
    OVER (PARTITION BY customer_id ORDER BY orders DESC, age, customers DESC, product_id) <= {OFFERED}
"""
_RECALL = f"""
WITH wanted AS (
    SELECT FALSE AS only_new, customer_id, product_id FROM coming
    UNION ALL
    SELECT TRUE, customer_id, product_id FROM coming
        ANTI JOIN {BOUGHT} USING (customer_id, product_id)
), hits AS (
    SELECT ranking, only_new::BOOLEAN AS only_new, customer_id, product_id FROM ranked
), rankings AS (SELECT DISTINCT ranking, only_new FROM hits)
SELECT customer_id, ranking, only_new, count(hits.product_id) / count(*) AS recall
FROM wanted JOIN rankings USING (only_new) LEFT JOIN hits USING (ranking, only_new, customer_id, product_id)
GROUP BY ALL ORDER BY ALL
"""
