from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from models.effects import NOBODY_HELD, TOO_FEW, UNEVEN, compare, effect_table, holm


def experiment(
    seed: int,
    *,
    rows: int = 400,
    effect: float = 2.0,
    holdout: float = 0.3,
    prior: float = 3.0,
    customers: int = 10_000,
) -> pd.DataFrame:
    """Draw assignments whose value is 10 with noise of 1, moved by the time before and the treatment."""
    rng = np.random.default_rng(seed)
    before = rng.normal(size=rows)
    held = rng.random(rows) < holdout
    value = 10 + prior * before + effect * ~held + rng.normal(size=rows)
    return pd.DataFrame(
        {
            "treatment": "coupon",
            "customer_id": [f"c{number % customers}" for number in range(rows)],
            "is_holdout": held.astype(int),
            "propensity": np.where(held, holdout, 1 - holdout),
            "value": value,
            "ordered": (value > 10).astype(float),
            "cost": np.where(held, np.nan, 0.5),
            "before": before,
        }
    )


def told(log: pd.DataFrame, **more: Any) -> pd.Series:
    return effect_table(log, before=["before"], **more).iloc[0]


@pytest.mark.parametrize("seed", [1, 2])
def test_without_a_time_before_the_error_is_the_larger_of_students_and_welchs(seed: int) -> None:
    log = experiment(seed)
    treated = (log["is_holdout"] == 0).to_numpy()
    value = log["value"].to_numpy()
    done = compare(value, treated, np.ones(len(log)), np.arange(len(log)), np.empty((len(log), 0)))
    increment = value[treated].mean() - value[~treated].mean()
    assert done.increment == pytest.approx(increment)
    tests = [stats.ttest_ind(value[treated], value[~treated], equal_var=equal) for equal in (True, False)]
    assert done.error == pytest.approx(max(increment / test.statistic for test in tests), rel=0.01)


def test_chance_alone_is_rarely_taken_for_an_effect_where_few_who_spend_much_are_held_out() -> None:
    rng = np.random.default_rng(0)
    spent = rng.lognormal(3.0, 2.0, 600)
    before = (spent * rng.lognormal(0.0, 0.5, 600))[:, None]
    wrong = 0
    for _ in range(400):
        treated = rng.random(600) >= 0.1
        weight = np.where(treated, 1 / 0.9, 1 / 0.1)
        low, high = compare(spent, treated, weight, np.arange(600), before).interval
        wrong += low > 0 or high < 0
    assert wrong / 400 <= 0.05


def test_adjusting_by_the_time_before_leaves_the_noise_that_it_does_not_explain() -> None:
    row = told(experiment(2))
    assert row["variance_reduced"] == pytest.approx(0.9, abs=0.02)
    assert row["increment_low"] < 2 < row["increment_high"]


def test_unequal_chances_are_weighed_out() -> None:
    busy = experiment(3, rows=4000, effect=1.0, holdout=0.5, prior=0).assign(value=lambda t: t["value"] + 50)
    quiet = experiment(4, rows=4000, effect=1.0, holdout=0.1, prior=0)
    quiet["customer_id"] = "q" + quiet["customer_id"]
    row = told(pd.concat([busy, quiet]).assign(before=0.0))
    assert row["increment"] == pytest.approx(1.0, abs=3 * row["increment_se"])
    assert row["value_treated"] == pytest.approx(36, abs=2)


def test_a_customer_assigned_again_and_again_counts_as_one() -> None:
    log = experiment(4, rows=200)
    again = pd.concat([log] * 4)
    assert told(again)["increment_se"] == pytest.approx(told(log)["increment_se"], rel=0.02)


def test_the_net_gain_is_the_increment_less_the_cost_of_the_treated() -> None:
    row = told(experiment(5))
    assert row["net"] == pytest.approx(row["increment"] - 0.5)
    assert row["return_on_spend"] == pytest.approx(row["increment"] / 0.5)


def test_without_costs_the_net_gain_is_not_known() -> None:
    row = told(experiment(5).assign(cost=np.nan))
    assert np.isnan(row["net"])
    assert np.isnan(row["cost"])
    assert row["increment"] > 0


def test_without_anybody_held_out_nothing_is_known_of_the_effect() -> None:
    log = experiment(6).assign(is_holdout=0, propensity=1.0)
    row = told(log)
    assert (row["reason"], row["treated"], row["held_out"]) == (NOBODY_HELD, 400, 0)
    assert np.isnan(row["increment"])


def test_who_could_only_be_treated_is_compared_with_nobody() -> None:
    log = experiment(7)
    certain = log[log["is_holdout"] == 0].assign(propensity=1.0, value=1000.0)
    row = told(pd.concat([log, certain]))
    assert row["increment"] == pytest.approx(told(log)["increment"])


@pytest.mark.parametrize("arm", [0, 1])
def test_no_row_decides_by_its_propensity_alone(arm: int) -> None:
    log = experiment(7)
    log.loc[log.index[log["is_holdout"] == arm][0], "propensity"] = 1e-8
    assert told(log)["reason"] == UNEVEN


def test_a_handful_of_the_held_out_is_too_few() -> None:
    log = experiment(8, rows=60)
    assert told(log)["reason"] == TOO_FEW


def test_groups_are_told_apart_and_their_number_counts() -> None:
    log = pd.concat(
        [experiment(9, effect=3.0).assign(tier="high"), experiment(10, effect=0.0).assign(tier="low")]
    )
    table = effect_table(log, before=["before"], groups=["tier"])
    assert table["group"].tolist() == ["all", "high", "low"]
    high, low = table.iloc[1], table.iloc[2]
    assert high["p_holm"] == pytest.approx(2 * high["p_value"])
    assert low["increment_low"] < 0 < low["increment_high"]


def test_holm_multiplies_the_smallest_by_their_number_and_never_turns_the_order() -> None:
    assert holm(np.array([0.03, np.nan, 0.01, 0.02])).tolist() == pytest.approx(
        [0.04, np.nan, 0.03, 0.04], nan_ok=True
    )


def test_nothing_measured_is_an_empty_table() -> None:
    log = experiment(1)[:0]
    assert effect_table(log, before=["before"]).empty


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    hits = 0
    for seed in range(200):
        log = experiment(seed, rows=300, customers=200)
        treated, value = (log["is_holdout"] == 0).to_numpy(), log["value"].to_numpy()
        weight, before = 1 / log["propensity"].to_numpy(), log[["before"]].to_numpy()
        low, high = compare(value, treated, weight, np.arange(300) % 200, before).interval
        hits += low < 2 < high
    assert hits in range(180, 199)
