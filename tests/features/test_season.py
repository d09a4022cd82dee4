from typing import Any

import numpy as np
import pytest

from features.plan import FeaturePlan

PLAN = FeaturePlan(horizon_days=90)


def season_of(engine: Any, *ages: int, as_of: str = "2024-12-31") -> dict[str, float | None]:
    day = np.datetime64(as_of)
    return engine(PLAN, as_of=as_of, orders=[{"ordered_at": str(day - age), "amount": 10} for age in ages])


@pytest.mark.parametrize(("age", "inside"), [(366, 0), (365, 1), (276, 1), (275, 0), (730, 0)])
def test_the_window_a_year_ago_is_as_long_as_the_horizon(engine: Any, age: int, inside: int) -> None:
    features = season_of(engine, age)
    assert (features["orders_year_ago"], features["spend_year_ago"]) == (inside, 10 * inside)


def test_the_season_is_that_of_every_year(engine: Any) -> None:
    assert season_of(engine, 350, 700, 1090, 10)["season_share"] == 3 / 4


@pytest.mark.parametrize(
    ("as_of", "month", "day"),
    [("2024-02-29", 2, 19_782), ("2024-12-31", 12, 20_088), ("2025-01-01", 1, 20_089)],
)
def test_month_and_day_are_those_of_the_cutoff(engine: Any, as_of: str, month: int, day: int) -> None:
    features = season_of(engine, 5, as_of=as_of)
    assert (features["as_of_month"], features["as_of_day"]) == (month, day)
