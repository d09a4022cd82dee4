"""Classes of customers, by cut points that DuckDB measures and SQL that SQLite runs too."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.classes import Bands, Need, frequency_band_sql, monetary_band_sql, need_sql

Rows = Sequence[Mapping[str, float | None]]


def table(rows: Rows) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    frame = pd.DataFrame(rows).astype("float64")
    connection.register("frame", frame)
    connection.execute(
        "CREATE TABLE subjects AS SELECT "
        + ", ".join(f'CASE WHEN NOT isnan("{name}") THEN "{name}" END AS "{name}"' for name in frame)
        + " FROM frame"
    )
    return connection


def told(connection: duckdb.DuckDBPyConnection, text: str) -> list[Any]:
    found = [row[0] for row in connection.execute(f"SELECT {text} FROM subjects").fetchall()]
    read = connection.execute("SELECT * FROM subjects")
    copy = sqlite3.connect(":memory:")
    copy.execute(f"CREATE TABLE subjects ({', '.join(column[0] for column in read.description)})")
    copy.executemany(
        f"INSERT INTO subjects VALUES ({', '.join('?' * len(read.description))})", read.fetchall()
    )
    assert [row[0] for row in copy.execute(f"SELECT {text} FROM subjects")] == found
    copy.close()
    return found


def bands(orders: Sequence[float | None], own: Bands | None = None) -> list[str | None]:
    """The frequency bands of customers with so many orders in the last year; null for a prospect."""
    connection = table(
        [
            {"orders_all": None if count is None else count + 1, "orders_365d": count, "spend_365d": count}
            for count in orders
        ]
    )
    cuts = (own or Bands()).measure(connection, "subjects")
    found = told(connection, frequency_band_sql(cuts))
    if own is None:
        assert told(connection, monetary_band_sql(cuts)) == found
    assert json.loads(json.dumps(cuts)) == cuts
    return found


def test_the_highest_fifth_of_the_last_years_buyers_is_high_and_the_next_two_medium() -> None:
    assert bands([0, None, 1, 2, 3, 4, 5]) == ["low", None, "low", "low", "medium", "medium", "high"]


def test_equals_stand_together_in_the_lower_band() -> None:
    assert bands([1, 1, 1, 1, 1, 1, 1, 2, 2, 7]) == ["low"] * 7 + ["medium"] * 2 + ["high"]
    assert bands([1, 1, 1]) == ["low"] * 3


def test_a_company_may_set_its_own_amounts() -> None:
    own = Bands(frequency=(4, 12), monetary=(100, 1000))
    assert bands([0, 3, 4, 11, 12], own) == ["low", "low", "medium", "medium", "high"]


@pytest.mark.parametrize("orders", [[0, 0], [None, None]])
def test_where_nobody_bought_in_the_last_year_nobody_is_above_low(orders: list[float | None]) -> None:
    assert set(bands(orders)) <= {"low", None}


def needs(rows: Rows) -> list[str | None]:
    connection = table(rows)
    cuts = Need.measure(connection, "subjects")
    assert json.loads(json.dumps(cuts)) == cuts
    return told(connection, need_sql(cuts))


PLAIN = {
    "orders_all": 3.0,
    "feedback_complaint_365d": 0.0,
    "topic_price_365d": 0.0,
    "discount_share": 0.1,
    "products_all": 6.0,
    "refund_share": 0.0,
}


def test_the_need_is_what_stands_out_most() -> None:
    marked = [
        {"feedback_complaint_365d": 2.0},
        {"discount_share": 0.9},
        {"products_all": 60.0},
        {"refund_share": 0.5},
        {"discount_share": 0.9, "products_all": 7.0},
        {},
    ]
    found = needs([PLAIN | each for each in marked] + [PLAIN] * 20)
    assert found == ["service", "price", "product", "product", "price"] + [None] * 21


def test_how_somebody_buys_is_told_from_the_second_order_on() -> None:
    once = PLAIN | {"orders_all": 1.0, "discount_share": 0.9}
    assert needs([once, PLAIN | {"discount_share": 0.9}] + [PLAIN] * 9)[:2] == [None, "price"]


def test_a_prospect_may_need_service() -> None:
    asks = {"orders_all": None, "feedback_complaint_365d": 1.0}
    assert needs([asks] + [PLAIN] * 9)[0] == "service"


@pytest.mark.parametrize("rows", [[PLAIN] * 3, [{"orders_all": 3.0, "recency_days": 3.0}]])
def test_without_evidence_there_is_no_need(rows: Rows) -> None:
    assert set(needs(rows)) == {None}


def test_evidence_that_a_company_records_only_in_part_is_none() -> None:
    rows = [{"orders_all": 2.0 + n, "category_concentration": n / 9} for n in range(10)]
    connection = table(rows)
    cuts = Need.measure(connection, "subjects")
    assert cuts == {}
    assert told(connection, need_sql(cuts)) == [None] * 10


@settings(max_examples=10, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "orders_all": st.sampled_from([None, 1.0, 4.0]),
                "call_365d": st.sampled_from([0.0, 1.0, 40.0]),
                "discount_share": st.sampled_from([None, 0.0, 0.5]),
                "products_all": st.sampled_from([1.0, 9.0]),
            }
        ),
        min_size=1,
        max_size=20,
    ),
    st.randoms(use_true_random=False),
)
def test_needs_do_not_hang_on_the_order_of_customers(
    rows: list[dict[str, float | None]], random: Any
) -> None:
    order = random.sample(range(len(rows)), len(rows))
    assert needs([rows[place] for place in order]) == [needs(rows)[place] for place in order]
