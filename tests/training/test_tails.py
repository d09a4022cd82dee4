import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_pinball_loss

from training.tails import interval_table, pinball, pinball_table, tails


def test_where_nothing_came_the_atom_is_spread_over_its_share() -> None:
    no_order = np.array([0.05, 0.5, 0.95])
    found = tails(np.array([0.0, -3.0, 0.0]), no_order, low=np.zeros(3), high=np.ones(3))
    assert found.below.tolist() == pytest.approx([1, 0.2, 0.1 / 0.95])
    assert found.above.tolist() == pytest.approx([0, 0, 0.05 / 0.95])


def test_what_came_lies_below_between_or_above() -> None:
    found = tails(np.array([1.0, 5, 9]), np.full(3, 0.05), low=np.full(3, 2.0), high=np.full(3, 8.0))
    assert found.below.tolist() == [1, 0, 0]
    assert found.above.tolist() == [0, 0, 1]


def forecast(draw: np.random.Generator, size: int = 40_000) -> pd.DataFrame:
    """Forecast exponential values behind a hurdle by their true quantiles."""
    no_order, mean = draw.uniform(0, 1, size), draw.gamma(2, 10, size)
    value = np.where(draw.random(size) < no_order, 0.0, draw.exponential(mean))
    low, high = (
        -mean * np.log1p(-np.clip((share - no_order) / (1 - no_order), 0, None)) for share in (0.1, 0.9)
    )
    return pd.DataFrame(
        {
            "model": "true",
            "churn_risk": no_order,
            "expected_value": (1 - no_order) * mean,
            "value_low": low,
            "value_high": high,
            "value": value,
        }
    )


def test_true_quantiles_leave_a_tenth_at_either_end_in_every_tenth() -> None:
    table = interval_table(forecast(np.random.default_rng(1)))
    assert table["tenth"].tolist() == list(range(11))
    assert table[["below", "above"]].to_numpy()[0] == pytest.approx(0.1, abs=0.006)
    assert table[["below", "above"]].to_numpy() == pytest.approx(0.1, abs=0.02)


def test_quantiles_too_near_leave_more_outside() -> None:
    narrow = forecast(np.random.default_rng(1))
    narrow["value_high"] *= 0.5
    assert interval_table(narrow).loc[0, "above"] > 0.15


def test_the_pinball_loss_is_that_of_scikit_learn() -> None:
    value, quantile = np.array([0.0, 5, 20]), np.array([1.0, 2, 30])
    mine = pinball(value, quantile, share=0.9).mean()
    assert mine == pytest.approx(mean_pinball_loss(value, quantile, alpha=0.9))


def test_true_quantiles_lose_less_than_those_of_the_tenths_before() -> None:
    draw, starts = np.random.default_rng(4), pd.to_datetime(["2024-01-01", "2024-02-01", "2024-03-01"])
    frame = pd.concat([forecast(draw, 8_000).assign(origin=start) for start in starts], ignore_index=True)
    row = pinball_table(frame, horizon=pd.Timedelta(days=31)).iloc[0]
    assert row["high"] < row["binned_high"]
    assert row["low"] < row["binned_low"]


def test_only_origins_with_an_outcome_known_before_are_compared() -> None:
    origins = pd.to_datetime(["2024-01-01", "2024-01-31"])
    rows = [
        {"model": "m", "origin": origins[0], "expected_value": 1.0, "value": 10.0, "value_high": 0.0},
        {"model": "m", "origin": origins[1], "expected_value": 5.0, "value": 20.0, "value_high": 15.0},
    ]
    frame = pd.DataFrame(rows).assign(value_low=0.0)
    row = pinball_table(frame, horizon=pd.Timedelta(days=30)).iloc[0]
    assert (row["high"], row["binned_high"]) == pytest.approx((0.9 * 5, 0.9 * 10))
    assert (row["low"], row["binned_low"]) == pytest.approx((0.1 * 20, 0.1 * 10))
    assert pinball_table(frame, horizon=pd.Timedelta(days=31)).empty
