from collections.abc import Callable
from datetime import UTC, datetime

import duckdb
import numpy as np
import pandas as pd
import pytest

from features.plan import FeaturePlan
from training import crowd
from training.contract_history import ContractHistory

PLAN = FeaturePlan(horizon_days=30, reads_orders=False, reads_contracts=True, fee_days=30.0)
AS_OF = datetime(2024, 6, 1, tzinfo=UTC)
DAYS = (7, 30, 90)


def period(started_at: str, ended_at: str | None = None, **more: object) -> dict[str, object]:
    return {"started_at": started_at, "ended_at": ended_at, "fee": 30} | more


@pytest.fixture
def history(fill: Callable[..., None]) -> Callable[..., ContractHistory]:
    def of(*contracts: dict[str, object]) -> ContractHistory:
        connection = duckdb.connect()
        fill(connection, PLAN, contracts=contracts)
        return ContractHistory(connection, PLAN, "UTC", days=DAYS)

    return of


def test_a_contract_that_ends_in_the_horizon_has_ended_a_day_after(
    history: Callable[..., ContractHistory],
) -> None:
    ended = history(period("2024-01-01", "2024-06-21"))
    assert dict(ended.labels(AS_OF).iloc[0]) == {
        "ended_7": 0,
        "ended_30": 1,
        "ended_90": 1,
        "value_7": 7,
        "value_30": 20,
        "value_90": 20,
    }


def test_a_renewal_is_no_end_and_a_raise_adds_to_the_fees(history: Callable[..., ContractHistory]) -> None:
    renewed = history(period("2024-01-01", "2024-06-11"), period("2024-06-12", fee=60))
    assert dict(renewed.labels(AS_OF).iloc[0]) == {
        "ended_7": 0,
        "ended_30": 0,
        "ended_90": 0,
        "value_7": 7,
        "value_30": 10 + 19 * 2,
        "value_90": 10 + 79 * 2,
    }


def test_who_comes_back_later_had_left(history: Callable[..., ContractHistory]) -> None:
    back = history(period("2024-01-01", "2024-06-11"), period("2024-06-20"))
    assert back.labels(AS_OF).loc["a", ["ended_30", "value_90"]].tolist() == [1, 10]


def test_what_is_not_known_yet_is_null(history: Callable[..., ContractHistory]) -> None:
    ended = history(period("2024-01-01", "2024-06-21"))
    known = ended.labels(AS_OF, known_by=datetime(2024, 7, 1, tzinfo=UTC)).loc["a"]
    assert known[["ended_7", "ended_30", "value_30"]].tolist() == [0, 1, 20]
    assert known[["ended_90", "value_90"]].isna().all()


def test_labels_see_only_what_was_known_by_then(history: Callable[..., ContractHistory]) -> None:
    late = history(
        period("2024-01-01"), period("2024-01-01", "2024-06-21", ingested_at="2024-08-01T00:00:00")
    )
    assert late.labels(AS_OF, known_by=datetime(2024, 7, 10, tzinfo=UTC)).loc["a", "ended_30"] == 0
    assert late.labels(AS_OF, known_by=datetime(2024, 8, 10, tzinfo=UTC)).loc["a", "ended_30"] == 1


def test_a_snapshot_holds_running_contracts_only(history: Callable[..., ContractHistory]) -> None:
    some = history(
        period("2024-01-01", "2024-03-01"),
        period("2024-01-01", customer_id="b"),
        period("2024-06-02", customer_id="c"),
    )
    assert some.snapshot(AS_OF).index.tolist() == ["b"]
    assert some.snapshot(datetime(2024, 2, 1, tzinfo=UTC)).index.tolist() == ["a", "b"]


def test_a_contract_without_a_fee_has_no_value(history: Callable[..., ContractHistory]) -> None:
    free = history(period("2024-01-01", fee=None))
    assert np.isnan(free.labels(AS_OF).loc["a", ["value_7", "value_30", "value_90"]].astype(float)).all()


def test_a_lesson_holds_the_snapshots_before_and_names_the_customers(
    history: Callable[..., ContractHistory],
) -> None:
    frame, labels = history(period("2024-01-01", "2024-05-20")).lesson(AS_OF, share=1.0)
    assert frame.index.tolist() == ["a"] * 4
    assert frame["as_of_day"].is_monotonic_increasing
    assert labels["ended_30"].tolist()[:3] == [0, 0, 0]
    assert labels["ended_30"].iloc[3] == 1


def test_snapshots_that_are_made_together_are_those_made_alone(
    history: Callable[..., ContractHistory], monkeypatch: pytest.MonkeyPatch
) -> None:
    contracts = [
        period("2024-01-01", "2024-04-21"),
        period("2024-02-11", "2024-06-11", customer_id="b"),
        period("2024-03-01", customer_id="c", fee=60),
    ]
    together = history(*contracts).lesson(AS_OF, share=1.0)
    monkeypatch.setattr(crowd, "MOST_EVENTS", 1)
    for one, other in zip(history(*contracts).lesson(AS_OF, share=1.0), together, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
