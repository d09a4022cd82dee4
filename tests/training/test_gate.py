from datetime import UTC, datetime
from functools import partial

import numpy as np
import pandas as pd

from training.gate import SO_FAR, Verdict, decide, judge

CUSTOMERS = 400
DRAW = np.random.default_rng(11)
RATE = DRAW.gamma(0.6, 1.5, CUSTOMERS)
ORDERS = DRAW.poisson(RATE)
VALUE = ORDERS * DRAW.gamma(4, 10, CUSTOMERS)
NOISE = DRAW.normal(0, 1, CUSTOMERS)


def model(name: str, *, churn: float, value: float) -> pd.DataFrame:
    """Forecast by the true rate with so much noise in its log, for churn and for value."""
    return pd.DataFrame(
        {
            "origin": 0,
            "customer_id": range(CUSTOMERS),
            "model": name,
            "churn_risk": np.exp(-RATE * np.exp(churn * NOISE)),
            "expected_value": 40 * RATE * np.exp(value * NOISE),
            "orders": ORDERS,
            "value": VALUE,
        }
    )


GOOD, FAIR = model("new", churn=0.1, value=0.1), model("old", churn=1.0, value=1.0)


def test_the_first_champion_is_the_best_of_all() -> None:
    verdict = decide(pd.concat([GOOD, FAIR]), "new", None)
    assert (verdict.name, verdict.alias) == ("new", "champion")
    assert verdict.reason.startswith("There was no champion yet, and new has the lowest log loss")
    assert "baseline" not in verdict.reason
    assert {(gain.model, gain.rival) for gain in verdict.gains} == {("new", "old")}


def test_the_first_champion_may_be_a_baseline_and_the_reason_says_so() -> None:
    verdict = decide(pd.concat([GOOD, FAIR]), "old", None)
    assert (verdict.name, verdict.alias) == ("new", "champion")
    assert "although it is a baseline; old has" in verdict.reason


def test_nothing_held_out_makes_a_champion_only_where_there_is_none() -> None:
    unjudged = partial(judge, pd.DataFrame(), "new", as_of=datetime(2024, 3, 1, tzinfo=UTC), horizon_days=90)
    assert unjudged(has_rival=False).alias == "champion"
    assert unjudged(has_rival=True).alias == "challenger"
    assert unjudged(has_rival=True).reason == (
        "the history before 2024-03-01 is too short to hold out a horizon of 90 days; new is taken unjudged"
    )


def test_the_best_of_what_was_tried_is_held_against_the_champion_so_far() -> None:
    frame = pd.concat([FAIR.assign(model="trees"), GOOD, FAIR.assign(model=SO_FAR)])
    at = datetime(2024, 3, 1, tzinfo=UTC)
    verdict = judge(frame, "trees", has_rival=True, as_of=at, horizon_days=90)
    assert (verdict.name, verdict.alias) == ("new", "champion")
    assert {gain.rival for gain in verdict.gains} == {SO_FAR}


def test_why_the_champion_was_no_rival_stands_first() -> None:
    verdict = Verdict("new", "champion", "it is alone", ())
    assert verdict.after(None) == verdict
    assert verdict.after("needs glue").reason == "the champion so far needs glue; it is alone"


def test_a_candidate_alone_becomes_the_first_champion() -> None:
    verdict = decide(GOOD, "new", None)
    assert (verdict.name, verdict.alias, verdict.gains) == ("new", "champion", ())


def test_among_equals_the_candidate_becomes_the_first_champion() -> None:
    assert decide(pd.concat([GOOD.assign(model="a"), GOOD]), "new", None).name == "new"


def test_a_model_better_in_both_replaces_the_champion() -> None:
    verdict = decide(pd.concat([FAIR, GOOD]), "new", "old")
    assert (verdict.name, verdict.alias) == ("new", "champion")
    assert verdict.reason.startswith("new replaces old: it is better beyond chance in log loss (+")
    assert "Tweedie deviance (+" in verdict.reason
    assert [gain.metric for gain in verdict.gains] == ["log_loss", "tweedie_deviance", "gini"]


def test_better_in_churn_alone_or_in_value_alone_is_enough() -> None:
    for gained in ({"churn": 0.1, "value": 1.0}, {"churn": 1.0, "value": 0.1}):
        assert decide(pd.concat([FAIR, model("new", **gained)]), "new", "old").alias == "champion"


def test_better_in_one_but_worse_in_the_other_stays_a_challenger() -> None:
    verdict = decide(pd.concat([FAIR, model("new", churn=0.1, value=2.0)]), "new", "old")
    assert (verdict.name, verdict.alias) == ("new", "challenger")
    assert "better beyond chance in log loss" in verdict.reason
    assert "but worse in Tweedie deviance" in verdict.reason


def test_a_lower_deviance_does_not_make_up_for_a_worse_order() -> None:
    # the old one orders customers well but promises 20 times their value; the new one gives all the same
    old = GOOD.assign(model="old", expected_value=GOOD["expected_value"] * 20)
    new = GOOD.assign(expected_value=VALUE.mean())
    verdict = decide(pd.concat([old, new]), "new", "old")
    assert verdict.alias == "challenger"
    assert verdict.gains[1].better
    assert verdict.reason.startswith("new does not replace old: it is worse beyond chance in Gini")


def test_a_worse_model_stays_a_challenger() -> None:
    verdict = decide(pd.concat([FAIR, model("new", churn=2.0, value=2.0)]), "new", "old")
    assert verdict.alias == "challenger"
    assert "it is worse beyond chance in log loss" in verdict.reason


def test_a_gain_within_chance_is_none() -> None:
    # errs as much as the old one, to the other side
    frame = pd.concat([model("old", churn=0.5, value=0.5), model("new", churn=-0.5, value=-0.5)])
    verdict = decide(frame, "new", "old")
    assert verdict.alias == "challenger"
    assert verdict.reason.endswith("better beyond chance neither in log loss nor in Tweedie deviance.")


def test_identical_forecasts_leave_the_champion() -> None:
    verdict = decide(pd.concat([FAIR, FAIR.assign(model="new")]), "new", "old")
    assert (verdict.alias, verdict.gains) == ("challenger", ())
    assert verdict.reason == ("new forecasts the same as old for everybody, so the champion stays.")


def test_without_any_value_churn_decides() -> None:
    frame = pd.concat([FAIR, GOOD]).assign(value=0.0)
    verdict = decide(frame, "new", "old")
    assert verdict.alias == "champion"
    assert verdict.gains[1].estimate is None


def test_one_customer_decides_nothing() -> None:
    one = GOOD["customer_id"] == 0
    verdict = decide(pd.concat([FAIR[one], GOOD[one]]), "new", "old")
    assert verdict.alias == "challenger"
