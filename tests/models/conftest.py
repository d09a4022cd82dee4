from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

CDNOW_SAMPLE = Path(__file__).parents[3] / "shared" / "data" / "cdnow" / "CDNOW_sample.txt"


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


HORIZON_DAYS = 60
SNAPSHOTS = {-2: 240, -1: 300, 0: 360}
"""The day of each snapshot, counted from the first day of the shop."""


@pytest.fixture(scope="session")
def lesson() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Snapshots of an invented shop, the present without labels; every tenth customer pays nothing."""
    rng = np.random.default_rng(0)
    rows = []
    for customer in range(500):
        first, rate = int(rng.integers(0, 350)), rng.gamma(1.0, 1 / 40)
        last = first + rng.exponential(150)
        days = np.unique(np.append(first, first + np.cumsum(1 + rng.exponential(1 / rate, 40))).astype(int))
        days, price = days[days <= last], 0.0 if customer % 10 == 0 else float(rng.lognormal(3, 1))
        rows += [_row(days, price, snapshot, at) for snapshot, at in SNAPSHOTS.items() if first < at]
    frame = pd.DataFrame(rows).sort_values("snapshot", ignore_index=True)
    labels = frame[["orders", "value"]].where(frame["snapshot"] < 0)
    return frame.drop(columns=["orders", "value"]), labels


def _row(days: np.ndarray, price: float, snapshot: int, at: int) -> dict[str, float]:
    past, future = days[days < at], days[(days >= at) & (days < at + HORIZON_DAYS)]
    return {
        "recency_days": float(at - past[-1]),
        "tenure_days": float(at - past[0]),
        "span_days": float(past[-1] - past[0]),
        "orders_all": float(len(past)),
        "spend_mean_order": price,
        "as_of_month": float(at // 30 % 12 + 1),
        "snapshot": snapshot,
        "orders": float(len(future)),
        "value": price * len(future),
    }
