import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from features.configuration import Configuration
from features.errors import InputError
from features.instants import Cutoff
from features.staging import stage
from models.effects import NOBODY_HELD, NOT_OVER, TOO_FEW
from models.policy_value import NO_OVERLAP
from training.effect_outcomes import Followed
from training.effect_report import EffectReport
from training.effect_words import remarks
from training.effects import compared, effects, log_of, measure, table_of
from training.plan_words import told, written
from training.report_words import Words

MARCH = datetime(2024, 3, 1, tzinfo=UTC)
JULY = Cutoff.at(datetime(2024, 7, 1, tzinfo=UTC), "UTC")
TOML = """\
[project]
name = "shop"
time_zone = "UTC"
[sources.orders]
path = "orders.csv"
[sources.treatments]
path = "treatments.csv"
[forecast]
horizon_days = 30
"""
CUSTOMERS = 60
"""A third of them is held out: those whose number ends on a multiple of 3."""


def order(number: int, when: str, amount: float) -> dict[str, Any]:
    return {"customer_id": f"c{number}", "ordered_at": when, "amount": amount, "order_id": f"{number} {when}"}


def orders() -> list[dict[str, Any]]:
    """Everybody orders in February, for 10 to 19, and in March for as much; the treated then for 5 more."""
    rows = [order(99, "2024-06-30", 1.0)]
    for number in range(CUSTOMERS):
        amount = 10.0 + number % 10
        rows.append(order(number, "2024-02-10", amount))
        rows.append(order(number, "2024-03-10", amount + 5.0 * (number % 3 > 0) + 0.01 * (number % 7)))
    return rows


def treatments(**other: Any) -> list[dict[str, Any]]:
    return [
        {
            "customer_id": f"c{number}",
            "assigned_at": MARCH.isoformat(),
            "treatment": "coupon",
            "propensity": 1 / 3 if number % 3 == 0 else 2 / 3,
            "is_holdout": int(number % 3 == 0),
            "cost": 0 if number % 3 == 0 else 2,
        }
        | other
        for number in range(CUSTOMERS)
    ]


@pytest.fixture
def shop(tmp_path: Path) -> Callable[..., Configuration]:
    """Write a shop's orders and its log."""

    def write(
        log: list[dict[str, Any]], bought: list[dict[str, Any]] | None = None, text: str = TOML
    ) -> Configuration:
        pd.DataFrame(orders() if bought is None else bought).to_csv(tmp_path / "orders.csv", index=False)
        pd.DataFrame(log).to_csv(tmp_path / "treatments.csv", index=False)
        (tmp_path / "tierwise.toml").write_text(text)
        return Configuration.read(tmp_path / "tierwise.toml", environ={})

    return write


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def test_a_treatment_brings_what_the_treated_bought_beyond_the_held_out(
    shop: Callable[..., Configuration], connection: duckdb.DuckDBPyConnection
) -> None:
    configuration = shop(treatments())
    stage(configuration, connection)
    effect = measure(connection, configuration, cutoff=JULY)["coupon"]
    assert effect.reason is None
    assert effect.value == pytest.approx(5.0, abs=0.02)
    assert 0 < effect.value_se < 0.1
    assert effect.uplift is None


def test_an_outcome_before_its_assignment_never_counts(
    shop: Callable[..., Configuration], connection: duckdb.DuckDBPyConnection
) -> None:
    early = [order(number, "2024-02-29T23:59:59Z", 1000.0 + number % 8) for number in range(CUSTOMERS)]
    configuration = shop(treatments(), orders() + early)
    stage(configuration, connection)
    effect = measure(connection, configuration, cutoff=JULY)["coupon"]
    assert effect.value == pytest.approx(5.0, abs=0.1)


def test_orders_after_the_horizon_or_the_cutoff_never_count(
    shop: Callable[..., Configuration], connection: duckdb.DuckDBPyConnection
) -> None:
    late = [order(number, "2024-03-31", 1000.0) for number in range(CUSTOMERS) if number % 3]
    configuration = shop(treatments(), orders() + late)
    stage(configuration, connection)
    assert measure(connection, configuration, cutoff=JULY)["coupon"].value == pytest.approx(5.0, abs=0.02)


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
    shop: Callable[..., Configuration],
    connection: duckdb.DuckDBPyConnection,
) -> None:
    configuration = shop(log)
    stage(configuration, connection)
    effect = measure(connection, configuration, cutoff=JULY)["coupon"]
    assert effect.reason == reason
    assert pd.isna([effect.value, effect.value_se, effect.value_held]).all()


def test_unknown_propensities_are_taken_from_the_share_held_out_and_it_is_said(
    shop: Callable[..., Configuration], connection: duckdb.DuckDBPyConnection
) -> None:
    known, unknown = shop(treatments()), treatments(propensity=None)
    stage(known, connection)
    expected = measure(connection, known, cutoff=JULY)["coupon"]
    report = effects(shop(unknown), None, None)
    row = report.averages.iloc[0]
    assert report.assumed == {"coupon": 60}
    assert report.plans[["rule", "reason", "number"]].to_numpy().tolist() == [
        ["as_made", "unknown_chances", 60]
    ]
    assert (row["increment"], row["increment_se"]) == pytest.approx((expected.value, expected.value_se))


def test_the_same_customer_twice_in_one_campaign_changes_nothing_and_is_counted(
    shop: Callable[..., Configuration],
) -> None:
    again = treatments(assigned_at="2024-03-01T15:00:00Z", is_holdout=0)[:10]
    once, twice = (effects(shop(log), None, None) for log in (treatments(), treatments() + again))
    pd.testing.assert_frame_equal(once.table, twice.table)
    assert twice.log.repeated == 10


def test_what_a_log_leaves_open_changes_nothing_and_is_said(shop: Callable[..., Configuration]) -> None:
    certain = treatments()
    more = [row | {"customer_id": f"c{99 + place}"} for place, row in enumerate(certain[:3])]
    doubtful = [more[0] | {"is_holdout": None}, more[1] | {"is_holdout": 1}, more[1] | {"is_holdout": 0}]
    once, unsure = (effects(shop(log), None, None) for log in (certain, certain + doubtful))
    pd.testing.assert_frame_equal(once.table, unsure.table)
    assert [text[:30] for text in remarks(unsure, Words("en"))] == [
        "1 assignments do not say wheth",
        "1 assignments were both treate",
        "1 assignments (0 of them held ",
    ]


def test_what_was_explored_is_left_out_and_what_was_planned_counts(
    shop: Callable[..., Configuration],
) -> None:
    common = {"plan_id": "plan", "assigned_at": MARCH, "run_id": "run", "channel": "email"}
    planned = [
        row | common | {"is_explored": row["customer_id"] == "c1", "is_holdout": bool(row["is_holdout"])}
        for row in treatments()
    ]
    other = treatments(treatment="call", is_holdout=0)[:1]
    report = effects(shop(other), pa.Table.from_pylist(planned), None)
    assert report.averages[["treatment", "treated", "held_out"]].to_numpy().tolist() == [
        ["call", 1, 0],
        ["coupon", 39, 20],
    ]


def test_effects_are_told_by_where_customers_stood_when_they_were_assigned(
    shop: Callable[..., Configuration],
) -> None:
    periods = [
        {
            "customer_id": f"c{number}",
            "kind": "value_tier",
            "name": name,
            "started_at": start,
            "ended_at": end,
        }
        for number in range(CUSTOMERS)
        for name, start, end in (
            ("low", MARCH - timedelta(days=60), MARCH),
            ("high" if number % 2 else "potential", MARCH, None),
        )
    ]
    schema = pa.schema(
        [(name, pa.string()) for name in ("customer_id", "kind", "name")]
        + [(name, pa.timestamp("us", "UTC")) for name in ("started_at", "ended_at")]
    )
    report = effects(shop(treatments()), None, pa.Table.from_pylist(periods, schema))
    told = report.table[["by", "group", "treated", "held_out", "reason"]].astype(object)
    assert told.where(told.notna(), None).to_numpy().tolist() == [
        ["all", "all", 40, 20, None],
        ["value_tier", "high", 20, 10, TOO_FEW],
        ["value_tier", "potential", 20, 10, TOO_FEW],
    ]


def test_who_was_held_out_and_treated_in_the_horizon_after_all_is_counted(
    shop: Callable[..., Configuration],
) -> None:
    later = treatments(assigned_at="2024-03-20", is_holdout=0)[:6]
    assert effects(shop(treatments() + later), None, None).overtaken == {"coupon": 2}


def test_a_report_is_left_in_the_workspace_with_the_looks_before_it(
    shop: Callable[..., Configuration],
) -> None:
    first = effects(shop(treatments()), None, None)
    again = effects(shop(treatments()), None, None)
    more = treatments(assigned_at="2024-04-01")
    configuration = shop(treatments() + more)
    last = effects(configuration, None, None)
    assert [report.looks_at("coupon") for report in (first, again, last)] == [1, 1, 2]
    kept = EffectReport.read(configuration.project.workspace / "effects.json")
    assert kept is not None
    assert (kept.as_of, kept.log, list(kept.looks)) == (last.as_of, last.log, list(last.looks))
    pd.testing.assert_frame_equal(kept.table, last.table, check_dtype=False)
    pd.testing.assert_frame_equal(kept.plans, last.plans, check_dtype=False)
    json.loads((configuration.project.workspace / "effects.json").read_text(), parse_constant=pytest.fail)


def test_what_all_treatments_earned_is_told_and_each_plan_that_held_enough_out(
    shop: Callable[..., Configuration],
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
    report = effects(shop(treatments(assigned_at="2024-06-20"), bought), pa.Table.from_pylist(planned), None)
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


def test_what_plans_left_to_chance_is_followed_as_soon_as_it_is_over(
    shop: Callable[..., Configuration],
) -> None:
    rows = [
        {
            "customer_id": row["customer_id"],
            "assigned_at": when,
            "treatment": "nothing" if row["is_holdout"] else "coupon",
            "propensity": row["propensity"],
            "is_holdout": False,
            "is_explored": False,
            "cost": None if row["is_holdout"] else 2.0,
            "candidates": '["coupon"]',
        }
        for row in treatments()
        for when in (MARCH, datetime(2024, 6, 20, tzinfo=UTC))
    ]
    report = effects(shop(treatments()), None, None, drawn=pa.Table.from_pylist(rows))
    told = report.plans.set_index("rule").loc["everybody"]
    assert (told["treatment"], told["assignments"]) == ("coupon", 60)
    assert (told["reason"], told["number"]) == (NO_OVERLAP, pytest.approx(20))


def test_without_a_log_the_remedy_is_named(shop: Callable[..., Configuration]) -> None:
    text = TOML.replace('[sources.treatments]\npath = "treatments.csv"\n', "")
    with pytest.raises(InputError, match="no log of treatments"):
        effects(shop(treatments(), text=text), None, None)


def test_a_log_that_lies_behind_the_records_is_told(shop: Callable[..., Configuration]) -> None:
    with pytest.raises(InputError, match="all 60 assignments come after 2024-07-01"):
        effects(shop(treatments(assigned_at="2024-08-01")), None, None)


def test_a_labelled_table_has_no_outcomes_by_date(tmp_path: Path) -> None:
    (tmp_path / "tierwise.toml").write_text('[project]\nsetting = "labelled"\n')
    with pytest.raises(InputError, match="labelled"):
        effects(Configuration.read(tmp_path / "tierwise.toml", environ={}), None, None)


def test_where_an_effect_differs_by_what_was_known_it_is_learnt_who_has_it(
    shop: Callable[..., Configuration],
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
    configuration = shop(log, bought)
    stage(configuration, connection)
    effect = measure(connection, configuration, cutoff=JULY)["coupon"]
    assert effect.value == pytest.approx(25.0, abs=1.0)
    assert effect.uplift is not None
    features = Followed(connection, configuration, JULY).features(pd.DataFrame({"subject": range(1, 601)}))
    of_spenders = effect.uplift.effect(features)[:, 0][(features["spend_all"] == 100).to_numpy()]
    assert of_spenders.mean() == pytest.approx(50.0, abs=8.0)


def test_without_any_treatments_nothing_is_measured(
    shop: Callable[..., Configuration], connection: duckdb.DuckDBPyConnection
) -> None:
    configuration = shop(
        treatments(), text=TOML.replace('[sources.treatments]\npath = "treatments.csv"\n', "")
    )
    stage(configuration, connection)
    assert measure(connection, configuration, cutoff=JULY) == {}


def test_of_contracts_the_outcome_is_fees_and_whether_they_still_run(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    contracts = [
        {
            "customer_id": f"c{number}",
            "started_at": "2024-01-01",
            "ended_at": "2024-03-16" if number % 3 == 0 else None,
            "fee": 30.0 + number % 2,
        }
        for number in range(CUSTOMERS)
    ]
    pd.DataFrame(contracts).to_csv(tmp_path / "contracts.csv", index=False)
    log = [
        row | {"assigned_at": MARCH + timedelta(hours=int(row["customer_id"][1:]) % 2)}
        for row in treatments()
    ]
    pd.DataFrame(log).to_csv(tmp_path / "treatments.csv", index=False)
    text = TOML.replace("sources.orders", "sources.contracts").replace("orders.csv", "contracts.csv")
    (tmp_path / "tierwise.toml").write_text(text.replace('name = "shop"', 'setting = "contractual"'))
    configuration = Configuration.read(tmp_path / "tierwise.toml", environ={})
    stage(configuration, connection)
    log_of(connection, configuration, cutoff=JULY, planned=None)
    told = table_of(connection, compared(Followed(connection, configuration, JULY))).iloc[0]
    assert told["ordered"] == pytest.approx(1.0)
    assert told["increment"] == pytest.approx(15.0, abs=1.0)
