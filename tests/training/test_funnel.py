from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pandas as pd
import pytest

from features.batch import match_refunds
from features.instants import Cutoff, parse_as_of
from features.plan import FeaturePlan
from training.funnel import cohort_period, retention, stage_rates
from training.order_calendar import put_order_calendar

PLAN = FeaturePlan(horizon_days=30)
JULY = Cutoff.at(parse_as_of("2024-07-01"), "UTC")


def orders(customer: str, *days: str) -> list[dict[str, Any]]:
    return [{"customer_id": customer, "ordered_at": f"2024-{day}", "amount": 10.0} for day in days]


SHOP = [
    *orders("faithful", "01-01", "01-15", "02-01", "02-15", "03-01", "03-15", "04-01", "04-15", "05-01"),
    *orders("once", "01-10"),
    *orders("twice", "01-20", "02-08"),
    *orders("back", "01-01", "01-10", "01-21", "04-01"),
    *orders("late", "02-05", "06-25"),
    *orders("new", "06-20"),
]
"""A shop whose customers lapse after 20 days, and are lost after 40."""


@pytest.fixture
def connect(fill: Callable[..., None]) -> Iterator[Callable[..., duckdb.DuckDBPyConnection]]:
    """Stage records and make the order calendar at a cutoff."""
    with duckdb.connect() as connection:

        def staged(cutoff: Cutoff = JULY, **records: Any) -> duckdb.DuckDBPyConnection:
            fill(connection, PLAN, **records)
            match_refunds(connection, PLAN.sql()["duckdb"])
            put_order_calendar(connection, PLAN, cutoff)
            return connection

        yield staged


def rates(connection: duckdb.DuckDBPyConnection, cohort: str = "all", **settings: Any) -> dict[str, tuple]:
    """Return by next stage how many reached the stage, and how many the next."""
    settings = {"cutoff": JULY, "lapsing_days": 20, "lost_days": 40} | settings
    rows = stage_rates(connection, **settings)
    of_cohort = rows[rows["cohort"] == cohort].set_index("next_stage")
    return {str(stage): tuple(row) for stage, row in of_cohort[["customers", "reached"]].T.items()}


def test_each_step_counts_who_came_to_the_next_stage_in_time(connect: Callable[..., Any]) -> None:
    """Who is new is seen for too short; the last loss of who is late ends after the forty days."""
    assert rates(connect(orders=SHOP)) == {
        "repeat": (5, 3),  # not once, not late
        "established": (3, 2),  # not twice
        "lapsing": (2, 1),  # faithful lapses in May, long after being established; back in February
        "lost": (5, 5),
        "won_back": (4, 1),  # back; late came 140 days on; faithful is lost for too short a time
    }


def test_a_cohort_is_the_month_of_the_first_order(connect: Callable[..., Any]) -> None:
    assert rates(connect(orders=SHOP), "2024-01")["repeat"] == (4, 3)
    assert rates(connect(orders=SHOP), "2024-02")["repeat"] == (1, 0)


def test_a_share_has_its_interval(connect: Callable[..., Any]) -> None:
    rows = stage_rates(connect(orders=SHOP), cutoff=JULY, lapsing_days=20, lost_days=40)
    row = rows[(rows["next_stage"] == "repeat") & (rows["cohort"] == "all")].iloc[0]
    assert row[["stage", "share"]].tolist() == ["first_order", 0.6]
    assert row[["low", "high"]].tolist() == pytest.approx([0.2307, 0.8824], abs=1e-4)


def test_prospects_are_known_on_a_day_before_their_first_order(connect: Callable[..., Any]) -> None:
    visits = [("once", "01-09"), ("back", "01-01"), ("never", "03-03"), ("slow", "01-01"), ("fresh", "06-30")]
    connection = connect(
        orders=[*SHOP, *orders("slow", "04-01")],
        interactions=[
            {"customer_id": who, "occurred_at": f"2024-{day}", "kind": "visit"} for who, day in visits
        ],
        customers=[{"customer_id": "late", "joined_at": "2024-02-01"}, {"customer_id": "unknown"}],
    )
    assert rates(connection)["first_order"] == (4, 2)  # once and late; never and slow not in forty days
    assert rates(connection, "2024-03")["first_order"] == (1, 0)


def test_who_never_paused_lapses_sooner(connect: Callable[..., Any]) -> None:
    """After two days at most, sixteen days are a lapse: more than half of the twenty."""
    often = orders("often", *(f"01-{day:02d}" for day in range(1, 26, 2)), "02-10", "02-20", "03-01")
    told = rates(connect(orders=often))
    assert (told["lapsing"], told["lost"]) == ((1, 1), (1, 0))


def test_established_takes_some_orders_over_some_time(connect: Callable[..., Any]) -> None:
    quick = orders("quick", "01-01", "01-02", "01-03", "01-21")
    assert rates(connect(orders=quick))["established"] == (1, 1)
    assert rates(connect(orders=quick[:3]))["established"] == (1, 0)
    assert rates(connect(orders=quick), established_orders=5)["established"] == (1, 0)


def test_the_triangle_shows_who_ordered_in_each_month_that_is_over(connect: Callable[..., Any]) -> None:
    mid_june = Cutoff.at(parse_as_of("2024-06-15"), "UTC")
    rows = retention(connect(mid_june, orders=SHOP), cutoff=mid_june)
    cells = rows.set_index(["cohort", "periods"])
    assert cells["customers"].groupby("cohort").first().to_dict() == {"2024-01": 4, "2024-02": 1}
    assert cells["ordered"].loc["2024-01"].to_dict() == {1: 2, 2: 1, 3: 2, 4: 1}
    assert cells["ordered"].loc["2024-02"].to_dict() == {1: 0, 2: 0, 3: 0}
    assert cells["share"].loc[("2024-01", 1)] == 0.5


def test_on_the_first_of_a_month_the_month_before_is_over(connect: Callable[..., Any]) -> None:
    rows = retention(connect(orders=SHOP), cutoff=JULY)
    assert rows.groupby("cohort")["periods"].max().to_dict() == {"2024-01": 5, "2024-02": 4}


def test_cohorts_of_a_long_history_are_quarters(connect: Callable[..., Any]) -> None:
    later = Cutoff.at(parse_as_of("2026-07-01"), "UTC")
    connection = connect(later, orders=SHOP)
    assert cohort_period(connection, cutoff=later) == "quarter"
    rows = retention(connection, cutoff=later)
    assert rows["cohort"].unique().tolist() == ["2024-Q1", "2024-Q2"]
    assert rows[["ordered", "customers"]].iloc[0].tolist() == [3, 5]  # faithful, back and late in spring


def test_a_shop_without_any_order_has_an_empty_funnel(connect: Callable[..., Any]) -> None:
    connection = connect()
    assert retention(connection, cutoff=JULY).empty
    assert isinstance(stage_rates(connection, cutoff=JULY, lapsing_days=20, lost_days=40), pd.DataFrame)
