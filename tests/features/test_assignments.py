from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from features.assignments import Log, add_planned, assignments, put_assignments_on_spine
from features.errors import InputError
from features.instants import Cutoff, micros, parse_as_of

JULY = Cutoff.at(datetime(2024, 7, 1, tzinfo=UTC), "UTC")
SOURCE = (
    "CREATE OR REPLACE TABLE treatments (customer_id VARCHAR, assigned_at BIGINT, treatment VARCHAR, "
    "propensity DOUBLE, is_holdout BIGINT, cost BIGINT, channel VARCHAR, run_id VARCHAR)"
)
PLANNED = pa.schema(
    [
        *((name, pa.string()) for name in ("plan_id", "customer_id")),
        ("assigned_at", pa.timestamp("us", "UTC")),
        *(("treatment", pa.string()), ("propensity", pa.float64())),
        *((name, pa.bool_()) for name in ("is_holdout", "is_explored")),
        *(("cost", pa.float64()), ("channel", pa.string()), ("run_id", pa.string())),
    ]
)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        yield opened


def given(
    customer: str = "a",
    when: str = "2024-03-01",
    treatment: str = "coupon",
    *,
    propensity: float | None = 0.9,
    is_holdout: int | None = 0,
    run_id: str | None = None,
) -> tuple[Any, ...]:
    assigned_at = micros(parse_as_of(when))
    return (customer, assigned_at, treatment, propensity, is_holdout, 40_000, "email", run_id)


def planned(*rows: dict[str, Any]) -> pa.Table:
    common = {
        "plan_id": "plan 1",
        "customer_id": "a",
        "assigned_at": datetime(2024, 3, 1, tzinfo=UTC),
        "treatment": "coupon",
        "propensity": 0.9,
        "is_holdout": False,
        "is_explored": False,
        "cost": 4.5,
        "channel": "email",
        "run_id": "run 1",
    }
    return pa.Table.from_pylist([common | row for row in rows], PLANNED)


def log_of(
    connection: duckdb.DuckDBPyConnection, *rows: tuple[Any, ...], plans: pa.Table | None = None, **more: Any
) -> Log:
    connection.execute(SOURCE)
    if rows:
        connection.executemany("INSERT INTO treatments VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    return assignments(connection, cutoff=JULY, horizon_days=90, planned=plans, **more)


def column(connection: duckdb.DuckDBPyConnection, name: str) -> list[Any]:
    return [
        value
        for (value,) in connection.execute(f"SELECT {name} FROM assignments ORDER BY subject").fetchall()
    ]


def test_an_assignment_of_a_log_belongs_to_the_campaign_of_its_treatment_and_day(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    log_of(connection, given("a"), given("b", "2024-03-01T23:30:00Z", is_holdout=1, propensity=0.1))
    told = connection.execute("SELECT * EXCLUDE (assigned_at) FROM assignments ORDER BY subject").fetchall()
    assert told == [
        (1, "a", "coupon", "coupon 2024-03-01", 0.9, 0, 0, 4.0, "email", None, 1),
        (2, "b", "coupon", "coupon 2024-03-01", 0.1, 1, 0, 4.0, "email", None, 1),
    ]


def test_the_day_of_a_campaign_is_that_of_the_project(connection: duckdb.DuckDBPyConnection) -> None:
    log_of(connection, given(when="2024-03-01T23:30:00Z"), time_zone="Europe/Paris")
    assert column(connection, "campaign") == ["coupon 2024-03-02"]


def test_without_a_log_there_are_no_assignments(connection: duckdb.DuckDBPyConnection) -> None:
    assert assignments(connection, cutoff=JULY, horizon_days=90) == Log(0, 0, 0, 0, 0, 0)


def test_the_same_customer_twice_in_one_campaign_counts_once_and_as_first_assigned(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    later = given("a", "2024-03-01T12:00:00Z", is_holdout=1, propensity=0.1)
    log = log_of(connection, later, given("a"), given("a", "2024-03-02"))
    assert (log.assignments, log.repeated) == (2, 1)
    assert column(connection, "is_holdout") == [0, 0]


def test_an_assignment_is_over_when_its_horizon_is(connection: duckdb.DuckDBPyConnection) -> None:
    log = log_of(connection, given("a", "2024-04-02"), given("b", "2024-04-02T00:00:01Z"))
    assert (log.assignments, log.over) == (2, 1)
    assert column(connection, "is_over") == [1, 0]


def test_what_is_assigned_at_the_cutoff_or_later_is_none(connection: duckdb.DuckDBPyConnection) -> None:
    log = log_of(connection, given("a", "2024-07-01"), given("b", "2024-06-30"))
    assert (log.assignments, log.future) == (1, 1)


@pytest.mark.parametrize("odd", [0.0, -0.1, 1.1, 1e-300, float("nan")])
def test_a_propensity_that_is_no_probability_is_not_known(
    connection: duckdb.DuckDBPyConnection, odd: float
) -> None:
    log = log_of(
        connection, given("a", propensity=odd), given("b", propensity=None), given("c", propensity=1.0)
    )
    assert (log.assignments, log.odd_propensities) == (3, 1)
    assert column(connection, "propensity") == [None, None, 1.0]


def test_a_row_that_carries_out_what_was_planned_counts_once_and_as_planned(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    rows = given("a", "2024-03-05", run_id="run 1"), given("b", "2024-03-05", run_id="run 1")
    log = log_of(connection, *rows, plans=planned({}))
    assert (log.assignments, log.planned) == (2, 1)
    assert column(connection, "campaign") == ["plan 1", "coupon 2024-03-05"]
    assert column(connection, "cost") == [4.5, 4.0]


def test_a_plan_is_one_campaign_and_nothing_is_no_treatment(connection: duckdb.DuckDBPyConnection) -> None:
    rows = (
        {"customer_id": "a", "is_holdout": True, "propensity": 0.1},
        {"customer_id": "b", "treatment": "call", "is_explored": True, "propensity": 0.05},
        {"customer_id": "c", "treatment": "nothing", "cost": None},
    )
    log = log_of(connection, plans=planned(*rows))
    assert (log.assignments, log.repeated) == (2, 0)
    assert column(connection, "(campaign, is_holdout, is_explored)") == [("plan 1", 1, 0), ("plan 1", 0, 1)]


def test_the_spine_holds_assignments_at_their_time_or_before_it(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    log_of(connection, given("a", "2024-03-01"), given("a", "2024-01-01T23:30:00Z"), given("b", "2024-06-01"))
    over = "(FROM assignments WHERE is_over = 1)"
    put_assignments_on_spine(connection, over, time_zone="Europe/Paris")
    spine = "SELECT subject, as_of_day, as_of_month FROM spine"
    assert connection.execute(spine).fetchall() == [(1, 19724, 1), (2, 19783, 3)]
    put_assignments_on_spine(connection, over, days_before=60)
    assert connection.execute(spine).fetchall() == [(1, 19663, 11), (2, 19723, 1)]


def test_what_plans_assigned_joins_the_log_and_what_carries_a_plan_out_counts_once(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    connection.execute(SOURCE)
    rows = [given("a", "2024-03-05", run_id="run 1"), given("b", propensity=0.7)]
    connection.executemany("INSERT INTO treatments VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    add_planned(connection, planned({}, {"customer_id": "c", "is_explored": True, "propensity": 0.01}))
    told = connection.execute(
        "SELECT customer_id, campaign, propensity FROM treatments ORDER BY 1"
    ).fetchall()
    assert told == [("a", "plan 1", 0.9), ("b", "coupon 2024-03-01", 0.7), ("c", "plan 1", None)]


def test_without_a_plan_the_log_stays_as_it_is(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(SOURCE)
    add_planned(connection, planned())
    assert connection.execute("SELECT count(*) FROM treatments").fetchall() == [(0,)]


def test_a_log_of_strangers_is_refused(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(SOURCE)
    connection.execute("INSERT INTO treatments VALUES (?, ?, ?, ?, ?, ?, ?, ?)", given("0017"))
    connection.execute("CREATE TABLE orders AS SELECT '17' AS customer_id")
    with pytest.raises(InputError, match=r"any customer of its 1 assignments \(the first is '0017'\); write"):
        assignments(connection, cutoff=JULY, horizon_days=30)
    connection.execute("CREATE TABLE customers AS SELECT '0017' AS customer_id")
    assert assignments(connection, cutoff=JULY, horizon_days=30).assignments == 1


def test_who_may_have_been_treated_or_held_out_is_counted_as_neither(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    both = given("a"), given("a", is_holdout=1), given("a", "2024-03-01T12:00:00Z")
    log = log_of(connection, *both, given("b", is_holdout=None), given("c"), given("c", is_holdout=None))
    assert (log.assignments, log.repeated, log.unclear, log.both_arms) == (3, 2, 1, 1)
    assert column(connection, "is_holdout") == [None, None, 0]


def test_a_log_that_never_says_who_was_held_out_treated_all(connection: duckdb.DuckDBPyConnection) -> None:
    log = log_of(connection, given("a", is_holdout=None), given("b", is_holdout=None))
    assert (log.unclear, column(connection, "is_holdout")) == (0, [0, 0])


def test_customers_whom_no_other_source_has_are_counted(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("CREATE TABLE orders AS SELECT 'a' AS customer_id")
    log = log_of(connection, given("a"), given("A"), given("B", is_holdout=1))
    assert (log.assignments, log.strangers, log.strangers_held) == (3, 2, 1)
