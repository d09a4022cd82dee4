from typing import Any

import pytest

from features.plan import FeaturePlan

PLAN = FeaturePlan(
    horizon_days=90,
    order_columns=("product_id", "quantity", "discount"),
    mixes={"category": ("Tea", "Mugs & Cups")},
)
AS_OF = "2024-06-01"
LINES = [
    {"ordered_at": "2023-01-05", "amount": 6, "product_id": "p", "quantity": 2, "category": "Tea"},
    {"ordered_at": "2024-01-05", "amount": 6, "product_id": "p", "quantity": 2, "category": "Tea"},
    {"ordered_at": "2024-05-05", "amount": 18, "product_id": "q", "quantity": 3, "category": "Mugs & Cups"},
    {"ordered_at": "2024-05-05", "amount": 10, "product_id": "r", "quantity": 1, "discount": 2},
    {"ordered_at": "2024-05-12", "amount": -10, "product_id": "r", "quantity": -1},
]


def basket_of(engine: Any, lines: list[dict]) -> dict[str, float | None]:
    return engine(PLAN, as_of=AS_OF, orders=lines)


def test_lines_and_units_are_those_not_taken_back(engine: Any) -> None:
    features = basket_of(engine, LINES)
    expected = {
        "lines_all": 3,
        "lines_90d": 1,
        "lines_365d": 2,
        "lines_per_order": 1,
        "spend_per_line": 10,
        "units_per_order": 7 / 3,
        "units_365d": 5,
    }
    assert {name: features[name] for name in expected} == pytest.approx(expected)


def test_refunds_count_from_their_own_day(engine: Any) -> None:
    features = basket_of(engine, LINES)
    expected = {
        "refunds_all": 1,
        "refunds_90d": 1,
        "refunds_365d": 1,
        "refunded_90d": 10,
        "refunded_365d": 10,
        "refund_days_since": 20,
        "refund_share": 10 / 40,
    }
    assert {name: features[name] for name in expected} == expected


def test_products_their_concentration_and_which_were_bought_again(engine: Any) -> None:
    features = basket_of(engine, LINES)
    expected = {
        "products_all": 3,
        "products_90d": 2,
        "products_365d": 3,
        "product_concentration": (2 * 2 + 1 + 1) / 16,
        "product_repeat_share": 1 / 3,
    }
    assert {name: features[name] for name in expected} == pytest.approx(expected)


def test_shares_of_the_mix_leave_the_unnamed_as_one(engine: Any) -> None:
    features = basket_of(engine, LINES)
    shares = {
        "category_share_tea": 1 / 2,
        "category_share_mugs_cups": 1 / 4,
        "category_concentration": 1 / 4 + 1 / 16 + 1 / 16,
    }
    assert {name: features[name] for name in shares} == pytest.approx(shares)


def test_discounts_are_shares_of_what_was_asked_before(engine: Any) -> None:
    features = basket_of(engine, LINES)
    assert (features["discount_share"], features["discounted_lines_share"]) == (2 / 42, 1 / 4)


def test_without_refunds_their_counts_are_nought_and_the_days_since_unknown(engine: Any) -> None:
    features = basket_of(engine, LINES[:1])
    names = ("refunds_all", "refunded_365d", "refund_share", "refund_days_since", "discount_share")
    assert [features[name] for name in names] == [0, 0, 0, None, 0]
