from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.draws import Draws
from models.effects import NOBODY_HELD
from models.policies import AS_MADE, NO_COST, UNKNOWN_CHANCES, WHAT_PAYS, policy_table
from models.policy_value import CONTRADICTED, NO_OVERLAP

BEFORE = ["before"]


def assignments(*, rows: int = 600, seed: int = 0, **other: Any) -> pd.DataFrame:
    """Draw a log: a third held out; the coupon adds 9 and costs 4, the call adds 2 and costs 4."""
    rng = np.random.default_rng(seed)
    held, call, before = rng.random(rows) < 1 / 3, np.arange(rows) % 2 == 1, rng.normal(size=rows)
    value = 20 + 3 * before + rng.normal(size=rows) + np.where(call, 2, 9) * ~held
    log = {
        "treatment": np.where(call, "call", "coupon"),
        "customer_id": [f"c{number}" for number in range(rows)],
        "is_holdout": held.astype(int),
        "propensity": np.where(held, 1 / 3, 2 / 3),
        "value": value,
        "cost": np.where(held, 0.0, 4.0),
        "run_id": None,
        "assigned_at": 0,
        "before": before,
    }
    return pd.DataFrame(log).assign(**other)


def drawn(*, rows: int = 4000, seed: int = 0, holdout: float = 0.1, explore: float = 0.2) -> pd.DataFrame:
    """Draw plans: calls are open to all, coupons to a half; the better known get a call, the rest nothing."""
    rng = np.random.default_rng(seed)
    before = rng.normal(size=rows)
    is_open = np.column_stack([np.ones(rows, dtype=bool), np.arange(rows) % 2 == 0])
    chosen = np.where(before > 0, 0, -1)
    draws = Draws.of(rng.random(rows), is_open, holdout=holdout, explore=explore)
    done, arm = draws.done(chosen), np.where(draws.explored >= 0, draws.explored, chosen)
    adds = np.array([2.0 - 4.0, 9.0 - 4.0, 0.0])
    log = {
        "treatment": np.array(["call", "coupon", "nothing"])[arm],
        "customer_id": [f"c{number}" for number in range(rows)],
        "is_holdout": ((done < 0) & (arm >= 0)).astype(int),
        "is_explored": ((draws.explored >= 0) & (arm != chosen)).astype(int),
        "propensity": draws.propensity(chosen),
        "value": 20 + 3 * before + rng.normal(size=rows) + adds[done] + np.where(done >= 0, 4.0, 0.0),
        "cost": np.where(arm >= 0, 4.0, np.nan),
        "candidates": np.where(is_open[:, 1], '["call", "coupon"]', '["call"]'),
        "before": before,
    }
    return pd.DataFrame(log)


def of(table: pd.DataFrame, rule: str) -> pd.Series:
    return table[(table["rule"] == rule) & table["run_id"].isna()].iloc[0]


def test_all_that_was_intended_is_told_and_what_only_the_paying_half_would_have_earned() -> None:
    table = policy_table(assignments(), before=BEFORE)
    made, pays = of(table, AS_MADE), of(table, WHAT_PAYS)
    assert (made["assignments"], made["left_out"]) == (600, 0)
    for kind in ("gain", "ips"):
        assert made[f"{kind}_low"] < (5 - 2) / 2 < made[f"{kind}_high"]
        assert pays[f"{kind}_low"] < 5 / 2 < pays[f"{kind}_high"]
    assert 0 < pays["more_low"] < 1 < pays["more_high"]
    assert made["gain_high"] - made["gain_low"] < 0.6 * (made["ips_high"] - made["ips_low"])
    assert made["total"] == pytest.approx(600 * made["gain"])
    assert pd.isna(made["more"])


def test_by_hand_the_weighed_means_differ_by_what_was_earned() -> None:
    log = assignments(value=lambda rows: 10 + 6 * (1 - rows["is_holdout"]), before=0.0)
    made = of(policy_table(log, before=BEFORE), AS_MADE)
    assert (made["gain"], made["ips"], made["ips_low"], made["total"]) == pytest.approx((2, 2, 2, 1200))


def test_where_everything_pays_nothing_else_is_proposed() -> None:
    log = assignments(cost=lambda rows: 1.0 - rows["is_holdout"])
    assert policy_table(log, before=BEFORE)["rule"].tolist() == [AS_MADE]


def test_where_nothing_brings_anything_choosing_by_others_outcomes_finds_no_gain() -> None:
    found = 0
    for seed in range(60):
        log = assignments(seed=seed, value=lambda rows: 3 * rows["before"] + np.abs(rows["before"]), cost=0.0)
        noise = np.random.default_rng(seed).normal(size=600)
        table = policy_table(log.assign(value=log["value"] + noise), before=BEFORE)
        found += int((table["more_low"] > 0).sum())
    assert found <= 60 * 0.1


def test_the_order_of_rows_changes_nothing() -> None:
    log = assignments(run_id=np.repeat(["a", "b"], 300))
    one, two = (policy_table(rows, before=BEFORE) for rows in (log, log.sample(frac=1, random_state=0)))
    pd.testing.assert_frame_equal(one, two)


def test_each_plan_has_a_row_of_its_own_where_there_are_several() -> None:
    log = assignments(run_id=np.repeat(["a", "b"], 300), assigned_at=np.repeat([7, 5], 300))
    runs = policy_table(log, before=BEFORE).dropna(subset="run_id")
    assert runs[["rule", "run_id", "began", "assignments"]].to_numpy().tolist() == [
        [AS_MADE, "a", 7, 300],
        [AS_MADE, "b", 5, 300],
    ]
    alone = policy_table(assignments(run_id="a"), before=BEFORE)
    assert alone["run_id"].isna().all()


def test_who_could_not_have_been_held_out_and_what_is_not_known_stays_outside() -> None:
    log, plain = assignments(), of(policy_table(assignments(), before=BEFORE), AS_MADE)
    duties = log.head(50).assign(treatment="duty", propensity=1.0, is_holdout=0, value=1e6)
    unknown = log.head(40).assign(propensity=np.nan, value=1e6)
    costless = log.head(30).assign(treatment="letter", cost=np.nan, value=1e6)
    made = of(policy_table(pd.concat([log, duties, unknown, costless]), before=BEFORE), AS_MADE)
    assert (made["left_out"], made["gain"]) == (120, plain["gain"])


def test_one_treatment_for_everybody_who_had_a_chance_is_told_by_what_chance_did() -> None:
    covered = []
    for seed in range(40):
        table = policy_table(assignments().head(0), drawn(seed=seed), before=BEFORE).set_index("treatment")
        # Plans call a half of them, at a loss of 2 each.
        for name, gain, more in (("call", -2, -1), ("coupon", 5, 6)):
            row = table.loc[name]
            covered += [
                row["gain_low"] <= gain <= row["gain_high"],
                row["ips_low"] <= gain <= row["ips_high"],
            ]
            covered.append(row["more_low"] <= more <= row["more_high"])
        assert table["assignments"].to_dict() == {"call": 4000, "coupon": 2000}
    assert 0.9 <= np.mean(covered) <= 0.99


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        pytest.param(drawn(explore=0.005), NO_OVERLAP, id="hardly-explored"),
        pytest.param(drawn(holdout=0.0), CONTRADICTED, id="those-chosen-had-no-chance-of-nothing"),
        pytest.param(drawn().assign(cost=np.nan), NO_COST, id="costs-unknown"),
    ],
)
def test_one_treatment_for_everybody_is_refused_where_chance_did_not_do_it(
    log: pd.DataFrame, reason: str
) -> None:
    table = policy_table(assignments().head(0), log, before=BEFORE).set_index("treatment")
    assert (table["reason"]["coupon"], np.isnan(table["gain"]["coupon"])) == (reason, True)
    assert table["number"]["coupon"] >= 0


@pytest.mark.parametrize(
    ("log", "reason", "number"),
    [
        pytest.param(assignments(propensity=np.nan), UNKNOWN_CHANCES, 600, id="propensities-unknown"),
        pytest.param(assignments(cost=np.nan), NO_COST, 600, id="costs-unknown"),
        pytest.param(
            assignments(is_holdout=0, cost=4.0, propensity=1.0), NOBODY_HELD, None, id="all-treated"
        ),
        pytest.param(assignments(rows=60), NO_OVERLAP, None, id="too-few"),
    ],
)
def test_what_cannot_be_judged_is_refused_with_its_reason(
    log: pd.DataFrame, reason: str, number: float | None
) -> None:
    made = of(policy_table(log, before=BEFORE), AS_MADE)
    assert (made["reason"], pd.isna(made["gain"])) == (reason, True)
    assert number is None or made["number"] == number


def test_without_assignments_there_is_nothing_to_tell() -> None:
    assert policy_table(assignments().head(0), before=BEFORE).empty
