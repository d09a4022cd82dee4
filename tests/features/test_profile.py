"""What is told beside the features, on both engines, with the shop's customers lost after 50 days."""

import re
import sqlite3
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.batch import match_refunds, put_on_spine
from features.contract import DAY
from features.instants import Cutoff
from features.plan import FeaturePlan
from features.profile import main_category_sql, make_profiles, wanted_sql

PLAN = FeaturePlan(horizon_days=90, order_columns=("category",), mixes={"category": ("tea", "it's")})
AS_OF = 400
LOST_DAYS = 50

Profile = tuple[str | None, float | None]


@pytest.fixture(scope="module")
def profile_of(fill: Callable[..., None]) -> Callable[..., Profile]:
    """The profile of customer "a" by a plan's text, the same on DuckDB and SQLite."""
    connection = duckdb.connect(config={"threads": 1})

    def on_both(orders: list[dict[str, Any]], plan: FeaturePlan = PLAN) -> Profile:
        fill(connection, plan, orders=orders)
        put_on_spine(connection, "SELECT 'a' AS customer_id", Cutoff(AS_OF * DAY, AS_OF, 2))
        connection.execute(f"CREATE OR REPLACE TABLE shop AS SELECT {LOST_DAYS}::BIGINT AS lost_days")
        match_refunds(connection, PLAN.sql()["duckdb"])
        batch = connection.execute(plan.profile("duckdb")).fetchall()
        assert on_sqlite(connection, plan.profile("sqlite")) == batch
        assert [row[:2] for row in batch] == [("a", AS_OF * DAY)]
        found: Profile = batch[0][2:]
        return found

    return on_both


def on_sqlite(connection: duckdb.DuckDBPyConnection, text: str) -> list[tuple[Any, ...]]:
    copy = sqlite3.connect(":memory:")
    copy.create_function("_IBIS_REGEX_SEARCH", 2, lambda value, rule: bool(re.search(rule, value)))
    for (table,) in connection.execute("SHOW TABLES").fetchall():
        read = connection.execute(f"SELECT * FROM {table}")
        copy.execute(f"CREATE TABLE {table} ({', '.join(column[0] for column in read.description)})")
        marks = ", ".join("?" * len(read.description))
        copy.executemany(f"INSERT INTO {table} VALUES ({marks})", read.fetchall())
    rows = copy.execute(text).fetchall()
    copy.close()
    return rows


def bought(day: int, category: str | None = None, **more: Any) -> dict[str, Any]:
    return {"ordered_at": day * DAY, "amount": 5, "product_id": "p", "category": category} | more


def test_the_main_category_is_that_of_most_purchased_lines(profile_of: Callable[..., Profile]) -> None:
    lines = [bought(10, "tea"), bought(10, "tea"), bought(11, "cups"), bought(390), bought(391)]
    assert profile_of(lines) == ("tea", 10.0)
    refund = bought(395, "hats", amount=-5)
    assert profile_of([*lines, refund, refund, refund])[0] == "tea"


def test_of_equal_categories_the_first_by_name_counts(profile_of: Callable[..., Profile]) -> None:
    assert profile_of([bought(9, "Zoo"), bought(10, "tea"), bought(11, "cups")])[0] == "Zoo"


def test_a_return_is_the_latest_order_after_a_silence_longer_than_lost_days(
    profile_of: Callable[..., Profile],
) -> None:
    assert profile_of([bought(day) for day in (10, 60)])[1] is None  # fifty days are not longer
    assert profile_of([bought(day) for day in (10, 61, 100, 151, 170)])[1] == 249.0


def test_an_order_that_was_cancelled_ends_no_silence(profile_of: Callable[..., Profile]) -> None:
    lines = [bought(10), bought(100), bought(101, amount=-5, is_return=1)]
    assert profile_of(lines) == (None, None)


def test_without_orders_or_categories_nothing_is_told(profile_of: Callable[..., Profile]) -> None:
    assert profile_of([]) == (None, None)
    assert profile_of([bought(9, "tea")], FeaturePlan(horizon_days=90)) == (None, None)
    assert profile_of([], FeaturePlan(horizon_days=90, reads_orders=False)) == (None, None)


def test_what_the_features_tell_is_what_the_lines_tell(fill: Callable[..., None]) -> None:
    """Of categories with and without a share among the features, with ties, nulls and refunds only."""
    categories = ("tea", "tea", "it's", "cups", "hats", None)
    draws = np.random.default_rng(1).integers((60, AS_OF, 6, 4), size=(200, 4)).tolist()
    orders = [
        bought(day, categories[category], customer_id=str(who), amount=5 if sign else -5)
        for who, day, category, sign in draws
    ]
    connection = duckdb.connect()
    fill(connection, PLAN, orders=orders)
    steps = PLAN.sql()["duckdb"]
    match_refunds(connection, steps)
    put_on_spine(
        connection, "SELECT range::VARCHAR AS customer_id FROM range(61)", Cutoff(AS_OF * DAY, AS_OF, 2)
    )
    connection.execute(f"CREATE TABLE features AS {steps['features']}")
    make_profiles(connection, PLAN, PLAN.profile("duckdb"), lost_days=LOST_DAYS)
    made = connection.execute("SELECT * FROM profile ORDER BY customer_id").fetchall()
    whole = f"SELECT * EXCLUDE (as_of) FROM ({PLAN.profile('duckdb')}) ORDER BY customer_id"
    assert made == connection.execute(whole).fetchall()
    assert len(made) == 61
    wanted = connection.execute(f"SELECT count(*) FROM features WHERE {wanted_sql(PLAN, lost_days=999)}")
    assert 0 < wanted.fetchall()[0][0] < 50
    assert {category for _, category, _ in made} == {"tea", "it's", "cups", "hats", None}


def test_nothing_is_looked_up_where_there_are_no_orders() -> None:
    plan = FeaturePlan(horizon_days=90, reads_orders=False)
    assert wanted_sql(plan, lost_days=LOST_DAYS) == "1 = 0"
    assert duckdb.execute(f"SELECT {main_category_sql(plan)}").fetchall() == [(None,)]


LINES = st.lists(
    st.builds(
        bought,
        st.integers(0, 460),
        st.sampled_from(["tea", "cups", None]),
        amount=st.sampled_from([5, 5, 7, 0, -5, -7]),
        ingested_at=st.integers(0, 460).map(lambda day: day * DAY),
    ),
    max_size=12,
)


@settings(max_examples=12, deadline=None)
@given(LINES)
def test_what_was_not_known_changes_nothing(
    profile_of: Callable[..., Profile], lines: list[dict[str, Any]]
) -> None:
    for place, line in enumerate(lines):
        line |= {"line": place, "ingested_at": max(line["ingested_at"], line["ordered_at"])}
    past = [line for line in lines if line["ordered_at"] < AS_OF * DAY and line["ingested_at"] <= AS_OF * DAY]
    assert profile_of(lines) == profile_of(past)
