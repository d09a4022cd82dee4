from typing import Any

import numpy as np
import pytest

from features.plan import FeaturePlan

PLAN = FeaturePlan(horizon_days=90)
AS_OF = "2024-12-31"
AGES = {10: 30.0, 70: 10.0, 100: 20.0, 340: 40.0, 500: 50.0}


def trend_of(engine: Any, ages: dict[int, float]) -> dict[str, float | None]:
    day = np.datetime64(AS_OF)
    return engine(
        PLAN, as_of=AS_OF, orders=[{"ordered_at": str(day - a), "amount": v} for a, v in ages.items()]
    )


def test_recent_windows_are_held_against_longer_ones(engine: Any) -> None:
    features = trend_of(engine, AGES)
    ratios = {
        "orders_30d_of_90d": 1 / 2,
        "orders_90d_of_180d": 2 / 3,
        "orders_180d_of_365d": 3 / 4,
        "spend_30d_of_90d": 3 / 4,
        "spend_90d_of_180d": 2 / 3,
        "spend_180d_of_365d": 60 / 100,
        "spend_order_trend": (100 / 4) / (150 / 5),
    }
    assert {name: features[name] for name in ratios} == pytest.approx(ratios)


def test_slopes_are_those_of_least_squares(engine: Any) -> None:
    features = trend_of(engine, AGES)
    blocks = np.arange(6)
    orders, spend = (
        [1, 0, 0, 0, 2, 1],
        [40.0, 0, 0, 0, 30, 30],
    )  # oldest first: ages 340, then 70 and 100, then 10
    expected = [np.polyfit(blocks, values, 1)[0] for values in (orders, spend)]
    assert [features["orders_slope_360d"], features["spend_slope_360d"]] == pytest.approx(expected)


def test_without_orders_in_the_longer_window_there_is_no_ratio(engine: Any) -> None:
    features = trend_of(engine, {400: 10.0})
    assert [features[f"orders_{w}"] for w in ("30d_of_90d", "90d_of_180d", "180d_of_365d")] == [None] * 3
    assert features["orders_slope_360d"] == 0
