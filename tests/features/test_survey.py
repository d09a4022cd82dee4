from collections.abc import Callable
from typing import Any

import duckdb
import pytest

from features.attributes import Attribute
from features.contract import Kind
from features.errors import InputError
from features.instants import Cutoff, parse_as_of
from features.plan import FeaturePlan
from features.sources import CustomersSource, OrdersSource, Source
from features.survey import plan_features

JUNE = Cutoff.at(parse_as_of("2024-06-01"), "UTC")
COLUMNS = FeaturePlan(
    horizon_days=90,
    attributes=(
        Attribute("plan", Kind.TEXT),
        Attribute("age", Kind.NUMBER),
        Attribute("vip", Kind.FLAG),
    ),
)


@pytest.fixture
def plan_of(fill: Callable[..., None]) -> Callable[..., FeaturePlan]:
    """Fill the staged tables and look at them."""

    def filled_and_planned(
        *, exclude: Any = None, fixed: tuple[str, ...] = (), value: str = "revenue", **records: Any
    ) -> FeaturePlan:
        connection = duckdb.connect()
        fill(connection, COLUMNS, **records)
        orders = OrdersSource(path="orders.csv", exclude=exclude or {}, cancellation_prefix="R")
        sources: dict[str, Source] = {
            "orders": orders,
            "customers": CustomersSource(path="c.csv", fixed=fixed),
        }
        return plan_features(connection, sources, horizon_days=60, cutoff=JUNE, value=value)

    return filled_and_planned


def line(when: str = "2024-05-01", amount: float = 1, **more: Any) -> dict[str, Any]:
    return {"ordered_at": when, "amount": amount} | more


def test_bare_orders_make_a_bare_plan_with_the_sources_own_rules(plan_of: Callable[..., FeaturePlan]) -> None:
    plan = plan_of(orders=[line()], exclude={"product_id": ["POST"]})
    assert plan == FeaturePlan(horizon_days=60, exclude={"product_id": ("POST",)}, cancellation_prefix="R")


def test_order_columns_are_those_with_a_value_known_in_time(plan_of: Callable[..., FeaturePlan]) -> None:
    lines = [
        line(product_id="p", quantity=1),
        line("2024-06-01", discount=1),
        line("2024-05-01", cost=1, ingested_at="2024-06-02"),
    ]
    assert plan_of(orders=lines).order_columns == ("quantity", "product_id")


def test_mixes_are_the_most_frequent_values_of_purchases(plan_of: Callable[..., FeaturePlan]) -> None:
    lines = [line(category=name, channel="web") for name in ("b", "b", "a", "c", "Post", "B")]
    refunds = [line(amount=-1, category="c")] * 3
    plan = plan_of(orders=lines + refunds, exclude={"category": ["Post"]})
    assert plan.mixes == {"category": ("b", "a", "c")}


def test_a_mix_has_eight_values_at_most_and_ties_go_by_name(plan_of: Callable[..., FeaturePlan]) -> None:
    lines = [line(payment_method=name) for name in "jihgfedcba"]
    assert plan_of(orders=lines).mixes == {"payment_method": tuple("abcdefgh")}


def test_kinds_and_topics_come_from_what_was_known(plan_of: Callable[..., FeaturePlan]) -> None:
    events = [
        ("2024-05-01", "visit"),
        ("2024-05-02", "call"),
        ("2024-05-02", "visit"),
        ("2024-06-01", "login"),
    ]
    plan = plan_of(
        orders=[line()],
        interactions=[{"occurred_at": when, "kind": kind} for when, kind in events],
        feedback=[
            {"occurred_at": "2024-05-01", "kind": "complaint", "topic": "price"},
            {"occurred_at": "2024-05-01", "kind": "survey"},
        ],
    )
    assert plan.interaction_kinds == ("visit", "call")
    assert (plan.feedback_kinds, plan.feedback_topics) == (("complaint", "survey"), ("price",))


def test_attributes_are_dated_or_named_as_fixed(plan_of: Callable[..., FeaturePlan]) -> None:
    rows = [
        {"customer_id": "a", "valid_from": "2024-05-01", "plan": "gold", "joined_at": "2024-01-01"},
        {"customer_id": "b", "valid_from": "2024-05-01", "plan": "free"},
        {"customer_id": "c", "valid_from": "2024-05-01", "plan": "free"},
        {"customer_id": "d", "valid_from": "2024-06-01", "plan": "late"},
        {"customer_id": "e", "plan": "undated", "age": 40.0, "vip": 1},
    ]
    plan = plan_of(orders=[line()], customers=rows, fixed=("vip",))
    text, flag = Attribute("plan", Kind.TEXT, ("free", "gold")), Attribute("vip", Kind.FLAG, fixed=True)
    assert (plan.attributes, plan.knows_joining) == ((text, flag), True)
    assert plan_of(orders=[line()], customers=rows[-1:]).attributes == ()


@pytest.mark.parametrize(("values", "count"), [(50, 1), (51, 0)])
def test_a_text_with_too_many_values_is_no_attribute(
    plan_of: Callable[..., FeaturePlan], values: int, count: int
) -> None:
    rows = [{"customer_id": str(n), "plan": f"{n:02}"} for n in range(values)]
    assert len(plan_of(orders=[line()], customers=rows, fixed=("plan",)).attributes) == count


def test_the_order_of_rows_moves_nothing(plan_of: Callable[..., FeaturePlan]) -> None:
    lines = [line(category=name) for name in "caabbd"]
    assert plan_of(orders=lines) == plan_of(orders=lines[::-1])


def test_tables_that_were_not_given_are_not_looked_at(fill: Callable[..., None]) -> None:
    connection = duckdb.connect()
    fill(connection, FeaturePlan(horizon_days=90), orders=[line()])
    for table in ("customers", "interactions", "feedback", "contracts", "treatments"):
        connection.execute(f"DROP TABLE {table}")
    sources = {"orders": OrdersSource(path="orders.csv")}
    assert plan_features(connection, sources, horizon_days=90, cutoff=JUNE) == FeaturePlan(horizon_days=90)


def test_a_margin_needs_costs(plan_of: Callable[..., FeaturePlan]) -> None:
    assert plan_of(orders=[line(cost=1)], value="margin").is_margin
    with pytest.raises(
        InputError, match=r"forecast\.value = 'margin' needs costs.* map sources\.orders\.columns\.cost"
    ):
        plan_of(orders=[line()], value="margin")
