"""Those who left: their likely reason, what is at stake, whom to win back first, and who shows life again."""

from collections.abc import Iterable
from typing import NamedTuple

import duckdb
import pyarrow as pa

from features.batch import tables_in
from features.contract import FEEDBACK
from features.feedback import COMPLAINT
from features.instants import Cutoff
from features.parsing import identifier, literal

EVERYBODY = (
    "(SELECT features.*, scored.* EXCLUDE (customer_id) FROM features JOIN scored USING (customer_id))"
)
"""What `lost_table` reads of a run: the tables ``features`` and ``scored``, side by side."""
SIGN_DAYS = 30
"""A sign of life, or a first order after a loss, is told for so many days."""
NEAR_DAYS = 90
"""What a customer says bears on leaving if said no longer than this before the last order, or after it."""
CONTENT = 7
"""A score from which a customer has no cause to leave, of 10."""
NO_LIFE = ("email_open", "email_sent", "email_bounce", "unsubscribe")
"""Kinds of interactions that tell nothing of a wish to buy: machines open e-mails, too."""
TOPICS = {
    "service": ("after_sales", "technical", "service", "delivery"),
    "price": ("price", "discount"),
    "product": ("product", "quality"),
}
"""By reason the topics of feedback about it; of equal evidence the first reason is named."""
WORDS = {"near_complaint": 3, "near_low_score": 2, "near_word": 1, "complaint": 1}
"""What customers said about a matter: the strongest of it counts, by these points."""
CLEARLY_MORE, FEWEST = 1.2, 200
"""Evidence is trusted if it is so much as frequent among the lost as among others, of so many each."""
OPEN = 2
"""Further points for a complaint that was never resolved."""


class Evidence(NamedTuple):
    """Behaviour that points to a reason where its condition holds, and how strongly; null does not hold."""

    reason: str
    points: int
    columns: tuple[str, ...]
    condition: str


BEHAVIOUR = (
    Evidence(
        "price",
        1,
        ("discounted_lines_share",),
        "discounted_lines_share >= 0.5 AND discounted_lines_share >= 1.5 * usual_discounted_share",
    ),
    Evidence("price", 2, ("fee_change",), "fee_change >= 0.05"),
    Evidence("product", 1, ("refund_share",), "refund_share >= 0.2"),
    Evidence("product", 1, ("refund_days_since", "recency_days"), "refund_days_since <= recency_days"),
)
TAKEN = ("recency_days", "orders_all", "historic_value", "churn_risk", "gap_last_ratio", "contract_runs")
"""The columns that are taken as they are."""
_TOLD = """
weighed AS (
    SELECT *, greatest(service, price, product) AS most,
        service + price + product - most - least(service, price, product) AS next_most,
        orders_all = 1 OR (orders_all >= 3 AND gap_last_ratio >= 1.5) AS faded
    FROM (SELECT * REPLACE ({points}) FROM everybody LEFT JOIN said USING (customer_id))
), explained AS (
    SELECT *, CASE WHEN most = 0 THEN CASE WHEN faded THEN 'natural_end' ELSE 'unknown' END {reasons} END
            AS likely_reason,
        CASE WHEN most >= 4 AND most - next_most >= 2 THEN 'high'
            WHEN most >= 2 AND most > next_most THEN 'medium' WHEN most > 0 THEN 'low'
            WHEN faded THEN {of_natural_end} END AS confidence,
        lifecycle_stage = 'lost' AS is_lost
    FROM weighed
), compared AS (
    SELECT likely_reason, count(*) FILTER (is_lost) / any_value(lost) AS among_lost,
        count(*) FILTER (NOT is_lost) / any_value(others) AS among_others
    FROM explained, (SELECT count_if(is_lost) AS lost, count_if(NOT is_lost) AS others FROM explained)
    WHERE confidence IN ('high', 'medium') AND lost >= {fewest} AND others >= {fewest}
    GROUP BY likely_reason
), gone AS (
    SELECT *, CASE WHEN historic_value < 0 THEN 0 ELSE historic_value END
            * least(1, {clv_days} / greatest(seen_days - coalesce(recency_days, 0), 1)) AS value_at_stake,
        CASE WHEN contract_runs IS NULL THEN 1 - churn_risk END AS win_back_chance,
        CASE WHEN confidence <> 'low' AND among_lost < {clearly} * among_others THEN 'low'
            ELSE confidence END AS reason_confidence
    FROM explained LEFT JOIN compared USING (likely_reason)
    WHERE is_lost OR (lifecycle_stage = 'won_back' AND return_days <= {sign_days})
)
SELECT customer_id, lifecycle_stage,
    DATE '1970-01-01' + ({as_of_day} - recency_days)::INTEGER AS last_order_date,
    orders_all::BIGINT AS orders, historic_value, {complaints} AS complaints,
    {open_complaints} AS open_complaints, likely_reason, reason_confidence, value_at_stake, win_back_chance,
    CASE WHEN is_lost THEN row_number() OVER (
        PARTITION BY is_lost ORDER BY value_at_stake * win_back_chance DESC NULLS LAST,
            value_at_stake DESC NULLS LAST, customer_id
    ) END AS win_back_priority,
    CASE WHEN is_lost THEN sign_of_life ELSE 'order' END AS sign_of_life,
    (CASE WHEN is_lost THEN life_days ELSE return_days END)::BIGINT AS sign_of_life_days
FROM gone ORDER BY win_back_priority NULLS LAST, customer_id
"""


def lost_table(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    *,
    cutoff: Cutoff,
    clv_days: int,
    lapsing_days: float,
) -> pa.Table:
    """List the customers who left, whom to win back first on top.

    Parameters
    ----------
    connection
        With the relation and, where the company records it, the staged ``feedback``.
    relation
        A table, view or query in brackets: features, forecast, profile and standing of everybody, one row
        per customer. Any column but ``customer_id`` and ``lifecycle_stage`` may be missing; then what
        follows from it is null, or is no evidence.
    cutoff
        Of the run.
    clv_days
        The days that the value at stake is about.
    lapsing_days
        The silence from which a customer lapses: what comes later is a sign of life.

    Returns
    -------
    One row per customer whose ``lifecycle_stage`` is lost, or won_back by an order of the last 30 days:
    ``last_order_date``; ``orders`` and ``historic_value`` ever; ``complaints`` and ``open_complaints``, null
    where no feedback is recorded; ``likely_reason``: that of service, price and product with most points:
    for what was said about it (`WORDS`; a complaint of any other topic is about service), `OPEN` ones, and
    `BEHAVIOUR`; without any, natural_end for who bought once or ever more seldom (three orders, the last
    gap half as long again as the mean), else unknown; ``reason_confidence``: high from 4 points, 2 ahead of
    the next reason, medium from 2 points, 1 ahead, else low; of a natural end medium where feedback is
    recorded, else low; low as well where as much points to that reason among customers who stayed
    (`CLEARLY_MORE`); of unknown null; ``value_at_stake``: the value of as many days as `clv_days` while
    the customer bought, at most all of it; ``win_back_chance``: 1 less churn_risk, null of contracts, whose
    forecast ends with them; ``win_back_priority``: the rank, from 1, by the product of both, then by value,
    null for who is back; ``sign_of_life``: the kind of the latest interaction or feedback that broke a
    silence of `lapsing_days` in the last 30 days, ``order`` for who is back, else null; and
    ``sign_of_life_days`` since.
    """
    known = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}
    tells = FEEDBACK.name in tables_in(connection)
    told = _TOLD.format(
        as_of_day=cutoff.day,
        clv_days=clv_days,
        points=", ".join(f"{reason} + coalesce(said_{reason}, 0) AS {reason}" for reason in TOPICS),
        complaints="coalesce(complaints, 0)" if tells else "NULL::BIGINT",
        open_complaints="coalesce(open_complaints, 0)" if tells else "NULL::BIGINT",
        reasons=" ".join(f"WHEN {reason} = most THEN '{reason}'" for reason in TOPICS),
        of_natural_end="'medium'" if tells else "'low'",
        fewest=FEWEST,
        clearly=CLEARLY_MORE,
        sign_days=SIGN_DAYS,
    )
    said = _said(cutoff) if tells else _NOTHING_SAID
    everybody = _everybody(known, relation, lapsing_days)
    return connection.sql(f"WITH everybody AS ({everybody}), said AS ({said}), {told}").to_arrow_table()


def _everybody(known: set[str], relation: str, lapsing_days: float) -> str:
    """Select all who ever bought, and the points of their behaviour by reason."""
    seen_days = "contract_known_days" if "contract_known_days" in known else "tenure_days"
    columns = [
        *(f"{_or_null(name, known)} AS {name}" for name in TAKEN),
        f"{_or_null(seen_days, known)} AS seen_days",
        f"{_back_since(known, lapsing_days)} AS return_days",
        *(f"{_behaved(reason, known)} AS {reason}" for reason in TOPICS),
        _latest(_signs_of_life(known), lapsing_days),
    ]
    tells_discount = "discounted_lines_share" in known
    usual = f"(SELECT avg(discounted_lines_share) FROM {relation})" if tells_discount else "NULL"
    return (
        f"SELECT customer_id, lifecycle_stage, {', '.join(columns)} "
        f"FROM (SELECT *, {usual} AS usual_discounted_share FROM {relation}) "
        "WHERE lifecycle_stage <> 'prospect'"
    )


def _or_null(name: str, known: set[str]) -> str:
    return identifier(name) if name in known else "NULL::DOUBLE"


def _back_since(known: set[str], lapsing_days: float) -> str:
    """Tell the days since the order that ended a long silence, as the profile or the last gap says."""
    if "return_days" in known or not known.issuperset({"gap_last_days", "recency_days"}):
        return _or_null("return_days", known)
    return f"CASE WHEN gap_last_days > {lapsing_days} THEN recency_days END"


def _behaved(reason: str, known: set[str]) -> str:
    """Add up what behaviour points to a reason."""
    found = [
        f"CASE WHEN {each.condition} THEN {each.points} ELSE 0 END"
        for each in BEHAVIOUR
        if each.reason == reason and known.issuperset(each.columns)
    ]
    return " + ".join(found) or "0"


def _said(cutoff: Cutoff) -> str:
    """Sum the known feedback of customers: complaints, and by reason the points of what was said."""
    by_topic = " ".join(
        f"WHEN matter IN ({', '.join(map(literal, topics))}) THEN '{reason}'"
        for reason, topics in TOPICS.items()
    )
    otherwise = f"WHEN kind = 'return' THEN 'product' WHEN is_complaint OR score < {CONTENT} THEN 'service'"
    topic = "replace(lower(topic), ' ', '_')"
    conditions = {
        "near_complaint": "is_near AND is_complaint",
        "near_low_score": f"is_near AND score < {CONTENT}",
        "near_word": f"is_near AND coalesce(score < {CONTENT}, TRUE)",
        "complaint": "is_complaint",
    }
    points = " ".join(f"WHEN {conditions[word]} THEN {worth}" for word, worth in WORDS.items())
    of_reasons = ", ".join(
        f"coalesce(max(points) FILTER (about = '{each}'), 0) "
        f"+ {OPEN} * max(is_open::INT * (about = '{each}')::INT) AS said_{each}"
        for each in TOPICS
    )
    return f"""
SELECT customer_id, count(*) FILTER (is_complaint) AS complaints,
    count(*) FILTER (is_open) AS open_complaints, {of_reasons}
FROM (SELECT *, CASE {points} ELSE 0 END AS points, CASE {by_topic} {otherwise} ELSE '' END AS about
    FROM (SELECT customer_id, kind, score, {topic} AS matter, kind = {literal(COMPLAINT)} AS is_complaint,
            is_complaint AND NOT coalesce(resolved_at < {cutoff.micros}, FALSE) AS is_open,
            coalesce(day >= {cutoff.day} - recency_days - {NEAR_DAYS}, TRUE) AS is_near
        FROM {FEEDBACK.name} JOIN everybody USING (customer_id)
        WHERE occurred_at < {cutoff.micros} AND ingested_at <= {cutoff.micros}))
GROUP BY customer_id"""


_NOTHING_SAID = (
    "SELECT '' AS customer_id, 0 AS complaints, 0 AS open_complaints, "
    f"{', '.join(f'0 AS said_{reason}' for reason in TOPICS)} WHERE FALSE"
)


def _signs_of_life(known: set[str]) -> Iterable[tuple[str, str]]:
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
