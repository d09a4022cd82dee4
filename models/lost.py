"""Those who left: their likely reason, what is at stake, whom to win back first, and who shows life again."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

import duckdb
import pyarrow as pa

from features.parsing import identifier, literal

SIGN_DAYS = 30
"""A sign of life, or a first order after a loss, is told for so many days."""
NEAR_DAYS = 90
"""A complaint bears on leaving if it came no longer than this before the last order, or after it."""
REASONS = ("service", "price", "product")
"""For which there can be evidence; of equal evidence the first is named."""
NO_LIFE = ("email_open", "email_sent", "email_bounce", "unsubscribe")
"""Kinds of interactions that tell nothing of a wish to buy: machines open e-mails, too."""
SERVICE_TOPICS = ("after_sales", "technical", "service", "delivery")
PRODUCT_TOPICS = ("product", "quality")
PRICE_TOPICS = ("price", "discount")


class Evidence(NamedTuple):
    """Something that points to a reason where its condition holds, and how strongly; null does not hold."""

    reason: str
    points: int
    columns: tuple[str, ...]
    condition: str


EVIDENCE = (
    Evidence("service", 2, ("complaints_open",), "complaints_open > 0"),
    Evidence("service", 1, ("feedback_complaint_all",), "feedback_complaint_all > 0"),
    Evidence(
        "service",
        1,
        ("feedback_complaint_days_since", "recency_days"),
        f"feedback_complaint_days_since <= recency_days + {NEAR_DAYS}",
    ),
    Evidence("service", 1, ("feedback_score_last",), "feedback_score_last <= 4"),
    *(Evidence("service", 3, (f"topic_{topic}_all",), f"topic_{topic}_all > 0") for topic in SERVICE_TOPICS),
    *(Evidence("price", 3, (f"topic_{topic}_all",), f"topic_{topic}_all > 0") for topic in PRICE_TOPICS),
    Evidence(
        "price",
        1,
        ("discounted_lines_share",),
        "discounted_lines_share >= 0.5 AND discounted_lines_share >= 1.5 * usual_discounted_share",
    ),
    Evidence("price", 2, ("fee_change",), "fee_change >= 0.05"),
    *(Evidence("product", 3, (f"topic_{topic}_all",), f"topic_{topic}_all > 0") for topic in PRODUCT_TOPICS),
    Evidence("product", 1, ("feedback_return_all",), "feedback_return_all > 0"),
    Evidence("product", 1, ("refund_share",), "refund_share >= 0.2"),
    Evidence("product", 1, ("refund_days_since", "recency_days"), "refund_days_since <= recency_days"),
)


TAKEN = (
    *("recency_days", "orders_all", "historic_value", "churn_risk", "return_days", "gap_last_ratio"),
    *("feedback_complaint_all", "complaints_open", "contract_runs"),
)
"""The columns that are taken as they are."""
_TOLD = """
weighed AS (
    SELECT *, greatest(service, price, product) AS most,
        service + price + product - most - least(service, price, product) AS next_most,
        orders_all = 1 OR (orders_all >= 3 AND gap_last_ratio >= 1.5) AS faded,
        CASE WHEN historic_value < 0 THEN 0 ELSE historic_value END
            * least(1, {clv_days} / greatest(seen_days - coalesce(recency_days, 0), 1)) AS value_at_stake,
        CASE WHEN contract_runs IS NULL THEN 1 - churn_risk END AS win_back_chance
    FROM gone
)
SELECT customer_id, lifecycle_stage,
    DATE '1970-01-01' + ({as_of_day} - recency_days)::INTEGER AS last_order_date,
    orders_all::BIGINT AS orders, historic_value, feedback_complaint_all::BIGINT AS complaints,
    complaints_open::BIGINT AS open_complaints,
    CASE WHEN most = 0 THEN CASE WHEN faded THEN 'natural_end' ELSE 'unknown' END {reasons} END
        AS likely_reason,
    CASE WHEN most >= 4 AND most - next_most >= 2 THEN 'high'
        WHEN most >= 2 AND most > next_most THEN 'medium' WHEN most > 0 THEN 'low'
        WHEN faded THEN '{of_natural_end}' END AS reason_confidence,
    value_at_stake, win_back_chance,
    CASE WHEN lifecycle_stage = 'lost' THEN row_number() OVER (
        PARTITION BY lifecycle_stage ORDER BY value_at_stake * win_back_chance DESC NULLS LAST,
            value_at_stake DESC NULLS LAST, customer_id
    ) END AS win_back_priority,
    CASE WHEN lifecycle_stage = 'lost' THEN sign_of_life ELSE 'order' END AS sign_of_life,
    (CASE WHEN lifecycle_stage = 'lost' THEN life_days ELSE return_days END)::BIGINT AS sign_of_life_days
FROM weighed ORDER BY win_back_priority NULLS LAST, customer_id
"""


def lost_table(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    *,
    as_of_day: int,
    clv_days: int,
    lapsing_days: float,
) -> pa.Table:
    """List the customers who left, whom to win back first on top; columns as of `lost_sql`."""
    columns = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()]
    query = lost_sql(columns, relation, as_of_day=as_of_day, clv_days=clv_days, lapsing_days=lapsing_days)
    return connection.sql(query).to_arrow_table()


def lost_sql(
    columns: Collection[str],
    relation: str,
    *,
    as_of_day: int,
    clv_days: int,
    lapsing_days: float,
) -> str:
    """Write the query for the customers who left, for DuckDB.

    Parameters
    ----------
    columns
        Of the relation. Any but ``customer_id`` and ``lifecycle_stage`` may be missing; then what follows
        from it is null, or is no evidence.
    relation
        A table or view: features, forecast and standing of everybody, one row per customer.
    as_of_day
        The calendar day of the run, counted from 1970-01-01.
    clv_days
        The days that the value at stake is about.
    lapsing_days
        The silence from which a customer lapses: what comes later is a sign of life.

    Returns
    -------
    One row per customer whose ``lifecycle_stage`` is lost, or won_back by an order of the last 30 days:
    ``last_order_date``; ``orders``, ``historic_value``, ``complaints`` and ``open_complaints`` ever;
    ``likely_reason``: that of service, price and product with most points of `EVIDENCE`; without any,
    natural_end for who bought once or ever more seldom (three orders, the last gap half as long again as
    the mean), else unknown; ``reason_confidence``: high from 4 points, 2 ahead of the next reason, medium
    from 2 points, 1 ahead, else low; of a natural end medium where feedback is on record, else low; of
    unknown null; ``value_at_stake``: the value of as many days as `clv_days` while the customer bought, at
    most all of it; ``win_back_chance``: 1 less churn_risk, null of contracts, whose forecast ends with them;
    ``win_back_priority``: the rank, from 1, by the product of both, then by value, null for who is back;
    ``sign_of_life``: the kind of the latest interaction or feedback that broke a silence of `lapsing_days`
    in the last 30 days, ``order`` for who is back, else null; and ``sign_of_life_days`` since.
    """
    known = set(columns)
    told = _TOLD.format(
        as_of_day=as_of_day,
        clv_days=clv_days,
        reasons=" ".join(f"WHEN {reason} = most THEN '{reason}'" for reason in REASONS),
        of_natural_end="medium" if any(name.startswith("feedback_") for name in known) else "low",
    )
    return f"WITH gone AS ({_gone(known, relation, lapsing_days)}), {told}"


def _gone(known: set[str], relation: str, lapsing_days: float) -> str:
    """Select who left, and what points to each reason."""
    seen_days = "contract_known_days" if "contract_known_days" in known else "tenure_days"
    columns = [
        *(f"{_or_null(name, known)} AS {name}" for name in TAKEN),
        f"{_or_null(seen_days, known)} AS seen_days",
        *(f"{_points(reason, known)} AS {reason}" for reason in REASONS),
        _latest(_signs_of_life(known), lapsing_days),
    ]
    usual = (
        f"(SELECT avg(discounted_lines_share) FROM {relation})"
        if "discounted_lines_share" in known
        else "NULL"
    )
    came_back = f"return_days <= {SIGN_DAYS}" if "return_days" in known else "FALSE"
    return (
        f"SELECT customer_id, lifecycle_stage, {', '.join(columns)} "
        f"FROM (SELECT *, {usual} AS usual_discounted_share FROM {relation}) "
        f"WHERE lifecycle_stage = 'lost' OR (lifecycle_stage = 'won_back' AND {came_back})"
    )


def _or_null(name: str, known: Collection[str]) -> str:
    return identifier(name) if name in known else "NULL::DOUBLE"


def _points(reason: str, known: set[str]) -> str:
    """Add up what points to a reason."""
    found = [
        f"CASE WHEN {each.condition} THEN {each.points} ELSE 0 END"
        for each in EVIDENCE
        if each.reason == reason and known.issuperset(each.columns)
    ]
    return " + ".join(found) or "0"


def _signs_of_life(known: Collection[str]) -> Iterable[tuple[str, str]]:
    """Yield the kinds of interactions and feedback, and the column that tells the days since the last."""
    for name in sorted(known):
        kind = name.removesuffix("_days_since")
        if kind == name:
            continue
        if kind.startswith("feedback_"):
            yield kind.removeprefix("feedback_"), name
        elif f"{kind}_7d" in known and kind not in NO_LIFE:
            yield kind, name


def _latest(life: Iterable[tuple[str, str]], lapsing_days: float) -> str:
    """Select the latest sign of life, and the days since."""
    counts = {
        kind: f"CASE WHEN {column} <= {SIGN_DAYS} AND recency_days - {column} > {lapsing_days} "
        f"THEN {column} END"
        for kind, column in ((kind, identifier(column)) for kind, column in life)
    }
    if not counts:
        return "NULL::VARCHAR AS sign_of_life, NULL::DOUBLE AS life_days"
    latest = f"least({', '.join(counts.values())})"
    kinds = " ".join(f"WHEN {days} = {latest} THEN {literal(kind)}" for kind, days in counts.items())
    return f"CASE {kinds} END AS sign_of_life, {latest} AS life_days"
