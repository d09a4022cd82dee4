"""Life cycle, loyalty and base customers of a shop: each defined once, in words and in SQL.

The SQL reads the columns of one customer and runs on SQLite and DuckDB alike. What is unusual follows
from the shop's own rhythm: ``lapsing_days`` and ``lost_days`` are the silences that one in five and one in
twenty of its returning customers outlast. Everything counts at `as_of`.
"""

from features.silence import Rhythm

YEAR = 365
AT_RISK_FROM, LOYAL_BELOW, BASE_BELOW = 80, 50, 33
"""Of churn_risk_percentile: the fifth likeliest to leave, the half and the third least likely to."""


def stage_sql(rhythm: Rhythm, *, established_orders: int) -> str:
    """Write the life cycle's stage of a customer; the first that fits.

    - ``prospect``: known, and no order yet.
    - ``lost``: silent for longer than ``lost_days``.
    - ``lapsing``: silent for longer than ``lapsing_days``; or, with at least `established_orders` orders,
      for more than half of it and twice as long as ever before.
    - ``won_back``: active again after a silence longer than ``lost_days``, until as many days have passed
      since the return.
    - ``established``: at least `established_orders` orders, over at least ``lapsing_days``.
    - ``first_time``: one order.
    - ``repeat``: several orders, not yet established.
    """
    return (
        f"CASE WHEN {_is_prospect()} THEN 'prospect' WHEN {_is_lost(rhythm)} THEN 'lost' "
        f"WHEN {_is_lapsing(rhythm, established_orders)} THEN 'lapsing' "
        f"WHEN {_is_back(rhythm)} THEN 'won_back' "
        f"WHEN {_is_proven(rhythm, established_orders)} THEN 'established' "
        "WHEN \"orders_all\" = 1 THEN 'first_time' ELSE 'repeat' END"
    )


def loyalty_sql(rhythm: Rhythm, *, established_orders: int) -> str:
    """Write the loyalty of a customer; the first that fits, null for a prospect.

    - ``at_risk``: lapsing or lost; or active, yet among the fifth of all customers likeliest to leave.
    - ``loyal``: established, a customer for at least ``lost_days``, and among the half least likely to leave.
    - ``regular``: everyone else who has ordered.
    """
    return (
        f"CASE WHEN {_is_prospect()} THEN NULL WHEN {_is_at_risk(rhythm, established_orders)} THEN 'at_risk' "
        f"WHEN {_is_loyal(rhythm, established_orders)} THEN 'loyal' ELSE 'regular' END"
    )


def base_sql(rhythm: Rhythm, *, established_orders: int) -> str:
    """Write whether somebody is a base customer: 1 or 0.

    A base customer is loyal; long-standing: a customer for at least a year and for ``lost_days``; steady:
    within the last 365 days at least one order for every ``lapsing_days`` of them; and of low risk: among
    the third of all customers least likely to leave.
    """
    return (
        f"CASE WHEN {_is_at_risk(rhythm, established_orders)} THEN 0 "
        f'WHEN {_is_loyal(rhythm, established_orders)} AND "tenure_days" >= {YEAR} '
        f'AND "orders_365d" * {rhythm.lapsing_days} >= {YEAR} '
        f'AND "churn_risk_percentile" < {BASE_BELOW} THEN 1 ELSE 0 END'
    )


def _is_prospect() -> str:
    return 'coalesce("orders_all", 0) = 0'


def _is_lost(rhythm: Rhythm) -> str:
    return f'"recency_days" > {rhythm.lost_days}'


def _is_lapsing(rhythm: Rhythm, established_orders: int) -> str:
    return (
        f'("recency_days" > {rhythm.lapsing_days} OR "orders_all" >= {established_orders} '
        f'AND "recency_days" * 2 > {rhythm.lapsing_days} AND "recency_days" > 2 * "gap_max_days")'
    )


def _is_back(rhythm: Rhythm) -> str:
    return f'"return_days" <= {rhythm.lost_days}'


def _is_proven(rhythm: Rhythm, established_orders: int) -> str:
    return (
        f'("orders_all" >= {established_orders} AND "tenure_days" - "recency_days" >= {rhythm.lapsing_days})'
    )


def _is_at_risk(rhythm: Rhythm, established_orders: int) -> str:
    return (
        f"({_is_lost(rhythm)} OR {_is_lapsing(rhythm, established_orders)} "
        f'OR "churn_risk_percentile" >= {AT_RISK_FROM})'
    )


def _is_loyal(rhythm: Rhythm, established_orders: int) -> str:
    return (
        f"(NOT coalesce({_is_back(rhythm)}, 1 = 0) AND {_is_proven(rhythm, established_orders)} "
        f'AND "tenure_days" >= {rhythm.lost_days} AND "churn_risk_percentile" < {LOYAL_BELOW})'
    )
