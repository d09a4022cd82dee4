from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from features.configuration import Configuration
from features.errors import InputError
from features.staging import stage
from models.effects import NOBODY_HELD, NOT_OVER, TOO_FEW
from models.policy_value import NO_OVERLAP
from tests.training.treated_shop import CUSTOMERS, JULY, MARCH, TOML, order, orders, treatments
from training.effect_outcomes import Followed
from training.effect_words import remarks
from training.effects import effects, measure
from training.plan_words import told, written
from training.report_words import Words


def test_a_treatment_brings_what_the_treated_bought_beyond_the_held_out(
    write_shop: Callable[..., Configuration], connection: duckdb.DuckDBPyConnection
) -> None:
    configuration = write_shop(treatments())
    stage(configuration, connection)
    effect = measure(connection, configuration, cutoff=JULY)["coupon"]
    assert effect.reason is None
    assert effect.value == pytest.approx(5.0, abs=0.02)
    assert 0 < effect.value_se < 0.1
    assert effect.uplift is None


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        pytest.param(treatments(is_holdout=0), NOBODY_HELD, id="without-controls"),
        pytest.param(treatments(is_holdout=None, propensity=None), NOBODY_HELD, id="holdout-not-recorded"),
        pytest.param(treatments(assigned_at="2024-06-20"), NOT_OVER, id="not-over"),
        pytest.param(treatments()[:40], TOO_FEW, id="too-few"),
    ],
)
def test_without_controls_or_outcomes_the_effect_is_not_told_and_the_reason_is(
    log: list[dict[str, Any]],
    reason: str,
    write_shop: Callable[..., Configuration],
    connection: duckdb.DuckDBPyConnection,
) -> None:
    configuration = write_shop(log)
    stage(configuration, connection)
    effect = measure(connection, configuration, cutoff=JULY)["coupon"]
    assert effect.reason == reason
    assert pd.isna([effect.value, effect.value_se, effect.value_held]).all()


def test_the_same_customer_twice_in_one_campaign_changes_nothing_and_is_counted(
    write_shop: Callable[..., Configuration],
) -> None:
    again = treatments(assigned_at="2024-03-01T15:00:00Z", is_holdout=0)[:10]
    once, twice = (effects(write_shop(log), None, None) for log in (treatments(), treatments() + again))
    pd.testing.assert_frame_equal(once.table, twice.table)
    assert twice.log.repeated == 10


def test_what_a_log_leaves_open_changes_nothing_and_is_said(write_shop: Callable[..., Configuration]) -> None:
    certain = treatments()
    more = [row | {"customer_id": f"c{99 + place}"} for place, row in enumerate(certain[:3])]
    doubtful = [more[0] | {"is_holdout": None}, more[1] | {"is_holdout": 1}, more[1] | {"is_holdout": 0}]
    once, unsure = (effects(write_shop(log), None, None) for log in (certain, certain + doubtful))
    pd.testing.assert_frame_equal(once.table, unsure.table)
    assert [text[:30] for text in remarks(unsure, Words("en"))] == [
        "1 assignments do not say wheth",
        "1 assignments were both treate",
        "1 assignments (0 of them held ",
    ]


def test_what_was_explored_is_left_out_and_what_was_planned_counts(
    write_shop: Callable[..., Configuration],
) -> None:
    common = {"plan_id": "plan", "assigned_at": MARCH, "run_id": "run", "channel": "email"}
    planned = [
        row | common | {"is_explored": row["customer_id"] == "c1", "is_holdout": bool(row["is_holdout"])}
        for row in treatments()
    ]
    other = treatments(treatment="call", is_holdout=0)[:1]
    report = effects(write_shop(other), pa.Table.from_pylist(planned), None)
    assert report.averages[["treatment", "treated", "held_out"]].to_numpy().tolist() == [
        ["call", 1, 0],
        ["coupon", 39, 20],
    ]


def test_what_all_treatments_earned_is_told_and_each_plan_that_held_enough_out(
    write_shop: Callable[..., Configuration],
) -> None:
    common = {"is_explored": False, "channel": None, "cost": 2.0}
    planned = [
        row | common | {"plan_id": run, "run_id": run, "assigned_at": when, "is_holdout": is_held}
        for run, when, one in (("first", MARCH, 1), ("second", datetime(2024, 4, 1, tzinfo=UTC), 3))
        for number, row in enumerate(treatments())
        for is_held in [number // one % 3 == 0]
    ]
    for row in planned:
        row["propensity"] = 1 / 3 if row["is_holdout"] else 2 / 3
    bought = orders() + [order(number, "2024-04-10", 20.0 + number % 10) for number in range(CUSTOMERS)]
    configuration = write_shop(treatments(assigned_at="2024-06-20"), bought)
    report = effects(configuration, pa.Table.from_pylist(planned), None)
    made, *runs = report.plans.to_dict("records")
    # Of two assignments each the first brings 5 and the second nothing; either costs 2.
    assert (made["rule"], made["assignments"]) == ("as_made", 120)
    assert made["gain_low"] < 0.5 < made["gain_high"]
    assert made["ips_low"] < 0.5 < made["ips_high"]
    assert made["gain_high"] - made["gain_low"] < made["ips_high"] - made["ips_low"]
    assert [(run["run_id"], run["reason"]) for run in runs] == [("first", NO_OVERLAP), ("second", NO_OVERLAP)]
    sentence, table = told(report, Words("en"))[0], written(report, Words("zh"))
    assert sentence.startswith(f"All treatments together came to {made['gain']:.2f} per assignment")
    assert table[1][0][:2] == ["原定措施", "120"]


def test_without_a_log_the_remedy_is_named(write_shop: Callable[..., Configuration]) -> None:
    text = TOML.replace('[sources.treatments]\npath = "treatments.csv"\n', "")
    with pytest.raises(InputError, match="no log of treatments"):
        effects(write_shop(treatments(), text=text), None, None)


def test_a_log_that_lies_behind_the_records_is_told(write_shop: Callable[..., Configuration]) -> None:
    with pytest.raises(InputError, match="all 60 assignments come after 2024-07-01"):
        effects(write_shop(treatments(assigned_at="2024-08-01")), None, None)


def test_a_labelled_table_has_no_outcomes_by_date(tmp_path: Path) -> None:
    (tmp_path / "tierwise.toml").write_text('[project]\nsetting = "labelled"\n')
    with pytest.raises(InputError, match="labelled"):
        effects(Configuration.read(tmp_path / "tierwise.toml", environ={}), None, None)


def test_where_an_effect_differs_by_what_was_known_it_is_learnt_who_has_it(
    write_shop: Callable[..., Configuration],
    connection: duckdb.DuckDBPyConnection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("training.effects.ENOUGH", 600)
    log, bought = [], [order(999, "2024-06-30", 1.0)]
    for number in range(600):
        spends, is_held = number % 2, int(number % 3 == 0)
        log.append(treatments()[is_held == 0] | {"customer_id": f"c{number}"})
        bought.append(order(number, "2024-02-10", 10.0 + 90 * spends))
        bought.append(order(number, "2024-03-10", 10.0 + number % 7 + 50.0 * spends * (1 - is_held)))
    configuration = write_shop(log, bought)
    stage(configuration, connection)
    effect = measure(connection, configuration, cutoff=JULY)["coupon"]
    assert effect.value == pytest.approx(25.0, abs=1.0)
    assert effect.uplift is not None
    features = Followed(connection, configuration, JULY).features(pd.DataFrame({"subject": range(1, 601)}))
    of_spenders = effect.uplift.told(features).effect[:, 0][(features["spend_all"] == 100).to_numpy()]
    assert of_spenders.mean() == pytest.approx(50.0, abs=8.0)


def test_without_any_treatments_nothing_is_measured(
    write_shop: Callable[..., Configuration], connection: duckdb.DuckDBPyConnection
) -> None:
    configuration = write_shop(
        treatments(), text=TOML.replace('[sources.treatments]\npath = "treatments.csv"\n', "")
    )
    stage(configuration, connection)
    assert measure(connection, configuration, cutoff=JULY) == {}
