import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from training.calibration import calibration_table, error_by_chance, recalibration

DRAW = np.random.default_rng(2)
RISK = DRAW.beta(2, 1, 4_000)
CAME = (DRAW.random(4_000) < RISK).astype(float)


def test_right_chances_need_no_recalibration() -> None:
    told = recalibration(CAME, RISK)
    assert told.level == pytest.approx(0, abs=0.1)
    assert told.slope == pytest.approx(1, abs=0.1)


def test_the_slope_is_that_of_a_logistic_regression_on_log_odds() -> None:
    too_sure = expit(2 * logit(np.clip(RISK, 1e-4, 1 - 1e-4)) + 1)
    by_hand = LogisticRegression(C=np.inf).fit(logit(too_sure)[:, None], CAME)
    told = recalibration(CAME, too_sure)
    assert told.slope == pytest.approx(by_hand.coef_[0, 0], rel=1e-3)
    assert told.slope == pytest.approx(0.5, abs=0.05)


def test_the_level_makes_the_mean_chance_right() -> None:
    shifted = expit(logit(RISK) + 0.7)
    told = recalibration(CAME, shifted)
    assert told.level is not None
    assert expit(logit(shifted) + told.level).mean() == pytest.approx(CAME.mean(), abs=1e-6)
    assert told.level < 0


@pytest.mark.parametrize("came", [0.0, 1.0])
def test_where_all_did_the_same_nothing_is_told(came: float) -> None:
    assert recalibration(np.full(5, came), np.linspace(0.1, 0.9, 5)) == (None, None)


def test_one_chance_for_everybody_has_a_level_but_no_slope() -> None:
    level, slope = recalibration(np.array([1.0, 1, 1, 0]), np.full(4, 0.5))
    assert level == pytest.approx(np.log(3))
    assert slope is None


def test_what_chance_alone_does_to_one_bin_is_its_binomial_spread() -> None:
    error = error_by_chance(np.full(10_000, 0.5), draws=4_000)
    assert error == pytest.approx(1.96 * 0.5 / 100, rel=0.05)


def test_right_chances_err_no_more_than_by_chance_and_wrong_ones_do() -> None:
    right = pd.DataFrame({"origin": 1, "model": "right", "orders": 1 - CAME, "churn_risk": RISK})
    wrong = right.assign(model="wrong", churn_risk=RISK**2)
    table = calibration_table(pd.concat([right, wrong], ignore_index=True)).set_index("model")
    whole = table[table["origin"].isna()]
    assert whole.loc["right", "error"] < whole.loc["right", "by_chance"]
    assert whole.loc["wrong", "error"] > whole.loc["wrong", "by_chance"]
    assert whole.loc["wrong", "level"] > 0
    columns = ["came", "expected", "error", "level", "slope"]
    at_origin = table[table["origin"].notna()]
    assert at_origin[columns].to_numpy() == pytest.approx(whole[columns].to_numpy())
