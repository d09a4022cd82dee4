from collections.abc import Callable
from datetime import timedelta
from typing import Any

import duckdb
import pandas as pd
import pytest

from features.instants import Cutoff, micros, parse_as_of
from features.plan import FeaturePlan
from training.history import History
from training.untreated import Untreated

PLAN = FeaturePlan(horizon_days=30)
MARCH = parse_as_of("2024-03-01")
SNAPSHOT, JUNE = (Cutoff.at(parse_as_of(day), "UTC") for day in ("2024-03-01", "2024-06-01"))
Log = list[dict[str, Any]]


def assigned(customers: list[str], *, held: bool, day: str = "2024-03-05", **more: Any) -> Log:
    row = {"assigned_at": day, "treatment": "call", "is_holdout": int(held)} | more
    return [row | {"customer_id": customer} for customer in customers]


def came(customers: list[str], share: float, *, first_week: bool = False) -> pd.DataFrame:
    """Label customers, of whom the first ones placed an order of 10."""
    ordered = [float(place < share * len(customers)) for place in range(len(customers))]
    week = ordered if first_week else [0.0] * len(ordered)
    labels = {"orders_7": week, "value_7": week, "orders_30": ordered}
    return pd.DataFrame(labels | {"value_30": [10 * one for one in ordered]}, index=customers)


TREATED, HELD, OTHERS = ([f"{kind}{number}" for number in range(100)] for kind in "tho")
CALLED = [*assigned(TREATED, held=False), *assigned(HELD, held=True)]


def happened(treated: float, held: float, *, first_week: bool = False) -> pd.DataFrame:
    """Label 100 treated, 100 held out and 100 others, by the share of each who ordered."""
    parts = [came(TREATED, treated, first_week=first_week), came(HELD, held), came(OTHERS, 0.5)]
    return pd.concat(parts)


def put(connection: duckdb.DuckDBPyConnection, log: Log) -> None:
    """Make the staged log of treatments."""
    connection.execute(
        "CREATE OR REPLACE TABLE treatments (customer_id VARCHAR, assigned_at BIGINT, treatment VARCHAR, "
        "is_holdout BIGINT, propensity DOUBLE)"
    )
    for row in log:
        day = micros(parse_as_of(row["assigned_at"]))
        told = [row["customer_id"], day, row["treatment"], row["is_holdout"], row.get("propensity")]
        connection.execute("INSERT INTO treatments VALUES (?, ?, ?, ?, ?)", told)


@pytest.fixture
def taught() -> Any:
    """Return what labels of one snapshot become, and what is said of it."""

    def labels_of(log: Log, labels: pd.DataFrame, *, outcome: str = "orders") -> tuple[Any, list[str]]:
        with duckdb.connect(config={"threads": 1}) as connection:
            put(connection, log)
            untreated = Untreated(connection, outcome=outcome, horizon_days=30)
            (told,) = untreated.labels([labels], [SNAPSHOT], known_by=JUNE)
        return told, untreated.notes()

    return labels_of


@pytest.mark.parametrize(("treated", "held"), [(0.6, 0.3), (0.3, 0.6)])
def test_the_treated_teach_what_those_held_out_did(taught: Any, treated: float, held: float) -> None:
    before = happened(treated, held)
    told, _ = taught(CALLED, before)
    assert told.loc[TREATED, "orders_30"].mean() == pytest.approx(held, abs=0.1)
    assert (told["value_30"] == 10 * told["orders_30"]).all()
    pd.testing.assert_frame_equal(told.loc[[*HELD, *OTHERS]], before.loc[[*HELD, *OTHERS]])
    pd.testing.assert_frame_equal(before, happened(treated, held))


def test_one_remark_says_what_was_undone(taught: Any) -> None:
    told, notes = taught(CALLED, happened(0.6, 0.3))
    changed = int(60 - told.loc[TREATED, "orders_30"].sum())
    what = f"{changed} rows teach what a customer held out did instead"
    share = "of those treated who then ordered, 48% did so because of it (100 rows treated, 100 held out)"
    assert notes == [f"treatments: {what}, so that the forecast is that without treatment; call: {share}"]


def test_who_may_have_been_treated_or_held_out_teaches_as_it_happened(taught: Any) -> None:
    unclear = [
        row | {"customer_id": f"o{place}", "is_holdout": None} for place, row in enumerate(CALLED[:100])
    ]
    before = happened(0.6, 0.3)
    pd.testing.assert_frame_equal(taught([*CALLED, *unclear], before)[0], taught(CALLED, before)[0])


def test_a_treatment_without_effect_changes_nothing(taught: Any) -> None:
    told, (note,) = taught(CALLED, happened(0.5, 0.5))
    pd.testing.assert_frame_equal(told, happened(0.5, 0.5))
    assert "call made no difference that is seen (100 rows treated, 100 held out)" in note


def test_an_order_before_its_treatment_was_not_made_by_it(taught: Any) -> None:
    later = [row | {"assigned_at": "2024-03-10"} for row in CALLED]
    before = happened(0.6, 0.3, first_week=True)
    told, _ = taught(later, before)
    assert told.loc[TREATED, "orders_7"].mean() == 0.6


@pytest.mark.parametrize(
    "log",
    [
        pytest.param([], id="nobody-treated"),
        pytest.param([row | {"assigned_at": "2024-02-29T23:59"} for row in CALLED], id="before-the-snapshot"),
        pytest.param([row | {"assigned_at": "2024-03-31"} for row in CALLED], id="after-the-horizon"),
        pytest.param([row | {"treatment": "nothing"} for row in CALLED], id="nothing-done"),
        pytest.param([row | {"customer_id": "x" + row["customer_id"]} for row in CALLED], id="of-others"),
    ],
)
def test_what_is_no_treatment_in_the_horizon_changes_nothing(taught: Any, log: Log) -> None:
    told, _ = taught(log, happened(0.6, 0.3))
    pd.testing.assert_frame_equal(told, happened(0.6, 0.3))


@pytest.mark.parametrize("held", [0, 29])
def test_too_few_held_out_teach_as_it_happened_and_it_is_said(taught: Any, held: int) -> None:
    log = [*assigned(TREATED, held=False), *assigned(HELD[:held], held=True)]
    told, (note,) = taught(log, happened(0.6, 0.3))
    pd.testing.assert_frame_equal(told, happened(0.6, 0.3))
    assert f"call teaches as it happened ({held} customers to compare, 30 are needed)" in note


def test_propensities_keep_campaigns_apart(taught: Any) -> None:
    rare = [  # of keen customers few are held out, of others many: the call does nothing to either
        *assigned(TREATED[:90], held=False, propensity=0.9),
        *assigned(HELD[:10], held=True, propensity=0.1),
        *assigned(TREATED[90:], held=False, propensity=0.1),
        *assigned(HELD[10:], held=True, propensity=0.9),
    ]
    pairs = [(TREATED[:90], 0.8), (HELD[:10], 0.8), (TREATED[90:], 0.2), (HELD[10:], 0.2)]
    labels = pd.concat([came(customers, share) for customers, share in pairs])
    told, _ = taught(rare, labels)
    pd.testing.assert_frame_equal(told, labels)


def test_the_order_of_the_log_changes_nothing(taught: Any) -> None:
    one, other = (taught(log, happened(0.6, 0.3))[0] for log in (CALLED, CALLED[::-1]))
    pd.testing.assert_frame_equal(one, other)


def test_who_would_have_left_but_for_the_treatment_teaches_that(taught: Any) -> None:
    ended = happened(0.2, 0.6).rename(columns=lambda name: name.replace("orders", "ended"))
    told, (note,) = taught(CALLED, ended, outcome="ended")
    assert told.loc[TREATED, "ended_30"].mean() == pytest.approx(0.6, abs=0.1)
    assert "of those treated who then stayed, " in note


def test_a_lesson_teaches_the_outcomes_without_treatment_and_labels_keep_what_happened(
    fill: Callable[..., None],
) -> None:
    first = [{"customer_id": each, "ordered_at": "2024-01-01", "amount": 1} for each in (*TREATED, *HELD)]
    again = [row | {"ordered_at": "2024-03-12"} for row in (*first[:60], *first[100:130])]
    with duckdb.connect(config={"threads": 1}) as connection:
        fill(connection, PLAN, orders=[*first, *again])
        put(connection, CALLED)
        history = History(connection, PLAN, "UTC", days=(7, 30))
        frame, labels = history.lesson(MARCH + timedelta(days=30), share=1.0)
        taught = labels.loc[frame["as_of_day"] == SNAPSHOT.day, "orders_30"]
        assert history.labels(MARCH)["orders_30"].sum() == 90
    assert taught.sum() == pytest.approx(60, abs=10)
    assert history.notes()
