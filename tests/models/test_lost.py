from datetime import date
from typing import Any

import duckdb
import pandas as pd
import pytest

from models.lost import lost_table

JUNE = 19_875
"""1 June 2024."""
GONE = {
    "lifecycle_stage": "lost",
    "recency_days": 200.0,
    "tenure_days": 930.0,
    "orders_all": 8.0,
    "historic_value": 1460.0,
    "churn_risk": 0.9,
    "feedback_complaint_all": 0.0,
    "feedback_complaint_days_since": None,
    "complaints_open": 0.0,
    "gap_last_ratio": 1.0,
}


def lost(*customers: dict[str, Any]) -> list[dict[str, Any]]:
    """List the lost of these customers, named a, b, c..., of a shop whose customers lapse after 60 days."""
    rows = pd.DataFrame([GONE | {"customer_id": "abcdefghij"[n]} | row for n, row in enumerate(customers)])
    with duckdb.connect() as connection:
        connection.register("frame", rows)
        connection.execute("CREATE TABLE standing AS FROM frame")
        table = lost_table(connection, "standing", as_of_day=JUNE, clv_days=365, lapsing_days=60)
    return list(table.to_pylist())


def reason(**evidence: Any) -> tuple[str, str | None]:
    (row,) = lost(evidence)
    return row["likely_reason"], row["reason_confidence"]


def test_a_row_tells_the_history_and_what_is_at_stake() -> None:
    (row,) = lost({})
    assert row == {
        "customer_id": "a",
        "lifecycle_stage": "lost",
        "last_order_date": date(2023, 11, 14),
        "orders": 8,
        "historic_value": 1460.0,
        "complaints": 0,
        "open_complaints": 0,
        "likely_reason": "unknown",
        "reason_confidence": None,
        "value_at_stake": pytest.approx(730.0),
        "win_back_chance": pytest.approx(0.1),
        "win_back_priority": 1,
        "sign_of_life": None,
        "sign_of_life_days": None,
    }


def test_who_bought_for_less_than_the_days_of_the_value_has_all_of_it_at_stake() -> None:
    (row,) = lost({"tenure_days": 230.0})
    assert row["value_at_stake"] == 1460.0


def test_the_first_to_win_back_has_most_at_stake_times_chance() -> None:
    rows = lost({}, {"churn_risk": 0.5}, {"historic_value": 9e4, "churn_risk": 0.99}, {"churn_risk": None})
    assert [(row["customer_id"], row["win_back_priority"]) for row in rows] == [
        ("c", 1),
        ("b", 2),
        ("a", 3),
        ("d", 4),
    ]


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        pytest.param(
            {"complaints_open": 1, "feedback_complaint_all": 1, "feedback_complaint_days_since": 210},
            ("service", "high"),
            id="an-open-complaint-before-the-last-order",
        ),
        pytest.param(
            {"feedback_complaint_all": 1, "feedback_complaint_days_since": 210},
            ("service", "medium"),
            id="near",
        ),
        pytest.param(
            {"feedback_complaint_all": 1, "feedback_complaint_days_since": 600},
            ("service", "low"),
            id="long-ago",
        ),
        pytest.param({"feedback_score_last": 3}, ("service", "low"), id="a-low-score"),
        pytest.param({"topic_price_all": 1}, ("price", "medium"), id="spoke-of-the-price"),
        pytest.param(
            {"topic_price_all": 1, "feedback_complaint_all": 1, "feedback_complaint_days_since": 210},
            ("price", "medium"),
            id="complained-about-the-price",
        ),
        pytest.param(
            {"topic_price_all": 1, "topic_product_all": 1}, ("price", "low"), id="as-much-for-two-reasons"
        ),
        pytest.param({"refund_share": 0.3, "refund_days_since": 190}, ("product", "medium"), id="returns"),
        pytest.param({"orders_all": 1, "gap_last_ratio": None}, ("natural_end", "medium"), id="bought-once"),
        pytest.param({"gap_last_ratio": 1.5}, ("natural_end", "medium"), id="faded"),
    ],
)
def test_the_likely_reason_follows_the_evidence(
    evidence: dict[str, Any], told: tuple[str, str | None]
) -> None:
    assert reason(**evidence) == told


def test_who_bought_at_a_discount_more_than_others_left_for_the_price() -> None:
    hunter, other = {"discounted_lines_share": 0.9}, {"discounted_lines_share": 0.1}
    assert [row["likely_reason"] for row in lost(hunter, other, other)] == ["price", "unknown", "unknown"]
    assert [row["likely_reason"] for row in lost(hunter, hunter)] == ["unknown", "unknown"]


def test_signs_of_life_are_the_latest_that_broke_the_silence_in_the_last_month() -> None:
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


def test_who_came_back_this_month_is_told_without_a_rank() -> None:
    back = {"lifecycle_stage": "won_back", "recency_days": 3, "return_days": 20.0}
    rows = lost({}, back, back | {"return_days": 31.0}, {"lifecycle_stage": "established"})
    told = [(row["customer_id"], row["win_back_priority"], row["sign_of_life"]) for row in rows]
    assert told == [("a", 1, None), ("b", None, "order")]
    assert rows[1]["sign_of_life_days"] == 20


def test_of_contracts_the_fees_are_at_stake_and_a_raise_is_evidence() -> None:
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
        table = lost_table(connection, "standing", as_of_day=JUNE, clv_days=365, lapsing_days=60)
    (row,) = table.to_pylist()
    known = {name: value for name, value in row.items() if value is not None}
    assert known == {
        "customer_id": "a",
        "lifecycle_stage": "lost",
        "likely_reason": "unknown",
        "win_back_priority": 1,
    }
