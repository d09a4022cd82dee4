import sqlite3

import duckdb
import pytest

from models.contract_lifecycle import base_sql, loyalty_sql, measure, stage_sql

COLUMNS = ("contract_runs", "contract_lapsed", "contract_age_days", "contracts_before", "churn_risk")
CUTS = {"lapsing_from": 0.5, "loyal_below": 0.2, "base_below": 0.1}
NEVER = (None, None, None, None, None)
ENDED = (0, 0, 500, 0, 1)
YOUNG = (1, 0, 90, 0, 0.3)
AGAIN = (1, 0, 90, 1, 0.3)
OLD = (1, 0, 91, 1, 0.3)
LOYAL = (1, 0, 364, 0, 0.05)
BASE = (1, 0, 365, 0, 0.05)
RISKY = (1, 0, 900, 0, 0.5)
ENDING = (1, 1, 900, 0, 0.05)

Customer = tuple[float | None, ...]


@pytest.mark.parametrize(
    ("customer", "expected"),
    [
        (NEVER, ("prospect", None, 0)),
        (ENDED, ("lost", "at_risk", 0)),
        (YOUNG, ("first_time", "regular", 0)),
        (AGAIN, ("won_back", "regular", 0)),
        (OLD, ("established", "regular", 0)),
        (LOYAL, ("established", "loyal", 0)),
        (BASE, ("established", "loyal", 1)),
        (RISKY, ("lapsing", "at_risk", 0)),
        (ENDING, ("lapsing", "at_risk", 0)),
    ],
)
def test_a_contract_tells_the_stage(customer: Customer, expected: tuple[str, str | None, int]) -> None:
    texts = [of(CUTS, horizon_days=90) for of in (stage_sql, loyalty_sql, base_sql)]
    columns = ", ".join(f'CAST(? AS DOUBLE) AS "{name}"' for name in COLUMNS)
    query = f"SELECT {', '.join(texts)} FROM (SELECT {columns})"
    assert duckdb.execute(query, customer).fetchall() == [expected]
    assert sqlite3.connect(":memory:").execute(query, customer).fetchall() == [expected]


def test_cut_points_are_those_of_contracts_that_run() -> None:
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE subjects AS SELECT 1.0 AS contract_runs, i / 100 AS churn_risk FROM range(101) t(i)"
    )
    connection.execute("INSERT INTO subjects SELECT 0, 1 FROM range(500)")
    cuts = measure(connection, "subjects")
    assert cuts == pytest.approx({"lapsing_from": 0.9, "loyal_below": 0.5, "base_below": 1 / 3})


def test_without_contracts_that_run_nobody_is_ranked() -> None:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE subjects (contract_runs DOUBLE, churn_risk DOUBLE)")
    cuts = measure(connection, "subjects")
    assert set(cuts.values()) == {None}
    row = connection.execute(
        f"SELECT {stage_sql(cuts, horizon_days=90)}, {loyalty_sql(cuts, horizon_days=90)}, "
        f"{base_sql(cuts, horizon_days=90)} FROM (SELECT 1 AS contract_runs, 0 AS contract_lapsed, "
        "400 AS contract_age_days, 0 AS contracts_before, 0.9 AS churn_risk)"
    ).fetchall()
    assert row == [("established", "regular", 0)]
