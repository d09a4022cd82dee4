"""What every forecaster is: a scikit-learn estimator that learns, forecasts and turns into plain data."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from models.likelihood import Vector

Columns = Mapping[str, Vector]
"""Features or forecasts by name: arrays of one length."""

OUTPUTS = ("churn_risk", "expected_orders", "expected_value", "clv")


class ForecastEstimator(BaseEstimator, ABC):  # type: ignore[misc]
    """Forecast what each customer does in the horizon.

    A frame to forecast from holds one row per customer, the features of a feature plan. A frame to learn
    from holds one row per customer and snapshot, with ``snapshot``, a whole number that grows with time.
    Labels hold one row per row of that frame: ``orders`` and ``value`` in the horizon, NaN where they are
    not known yet.

    Parameters
    ----------
    horizon_days
        The days after `as_of` that the forecast is about.
    clv_days
        The days after `as_of` that ``clv`` is about.
    discount_rate
        By which ``clv`` discounts, per year.
    """

    kind: ClassVar[str]
    """The name of the estimator in bundles and tables."""

    def __init__(self, *, horizon_days: int = 90, clv_days: int = 365, discount_rate: float = 0.10) -> None:
        self.horizon_days = horizon_days
        self.clv_days = clv_days
        self.discount_rate = discount_rate

    @abstractmethod
    def fit(self, frame: pd.DataFrame, labels: pd.DataFrame) -> Self:
        """Learn from snapshots."""

    @abstractmethod
    def forecast(self, columns: Columns) -> Columns:
        """Forecast from features by name, each of shape (n,): `OUTPUTS` by name, each of shape (n,)."""

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Forecast: one row per row of the frame, with the columns of `OUTPUTS`.

        ``churn_risk`` is P(no order in the horizon); ``expected_orders`` counts order days;
        ``expected_value`` and ``clv`` are in the frame's unit of money and never negative.
        """
        return pd.DataFrame(self.forecast(columns_of(frame)), index=frame.index)

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return what was learnt as plain data."""

    @abstractmethod
    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take up what was learnt from plain data."""


def columns_of(frame: pd.DataFrame) -> Columns:
    """Return a frame as arrays by name."""
    return {str(name): frame[name].to_numpy(dtype=float) for name in frame.columns}


def coherent(
    *, churn_risk: Vector, expected_orders: Vector, expected_value: Vector, clv: Vector
) -> dict[str, Vector]:
    """Put a forecast together: a risk within [0, 1], nothing negative, at least 1 - risk orders."""
    churn_risk = np.clip(churn_risk, 0.0, 1.0)
    return {
        "churn_risk": churn_risk,
        "expected_orders": np.maximum(expected_orders, 1.0 - churn_risk),
        "expected_value": np.maximum(expected_value, 0.0),
        "clv": np.maximum(clv, 0.0),
    }
