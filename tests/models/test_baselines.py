import numpy as np
import pandas as pd
import pytest

from models.baselines import OwnRate, RecencyRule, discounted_days

RECENCY = pd.DataFrame({"recency_days": [5.0, 30.0, 31.0, 90.0, 1.0]})
LABELS = pd.DataFrame({"orders": [2, 0, 0, 0, np.nan], "value": [50, -10, 0, 0, np.nan]})


def test_everybody_goes_on_at_the_rate_of_the_past_and_one_horizon_more() -> None:
    frame = pd.DataFrame({"orders_all": [3.0, 1], "tenure_days": [60.0, 0], "spend_mean_order": [20.0, 7]})
    rule = OwnRate(horizon_days=30, clv_days=60, discount_rate=0)
    outputs = rule.fit(frame, LABELS).predict(frame)
    assert outputs["expected_orders"].tolist() == [1, 1]
    assert outputs["churn_risk"].tolist() == pytest.approx([np.exp(-1), np.exp(-1)])
    assert outputs["expected_value"].tolist() == [20, 7]
    assert outputs["clv"].tolist() == pytest.approx([40, 14])


def test_the_silent_and_the_others_each_get_the_mean_of_their_group() -> None:
    rule = RecencyRule(horizon_days=30, clv_days=60, discount_rate=0).fit(RECENCY, LABELS)
    outputs = rule.predict(RECENCY)
    assert outputs["churn_risk"].tolist() == [0.5, 0.5, 0.75, 0.75, 0.5]
    assert outputs["expected_orders"].tolist() == [1, 1, 0.25, 0.25, 1]
    assert outputs["expected_value"].tolist() == [25, 25, 0, 0, 25]
    assert outputs["clv"].tolist() == [50, 50, 0, 0, 50]


def test_a_group_without_anybody_is_half_certain() -> None:
    rule = RecencyRule(horizon_days=365).fit(RECENCY, LABELS)
    assert rule.groups_[1] == {"churn_risk": 0.5, "expected_orders": 0, "expected_value": 0}


def test_the_rule_restored_from_its_state_forecasts_the_same() -> None:
    rule = RecencyRule(horizon_days=30).fit(RECENCY, LABELS)
    restored = RecencyRule(horizon_days=30).restore(rule.state())
    pd.testing.assert_frame_equal(restored.predict(RECENCY), rule.predict(RECENCY), check_exact=True)


def test_a_day_is_discounted_by_its_middle() -> None:
    assert discounted_days(60, 0) == 60
    assert discounted_days(1, 0.1) == pytest.approx(1.1 ** (-0.5 / 365))
    assert discounted_days(365, 1.0) == pytest.approx(365 * 0.5 / np.log(2), rel=1e-6)
