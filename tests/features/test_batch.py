from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pytest

from features.batch import SPINE, match_refunds, put_everybody_on_spine, put_known_on_spine, put_on_spine
from features.contract import DAY
from features.instants import Cutoff, parse_as_of
from features.plan import FeaturePlan

PLAN = FeaturePlan(horizon_days=90)
MARCH = Cutoff.at(parse_as_of("2024-03-01"), "UTC")


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def spine(connection: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return connection.execute(f"SELECT * FROM {SPINE} ORDER BY subject").fetchall()


def test_a_spine_has_a_numbered_row_per_customer(connection: duckdb.DuckDBPyConnection) -> None:
    assert put_on_spine(connection, "SELECT unnest(['b', 'a', 'b']) AS customer_id", MARCH) == 2
    day = MARCH.micros // DAY
    assert spine(connection) == [("a", MARCH.micros, day, 3, 1), ("b", MARCH.micros, day, 3, 2)]


def test_everybody_known_before_the_cutoff_is_on_the_spine(
    connection: duckdb.DuckDBPyConnection, fill: Callable[..., None]
) -> None:
    def of(customer: str, clock: str, when: str, **more: Any) -> dict[str, Any]:
        return {"customer_id": customer, clock: when} | more

    fill(
        connection,
        PLAN,
        orders=[
            of("buyer", "ordered_at", "2024-02-01", amount=1),
            of("later buyer", "ordered_at", "2024-03-01", amount=1),
            of("late record", "ordered_at", "2024-02-01", amount=1, ingested_at="2024-03-02"),
        ],
        interactions=[
            of("visitor", "occurred_at", "2024-02-29", kind="visit"),
            of("later visitor", "occurred_at", "2024-03-01", kind="visit"),
        ],
        feedback=[of("caller", "occurred_at", "2024-02-29", kind="complaint")],
        customers=[
            of("member", "joined_at", "2024-02-01"),
            of("later member", "joined_at", "2024-03-01"),
            of("versioned", "valid_from", "2024-02-01"),
            of("undated", "joined_at", None),
        ],
    )
    assert put_everybody_on_spine(connection, MARCH) == 6
    known = [row[0] for row in spine(connection)]
    assert known == ["buyer", "caller", "member", "undated", "versioned", "visitor"]


def test_orders_alone_make_a_spine(connection: duckdb.DuckDBPyConnection, fill: Callable[..., None]) -> None:
    fill(connection, PLAN, orders=[{"ordered_at": "2024-02-01", "amount": 1}])
    for table in ("customers", "interactions", "feedback"):
        connection.execute(f"DROP TABLE {table}")
    assert put_everybody_on_spine(connection, MARCH) == 1


def test_a_spine_of_several_cutoffs_holds_at_each_who_was_known_by_then(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    first, never = (Cutoff.at(parse_as_of(day), "UTC") for day in ("2024-02-01", "2023-01-01"))
    known = f"SELECT unnest(['b', 'a']) AS customer_id, unnest([{first.micros}, {MARCH.micros}]) AS since"
    assert put_known_on_spine(connection, known, [MARCH, never, first]) == [2, 0, 1]
    rows = [(customer, as_of, subject) for customer, as_of, _, _, subject in spine(connection)]
    assert rows == [("b", first.micros, 1), ("a", MARCH.micros, 2), ("b", MARCH.micros, 3)]


def test_refunds_are_matched_once_for_every_cutoff(
    connection: duckdb.DuckDBPyConnection, fill: Callable[..., None]
) -> None:
    lines = [{"ordered_at": "2024-01-01", "amount": 10}, {"ordered_at": "2024-02-01", "amount": -10}]
    fill(connection, PLAN, orders=lines)
    steps = PLAN.sql()["duckdb"]
    match_refunds(connection, steps)
    match_refunds(connection, steps)
    orders = {}
    for as_of in ("2024-01-15", "2024-03-01"):
        put_on_spine(connection, "SELECT 'a' AS customer_id", Cutoff.at(parse_as_of(as_of), "UTC"))
        row = connection.execute(steps["features"]).fetchall()[0]
        orders[as_of] = dict(zip(PLAN.names(), row[2:], strict=True))["orders_all"]
    assert orders == {"2024-01-15": 1, "2024-03-01": None}
