from typing import Any

import pytest

from features.plan import FeaturePlan

PLAN = FeaturePlan(horizon_days=90)
MARCH = "2024-03-01"


def rhythm_of(engine: Any, *days: str) -> dict[str, float | None]:
    features = engine(PLAN, as_of=MARCH, orders=[{"ordered_at": day, "amount": 1} for day in days])
    names = [name for name in features if name.startswith(("gap_", "overdue_", "months_", "weekend_"))]
    return {name: features[name] for name in names}


def test_gaps_and_how_overdue_the_next_order_is(engine: Any) -> None:
    assert rhythm_of(engine, "2024-01-01", "2024-01-31", "2024-01-11") == pytest.approx(
        {
            "gap_mean_days": 15,
            "gap_max_days": 20,
            "gap_min_days": 10,
            "gap_last_days": 20,
            "gap_mean_days_365d": 15,
            "gap_last_ratio": 4 / 3,
            "gap_scv": 1 / 9,
            "overdue_ratio": 2,
            "overdue_max_ratio": 1.5,
            "months_active_360d": 2,
            "weekend_share": 0,
        }
    )


def test_one_order_has_no_gaps(engine: Any) -> None:
    alone = rhythm_of(engine, "2024-02-24")
    assert {name for name, value in alone.items() if value is not None} == {
        "months_active_360d",
        "weekend_share",
    }
    assert (alone["months_active_360d"], alone["weekend_share"]) == (1, 1)


def test_two_orders_have_a_gap_without_spread(engine: Any) -> None:
    two = rhythm_of(engine, "2024-02-01", "2024-02-11")
    assert (two["gap_mean_days"], two["gap_scv"]) == (10, None)


def test_a_clockwork_has_no_spread(engine: Any) -> None:
    assert rhythm_of(engine, *(f"2024-02-{day:02}" for day in (1, 8, 15, 22, 29)))["gap_scv"] == 0


def test_gaps_of_the_last_year_are_those_that_ended_in_it(engine: Any) -> None:
    features = rhythm_of(engine, "2022-01-01", "2023-02-01", "2023-04-01", "2023-04-11")
    assert features["gap_mean_days_365d"] == (59 + 10) / 2


@pytest.mark.parametrize(("day", "share"), [("1901-01-05", 1), ("1901-01-06", 1), ("1901-01-07", 0)])
def test_a_weekend_is_saturday_and_sunday_in_every_century(engine: Any, day: str, share: float) -> None:
    assert rhythm_of(engine, day)["weekend_share"] == share


def test_months_with_an_order_count_once(engine: Any) -> None:
    months = rhythm_of(engine, "2023-03-01", "2023-09-04", "2024-01-30", "2024-02-10", "2024-02-28")
    assert months["months_active_360d"] == 3  # blocks of 30 days: 0, 1 and 5
