from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pytest

from features.batch import acquaintances, match_refunds, put_everybody_on_spine, put_known_on_spine
from features.cut_point import cut_point, cut_points, cut_query
from features.instants import Cutoff, parse_as_of
from features.plan import FeaturePlan

PLAN = FeaturePlan(horizon_days=40, order_columns=("cost",))
MARCH = parse_as_of("2024-03-01")
"""40 days after 21 January."""


def line(customer: str, when: str, amount: float, **more: Any) -> dict[str, Any]:
    number = more.pop("order_id", f"{customer} {when}")
    return {"customer_id": customer, "ordered_at": when, "amount": amount, "order_id": number} | more


@pytest.fixture
def cut_of(fill: Callable[..., None]) -> Iterator[Callable[..., float]]:
    """Tell the cut point of a shop with these order lines on 1 March."""
    with duckdb.connect() as connection:

        def cut(lines: list[dict[str, Any]], plan: FeaturePlan = PLAN) -> float:
            fill(connection, plan, orders=lines)
            match_refunds(connection, plan.sql()["duckdb"])
            put_everybody_on_spine(connection, Cutoff.at(MARCH, "UTC"))
            return cut_point(connection, cut_query(plan))

        yield cut


SHOP = [line(str(spent), "2024-02-01", spent) for spent in (10, 20, 30, 40, 50)]


def test_a_fifth_of_the_customers_reached_the_cut_point(cut_of: Callable[..., float]) -> None:
    assert cut_of(SHOP) == pytest.approx(42)
    assert cut_of([*SHOP, line("50", "2024-02-02", 5)]) == pytest.approx(43)


def test_orders_count_from_the_day_a_horizon_before(cut_of: Callable[..., float]) -> None:
    moved = [line("50", "2024-01-21T00:00", 50), *SHOP[:4]]
    assert cut_of(moved) == pytest.approx(42)
    assert cut_of([line("50", "2024-01-20T23:59", 50), *SHOP[:4]]) == pytest.approx(32)


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(line("50", "2024-03-01", 99), id="at-as-of"),
        pytest.param(line("new", "2024-04-01", 99), id="of-somebody-new"),
        pytest.param(line("40", "2024-02-15", 99, ingested_at="2024-03-02"), id="known-too-late"),
        pytest.param(line("50", "2024-03-02", -50, order_id="C50 2024-02-01"), id="refund-after"),
    ],
)
def test_the_cut_point_is_frozen(cut_of: Callable[..., float], later: dict[str, Any]) -> None:
    assert cut_of([*SHOP, later]) == cut_of(SHOP)


def test_refunds_known_by_then_count(cut_of: Callable[..., float]) -> None:
    refund = line("50", "2024-02-20", -25, order_id="C50 2024-02-01")
    assert cut_of([*SHOP, refund]) == pytest.approx(32)


def test_costs_count_where_value_is_the_margin(cut_of: Callable[..., float]) -> None:
    lines = [one | {"cost": one["amount"] / 2} for one in SHOP]
    assert cut_of(lines, FeaturePlan(horizon_days=40, order_columns=("cost",), value="margin")) == 21


def test_any_purchase_counts_where_few_bought(cut_of: Callable[..., float]) -> None:
    old = [line(str(number), "2023-06-01", 10) for number in range(9)]
    assert cut_of([*old, line("1", "2024-02-01", 7)]) == 7
    assert cut_of(old) == 0.0001


def test_every_snapshot_on_a_spine_has_its_own_cut_point(
    cut_of: Callable[..., float], fill: Callable[..., None]
) -> None:
    lines = [*SHOP, *(line(str(spent), "2024-03-05", 2 * spent) for spent in (10, 20, 30, 40, 50))]
    days = [parse_as_of(day) for day in ("2024-05-01", "2024-04-01", "2024-03-01", "2024-01-01")]
    cutoffs = [Cutoff.at(day, "UTC") for day in days]
    with duckdb.connect() as connection:
        fill(connection, PLAN, orders=lines)
        match_refunds(connection, PLAN.sql()["duckdb"])
        put_known_on_spine(connection, acquaintances(connection), cutoffs)
        found = cut_points(connection, PLAN, cutoffs)
    assert found == pytest.approx([1e-4, 84, cut_of(lines), 1e-4])
