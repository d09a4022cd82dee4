from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest

from features.contract import Kind
from features.instants import Cutoff, micros
from features.tier_settings import Level, TierSettings
from models.occasions import add_occasions, occasion_kinds
from models.tiers import TierPolicy

KINDS = {
    "clv": Kind.NUMBER,
    "spend_365d": Kind.NUMBER,
    "potential_score": Kind.NUMBER,
    "tenure_days": Kind.NUMBER,
}
LEVELS = {"high": "clv >= 100", "potential": "potential_score > 20", "middle": "clv >= 10", "low": None}


def policy_of(levels: dict[str, str | None]) -> TierPolicy:
    settings = TierSettings(levels=tuple(Level(name=name, when=when) for name, when in levels.items()))
    return TierPolicy.of(settings, setting="transactional", columns=KINDS)


def told(
    connection: duckdb.DuckDBPyConnection,
    column: str,
    *,
    on: datetime = datetime(2024, 2, 27, 12, tzinfo=UTC),
    time_zone: str = "UTC",
    levels: dict[str, str | None] = LEVELS,
    cuts: dict[str, float | None] | None = None,
) -> dict[str, Any]:
    """Return a column by customer, as of a day."""
    cutoff = Cutoff.at(on, time_zone)
    add_occasions(connection, policy_of(levels), cuts or {}, cutoff=cutoff, time_zone=time_zone)
    return dict(connection.execute(f"SELECT customer_id, {column} FROM subjects").fetchall())


def company(*subjects: tuple[Any, ...]) -> duckdb.DuckDBPyConnection:
    """Subjects of customer, tier, spend of a year, days since the first order."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        "CREATE TABLE subjects (customer_id TEXT, value_tier TEXT, spend_365d DOUBLE, tenure_days BIGINT)"
    )
    for each in subjects:
        connection.execute("INSERT INTO subjects VALUES (?, ?, ?, ?)", each)
    return connection


def customer(
    joined: datetime | None = None, birthday: object = None, kind: str = "TEXT", **tenure: int
) -> duckdb.DuckDBPyConnection:
    connection = company(("ann", "low", 5.0, tenure.get("tenure_days")))
    connection.execute(
        f"CREATE TABLE customers (customer_id TEXT, joined_at BIGINT, valid_from BIGINT, birthday {kind})"
    )
    joined_at = micros(joined) if joined else None
    connection.execute("INSERT INTO customers VALUES ('ann', ?, NULL, ?)", [joined_at, birthday])
    return connection


@pytest.mark.parametrize(
    ("birthday", "kind", "days"),
    [
        ("1990-02-27", "TEXT", 0),
        ("1990-02-28", "TEXT", 1),
        ("1990-02-26", "TEXT", 365),
        ("1992-02-29 00:00:00", "TEXT", 2),
        ("19900301", "TEXT", 3),
        (19900301.0, "DOUBLE", 3),
        (1e300, "DOUBLE", None),
        ("infinity", "TEXT", None),
        ("today", "TEXT", None),
        ("5877642-06-25 (BC)", "TEXT", None),
        ("9999-03-01", "TEXT", None),
        ("03-01", "TEXT", 3),
        ("--02-29", "TEXT", 2),
        ("01/03/1990", "TEXT", None),
        ("soon", "TEXT", None),
        (None, "TEXT", None),
    ],
)
def test_days_until_the_birthday(birthday: object, kind: str, days: int | None) -> None:
    assert told(customer(birthday=birthday, kind=kind), "birthday_in_days") == {"ann": days}


def test_the_days_themselves_are_told_as_dates() -> None:
    connection = customer(datetime(2020, 3, 1, tzinfo=UTC), "1990-02-28")
    assert told(connection, "(birthday_on, anniversary_on)") == {"ann": ("2024-02-28", "2024-03-01")}


def test_attributes_may_be_called_as_the_days_themselves() -> None:
    connection = customer(datetime(2020, 3, 1, tzinfo=UTC), "1990-02-28")
    connection.execute(
        "ALTER TABLE subjects ADD COLUMN _born TEXT; ALTER TABLE subjects ADD COLUMN _joined TEXT"
    )
    assert told(connection, "(birthday_on, anniversary_on)") == {"ann": ("2024-02-28", "2024-03-01")}


def test_who_was_born_on_29_february_has_a_birthday_each_year() -> None:
    on = datetime(2023, 2, 27, tzinfo=UTC)
    assert told(customer(birthday="1992-02-29"), "birthday_in_days", on=on) == {"ann": 1}


@pytest.mark.parametrize(
    ("joined", "tenure_days", "days_and_years"),
    [
        (datetime(2020, 2, 28, tzinfo=UTC), 10, (1, 4)),
        (datetime(2024, 2, 27, tzinfo=UTC), 10, (0, 0)),
        (None, 365 + 364, (1, 2)),
        (datetime(2025, 1, 1, tzinfo=UTC), 365, (0, 1)),
        (None, None, (None, None)),
    ],
)
def test_days_until_another_full_year(
    joined: datetime | None, tenure_days: int | None, days_and_years: tuple[int | None, int | None]
) -> None:
    found = told(customer(joined, tenure_days=tenure_days), "(anniversary_in_days, anniversary_years)")
    assert found == {"ann": days_and_years}


def test_the_day_is_that_of_the_project() -> None:
    joined, on = datetime(2020, 2, 27, 20, tzinfo=UTC), datetime(2024, 2, 27, 20, tzinfo=UTC)
    assert told(customer(joined), "anniversary_in_days", on=on, time_zone="Asia/Shanghai") == {"ann": 0}


SPENDERS = [
    *((f"h{spend}", "high", float(spend), 1) for spend in (100, 200, 300, 400, 500)),
    ("p", "potential", 40.0, 1),
    *((f"m{spend}", "middle", float(spend), 1) for spend in (10, 20, 30, 40, 50)),
    ("ann", "low", 5.0, 1),
    ("bob", "low", 30.0, 1),
    ("new", "low", None, 1),
]


def test_the_next_tier_is_the_nearest_whose_usual_spend_is_not_reached() -> None:
    found = told(company(*SPENDERS), "(next_tier, next_tier_spend)")
    assert found["ann"] == ("middle", 15.0)  # three in four of the middle spent 20 at least
    assert found["bob"] == ("high", 170.0)  # and of the high 200; the potential is no matter of spend
    assert found["m50"] == ("high", 150.0)
    assert found["p"] == ("high", 160.0)
    assert found["h100"] == found["new"] == (None, None)


@pytest.mark.parametrize(
    ("when", "missing"),
    [
        ("spend_365d >= 70", 65.0),
        ("clv > 1000 or spend_365d > 60", 55.0),
        ("top(spend_365d, 0.2)", 35.0),
        ("clv > 1000 and spend_365d > 60", 195.0),
    ],
)
def test_the_bar_is_what_the_condition_asks_where_spend_is_enough(when: str, missing: float) -> None:
    found = told(
        company(*SPENDERS),
        "next_tier_spend",
        levels={"high": when, "low": None},
        cuts={"top(spend_365d, 0.2)": 40.0},
    )
    assert found["ann"] == missing


def test_what_nobody_recorded_is_no_occasion() -> None:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE subjects AS SELECT 'ann' AS customer_id, 'low' AS value_tier")
    assert occasion_kinds(connection, ["customer_id", "value_tier"]) == {}
    add_occasions(
        connection,
        policy_of(LEVELS),
        {},
        cutoff=Cutoff.at(datetime(2024, 1, 1, tzinfo=UTC), "UTC"),
        time_zone="UTC",
    )
    assert connection.execute("SELECT * FROM subjects").fetchall() == [("ann", "low")]


def test_the_columns_are_those_foretold() -> None:
    connection = customer(birthday="1990-01-01")
    kinds = occasion_kinds(connection, ["spend_365d", "tenure_days"])
    told(connection, "1")
    types = {row[0]: row[1] for row in connection.execute("DESCRIBE subjects").fetchall()}
    named = {Kind.NUMBER: "DOUBLE", Kind.TEXT: "VARCHAR"}
    assert {name: types[name] for name in kinds} == {name: named[kind] for name, kind in kinds.items()}
