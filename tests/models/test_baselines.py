import numpy as np
import pandas as pd
import pytest

from models.baselines import OwnRate, RecencyRule
from models.estimator import ForecastEstimator

RECENCY = pd.DataFrame({"recency_days": [5.0, 30.0, 31.0, 90.0, 1.0], "orders_all": 1.0, "as_of_day": 0.0})
PAST = pd.DataFrame(
    {"orders_all": [3.0, 1], "tenure_days": [60.0, 0], "spend_mean_order": [20.0, 7], "as_of_day": 0.0}
)


def labels(rule: ForecastEstimator, *, known_days: int, rows: int = 5) -> pd.DataFrame:
    """Two orders of 25 by the first customer on day 1, a refund to the second; the last is not known."""
    known = {
        f"{name}_{days}": first if days <= known_days else [np.nan] * 5
        for days in rule.knots
        for name, first in {"orders": [2, 0, 0, 0, np.nan], "value": [50, -10, 0, 0, np.nan]}.items()
    }
    return pd.DataFrame(known).iloc[:rows]


def test_everybody_goes_on_at_the_rate_of_the_past_and_one_horizon_more() -> None:
    rule = OwnRate(horizon_days=30, clv_days=60, discount_rate=0)
    outputs = rule.fit(PAST, labels(rule, known_days=60, rows=2)).predict(PAST)
    assert outputs["expected_orders"].tolist() == [1, 1]
    assert outputs["churn_risk"].tolist() == pytest.approx([np.exp(-1), np.exp(-1)])
    assert outputs["expected_value"].tolist() == [20, 7]
    assert outputs["clv"].tolist() == pytest.approx([40, 14])
    assert outputs["next_order_days"].tolist() == pytest.approx([30 * np.log(2)] * 2)


def test_the_silent_and_the_others_each_get_the_mean_of_their_group() -> None:
    rule = RecencyRule(horizon_days=30, clv_days=60, discount_rate=0)
    outputs = rule.fit(RECENCY, labels(rule, known_days=30)).predict(RECENCY)
    assert outputs["churn_risk"].tolist() == [0.5, 0.5, 0.75, 0.75, 0.5]
    assert outputs["expected_orders"].tolist() == [1, 1, 0.25, 0.25, 1]
    assert outputs["expected_value"].tolist() == [25, 25, 0, 0, 25]
    assert outputs["clv"].tolist() == [50, 50, 0, 0, 50]


def test_a_knot_not_known_yet_continues_the_last_that_is() -> None:
    rule = RecencyRule(horizon_days=30)
    rule.fit(RECENCY, labels(rule, known_days=30))
    later = rule.predict(RECENCY, horizon_days=[60, 90])
    assert later["churn_risk"].iloc[[0, 5]].tolist() == pytest.approx([0.5**2, 0.5**3])
    assert later["expected_value"].iloc[[0, 5]].tolist() == pytest.approx([50, 75])


def test_a_group_without_anybody_is_half_certain_of_the_first_days() -> None:
    rule = RecencyRule(horizon_days=365)
    rule.fit(RECENCY, labels(rule, known_days=30))
    silent = rule.predict(pd.DataFrame({"recency_days": [400.0]}), horizon_days=[7, 14])
    assert silent["churn_risk"].tolist() == [0.5, 0.25]
    assert silent["expected_value"].tolist() == [0, 0]


@pytest.mark.parametrize("kind", [OwnRate, RecencyRule])
def test_a_rule_restored_from_its_state_forecasts_the_same(kind: type[ForecastEstimator]) -> None:
    rule = kind(horizon_days=30)
    frame = RECENCY.assign(tenure_days=60.0, spend_mean_order=20.0)
    rule.fit(frame, labels(rule, known_days=365))
    restored = kind(horizon_days=30).restore(rule.state())
    pd.testing.assert_frame_equal(restored.predict(frame), rule.predict(frame), check_exact=True)
