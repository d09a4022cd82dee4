from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import duckdb
import pandas as pd
import pytest

from features.batch import match_refunds
from features.plan import FeaturePlan
from training.grading import Grading

PLAN = FeaturePlan(horizon_days=30, order_columns=("cost",))
CONTRACTS = FeaturePlan(horizon_days=30, reads_orders=False, reads_contracts=True, fee_days=30)
TIERS = ("high", "potential", "low")
YEAR_AGO, APRIL, MAY, JUNE, JULY = (
    datetime(year, month, 1, tzinfo=UTC)
    for year, month in ((2023, 5), (2024, 4), (2024, 5), (2024, 6), (2024, 7))
)


def standing(
    customer: str, tier: str, start: datetime = YEAR_AGO, end: datetime | None = None
) -> dict[str, Any]:
    return {
        "customer_id": customer,
        "kind": "value_tier",
        "name": tier,
        "started_at": start,
        "ended_at": end,
    }


PERIODS = pd.DataFrame(
    [
        standing("a", "high"),
        standing("b", "high"),
        standing("c", "potential", end=JUNE),
        standing("c", "high", JUNE),
        standing("d", "potential"),
        standing("prospect", "low", MAY),
    ]
)
"""Tiers of which one customer rises in June."""


def order(customer: str, when: str, amount: float = 10, **more: Any) -> dict[str, Any]:
    return {"customer_id": customer, "ordered_at": when, "amount": amount, "order_id": when} | more


ORDERS = [
    *(order(customer, "2023-03-01") for customer in "abcd"),
    order("a", "2024-05-01", 100, cost=60, product_id="p"),
    order("a", "2024-05-10", -20, order_id="C2024-05-01", product_id="q"),
    order("a", "2024-05-31", 7),
    order("c", "2024-05-30", 40, cost=10),
    order("d", "2023-05-05", 5),
]


@pytest.fixture
def grading_of(fill: Callable[..., None]) -> Iterator[Callable[..., Grading]]:
    """Grade a shop with these records by `PERIODS`."""
    with duckdb.connect() as connection:

        def make(
            plan: FeaturePlan = PLAN,
            runs: tuple[datetime, ...] = (YEAR_AGO, APRIL, MAY, JUNE),
            **records: Any,
        ) -> Grading:
            fill(connection, plan, **records)
            match_refunds(connection, plan.sql()["duckdb"])
            return Grading(connection, plan, PERIODS, runs, TIERS, "UTC")

        yield make


def effect(grading: Grading, run: datetime = MAY, known_by: datetime = JULY) -> pd.DataFrame:
    return grading.effects([run], known_by=known_by).set_index("tier")


def test_orders_of_the_horizon_tell_what_a_tier_brought(grading_of: Callable[..., Grading]) -> None:
    """The horizon of the run of 1 May ends before 31 May."""
    told = effect(grading_of(orders=ORDERS))
    assert told["customers"].to_dict() == {"high": 2, "potential": 2, "low": 1}
    assert told["revenue"].to_dict() == {"high": 80, "potential": 40, "low": 0}
    assert told["revenue_per_customer"].to_dict() == {"high": 40, "potential": 20, "low": 0}
    assert told["margin"].to_dict() == {"high": 20, "potential": 30, "low": 0}


def test_only_who_had_ordered_can_repurchase_or_churn(grading_of: Callable[..., Grading]) -> None:
    told = effect(grading_of(orders=[*ORDERS, order("prospect", "2024-05-02")]))
    assert told["repurchase_rate"].dropna().to_dict() == {"high": 0.5, "potential": 0.5}
    assert told["churn_rate"].dropna().to_dict() == {"high": 0.5, "potential": 0.5}
    assert told.loc["low", "revenue"] == 10


def test_who_churned_is_told_by_customer_once_the_horizon_is_over(grading_of: Callable[..., Grading]) -> None:
    grading = grading_of(orders=ORDERS)
    churned = grading.churned(MAY, known_by=JULY)
    assert churned.dropna().to_dict() == {"a": 0, "b": 1, "c": 0, "d": 1}
    assert churned.index[churned.isna()].tolist() == ["prospect"]
    assert grading.churned(JUNE, known_by=JUNE).empty


def test_who_rose_stands_in_the_best_tier_at_the_first_run_after(grading_of: Callable[..., Grading]) -> None:
    grading = grading_of(orders=ORDERS)
    assert effect(grading)["to_best_rate"].dropna().to_dict() == {"potential": 0.5, "low": 0}
    assert effect(grading, APRIL)["to_best_rate"].dropna().to_dict() == {"potential": 0}
    without_june = grading_of(orders=ORDERS, runs=(MAY,))
    assert effect(without_june)["to_best_rate"].isna().all()


def test_feedback_tells_of_complaints_and_of_what_customers_say(grading_of: Callable[..., Grading]) -> None:
    def said(customer: str, when: str, kind: str, **more: Any) -> dict[str, Any]:
        return {"customer_id": customer, "occurred_at": when, "kind": kind} | more

    feedback = [
        said("a", "2024-05-02", "complaint", resolved_at="2024-05-06"),
        said("a", "2024-05-03", "complaint", resolved_at="2024-06-20"),
        said("b", "2024-05-04", "survey", score=6.0),
        said("b", "2024-05-05", "review", score=9.0, topic="product"),
        said("b", "2024-05-06", "survey", score=2.0, topic="NPS"),
        said("b", "2024-05-31", "survey", score=0.0),
    ]
    told = effect(grading_of(orders=ORDERS, feedback=feedback))
    told = told[["complaints", "complaints_per_customer", "resolve_days", "unresolved_share"]].join(
        told[["satisfaction", "recommendation"]]
    )
    assert told.loc["high"].tolist() == [2, 1, 4, 0.5, 7.5, 2]
    assert told.loc["potential"].dropna().to_dict() == {"complaints": 0, "complaints_per_customer": 0}


def test_a_horizon_that_is_not_over_tells_the_customers_alone(grading_of: Callable[..., Grading]) -> None:
    told = effect(grading_of(orders=ORDERS), JUNE, known_by=JUNE)
    assert told["customers"].to_dict() == {"high": 3, "potential": 1, "low": 1}
    assert told.drop(columns=["as_of", "customers"]).isna().all(axis=None)


def test_a_tier_that_is_called_otherwise_now_is_told_last(fill: Callable[..., None]) -> None:
    with duckdb.connect() as connection:
        fill(connection, PLAN, orders=ORDERS)
        match_refunds(connection, PLAN.sql()["duckdb"])
        told = effect(Grading(connection, PLAN, PERIODS, (MAY,), ("gold", "potential", "low"), "UTC"))
    assert told["customers"].to_dict() == {"gold": 0, "potential": 2, "low": 1, "high": 2}
    assert told.loc["high", "revenue"] == 80


def test_a_table_of_customers_alone_tells_no_orders(grading_of: Callable[..., Grading]) -> None:
    told = effect(grading_of(FeaturePlan(horizon_days=30, reads_orders=False)))
    assert told[["revenue", "churn_rate"]].isna().all(axis=None)


def test_the_latest_run_that_is_over_is_compared_with_the_one_before_and_a_year_before(
    grading_of: Callable[..., Grading],
) -> None:
    rows = grading_of(orders=ORDERS).comparison(known_by=datetime(2024, 6, 2, tzinfo=UTC))
    assert [rows[name].iloc[0] for name in ("as_of", "run_before_as_of", "year_before_as_of")] == [
        MAY,
        APRIL,
        YEAR_AGO,
    ]
    cells = rows.set_index(["tier", "measure"])[["value", "run_before", "year_before"]]
    assert cells.loc[("potential", "revenue")].tolist() == [40, 0, 5]
    assert cells.loc[("potential", "customers")].tolist() == [2, 2, 2]


def test_the_first_run_has_nothing_to_compare_with(grading_of: Callable[..., Grading]) -> None:
    rows = grading_of(orders=ORDERS, runs=(MAY,)).comparison(known_by=JULY)
    assert rows["value"].notna().any()
    assert rows[["run_before", "run_before_as_of", "year_before", "year_before_as_of"]].isna().all(axis=None)
    assert grading_of(orders=ORDERS, runs=()).comparison(known_by=JULY)["value"].isna().all()


def test_of_contracts_the_fees_and_the_ended_ones_are_told(grading_of: Callable[..., Grading]) -> None:
    contracts = [
        {"customer_id": "a", "started_at": "2024-01-01", "fee": 30.0, "ended_at": "2024-05-16"},
        {"customer_id": "b", "started_at": "2024-01-01", "fee": 60.0},
        {"customer_id": "c", "started_at": "2024-01-01", "fee": 30.0, "ended_at": "2024-03-01"},
    ]
    told = effect(grading_of(CONTRACTS, contracts=contracts))
    assert told["churn_rate"].dropna().to_dict() == {"high": 0.5}
    assert told.loc["high", "revenue"] == pytest.approx(75)
    assert told["repurchase_rate"].isna().all()
