from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.contract import DAY, SCALE
from features.plan import FeaturePlan

PLAN = FeaturePlan(horizon_days=90)
JUNE = "2024-06-01"
LINES = st.fixed_dictionaries(
    {
        "ordered_at": st.integers(0, 12).map(lambda half_days: half_days * DAY // 2),
        "amount": st.sampled_from([-2, -1, -1, 0, 1, 1, 2]),
        "product_id": st.sampled_from(["p", "p", "q", None]),
        "quantity": st.sampled_from([1, None]),
        "order_id": st.sampled_from(["1", "2", "C1", "C2", None]),
    },
    optional={"is_return": st.sampled_from([0, 1])},
)


@st.composite
def order_lines(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Lines as they are staged: the amount of a return is never positive."""
    lines = draw(st.lists(LINES, max_size=12))
    for line in lines:
        if line.get("is_return"):
            line["amount"] = -abs(line["amount"])
        line["ingested_at"] = line["ordered_at"] + draw(st.sampled_from([0, 0, DAY // 2, 3 * DAY]))
    return lines


def line(
    when: str, amount: float, order_id: str | None = None, product: str | None = "p", **more: Any
) -> dict:
    return {"ordered_at": when, "amount": amount, "order_id": order_id, "product_id": product} | more


def left(engine: Any, *lines: dict, as_of: str = JUNE, plan: FeaturePlan = PLAN) -> dict[str, float | None]:
    features = engine(plan, as_of=as_of, orders=lines)
    return {name: features[name] for name in ("orders_all", "spend_all", "recency_days")}


def orders_left(orders: float | None, spend: float | None, recency: float | None) -> dict[str, float | None]:
    return {"orders_all": orders, "spend_all": spend, "recency_days": recency}


TWICE = (line("2024-05-01", 10, "123"), line("2024-05-22", 10, "124"))


@pytest.mark.parametrize("number", ["C123", "123"])
def test_a_refund_with_the_number_of_an_order_takes_back_that_order(engine: Any, number: str) -> None:
    assert left(engine, *TWICE, line("2024-05-25", -10, number)) == orders_left(1, 10, 10)


@pytest.mark.parametrize("number", [None, "C999", "A1"])
def test_a_refund_that_names_no_known_order_takes_back_the_newest_like_it(engine: Any, number: str) -> None:
    assert left(engine, *TWICE, line("2024-05-25", -10, number)) == orders_left(1, 10, 31)


def test_the_next_refund_alike_takes_back_the_order_before(engine: Any) -> None:
    again = [line("2024-05-25", -10), line("2024-05-26", -10)]
    assert left(engine, *TWICE, line("2024-04-02", 10), *again) == orders_left(1, 10, 60)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"product": "q"}, id="product"),
        pytest.param({"amount": -9}, id="price"),
        pytest.param({"quantity": -2}, id="quantity"),
        pytest.param({"when": "2024-04-30"}, id="before-the-order"),
    ],
)
def test_a_refund_unlike_any_line_before_it_belongs_to_no_order(engine: Any, other: dict) -> None:
    refund = line(**{"when": "2024-05-25", "amount": -10} | other)
    features = engine(PLAN, as_of=JUNE, orders=[*TWICE, refund])
    assert (features["orders_all"], features["spend_all"], features["refunds_all"]) == (2, 20, 1)


def test_a_refund_of_a_part_lowers_the_order_that_it_names(engine: Any) -> None:
    assert left(engine, *TWICE, line("2024-05-25", -4, "C123")) == orders_left(2, 16, 10)


def test_a_refund_of_a_whole_order_needs_no_product(engine: Any) -> None:
    more = [line("2024-05-01", 5, "123", "q"), line("2024-05-25", -15, "C123", None)]
    assert left(engine, *TWICE, *more) == orders_left(1, 10, 10)


def test_an_order_of_which_every_line_is_taken_back_is_none(engine: Any) -> None:
    lines = [line("2024-05-01", 10), line("2024-05-01", 5, None, "q")]
    refunds = [line("2024-05-02", -10), line("2024-05-03", -5, None, "q")]
    assert left(engine, *lines, refunds[0]) == orders_left(1, 5, 31)
    assert left(engine, *lines, *refunds) == orders_left(None, None, None)


def test_a_free_order_is_an_order(engine: Any) -> None:
    assert left(engine, line("2024-05-22", 0)) == orders_left(1, 0, 10)


@pytest.mark.parametrize(
    ("as_of", "spend"),
    [("2024-05-09", 10), ("2024-05-10", 10), ("2024-05-19", 10), ("2024-05-20", None)],
)
def test_a_cancellation_counts_from_when_it_is_known(engine: Any, as_of: str, spend: float | None) -> None:
    refund = line("2024-05-10", -10, "C123", ingested_at="2024-05-20")
    assert left(engine, TWICE[0], refund, as_of=as_of)["spend_all"] == spend


def test_lines_loaded_together_match_by_when_they_happened(engine: Any) -> None:
    loaded = {"ingested_at": "2024-05-30"}
    lines = [
        line("2024-05-22", 10, **loaded),
        line("2024-05-05", -10, **loaded),
        line("2024-05-01", 10, **loaded),
    ]
    assert left(engine, *lines) == orders_left(1, 10, 10)


def test_a_line_added_later_to_an_order_does_not_move_its_refunds(engine: Any) -> None:
    lines = [line("2024-05-10", 10, "123"), line("2024-05-12", -4, "C123")]
    added = line("2024-05-02", 8, "123", "q", ingested_at="2024-05-20")
    assert left(engine, *lines, added) == orders_left(2, 14, 22)


@pytest.mark.parametrize(
    ("first", "second"), [pytest.param(None, "C123", id="likeness"), pytest.param("C123", None, id="number")]
)
def test_of_two_refunds_for_one_line_the_one_known_first_has_it(batch: Any, first: str, second: str) -> None:
    lines = [TWICE[0], line("2024-05-03", -10, first), line("2024-05-05", -10, second)]
    assert batch.matches(PLAN, lines) == {1: (19_844, 1)}


@pytest.mark.parametrize("column", ["product_id", "category"])
def test_excluded_lines_are_no_purchases_case_and_all(engine: Any, column: str) -> None:
    plan = FeaturePlan(horizon_days=90, exclude={column: ("POST", "BANK *", "A.(B)*", "GI*T")})
    out = ["POST", "BANK CHARGES", "BANK ", "A.(B)1", "GIFT", "GIT"]
    kept = ["post", "POSTAGE", "Bank charges", "BANK", "AX(B)", "GIFTS", "gift", None]
    lines = [line("2024-05-01", 1, product=None, **{column: text}) for text in [*out, *kept]]
    assert left(engine, *lines, plan=plan)["spend_all"] == len(kept)


def oracle(lines: list[dict[str, Any]]) -> dict[int, tuple[int, int]]:
    """Match refunds one after another, each with the top of the stack of lines like it."""
    by_number, by_likeness = defaultdict(list), defaultdict(list)
    first_day: dict[str, int] = {}
    claims: dict[int, list[tuple[int, bool, int]]] = defaultdict(list)
    matches = {}
    for turn, _, is_return, _, number, place in sorted(map(moment, lines, range(len(lines)))):
        each = lines[place]
        size = (each["product_id"] or "", abs(each["amount"]), each["quantity"] or 0)
        day = each["ordered_at"] // DAY
        if is_return:
            told = number in first_day
            stack = by_number[size, number] if told else by_likeness[size]
            if stack:
                claims[stack.pop()].append((turn, not told, place))
            elif told:
                matches[place] = (first_day[number], 0)
        elif each["amount"] >= 0:
            by_number[size, number].append(place)
            by_likeness[size].append(place)
            if each["order_id"]:
                first_day.setdefault(number, day)
    return matches | {
        min(rivals)[2]: (lines[place]["ordered_at"] // DAY, 1) for place, rivals in claims.items()
    }


def moment(each: dict[str, Any], place: int) -> tuple[int, int, int, bool, str, int]:
    """When a line became known, and what decides between lines that became known together."""
    happened, is_return = each["ordered_at"], each.get("is_return", int(each["amount"] < 0))
    known_at = max(happened, each["ingested_at"])
    number = (each["order_id"] or "").removeprefix("C" if is_return else "")
    return (known_at * 2 + (happened == known_at), happened, is_return, not number, number, place)


@settings(max_examples=100, deadline=None)
@given(order_lines())
def test_refunds_match_as_one_after_another_would(batch: Any, lines: list[dict[str, Any]]) -> None:
    assert batch.matches(PLAN, lines) == oracle(lines)


def test_amounts_are_held_to_the_ten_thousandth(engine: Any) -> None:
    assert left(engine, line("2024-05-22", 1 / SCALE))["spend_all"] == 1 / SCALE
