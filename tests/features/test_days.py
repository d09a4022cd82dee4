from typing import Any

import pytest

from features.plan import FeaturePlan

PLAN = FeaturePlan(horizon_days=90)
MARCH = "2024-03-01"
FEBRUARY = [{"ordered_at": "2024-02-10", "amount": 10}, {"ordered_at": "2024-02-20", "amount": 10}]


def test_invoices_of_one_day_are_one_order(engine: Any) -> None:
    later = {"ordered_at": "2024-02-20T23:59:59", "amount": 5, "order_id": "2"}
    features = engine(PLAN, as_of=MARCH, orders=[*FEBRUARY, later])
    assert (features["orders_all"], features["spend_last_order"]) == (2, 15)


def test_the_day_is_that_of_the_projects_calendar(engine: Any) -> None:
    near_midnight = {"ordered_at": "2024-02-19T23:00", "amount": 5, "day": 19_773}
    features = engine(PLAN, as_of=MARCH, orders=[*FEBRUARY, near_midnight])
    assert features["orders_all"] == 2


@pytest.mark.parametrize(
    "late",
    [
        pytest.param({"ordered_at": MARCH}, id="at-the-cutoff"),
        pytest.param({"ordered_at": "2024-09-09"}, id="in-the-horizon"),
        pytest.param({"ordered_at": "2024-02-12", "ingested_at": "2024-03-02"}, id="known-too-late"),
    ],
)
def test_what_was_not_known_at_the_cutoff_changes_nothing(engine: Any, late: dict) -> None:
    for amount in (7, -10):
        lines = [*FEBRUARY, {"amount": amount} | late]
        assert engine(PLAN, as_of=MARCH, orders=lines) == engine(PLAN, as_of=MARCH, orders=FEBRUARY)


@pytest.mark.parametrize(
    "known",
    [
        pytest.param({"ordered_at": "2024-02-29T23:59:59.999999"}, id="just-before"),
        pytest.param({"ordered_at": "2024-02-12", "ingested_at": MARCH}, id="ingested-at-the-cutoff"),
    ],
)
def test_what_was_known_just_in_time_counts(engine: Any, known: dict) -> None:
    lines = [*FEBRUARY, {"amount": 7} | known]
    assert engine(PLAN, as_of=MARCH, orders=lines)["spend_all"] == 27


def test_other_customers_orders_are_not_ones_own(engine: Any) -> None:
    lines = [*FEBRUARY, {"customer_id": "b", "ordered_at": "2024-02-21", "amount": 99}]
    assert engine(PLAN, as_of=MARCH, orders=lines)["spend_all"] == 20


def test_a_margin_is_less_the_costs_of_what_was_kept(engine: Any) -> None:
    plan = FeaturePlan(horizon_days=90, value="margin")
    bought = [
        {"ordered_at": "2024-02-10", "amount": 10, "cost": 4, "order_id": "1"},
        {"ordered_at": "2024-02-20", "amount": 10, "cost": 12, "order_id": "2"},
        {"ordered_at": "2024-02-20", "amount": 5, "product_id": "no cost known"},
    ]
    features = engine(plan, as_of=MARCH, orders=bought)
    assert (features["orders_all"], features["spend_all"], features["spend_last_order"]) == (2, 9, 3)
    for cost in (4, -4):
        back = {"ordered_at": "2024-02-25", "amount": -10, "cost": cost, "order_id": "C1"}
        assert engine(plan, as_of=MARCH, orders=[*bought, back])["spend_all"] == 3
