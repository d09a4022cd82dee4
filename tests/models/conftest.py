from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest

from models.curve import knots
from models.purchase_forecaster import PurchaseForecaster
from models.snapshots import Snapshot, snapshots

CDNOW_SAMPLE = Path(__file__).parents[3] / "shared" / "data" / "cdnow" / "CDNOW_sample.txt"

Lesson = tuple[pd.DataFrame, pd.DataFrame]


@pytest.fixture(scope="session")
def cdnow_spend_by_day() -> dict[str, dict[int, float]]:
    """Customer -> day since 1997-01-01 -> USD, of the tenth sample's first 39 weeks."""
    if not CDNOW_SAMPLE.exists():
        pytest.skip(f"the CDNOW sample is not at {CDNOW_SAMPLE}")
    spend: dict[str, dict[int, float]] = {}
    for line in CDNOW_SAMPLE.read_text().splitlines():
        _, customer, text, _, usd = line.split()
        day = date(int(text[:4]), int(text[4:6]), int(text[6:])) - date(1997, 1, 1)
        if day < timedelta(weeks=39):
            days = spend.setdefault(customer, {})
            days[day.days] = days.get(day.days, 0.0) + float(usd)
    return spend


FIRST_SNAPSHOT, STEP_DAYS, PRESENT = 90, 60, 690
"""Days after the first one of the shop; the labels of three snapshots are known for a year."""
FIRST_DAY = 19_000
"""Of the shop, days since 1970-01-01."""


@pytest.fixture(scope="session")
def shop() -> pd.DataFrame:
    """Order days of an invented shop: customer, day, amount; every tenth customer pays nothing.

    ``left`` is the day on which the customer leaves; until then there are visits as well.
    """
    rng = np.random.default_rng(0)
    parts = []
    for customer in range(300):
        first, rate = int(rng.integers(0, PRESENT)), rng.gamma(1.0, 1 / 40)
        left = first + rng.exponential(200)
        days = np.unique(np.append(first, first + np.cumsum(1 + rng.exponential(1 / rate, 60))).astype(int))
        price = 0.0 if customer % 10 == 0 else float(rng.lognormal(3, 1))
        days = days[days <= left]
        parts.append(pd.DataFrame({"customer": customer, "day": days, "amount": price, "left": left}))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="session")
def lesson_of() -> Callable[..., Lesson]:
    """Make what there is to learn from order days: one row per customer and snapshot."""

    def lesson(orders: pd.DataFrame, *, present: int = PRESENT, later_days: int = 0) -> Lesson:
        taken = range(FIRST_SNAPSHOT, present + 1, STEP_DAYS)
        parts = [_snapshot(orders, at, present) for at in {*taken, present} if (orders["day"] < at).any()]
        whole = pd.concat(parts).sort_values(["as_of_day", "customer"], ignore_index=True)
        whole["as_of_day"] += later_days
        labels = [name for name in whole if str(name).startswith("after_")]
        return (
            whole.drop(columns=["customer", *labels]),
            whole[labels].rename(columns=lambda name: name.removeprefix("after_")),
        )

    return lesson


def _snapshot(orders: pd.DataFrame, at: int, present: int) -> pd.DataFrame:
    past = orders[orders["day"] < at].groupby("customer")
    first, last = past["day"].min(), past["day"].max()
    columns = {
        "recency_days": at - last,
        "tenure_days": at - first,
        "span_days": last - first,
        "orders_all": past.size(),
        "spend_mean_order": past["amount"].mean(),
        "as_of_day": pd.Series(FIRST_DAY + at, first.index),
    }
    if "left" in orders:
        columns["visit_days_30d"] = (past["left"].first() - at + 30).clip(0, 30)
    for days in knots():
        coming = orders[(orders["day"] >= at) & (orders["day"] < at + days)].groupby("customer")["amount"]
        is_known = at + days <= present
        for name, sums in (("orders", coming.size()), ("value", coming.sum())):
            came = sums.reindex(first.index, fill_value=0)
            columns[f"after_{name}_{days}"] = came if is_known else came * np.nan
    return pd.DataFrame(columns).astype(float).reset_index()


@pytest.fixture(scope="session")
def lesson(shop: pd.DataFrame, lesson_of: Callable[..., Lesson]) -> Lesson:
    """Snapshots of the invented shop, the present without labels."""
    return lesson_of(shop)


@pytest.fixture(scope="session")
def parted(lesson: Lesson) -> list[Snapshot]:
    """The snapshots of the invented shop as the learning forecaster sees them, oldest first."""
    return list(snapshots(*lesson, PurchaseForecaster(horizon_days=60)))


@pytest.fixture(scope="session")
def boosted() -> Callable[..., tuple[lgb.Booster, np.ndarray]]:
    """Trees on six inputs, of which some are missing, and these."""

    def boost(
        *, leaves: int, missing: bool = True, rows: int = 2000, **settings: object
    ) -> tuple[lgb.Booster, np.ndarray]:
        rng = np.random.default_rng(0)
        matrix = np.round(rng.normal(size=(rows, 6)), 1)
        chance = 1 / (1 + np.exp(-matrix[:, 0] * matrix[:, 1] - matrix[:, 2]))
        came = (rng.random(rows) < chance).astype(float)
        if missing:
            matrix[rng.random(matrix.shape) < 0.2] = np.nan
        given = {"objective": "binary", "num_leaves": leaves, "num_threads": 1, "verbose": -1} | settings
        return lgb.train(given, lgb.Dataset(matrix, came), 30), matrix

    return boost
