"""Where a customer stands, by the same SQL on DuckDB and SQLite, in a shop that knows 40 and 100 days."""

import itertools
import sqlite3
from collections.abc import Mapping
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.silence import Rhythm
from models.lifecycle import base_sql, loyalty_sql, stage_sql

RHYTHM = Rhythm(40, 100)
STAGES = ("prospect", "first_time", "repeat", "established", "lapsing", "lost", "won_back")
COLUMNS = (
    *("orders_all", "recency_days", "tenure_days", "gap_max_days", "orders_365d"),
    *("churn_risk_percentile", "return_days"),
)

LITE = sqlite3.connect(":memory:")
DUCK = duckdb.connect()


def told(text: str, customer: Mapping[str, float | None]) -> Any:
    columns = ", ".join(f'CAST(? AS DOUBLE) AS "{name}"' for name in COLUMNS)
    query, values = f"SELECT {text} FROM (SELECT {columns})", [customer.get(name) for name in COLUMNS]
    found = LITE.execute(query, values).fetchall()
    assert DUCK.execute(query, values).fetchall() == found
    return found[0][0]


def stage(rhythm: Rhythm = RHYTHM, **customer: float | None) -> str:
    return str(told(stage_sql(rhythm, established_orders=3), customer))


def standing(**changed: float | None) -> tuple[str | None, int]:
    """The loyalty of a customer of three years with an order a month, and whether it is a base customer."""
    customer = {
        "orders_all": 36,
        "recency_days": 20,
        "tenure_days": 1080,
        "gap_max_days": 35,
        "orders_365d": 12,
        "churn_risk_percentile": 10,
    } | changed
    texts = [of(RHYTHM, established_orders=3) for of in (loyalty_sql, base_sql)]
    loyalty, base = (told(text, customer) for text in texts)
    return loyalty, base


@pytest.mark.parametrize(
    ("expected", "customer"),
    [
        ("prospect", {}),
        ("first_time", {"orders_all": 1, "recency_days": 40, "tenure_days": 40}),
        ("lapsing", {"orders_all": 1, "recency_days": 41, "tenure_days": 41}),
        ("lapsing", {"orders_all": 1, "recency_days": 100, "tenure_days": 100}),
        ("lost", {"orders_all": 1, "recency_days": 101, "tenure_days": 101}),
        ("repeat", {"orders_all": 2, "recency_days": 5, "tenure_days": 90, "gap_max_days": 85}),
        ("repeat", {"orders_all": 3, "recency_days": 5, "tenure_days": 44, "gap_max_days": 20}),
        ("established", {"orders_all": 3, "recency_days": 5, "tenure_days": 45, "gap_max_days": 20}),
        ("lost", {"orders_all": 9, "recency_days": 101, "tenure_days": 999, "gap_max_days": 300}),
    ],
)
def test_each_stage_begins_and_ends_on_its_day(expected: str, customer: dict[str, float]) -> None:
    assert stage(**customer) == expected


def test_who_returns_after_being_lost_is_won_back_for_as_many_days_as_make_one_lost() -> None:
    back = {"orders_all": 9, "recency_days": 10, "tenure_days": 999, "gap_max_days": 300}
    assert stage(**back, return_days=10) == "won_back"
    assert stage(**back, return_days=100) == "won_back"
    assert stage(**back, return_days=101) == "established"
    assert stage(**back | {"recency_days": 50}, return_days=50) == "lapsing"


def test_a_customer_much_quicker_than_the_shop_lapses_sooner() -> None:
    weekly = {"orders_all": 9, "tenure_days": 100, "gap_max_days": 9}
    assert stage(**weekly, recency_days=20) == "established"
    assert stage(**weekly, recency_days=21) == "lapsing"
    assert stage(**weekly | {"gap_max_days": 15}, recency_days=21) == "established"
    assert stage(**weekly | {"orders_all": 2}, recency_days=21) == "repeat"


def test_a_customer_of_a_weekly_shop_lapses_sooner_than_one_of_a_yearly_one() -> None:
    silent = {"orders_all": 2, "recency_days": 60, "tenure_days": 70, "gap_max_days": 10}
    assert stage(Rhythm(9, 16), **silent) == "lost"
    assert stage(Rhythm(40, 100), **silent) == "lapsing"
    assert stage(Rhythm(380, 420), **silent) == "repeat"


def test_a_base_customer_is_loyal_long_standing_steady_and_of_low_risk() -> None:
    assert standing() == ("loyal", 1)
    assert standing(churn_risk_percentile=33) == ("loyal", 0)
    assert standing(churn_risk_percentile=50) == ("regular", 0)
    assert standing(churn_risk_percentile=80) == ("at_risk", 0)
    assert standing(orders_365d=9) == ("loyal", 0)
    assert standing(tenure_days=364) == ("loyal", 0)
    assert standing(tenure_days=99) == ("regular", 0)
    assert standing(recency_days=41) == ("at_risk", 0)
    assert standing(return_days=60) == ("regular", 0)
    assert standing(orders_all=1, tenure_days=20) == ("regular", 0)
    assert standing(orders_all=None, recency_days=None, churn_risk_percentile=None) == (None, 0)


@st.composite
def customers(draw: st.DrawFn) -> dict[str, float | None]:
    """The columns of a customer with orders on some days before the present, or without any."""
    days = sorted(draw(st.sets(st.integers(0, 900), max_size=8)), reverse=True)
    if not days:
        return {}
    gaps = [before - after for before, after in itertools.pairwise(days)]
    returns = [after for before, after in itertools.pairwise(days) if before - after > 100]
    return {
        "orders_all": len(days),
        "recency_days": days[-1],
        "tenure_days": days[0],
        "gap_max_days": max(gaps, default=None),
        "orders_365d": sum(day <= 365 for day in days),
        "churn_risk_percentile": draw(st.integers(0, 100)),
        "return_days": min(returns, default=None),
    }


@settings(deadline=None)
@given(customers())
def test_everybody_stands_in_one_stage_and_loyalty_follows(customer: dict[str, float | None]) -> None:
    reached = stage(**customer)
    loyalty = told(loyalty_sql(RHYTHM, established_orders=3), customer)
    base = told(base_sql(RHYTHM, established_orders=3), customer)
    assert reached in STAGES
    assert (loyalty is None) == (reached == "prospect")
    assert loyalty == "at_risk" or reached not in {"lapsing", "lost"}
    assert loyalty != "loyal" or reached == "established"
    assert base == 0 or loyalty == "loyal"


@settings(deadline=None)
@given(customers(), st.integers(0, 400))
def test_silence_leads_one_way(customer: dict[str, float | None], days: int) -> None:
    later = {
        name: value if value is None or not name.endswith(("recency_days", "tenure_days")) else value + days
        for name, value in customer.items()
    }
    way = ("active", "lapsing", "lost")
    now, then = (reached if (reached := stage(**each)) in way else "active" for each in (customer, later))
    assert way.index(now) <= way.index(then)
