from collections.abc import Callable
from dataclasses import replace
from typing import Any

import duckdb
import pytest

from features.batch import match_refunds
from features.instants import Cutoff, parse_as_of
from features.plan import FeaturePlan
from models.next_product import next_products

PLAN = FeaturePlan(horizon_days=30, order_columns=("product_id",), exclude={"product_id": ("POST",)})
JUNE = Cutoff.at(parse_as_of("2024-06-01"), "UTC")
Record = dict[str, Any]


@pytest.fixture
def ranked(fill: Callable[..., None]) -> Any:
    """Rank products for customers: by customer the products in turn, each with what speaks for it."""

    def rank(
        orders: list[Record], *customers: str, plan: FeaturePlan = PLAN, **how: Any
    ) -> dict[str, list[tuple[str, str | None]]]:
        with duckdb.connect(config={"threads": 1}) as connection:
            fill(connection, plan, orders=orders)
            match_refunds(connection, plan.sql()["duckdb"])
            listed = ", ".join(f"('{customer}')" for customer in customers)
            asked = f"(SELECT * FROM (VALUES {listed}) AS asked(customer_id))"
            found = next_products(connection, plan, cutoff=JUNE, customers=asked, **how).fetchall()
        return {
            customer: [(product, because) for who, product, _, because in found if who == customer]
            for customer in customers
        }

    return rank


def bought(customer: str, products: str, when: str = "2024-05-01", **more: Any) -> list[Record]:
    """Return an order with a line per product, each named by a letter."""
    base = {"customer_id": customer, "ordered_at": when, "amount": 10.0} | more
    return [base | {"product_id": product} for product in products]


def test_what_was_in_most_orders_comes_first_and_speaks_for_itself(ranked: Any) -> None:
    orders = [*bought("a", "XY"), *bought("a", "Y", "2024-05-02")]
    assert ranked(orders, "a", most=2) == {"a": [("Y", "Y"), ("X", "X")]}


def test_an_order_of_long_ago_weighs_less(ranked: Any) -> None:
    orders = [*bought("a", "X", "2023-06-01"), *bought("a", "X", "2023-06-02"), *bought("a", "Y")]
    assert ranked(orders, "a") == {"a": [("Y", "Y")]}


PAIRS = [line for customer in "bcd" for line in bought(customer, "XY")]
"""Three customers bought X and Y together."""


def test_what_others_bought_beside_it_is_offered_because_of_it(ranked: Any) -> None:
    assert ranked([*PAIRS, *bought("a", "X")], "a", most=2) == {"a": [("X", "X"), ("Y", "X")]}


def test_what_goes_with_a_product_beats_what_everybody_buys(ranked: Any) -> None:
    crowd = [line for number in range(20) for line in bought(f"p{number}", "P")]
    both = [line for customer in "efg" for line in bought(customer, "XP", "2024-01-01")]
    (first, *_) = ranked([*PAIRS, *crowd, *both, *bought("a", "X")], "a", only_new=True, most=2)["a"]
    assert first == ("Y", "X")


def test_of_two_products_bought_with_one_the_nearer_purchase_goes_with_it(ranked: Any) -> None:
    later = [line for customer in "bcd" for line in bought(customer, "Z", "2024-02-01")]
    assert ranked([*PAIRS, *later, *bought("a", "X")], "a", only_new=True, most=2) == {
        "a": [("Y", "X"), ("Z", "X")]
    }


def test_new_products_leave_out_what_the_customer_had(ranked: Any) -> None:
    assert ranked([*PAIRS, *bought("a", "X")], "a", most=5, only_new=True) == {"a": [("Y", "X")]}


def test_who_never_bought_is_offered_what_is_popular_without_a_reason(ranked: Any) -> None:
    orders = [*PAIRS, *bought("e", "Y"), *bought("f", "Z", "2024-01-01")]
    assert ranked(orders, "new", most=2) == {"new": [("Y", None), ("X", None)]}


@pytest.mark.parametrize(
    "unknown",
    [
        pytest.param(bought("a", "Z", "2024-06-01"), id="at-the-cutoff"),
        pytest.param(bought("a", "Z", ingested_at="2024-06-02"), id="known-too-late"),
        pytest.param(bought("b", "XZ", "2024-06-01"), id="of-others"),
    ],
)
def test_what_was_not_known_at_the_cutoff_changes_nothing(ranked: Any, unknown: list[Record]) -> None:
    orders = [*PAIRS, *bought("a", "X")]
    assert ranked([*orders, *unknown], "a", "b", most=5) == ranked(orders, "a", "b", most=5)


def test_a_line_taken_back_and_a_line_that_is_no_purchase_were_not_bought(ranked: Any) -> None:
    postage = [{"customer_id": "a", "ordered_at": "2024-05-01", "amount": 3.0, "product_id": "POST"}]
    taken_back = bought("a", "X", "2024-05-03", amount=-10.0)
    assert ranked([*bought("a", "XY"), *taken_back, *postage], "a", most=5) == {"a": [("Y", "Y")]}


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(replace(PLAN, order_columns=()), id="no-products"),
        pytest.param(replace(PLAN, reads_orders=False, reads_contracts=True), id="no-orders"),
    ],
)
def test_without_products_nothing_is_offered(ranked: Any, plan: FeaturePlan) -> None:
    assert ranked([*PAIRS], "a", plan=plan) == {"a": []}


def test_the_order_of_rows_and_the_crowd_change_nothing(ranked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = [*PAIRS, *bought("a", "X"), *bought("e", "YZ", "2024-04-01"), *bought("f", "XZ", "2024-03-01")]
    usual = ranked(orders, *"abef", most=3)
    monkeypatch.setattr("models.next_product.CROWD", 2)
    assert ranked(orders[::-1], *"abef", most=3) == usual
