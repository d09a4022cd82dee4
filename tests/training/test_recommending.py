from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pandas as pd
import pytest

from features.batch import match_refunds
from features.instants import parse_as_of
from features.plan import FeaturePlan
from training.recommending import AGAIN, COMBINED, MOST_POPULAR, judge_next_products, recalls

PLAN = FeaturePlan(horizon_days=30, order_columns=("product_id",))
MAY, JUNE, TODAY = (parse_as_of(text) for text in ("2024-05-01", "2024-06-01", "2024-09-01"))


def bought(customer: str, products: str, when: str, **more: Any) -> list[dict[str, Any]]:
    """Return an order with a line per product, each named by a letter."""
    base = {"customer_id": customer, "ordered_at": when, "amount": 10.0} | more
    return [base | {"product_id": product} for product in products]


ORDERS = [
    *bought("a", "X", "2024-05-01"),
    *bought("b", "XY", "2024-05-02"),
    *bought("c", "XY", "2024-05-03"),
    *bought("a", "XYQ", "2024-06-10"),
    *bought("a", "Z", "2024-06-20"),
    *bought("b", "X", "2024-08-01"),
    *bought("d", "X", "2024-06-05"),
]
"""In June a orders again, b too late, c never; d is new then."""


@pytest.fixture
def staged(fill: Callable[..., None]) -> Iterator[duckdb.DuckDBPyConnection]:
    """The shop in its staged tables."""
    with duckdb.connect(config={"threads": 1}) as connection:
        fill(connection, PLAN, orders=ORDERS)
        match_refunds(connection, PLAN.sql()["duckdb"])
        yield connection


def judge(connection: duckdb.DuckDBPyConnection, **how: Any) -> pd.DataFrame:
    asked = {"origins": [JUNE], "time_zone": "UTC", "horizon_days": 30, "known_by": TODAY} | how
    return judge_next_products(connection, PLAN, **asked)


def test_recall_is_the_share_of_the_next_order_that_was_ranked(
    staged: duckdb.DuckDBPyConnection,
) -> None:
    judged = judge(staged)
    assert set(judged["customer_id"]) == {"a"}
    recall = judged.set_index(["ranking", "only_new"])["recall"]
    assert recall.to_dict() == {
        (COMBINED, False): pytest.approx(2 / 3),  # X and Y were known, Q never was
        (AGAIN, False): pytest.approx(2 / 3),
        (MOST_POPULAR, False): pytest.approx(2 / 3),
        (COMBINED, True): 0.5,
        (MOST_POPULAR, True): 0.5,
    }


def test_an_order_beyond_the_horizon_and_one_not_known_yet_are_not_judged(
    staged: duckdb.DuckDBPyConnection,
) -> None:
    assert set(judge(staged, horizon_days=90)["customer_id"]) == {"a", "b"}
    early = judge(staged, horizon_days=90, known_by=parse_as_of("2024-06-15"))
    assert set(early["customer_id"]) == {"a"}


def test_every_origin_is_judged_by_itself(staged: duckdb.DuckDBPyConnection) -> None:
    judged = judge(staged, origins=[JUNE, parse_as_of("2024-07-15")])
    assert judged.groupby("origin")["customer_id"].unique().map(list).to_dict() == {
        JUNE: ["a"],
        parse_as_of("2024-07-15"): ["b"],
    }


def test_means_weigh_orders_and_gains_are_paired() -> None:
    base = {"origin": JUNE, "only_new": False}
    rows = [
        base | {"customer_id": customer, "ranking": ranking, "recall": recall + more}
        for customer, recall in (("a", 0.1), ("a", 0.3), ("b", 0.5))
        for ranking, more in ((COMBINED, 0.2), (AGAIN, 0.0))
    ]
    told = recalls(pd.DataFrame(rows)).set_index("ranking")
    assert told["orders"].tolist() == [3, 3]
    assert told["recall"].to_dict() == {COMBINED: pytest.approx(0.5), AGAIN: pytest.approx(0.3)}
    assert told.loc[AGAIN, ["gain", "gain_low", "gain_high"]].tolist() == pytest.approx([0.2] * 3)
    assert told.loc[AGAIN, "low"] == pytest.approx(0.2)
    assert told.loc[AGAIN, "high"] == pytest.approx(0.5)
