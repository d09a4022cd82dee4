"""The rules that a forecaster has to beat, each a forecaster itself."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd

from models.estimator import Columns, ForecastEstimator, coherent, columns_of
from models.likelihood import Vector


class OwnRate(ForecastEstimator):
    """Everybody goes on as before: a Poisson process of the customer's own past rate.

    The past is counted from the first order to `as_of`, and one horizon more, so that a first order
    yesterday does not promise one a day.
    """

    kind = "own_rate"

    def fit(self, frame: pd.DataFrame, labels: pd.DataFrame) -> Self:  # noqa: ARG002
        """Learn nothing."""
        return self

    def forecast(self, columns: Columns) -> Columns:
        """Forecast by the customer's past rate and mean order."""
        orders = columns["orders_all"] / (columns["tenure_days"] + self.horizon_days) * self.horizon_days
        value = orders * columns["spend_mean_order"]
        clv = value * discounted_days(self.clv_days, self.discount_rate) / self.horizon_days
        return coherent(churn_risk=np.exp(-orders), expected_orders=orders, expected_value=value, clv=clv)

    def state(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> Self:  # noqa: ARG002
        """Take up nothing."""
        return self


class RecencyRule(ForecastEstimator):
    """Who was silent for longer than the horizon is lost: one forecast for each of the two groups.

    Attributes
    ----------
    groups_
        Of those silent and of the others: ``churn_risk``, ``expected_orders``, ``expected_value``.
    """

    kind = "recency_rule"

    def fit(self, frame: pd.DataFrame, labels: pd.DataFrame) -> Self:
        """Learn the means of both groups from the rows with labels."""
        known = labels["orders"].notna().to_numpy()
        silent, labels = self._silent(columns_of(frame))[known], labels[known]
        self.groups_ = [self._means(labels[silent == group]) for group in (False, True)]
        return self

    def forecast(self, columns: Columns) -> Columns:
        """Forecast the mean of the customer's group."""
        silent = self._silent(columns).astype(int)
        means = {name: np.array([group[name] for group in self.groups_])[silent] for name in self.groups_[0]}
        flow = discounted_days(self.clv_days, self.discount_rate) / self.horizon_days
        return coherent(**means, clv=means["expected_value"] * flow)

    def state(self) -> dict[str, Any]:
        """Return the means of both groups."""
        return {"groups": self.groups_}

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take up the means of both groups."""
        self.groups_ = list(state["groups"])
        return self

    def _silent(self, columns: Columns) -> Vector:
        return np.asarray(columns["recency_days"] > self.horizon_days)

    @staticmethod
    def _means(labels: pd.DataFrame) -> dict[str, float]:
        """Take the means with one customer who did and one who did not come back added: no certainty."""
        rows = len(labels)
        return {
            "churn_risk": float(((labels["orders"] == 0).sum() + 1) / (rows + 2)),
            "expected_orders": float(labels["orders"].sum() / max(rows, 1)),
            "expected_value": float(labels["value"].clip(lower=0).sum() / max(rows, 1)),
        }


def discounted_days(days: int, rate: float) -> float:
    """Return how many days of today's value a steady flow over so many days is worth."""
    return float(((1.0 + rate) ** (-(np.arange(days) + 0.5) / 365.0)).sum())
