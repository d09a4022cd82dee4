from collections.abc import Callable
from datetime import date
from typing import Any

import duckdb
import pandas as pd
import pytest

from features.instants import Cutoff, parse_as_of
from features.plan import FeaturePlan
from models.lost import lost_table

PLAN = FeaturePlan(horizon_days=30)
JUNE = Cutoff.at(parse_as_of("2024-06-01"), "UTC")
GONE = {
    "lifecycle_stage": "lost",
    "recency_days": 200.0,
    "tenure_days": 930.0,
    "orders_all": 8.0,
    "historic_value": 1460.0,
    "churn_risk": 0.9,
    "gap_last_ratio": 1.0,
}
"""Who ordered for the last time on 14 November 2023."""


@pytest.fixture
def lost(fill: Callable[..., None]) -> Any:
    """List the lost of customers named a, b, c..., of a shop whose customers lapse after 60 days."""

    def table(*customers: dict[str, Any], said: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
        names = [{"customer_id": "abcdefghij"[number]} for number in range(len(customers))]
        rows = pd.DataFrame([GONE | each | name for each, name in zip(customers, names, strict=True)])
        with duckdb.connect() as connection:
            connection.register("frame", rows)
            connection.execute("CREATE TABLE standing AS FROM frame")
            if said is not None:
                fill(connection, PLAN, feedback=said)
            found = lost_table(connection, "standing", cutoff=JUNE, clv_days=365, lapsing_days=60)
        return list(found.to_pylist())

    return table


def said(kind: str, when: str = "2023-11-01", **more: Any) -> dict[str, Any]:
    return {"kind": kind, "occurred_at": when} | more


def test_a_row_tells_the_history_and_what_is_at_stake(lost: Any) -> None:
    (row,) = lost({})
    assert row == {
        "customer_id": "a",
        "lifecycle_stage": "lost",
        "last_order_date": date(2023, 11, 14),
        "orders": 8,
        "historic_value": 1460.0,
        "complaints": None,
        "open_complaints": None,
        "likely_reason": "unknown",
        "reason_confidence": None,
        "value_at_stake": pytest.approx(730.0),
        "win_back_chance": pytest.approx(0.1),
        "win_back_priority": 1,
        "sign_of_life": None,
        "sign_of_life_days": None,
    }


def test_who_bought_for_less_than_the_days_of_the_value_has_all_of_it_at_stake(lost: Any) -> None:
    (row,) = lost({"tenure_days": 230.0})
    assert row["value_at_stake"] == 1460.0


def test_the_first_to_win_back_has_most_at_stake_times_chance(lost: Any) -> None:
    rows = lost({}, {"churn_risk": 0.5}, {"historic_value": 9e4, "churn_risk": 0.99}, {"churn_risk": None})
    assert [(row["customer_id"], row["win_back_priority"]) for row in rows] == [
        ("c", 1),
        ("b", 2),
        ("a", 3),
        ("d", 4),
    ]


PRICE, PRODUCT, SOLVED = {"topic": "price"}, {"topic": "Product"}, {"resolved_at": "2023-12-01"}


@pytest.mark.parametrize(
    ("feedback", "told"),
    [
        pytest.param([said("complaint")], ("service", "high"), id="an-open-complaint"),
        pytest.param([said("complaint", **SOLVED)], ("service", "medium"), id="a-resolved-one"),
        pytest.param([said("complaint", "2023-08-15", **SOLVED)], ("service", "low"), id="an-old-one"),
        pytest.param([said("complaint", "2024-03-01")], ("service", "high"), id="after-the-last-order"),
        pytest.param([said("complaint", "2024-06-01")], ("unknown", None), id="not-known-yet"),
        pytest.param([said("survey", score=6.0)], ("service", "medium"), id="a-low-score"),
        pytest.param([said("survey", score=9.0, **PRODUCT)], ("unknown", None), id="a-high-score"),
        pytest.param([said("inquiry", topic="After sales")], ("service", "low"), id="a-question"),
        pytest.param([said("inquiry", "2023-08-15", topic="price")], ("unknown", None), id="an-old-question"),
        pytest.param([said("complaint", **PRICE)], ("price", "high"), id="about-the-price"),
        pytest.param([said("return")], ("product", "low"), id="a-return"),
        pytest.param(
            [said("complaint", **PRICE), said("complaint", **PRODUCT)], ("price", "low"), id="two-reasons"
        ),
        pytest.param(
            [said("complaint", **SOLVED), said("survey", score=2.0, **PRICE)],
            ("service", "medium"),
            id="one-of-two",
        ),
    ],
)
def test_the_likely_reason_follows_what_was_said(
    lost: Any, feedback: list[dict[str, Any]], told: tuple[str, str | None]
) -> None:
    (row,) = lost({}, said=feedback)
    assert (row["likely_reason"], row["reason_confidence"]) == told


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        pytest.param({"refund_share": 0.3, "refund_days_since": 190}, ("product", "medium"), id="returns"),
        pytest.param({"orders_all": 1, "gap_last_ratio": None}, ("natural_end", "low"), id="bought-once"),
        pytest.param({"gap_last_ratio": 1.5}, ("natural_end", "low"), id="faded"),
    ],
)
def test_the_likely_reason_follows_behaviour(
    lost: Any, behaviour: dict[str, Any], told: tuple[str, str]
) -> None:
    (row,) = lost(behaviour)
    assert (row["likely_reason"], row["reason_confidence"]) == told


def test_who_says_nothing_where_others_speak_more_surely_came_to_a_natural_end(lost: Any) -> None:
    (row,) = lost({"orders_all": 1}, said=[])
    assert (row["likely_reason"], row["reason_confidence"]) == ("natural_end", "medium")


@pytest.mark.parametrize(("stayed_with_refunds", "confidence"), [(20, "medium"), (180, "low")])
def test_evidence_that_others_stay_with_is_not_trusted(stayed_with_refunds: int, confidence: str) -> None:
    """Of 200 lost 200 had refunds; of 200 who stay a tenth, or nine tenths: no fifth fewer."""
    refunds = {"refund_share": 0.3, "refund_days_since": 190.0}
    rows = [GONE | refunds for _ in range(200)]
    stay = GONE | {"lifecycle_stage": "repeat"}
    rows += [stay | (refunds if number < stayed_with_refunds else {}) for number in range(200)]
    frame = pd.DataFrame([row | {"customer_id": f"c{number:03d}"} for number, row in enumerate(rows)])
    with duckdb.connect() as connection:
        connection.register("frame", frame)
        connection.execute("CREATE TABLE standing AS FROM frame")
        told = lost_table(connection, "standing", cutoff=JUNE, clv_days=365, lapsing_days=60).to_pandas()
    assert len(told) == 200
    assert told["likely_reason"].unique().tolist() == ["product"]
    assert told["reason_confidence"].unique().tolist() == [confidence]


def test_complaints_are_counted_where_feedback_is_recorded(lost: Any) -> None:
    rows = lost({}, {}, said=[said("complaint"), said("complaint", **SOLVED), said("inquiry")])
    assert [(row["complaints"], row["open_complaints"]) for row in rows] == [(2, 1), (0, 0)]


def test_who_bought_at_a_discount_more_than_others_left_for_the_price(lost: Any) -> None:
    hunter, other = {"discounted_lines_share": 0.9}, {"discounted_lines_share": 0.1}
    assert [row["likely_reason"] for row in lost(hunter, other, other)] == ["price", "unknown", "unknown"]
    assert [row["likely_reason"] for row in lost(hunter, hunter)] == ["unknown", "unknown"]


def test_signs_of_life_are_the_latest_that_broke_the_silence_in_the_last_month(lost: Any) -> None:
    quiet = {"visit_7d": 0, "visit_days_since": None, "email_open_7d": 1, "email_open_days_since": 1}
    told = [
        (row["sign_of_life"], row["sign_of_life_days"])
        for row in lost(
            quiet | {"visit_days_since": 12, "feedback_inquiry_days_since": 4},
            quiet | {"visit_days_since": 12},
            quiet | {"visit_days_since": 31},
            quiet | {"visit_days_since": 12, "recency_days": 70},
        )
    ]
    assert told == [("inquiry", 4), ("visit", 12), (None, None), (None, None)]


def test_who_came_back_this_month_is_told_without_a_rank(lost: Any) -> None:
    back = {"lifecycle_stage": "won_back", "recency_days": 3, "return_days": 20.0}
    rows = lost({}, back, back | {"return_days": 31.0}, {"lifecycle_stage": "established"})
    told = [(row["customer_id"], row["win_back_priority"], row["sign_of_life"]) for row in rows]
    assert told == [("a", 1, None), ("b", None, "order")]
    assert rows[1]["sign_of_life_days"] == 20


def test_without_a_profile_the_last_gap_tells_who_came_back(lost: Any) -> None:
    back = {"lifecycle_stage": "won_back", "recency_days": 3.0}
    rows = lost(back | {"gap_last_days": 300.0}, back | {"gap_last_days": 5.0})
    assert [(row["customer_id"], row["sign_of_life_days"]) for row in rows] == [("a", 3)]


def test_of_contracts_the_fees_are_at_stake_and_a_raise_is_evidence(lost: Any) -> None:
    left = {"contract_runs": 0.0, "contract_known_days": 730.0, "recency_days": None, "churn_risk": 1.0}
    rows = lost(
        left | {"historic_value": 300.0, "fee_change": None},
        left | {"historic_value": 900.0, "fee_change": 0.1},
    )
    told = [(row["customer_id"], row["value_at_stake"], row["likely_reason"]) for row in rows]
    assert told == [("b", 450.0, "price"), ("a", 150.0, "unknown")]
    assert [row["win_back_chance"] for row in rows] == [None, None]


def test_with_nothing_but_the_stage_all_else_is_null() -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE standing AS SELECT 'a' AS customer_id, 'lost' AS lifecycle_stage")
        table = lost_table(connection, "standing", cutoff=JUNE, clv_days=365, lapsing_days=60)
    (row,) = table.to_pylist()
    known = {name: value for name, value in row.items() if value is not None}
    assert known == {
        "customer_id": "a",
        "lifecycle_stage": "lost",
        "likely_reason": "unknown",
        "win_back_priority": 1,
    }
