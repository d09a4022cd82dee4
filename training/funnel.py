"""How far customers come: from prospect to first order, repeat, established, lapsing, lost and won back."""

from collections.abc import Iterator
from typing import Literal

import duckdb
import pandas as pd

from features.batch import SPINE, tables_in
from features.contract import CUSTOMERS, FEEDBACK, INTERACTIONS
from features.instants import Cutoff
from features.parsing import local_day
from training.intervals import wilson
from training.order_calendar import CALENDAR

Period = Literal["month", "quarter"]
MONTHS_AT_MOST = 730
"""Days of history up to which cohorts are those of a month, beyond it of a quarter."""
FIRST = "QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY day) = 1"
"""Keeps of each customer the first time."""
EVERYBODY = "all"
"""The name of all cohorts together."""
STEPS = (
    ("prospect", "first_order"),
    ("first_order", "repeat"),
    ("repeat", "established"),
    ("established", "lapsing"),
    ("lapsing", "lost"),
    ("lost", "won_back"),
)


def cohort_period(connection: duckdb.DuckDBPyConnection, *, cutoff: Cutoff) -> Period:
    """Choose how long a cohort is: a month up to two years of history, a quarter beyond.

    Parameters
    ----------
    connection
        With the order calendar at the cutoff.
    """
    first = connection.execute(f"SELECT min(day) FROM {CALENDAR}").fetchall()[0][0]
    return "month" if first is None or cutoff.day - first <= MONTHS_AT_MOST else "quarter"


def stage_rates(
    connection: duckdb.DuckDBPyConnection,
    *,
    cutoff: Cutoff,
    lapsing_days: float,
    lost_days: float,
    established_orders: int = 3,
    time_zone: str = "UTC",
) -> pd.DataFrame:
    """Tell by cohort which share of those who reached a stage reached the next in time.

    The stages are those of `models.lifecycle`, each from the first day in it. In time is within `lost_days`,
    and from lapsing to lost the days between the two. Only customers count
    who were seen for all of that time, so that young cohorts are compared fairly with old ones. Who had an
    order before records begin is taken for new: the first cohorts hold old customers.

    Parameters
    ----------
    connection
        With the staged tables, and the order calendar and everybody's spine at the cutoff.
    lapsing_days, lost_days
        The silences that a customer who lapses, or is lost, has outlasted.
    established_orders
        From how many orders a customer is established.
    time_zone
        Of the project's calendar days.

    Returns
    -------
    One row per step and cohort, steps in the order of `STEPS`, cohorts oldest first and all of them
    together (``all``) last: ``stage``, ``next_stage``, ``cohort`` (of the first order, for prospects of the
    first contact: 2024-03 or 2024-Q1), ``customers`` who reached the stage, ``reached`` the next,
    ``share``, and its 95% interval ``low`` to ``high`` (Wilson 1927). A prospect is known by an
    interaction, feedback or a date of joining on a day before the first order.
    """
    steps = [
        *_from_prospect(connection, cutoff, lost_days, time_zone),
        *_from_orders(lost_days),
    ]
    period = cohort_period(connection, cutoff=cutoff)
    rows = connection.execute(
        f"WITH {_silences(cutoff, lapsing_days, established_orders)}, "
        f"steps(step, cohort_day, day, next_day, within) AS ({' UNION ALL '.join(steps)}) "
        f"SELECT step, {_label('cohort_day', period)} AS cohort, count(*) AS customers, "
        "count(*) FILTER (next_day <= day + within) AS reached "
        f"FROM steps WHERE day + within < {cutoff.day} GROUP BY GROUPING SETS ((step, cohort), (step)) "
        "ORDER BY step, cohort NULLS LAST"
    ).df()
    names = pd.DataFrame(STEPS, columns=["stage", "next_stage"]).iloc[rows.pop("step")]
    rows["cohort"] = rows["cohort"].fillna(EVERYBODY)
    return pd.concat([names.reset_index(drop=True), _with_share(rows, "reached")], axis=1)


def retention(connection: duckdb.DuckDBPyConnection, *, cutoff: Cutoff) -> pd.DataFrame:
    """Tell which share of each cohort ordered in each month or quarter after that of its first order.

    Parameters
    ----------
    connection
        With the order calendar at the cutoff.

    Returns
    -------
    One row per cohort (oldest first) and period that was over at the cutoff: ``cohort``; ``periods`` after
    it, from 1; ``customers`` of the cohort; how many ``ordered``, their ``share``, and its 95% interval
    ``low`` to ``high`` (Wilson 1927). The first cohort holds those who had ordered before records begin.
    """
    period = cohort_period(connection, cutoff=cutoff)
    now = _number(str(cutoff.day), period)
    rows = connection.execute(
        f"""
WITH active AS (SELECT DISTINCT customer_id, {_number("day", period)} AS number FROM {CALENDAR}),
born AS (SELECT customer_id, min(number) AS first FROM active GROUP BY customer_id),
cohorts AS (SELECT first, count(*) AS customers FROM born GROUP BY first),
cells AS (
    SELECT first, customers, unnest(generate_series(1, {now} - 1 - first)) AS periods FROM cohorts
), counts AS (
    SELECT first, number - first AS periods, count(*) AS ordered
    FROM active JOIN born USING (customer_id) GROUP BY ALL
)
SELECT {_label_of_number("first", period)} AS cohort, periods, customers, coalesce(ordered, 0) AS ordered
FROM cells LEFT JOIN counts USING (first, periods) ORDER BY first, periods"""
    ).df()
    return _with_share(rows, "ordered")


def _from_prospect(
    connection: duckdb.DuckDBPyConnection, cutoff: Cutoff, lost_days: float, time_zone: str
) -> Iterator[str]:
    """Select who was known before the first order, since when, and the day of that order."""
    tables = tables_in(connection)
    contacts = [
        f"SELECT customer_id, day FROM {table.name} "
        f"WHERE occurred_at < {cutoff.micros} AND ingested_at <= {cutoff.micros}"
        for table in (INTERACTIONS, FEEDBACK)
        if table.name in tables
    ]
    if CUSTOMERS.name in tables:
        contacts.append(
            f"SELECT customer_id, {local_day('joined_at', time_zone)} FROM {CUSTOMERS.name} "
            f"WHERE joined_at < {cutoff.micros}"
        )
    if contacts:
        yield (
            f"SELECT 0, first_contact, first_contact, first_order, {lost_days} FROM "
            f"(SELECT customer_id, min(day) AS first_contact FROM ({' UNION ALL '.join(contacts)}) "
            f"JOIN {SPINE} USING (customer_id) GROUP BY customer_id) LEFT JOIN "
            f"(SELECT customer_id, min(day) AS first_order FROM {CALENDAR} GROUP BY customer_id) "
            "USING (customer_id) WHERE first_order IS NULL OR first_order > first_contact"
        )


def _silences(cutoff: Cutoff, lapsing_days: float, established_orders: int) -> str:
    """Describe the silence after each order, the longest that is no lapse, and who was established then."""
    return f"""
days AS (
    SELECT customer_id, day, lead(day) OVER turn AS next_day, day - lag(day) OVER turn AS gap,
        row_number() OVER turn AS number, min(day) OVER (PARTITION BY customer_id) AS first_day
    FROM {CALENDAR} WINDOW turn AS (PARTITION BY customer_id ORDER BY day)
), silences AS (
    SELECT *, coalesce(next_day, {cutoff.day}) - day AS silence,
        CASE WHEN number >= {established_orders} THEN least({lapsing_days}, greatest({lapsing_days} / 2,
            2 * max(gap) OVER (PARTITION BY customer_id ORDER BY day))) ELSE {lapsing_days} END AS bearable,
        number >= {established_orders} AND day - first_day >= {lapsing_days} AS is_established
    FROM days
)"""


def _from_orders(lost_days: float) -> Iterator[str]:
    """Select by step the day of the first order, of reaching the stage and the next, and the days for it."""
    yield f"SELECT 1, first_day, day, next_day, {lost_days}::DOUBLE FROM silences WHERE number = 1"
    yield _between("2", "number = 2", "is_established", "day", lost_days)
    lapses = "is_established AND silence > bearable"
    yield _between("3", "is_established", lapses, "day + floor(bearable) + 1", lost_days)
    yield (
        f"SELECT 4, first_day, day + bearable, CASE WHEN silence > {lost_days} THEN day + {lost_days} END, "
        f"{lost_days} - bearable FROM silences WHERE silence > bearable {FIRST}"
    )
    yield (
        f"SELECT 5, first_day, day + {lost_days}, next_day, {lost_days} "
        f"FROM silences WHERE silence > {lost_days} {FIRST}"
    )


def _between(step: str, stage: str, next_stage: str, next_day: str, within: float) -> str:
    reached = f"min(day) FILTER ({stage})"
    return (
        f"SELECT {step}, any_value(first_day), {reached}, min({next_day}) FILTER ({next_stage}), {within} "
        f"FROM silences GROUP BY customer_id HAVING {reached} IS NOT NULL"
    )


def _with_share(rows: pd.DataFrame, counted: str) -> pd.DataFrame:
    share = rows[counted] / rows["customers"]
    low, high = wilson(share.to_numpy(float), rows["customers"].to_numpy(float))
    return rows.assign(share=share, low=low, high=high)


def _date(day: str) -> str:
    return f"(DATE '1970-01-01' + ({day})::INTEGER)"


def _number(day: str, period: Period) -> str:
    """Count the months or quarters of a day from the year 0."""
    return f"(year({_date(day)}) * {12 if period == 'month' else 4} + {period}({_date(day)}) - 1)"


def _label(day: str, period: Period) -> str:
    return _label_of_number(_number(day, period), period)


def _label_of_number(number: str, period: Period) -> str:
    if period == "month":
        return f"printf('%04d-%02d', {number} // 12, {number} % 12 + 1)"
    return f"printf('%04d-Q%d', {number} // 4, {number} % 4 + 1)"
