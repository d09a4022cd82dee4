from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from features.attributes import Attribute
from features.contract import Kind
from features.errors import InputError
from features.instants import parse_as_of
from features.own import OwnFeature
from features.plan import FeaturePlan
from models.tree_forecaster import TreeForecaster
from training.history import History
from training.leakage import check_engines_agree, check_no_future, check_single_features, shuffled_area

MARCH = parse_as_of("2024-03-01")
PLAN = FeaturePlan(
    horizon_days=90,
    order_columns=("product_id", "quantity"),
    interaction_kinds=("visit",),
    feedback_kinds=("complaint",),
    attributes=(Attribute("age", Kind.NUMBER),),
    own=(OwnFeature.of_sql("largest_spend", "select max(spend) from days"),),
)


def line(customer: str, when: str, amount: float = 10, **more: Any) -> dict[str, Any]:
    number = f"{customer} {when}"
    common = {"customer_id": customer, "ordered_at": when, "amount": amount, "order_id": number}
    return common | {"product_id": "tea", "quantity": 2} | more


RECORDS: dict[str, list[dict[str, Any]]] = {
    "orders": [
        line("a", "2024-01-01"),
        line("a", "2024-02-10", 20),
        line("a", "2024-05-05", 30),
        line("b", "2024-02-20"),
        line("b", "2024-02-25", -10, ingested_at="2024-03-15"),
        line("c", "2024-05-20"),
    ],
    "interactions": [{"customer_id": "a", "occurred_at": "2024-02-11", "kind": "visit"}],
    "feedback": [
        {"customer_id": "b", "occurred_at": "2024-02-21", "kind": "complaint", "resolved_at": "2024-04-01"}
    ],
    "customers": [
        {"customer_id": "a", "valid_from": "2024-01-01", "age": 30.0},
        {"customer_id": "a", "valid_from": "2024-04-01", "age": 31.0},
    ],
}


@pytest.fixture
def staged(fill: Callable[..., None]) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        fill(connection, PLAN, **RECORDS)
        yield connection


def leaking(text: str) -> FeaturePlan:
    """Plan a feature that reads a table which it is not given."""
    return FeaturePlan(
        horizon_days=90, own=(OwnFeature("mine", {"duckdb": text, "sqlite": text, "databricks": text}),)
    )


def test_the_features_of_a_plan_know_no_future(staged: duckdb.DuckDBPyConnection) -> None:
    before = staged.execute("SELECT count(*), sum(amount) FROM orders").fetchall()
    check_no_future(staged, PLAN, as_of=MARCH)
    assert staged.execute("SELECT count(*), sum(amount) FROM orders").fetchall() == before
    assert "spine" not in [name for (name,) in staged.execute("SHOW TABLES").fetchall()]


@pytest.mark.parametrize(
    ("text", "deed"),
    [
        pytest.param("SELECT subject, sum(amount) AS value FROM orders JOIN spine USING (customer_id) "
                     "GROUP BY subject", "deleting", id="all-orders"),
        pytest.param("SELECT subject, count(*) AS value FROM orders JOIN spine USING (customer_id) "
                     "WHERE ordered_at < as_of GROUP BY subject", "deleting", id="the-other-clock"),
        pytest.param("SELECT subject, max(resolved_at) AS value FROM feedback JOIN spine USING (customer_id) "
                     "WHERE occurred_at < as_of GROUP BY subject", "deleting", id="an-end-that-is-to-come"),
        pytest.param("SELECT subject, count(*) AS value FROM interactions JOIN spine USING (customer_id) "
                     "GROUP BY subject", "adding to", id="events-yet-to-come"),
    ],
)  # fmt: skip
def test_a_feature_that_knows_the_future_is_named(
    staged: duckdb.DuckDBPyConnection, text: str, deed: str
) -> None:
    with pytest.raises(InputError, match=f"feature 'mine' knows the future: {deed} what .* 2024-03-01"):
        check_no_future(staged, leaking(text), as_of=MARCH)


def test_engines_that_agree_pass(staged: duckdb.DuckDBPyConnection) -> None:
    check_engines_agree(staged, PLAN, as_of=MARCH)


def test_a_feature_that_engines_make_differently_is_named(staged: duckdb.DuckDBPyConnection) -> None:
    plan = leaking("SELECT subject, sum(age) / 7 AS value FROM days GROUP BY subject")
    with pytest.raises(InputError, match=r"feature 'mine' of customer '\w' is .* on DuckDB and .* on SQLite"):
        check_engines_agree(staged, plan, as_of=MARCH)


CAME = np.repeat([0.0, 1.0], 40)
CHANCE = np.random.default_rng(0).random(80)


def test_a_feature_that_holds_the_outcome_is_named() -> None:
    frame = pd.DataFrame({"spend_all": CHANCE, "customer_closed": 1 - CAME})
    said = r"feature 'customer_closed' alone .* AUC of 1.000.*allow_features = \[\"customer_closed\"\]"
    with pytest.raises(InputError, match=said):
        check_single_features(frame, CAME)
    check_single_features(frame, CAME, allowed=["customer_closed"])


def test_nulls_that_tell_the_outcome_are_found() -> None:
    frame = pd.DataFrame({"feedback_score_last": np.where(CAME == 1, np.nan, CHANCE)})
    with pytest.raises(InputError, match="'feedback_score_last' alone"):
        check_single_features(frame, CAME)


@pytest.mark.parametrize("name", ["recency_days", "overdue_ratio", "orders_90d", "process_no_order"])
def test_what_follows_from_recency_may_be_that_good(name: str) -> None:
    check_single_features(pd.DataFrame({name: CAME}), CAME)


@pytest.mark.parametrize("name", ["customer_cancelled", "tenure_days", "spend_all", "category_share_tea"])
def test_nothing_else_may(name: str) -> None:
    with pytest.raises(InputError, match=f"feature '{name}' alone"):
        check_single_features(pd.DataFrame({name: CAME}), CAME)


def test_a_handful_of_rows_proves_nothing() -> None:
    check_single_features(pd.DataFrame({"spend_all": CAME[20:60]}), CAME[20:60])


def test_a_feature_that_is_not_there_cannot_be_allowed() -> None:
    with pytest.raises(InputError, match="no feature 'spend_al'; did you mean 'spend_all'"):
        check_single_features(pd.DataFrame({"spend_all": CHANCE}), CAME, allowed=["spend_al"])


def test_labels_of_others_teach_nothing(fill: Callable[..., None]) -> None:
    rng = np.random.default_rng(1)
    lines = [
        line(f"{customer}", f"{day:%Y-%m-%d}", 10.0)
        for customer in range(200)
        for day in pd.Timestamp("2023-10-01")
        + pd.to_timedelta(np.unique(rng.integers(0, 250, rng.geometric(0.2))), unit="D")
    ]
    recipe = TreeForecaster(horizon_days=60, clv_days=60, rounds=10)
    with duckdb.connect() as connection:
        fill(connection, PLAN, orders=lines)
        history = History(connection, FeaturePlan(horizon_days=60), "UTC", days=recipe.knots)
        frame, labels = history.lesson(MARCH, share=1.0)
        came = history.labels(MARCH)["orders_60"]
    areas = [shuffled_area(recipe, frame, labels, came, seed=seed) for seed in range(2)]
    assert 0.43 < np.mean(areas) < 0.57
