"""Data that are unlike any other shop's are trained and scored in full, or refused in a sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

Run = Callable[..., Any]
Odd = Callable[[pd.DataFrame], pd.DataFrame]
FIRST, DAYS = np.datetime64("2023-01-01"), 280


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    """Order lines of forty customers over 280 days, the last on the last of them."""
    rng = np.random.default_rng(0)
    days = [np.unique(rng.integers(first := 6 * who, first + rng.integers(20, 350), 9)) for who in range(40)]
    lines = pd.DataFrame({"customer_id": [f"c{who:02}" for who in range(40)], "day": [*map(list, days)]})
    lines = pd.concat([lines, pd.DataFrame({"customer_id": ["c00"], "day": [[DAYS - 1]]})]).explode("day")
    lines = lines[lines["day"] < DAYS].sort_values(["day", "customer_id"], ignore_index=True)
    return lines.assign(amount=np.round(rng.lognormal(3, 1, len(lines)), 2))


def free(orders: pd.DataFrame) -> pd.DataFrame:
    return orders.assign(amount=0)


def paid_back(orders: pd.DataFrame) -> pd.DataFrame:
    returned = orders[orders["customer_id"] > "c20"]
    return pd.concat([orders, returned.assign(amount=-2 * returned["amount"])])


def one_enormous_order(orders: pd.DataFrame) -> pd.DataFrame:
    return orders.assign(amount=orders["amount"].where(orders.index != 50, 5e9))


def gap_of_months(orders: pd.DataFrame) -> pd.DataFrame:
    return orders[~orders["day"].between(80, 200)]


def dirty(orders: pd.DataFrame) -> pd.DataFrame:
    return gap_of_months(one_enormous_order(paid_back(orders)))


def few_and_young(orders: pd.DataFrame) -> pd.DataFrame:
    return orders[(orders["customer_id"] < "c10") & (orders["day"] < 100)]


@pytest.fixture
def project(tmp_path: Path, configuration: str) -> Path:
    """A folder with a configuration, still without orders."""
    (tmp_path / "tierwise.toml").write_text(configuration)
    return tmp_path


@pytest.mark.parametrize(
    ("odd", "horizon_days", "grades"),
    [(free, 60, {"A", "B", "C"}), (dirty, 60, {"A", "B", "C"}), (few_and_young, 365, {"B", "C"})],
)
def test_odd_data_are_trained_and_everybody_is_scored(
    orders: pd.DataFrame, project: Path, run: Run, odd: Odd, horizon_days: int, grades: set[str]
) -> None:
    given = odd(orders)
    times = FIRST + given["day"].to_numpy(dtype="timedelta64[D]")
    given.assign(ordered_at=times).drop(columns="day").to_csv(project / "orders.csv", index=False)
    end = str(times.max() + np.timedelta64(1, "D"))
    place = "-c", project / "tierwise.toml", "--set", f"forecast.horizon_days={horizon_days}", "--as-of", end
    trained = run("train", *place)
    assert trained.code == 0, trained
    assert run("score", *place, "--out", project / "scores.parquet", "--allow-stale").code == 0
    scores = pq.read_table(project / "scores.parquet").to_pandas()
    assert set(scores["customer_id"]) == set(given["customer_id"])
    numbers = scores[["churn_risk", "expected_orders", "expected_value", "value_low", "value_high", "clv"]]
    assert np.isfinite(numbers).all(axis=None)
    assert (numbers >= 0).all(axis=None)
    assert (numbers["churn_risk"] <= 1).all()
    assert (numbers["clv"] > 0).any() == (given["amount"] > 0).any()
    assert set(scores["confidence"]) <= grades
