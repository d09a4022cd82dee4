from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from features.configuration import Configuration
from features.errors import InputError
from training.placing import measured

PROJECT = """
[project]
name = "shop"
currency = "EUR"
[[tiers.levels]]
name = "high"
when = "{when}"
[[tiers.levels]]
name = "low"
"""
BUYERS = pd.Index([f"c{number}" for number in range(10)], name="customer_id")
BOUGHT = ("orders_all", "orders_365d", "spend_all", "spend_365d", "recency_days", "tenure_days")
FEATURES = pd.DataFrame({name: np.arange(1.0, 11.0) for name in (*BOUGHT, "gap_max_days")}, index=BUYERS)
FORECASTS = pd.DataFrame(
    {
        "churn_risk": np.linspace(0.1, 0.9, 10),
        "clv": np.arange(10.0),
        "next_order_days": np.arange(10.0),
    },
    index=BUYERS,
)


def cuts(folder: Path, when: str) -> dict[str, float | None]:
    file = folder / "tierwise.toml"
    file.write_text(PROJECT.format(when=when))
    with duckdb.connect() as connection:
        placement = measured(
            Configuration.read(file, environ={}),
            connection,
            as_of=datetime(2024, 6, 1, tzinfo=UTC),
            present=FEATURES,
            forecasts=FORECASTS,
        )
    return dict(placement.cuts["tiers"])


@pytest.mark.parametrize("column", ["clv", "historic_value", "spend_365d"])
def test_a_training_measures_the_cut_points_of_what_runs_know(tmp_path: Path, column: str) -> None:
    top = f"top({column}, 0.2)"
    known = FEATURES.join(FORECASTS).assign(historic_value=FEATURES["spend_all"])
    assert cuts(tmp_path, top)[top] == known[column].nlargest(2).iloc[-1]


def test_a_training_refuses_what_runs_do_not_know(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tiers\.levels\.0\.when.*there is no column 'next_order_days'"):
        cuts(tmp_path, "next_order_days < 30")
