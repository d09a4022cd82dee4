from typing import Any

import pytest

from features.plan import FeaturePlan

PLAN = FeaturePlan(horizon_days=90)
AS_OF = "2024-03-31"
LINES = [
    {"ordered_at": "2024-01-01", "amount": 10},
    {"ordered_at": "2024-03-01", "amount": 20},
    {"ordered_at": "2024-03-21", "amount": 30},
    {"ordered_at": "2024-03-21T18:00", "amount": 10},
]
MONEY = {
    "spend_7d": 0,
    "spend_14d": 40,
    "spend_30d": 60,
    "spend_60d": 60,
    "spend_90d": 70,
    "spend_180d": 70,
    "spend_365d": 70,
    "spend_all": 70,
    "spend_first_order": 10,
    "spend_last_order": 40,
    "spend_max_order": 40,
}
COUNTS = {
    "orders_7d": 0,
    "orders_14d": 1,
    "orders_30d": 2,
    "orders_60d": 2,
    "orders_90d": 3,
    "orders_180d": 3,
    "orders_365d": 3,
    "orders_all": 3,
    "recency_days": 10,
    "tenure_days": 90,
    "span_days": 80,
}


def test_recency_orders_and_spend_of_three_orders(engine: Any) -> None:
    features = engine(PLAN, as_of=AS_OF, orders=LINES)
    assert {name: features[name] for name in COUNTS} == COUNTS
    assert {name: features[name] for name in MONEY} == MONEY


def test_ratios_of_three_orders(engine: Any) -> None:
    features = engine(PLAN, as_of=AS_OF, orders=LINES)
    ratios = {
        "recency_share": 1 / 9,
        "orders_per_month": 90 / 91,
        "spend_mean_order": 70 / 3,
        "spend_scv_order": 2 / 7,  # of 10, 20 and 40
    }
    assert {name: features[name] for name in ratios} == pytest.approx(ratios)


def test_one_order_has_no_spread_and_no_share_of_time(engine: Any) -> None:
    features = engine(PLAN, as_of="2024-01-01T12:00", orders=LINES)
    assert (features["orders_7d"], features["tenure_days"], features["spend_all"]) == (1, 0, 10)
    assert (features["spend_scv_order"], features["recency_share"]) == (None, None)


def test_spread_of_orders_beyond_all_measure_stays_a_number(engine: Any) -> None:
    lines = [{"ordered_at": when, "amount": 9e9} for when in ("2024-01-01", "2024-02-01")]
    assert engine(PLAN, as_of=AS_OF, orders=lines)["spend_scv_order"] == 0


def test_a_day_on_which_only_money_was_written_off_is_no_order(engine: Any) -> None:
    lines = [*LINES, {"ordered_at": "2024-03-25", "amount": -5, "is_return": 0}]
    assert engine(PLAN, as_of=AS_OF, orders=lines) == engine(PLAN, as_of=AS_OF, orders=LINES)
