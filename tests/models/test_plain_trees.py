import numpy as np
import pandas as pd
import pytest

from models.estimator import CALENDAR
from models.plain_trees import PlainTrees

DRAW = np.random.default_rng(3)
CUSTOMERS = 400


def snapshot(day: int) -> pd.DataFrame:
    orders = DRAW.integers(1, 10, CUSTOMERS).astype(float)
    return pd.DataFrame(
        {
            CALENDAR: float(day),
            "recency_days": DRAW.uniform(0, 90, CUSTOMERS),
            "orders_all": orders,
            "spend_all": 10 * orders,
            "tenure_days": 200.0,
            "gap_mean_days": np.nan,
        }
    )


def came(frame: pd.DataFrame, *, known: bool = True, last: int = 10_000) -> pd.DataFrame:
    """Who bought often buys again, once a horizon of 30 days, as known by a last knot."""
    again = (frame["orders_all"] > 5).astype(float)
    labels = {}
    for days in PlainTrees(horizon_days=30).knots:
        told = known and days <= last
        labels[f"orders_{days}"] = again * days / 30 if told else np.nan
        labels[f"value_{days}"] = again * days if told else np.nan
    return pd.DataFrame(labels, index=frame.index)


def lesson(*, old: bool = True, last: int = 10_000) -> tuple[pd.DataFrame, pd.DataFrame]:
    """An old snapshot in which everybody came back, one that teaches, and the present."""
    frame = pd.concat([snapshot(0), snapshot(30), snapshot(60)], ignore_index=True)
    parts = [frame[frame[CALENDAR] == day] for day in (0, 30, 60)]
    labels = [came(parts[0], known=old).clip(lower=1), came(parts[1], last=last), came(parts[2], known=False)]
    return frame, pd.concat(labels)


def test_trees_learn_the_latest_known_snapshot_and_no_other() -> None:
    frame, labels = lesson()
    rule = PlainTrees(horizon_days=30).fit(frame, labels)
    assert rule.names_ == ["recency_days", "orders_all", "spend_all", "tenure_days"]
    present = frame[frame[CALENDAR] == 60]
    told, often = rule.predict(present), present["orders_all"] > 5
    assert told["churn_risk"][often].max() < 0.05
    assert told["churn_risk"][~often].min() > 0.95
    assert told["expected_value"][often].to_numpy() == pytest.approx(30, rel=0.05)
    assert told["expected_value"][~often].max() < 1


def test_where_no_horizon_is_over_the_longest_known_knot_goes_on() -> None:
    frame, labels = lesson(old=False, last=14)
    rule = PlainTrees(horizon_days=30).fit(frame, labels)
    assert rule.days_ == 14
    present = frame[frame[CALENDAR] == 60]
    often = present["orders_all"] > 5
    assert rule.predict(present)["expected_value"][often].to_numpy() == pytest.approx(30, rel=0.05)


def test_without_any_outcome_nobody_is_told_apart() -> None:
    frame, labels = lesson(old=False)
    told = PlainTrees(horizon_days=30).fit(frame, labels * np.nan).predict(frame)
    assert told["churn_risk"].tolist() == [0.5] * len(frame)
    assert told["expected_value"].max() == 0


def test_trees_restored_from_their_state_forecast_the_same() -> None:
    frame, labels = lesson()
    rule = PlainTrees(horizon_days=30).fit(frame, labels)
    restored = PlainTrees(horizon_days=30).restore(rule.state())
    pd.testing.assert_frame_equal(restored.predict(frame), rule.predict(frame), check_exact=True)
