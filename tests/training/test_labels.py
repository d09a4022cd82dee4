from collections.abc import Callable
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.batch import match_refunds, put_on_spine
from features.contract import DAY
from features.instants import Cutoff, micros, parse_as_of
from features.plan import FeaturePlan
from training.labels import label_query, label_spine

PLAN = FeaturePlan(horizon_days=30, exclude={"product_id": ("POST",)})
STEPS = PLAN.sql()["duckdb"]
DAYS = (7, 30)
QUERY = label_query(PLAN, days=DAYS)
JUNE = Cutoff.at(parse_as_of("2024-06-01"), "UTC")
NOW = "2024-12-31"


@pytest.fixture(scope="module")
def labels_of(fill: Callable[..., None]) -> Any:
    """Label customer "a" on 1 June 2024: orders and their value in 30 days, or in other `DAYS`."""
    with duckdb.connect() as connection:

        def label(
            *lines: dict[str, Any], known_by: str | int = NOW, cutoff: Cutoff = JUNE, days: int = 30
        ) -> tuple[float, float]:
            fill(connection, PLAN, orders=lines)
            match_refunds(connection, STEPS)
            put_on_spine(connection, "SELECT 'a' AS customer_id", cutoff)
            by = known_by if isinstance(known_by, int) else micros(parse_as_of(known_by))
            labels = label_spine(connection, QUERY, days=DAYS, known_by=by)
            assert list(labels.columns) == ["customer_id", "orders_7", "orders_30", "value_7", "value_30"]
            return tuple(labels.loc[0, [f"orders_{days}", f"value_{days}"]])

        yield label


def line(when: str | int, amount: float, order_id: str | None = None, **more: Any) -> dict[str, Any]:
    return {"ordered_at": when, "amount": amount, "order_id": order_id, "product_id": "p"} | more


TWO = (line("2024-06-01", 10, "1"), line("2024-06-20", 20, "2"))


def test_orders_and_their_value_are_those_of_the_horizon(labels_of: Any) -> None:
    outside = [line("2024-05-31T23:59", 1), line("2024-07-01", 1), line("2024-06-05", 9, product_id="POST")]
    same_day = line("2024-06-20T18:00", 5, "3")
    assert labels_of(*TWO, *outside, same_day) == (2, 35)


@pytest.mark.parametrize(("lines", "week"), [((), (1, 10)), ((("2024-06-07T23:59", 3),), (2, 13))])
def test_each_number_of_days_has_its_own_orders(labels_of: Any, lines: tuple, week: tuple) -> None:
    assert labels_of(*TWO, *(line(*each) for each in lines), line("2024-06-08", 1), days=7) == week


@pytest.mark.parametrize(("when", "week"), [("2024-06-07", (0, 0)), ("2024-06-08", (1, 10))])
def test_a_refund_counts_from_the_day_that_it_is_known(labels_of: Any, when: str, week: tuple) -> None:
    assert labels_of(*TWO, line(when, -10, "C1"), days=7) == week
    assert labels_of(*TWO, line(when, -10, "C1")) == (1, 20)


def test_whoever_orders_nothing_has_noughts(labels_of: Any) -> None:
    assert labels_of(line("2024-05-01", 10)) == (0, 0)
    assert labels_of() == (0, 0)


def test_a_part_refunded_by_the_end_lowers_the_value(labels_of: Any) -> None:
    assert labels_of(*TWO, line("2024-06-25", -5, "C2")) == (2, 25)


def test_an_order_fully_cancelled_by_the_end_is_none(labels_of: Any) -> None:
    assert labels_of(*TWO, line("2024-06-25", -20, "C2")) == (1, 10)
    assert labels_of(*TWO, line("2024-06-25", -20)) == (1, 10)


@pytest.mark.parametrize(
    "refund",
    [
        pytest.param({"ordered_at": "2024-07-01"}, id="happened-later"),
        pytest.param({"ordered_at": "2024-06-25", "ingested_at": "2024-07-02"}, id="known-later"),
    ],
)
def test_a_refund_not_known_by_the_end_of_the_horizon_does_not_count(labels_of: Any, refund: dict) -> None:
    assert labels_of(*TWO, {"amount": -20, "order_id": "C2", "product_id": "p"} | refund) == (2, 30)


@pytest.mark.parametrize("number", ["C9", None])
def test_refunds_of_earlier_orders_enter_no_label(labels_of: Any, number: str | None) -> None:
    earlier = line("2024-05-20", 7, "9")
    assert labels_of(*TWO, earlier, line("2024-06-25", -7, number)) == (2, 30)
    assert labels_of(earlier, line("2024-06-25", -7, number)) == (0, 0)


def test_refunds_of_orders_that_nobody_knows_enter_no_label(labels_of: Any) -> None:
    assert labels_of(*TWO, line("2024-06-25", -99)) == (2, 30)


def test_a_refund_of_the_morning_before_the_cutoff_leaves_the_evening_after_it(labels_of: Any) -> None:
    noon = Cutoff.at(parse_as_of("2024-06-01T12:00"), "UTC")
    lines = [line("2024-06-01T08:00", 7, "9"), line("2024-06-01T20:00", 10, "1")]
    assert labels_of(*lines, line("2024-06-02", -7, "C9"), cutoff=noon) == (1, 10)


@pytest.mark.parametrize(
    ("known_by", "label"),
    [
        ("2024-06-20", (1, 10)),
        ("2024-06-20T00:00:01", (2, 30)),
        ("2024-06-25", (2, 30)),
        ("2024-06-26", (1, 10)),
    ],
)
def test_nothing_is_seen_that_was_not_known_by_then(labels_of: Any, known_by: str, label: tuple) -> None:
    assert labels_of(*TWO, line("2024-06-25", -20, "C2"), known_by=known_by) == label


def test_an_order_that_was_ingested_late_counts_once_it_is_known(labels_of: Any) -> None:
    late = line("2024-06-10", 4, ingested_at="2024-08-01")
    assert labels_of(*TWO, late, known_by="2024-07-31") == (2, 30)
    assert labels_of(*TWO, late, known_by="2024-08-01") == (3, 34)


def test_each_customer_on_the_spine_has_a_row_in_its_order(fill: Callable[..., None]) -> None:
    with duckdb.connect() as connection:
        fill(connection, PLAN, orders=[line("2024-06-10", 4) | {"customer_id": name} for name in "ca"])
        match_refunds(connection, STEPS)
        put_on_spine(connection, "SELECT unnest(['c', 'b', 'a']) AS customer_id", JUNE)
        labels = label_spine(connection, QUERY, days=DAYS, known_by=JUNE.micros + 90 * DAY)
    assert labels["customer_id"].tolist() == ["a", "b", "c"]
    assert labels[["orders_30", "value_30"]].to_numpy().tolist() == [[1, 4], [0, 0], [1, 4]]


def test_a_margin_is_less_the_costs_of_what_was_kept(fill: Callable[..., None]) -> None:
    plan = FeaturePlan(horizon_days=30, value="margin")
    kept = [line("2024-06-01", 10, "1", cost=4), line("2024-06-20", 20, "2", cost=25)]
    back = line("2024-06-25", -20, "C2", cost=25)
    with duckdb.connect() as connection:
        for lines, labels in ((kept, [2, 1]), ([*kept, back], [1, 6])):
            fill(connection, plan, orders=lines)
            match_refunds(connection, plan.sql()["duckdb"])
            put_on_spine(connection, "SELECT 'a' AS customer_id", JUNE)
            query = label_query(plan, days=[30])
            found = label_spine(connection, query, days=[30], known_by=JUNE.micros + 90 * DAY)
            assert found.loc[0, ["orders_30", "value_30"]].tolist() == labels


LINES = st.fixed_dictionaries(
    {
        "ordered_at": st.integers(-20, 80).map(lambda half_days: JUNE.micros + half_days * DAY // 2),
        "amount": st.sampled_from([-5, -2, 2, 5, 5]),
        "order_id": st.sampled_from(["1", "2", "C1", "C2", None]),
        "product_id": st.sampled_from(["p", "q", "POST"]),
    }
)


@settings(max_examples=25, deadline=None)
@given(st.lists(LINES, max_size=10), st.integers(0, 80))
def test_later_records_change_no_label(labels_of: Any, lines: list[dict[str, Any]], half_days: int) -> None:
    known_by = JUNE.micros + half_days * DAY // 2
    numbered = [each | {"line": place} for place, each in enumerate(lines)]
    past = [each for each in numbered if each["ordered_at"] < known_by]
    assert labels_of(*numbered, known_by=known_by) == labels_of(*past, known_by=known_by)
