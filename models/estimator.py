"""What every forecaster is: a scikit-learn estimator that learns, forecasts and turns into plain data."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from models.curve import Curve, knots
from models.explanation import Explanation, mean, one_effect
from models.likelihood import Vector
from models.skill import Skill
from models.spread import ValueSpread

Columns = Mapping[str, Vector]
"""Features or forecasts by name: arrays of one length."""

OUTPUTS = (
    "churn_risk",
    "expected_orders",
    "expected_value",
    "value_low",
    "value_high",
    "clv",
    "next_order_days",
)
CALENDAR = "as_of_day"
"""The feature that tells a row's snapshot: the day of its `as_of`, days since 1970-01-01."""


class ForecastEstimator(BaseEstimator, ABC):  # type: ignore[misc]
    """Forecast what each customer does in the horizon.

    A frame holds one row per customer, and to learn from one per customer and snapshot: the features of a
    feature plan, of which ``as_of_day`` tells the snapshot; the latest is the present. Labels hold one row
    per row of that frame: ``orders_{d}`` and ``value_{d}`` in the d days after `as_of` for every d of
    `knots`, NaN where they are not known yet.

    Parameters
    ----------
    horizon_days
        The days after `as_of` that the forecast is about.
    clv_days
        The days after `as_of` that ``clv`` is about.
    discount_rate
        By which ``clv`` discounts, per year.

    Attributes
    ----------
    spread_
        How far values lie from what was expected.
    skill_
        How well customers were forecast, by their orders; empty where it was not seen.
    usual_
        By explained target the mean of what the rule or process says at present.
    """

    kind: ClassVar[str]
    """The name of the estimator in bundles and tables."""

    spread_: ValueSpread
    skill_: Skill = Skill()
    usual_: Mapping[str, float] = MappingProxyType({})

    def __init__(self, *, horizon_days: int = 90, clv_days: int = 365, discount_rate: float = 0.10) -> None:
        self.horizon_days = horizon_days
        self.clv_days = clv_days
        self.discount_rate = discount_rate

    @property
    def knots(self) -> tuple[int, ...]:
        """The days after `as_of` that the estimator learns and forecasts, in order."""
        return knots(self.horizon_days, self.clv_days)

    @abstractmethod
    def fit(self, frame: pd.DataFrame, labels: pd.DataFrame) -> Self:
        """Learn from snapshots."""

    @abstractmethod
    def curve(self, columns: Columns, *, days: Sequence[int] | None = None) -> Curve:
        """Forecast from features by name, each of shape (n,), at some of `knots`; without `days` at all."""

    def forecast(self, columns: Columns) -> Columns:
        """Forecast from features by name, each of shape (n,): `OUTPUTS` by name, each of shape (n,)."""
        curve = self.curve(columns)
        horizon = self.knots.index(self.horizon_days)
        churn_risk, value = curve.no_order[horizon], curve.value[horizon]
        low, high = self.spread_.interval(churn_risk, value)
        return {
            "churn_risk": churn_risk,
            "expected_orders": curve.orders[horizon],
            "expected_value": value,
            "value_low": low,
            "value_high": high,
            "clv": curve.discounted_value(until=self.clv_days, rate=self.discount_rate),
            "next_order_days": curve.median_day(),
        }

    def explain(self, columns: Columns) -> Explanation:
        """Tell what moved the forecasts of the horizon, from features by name, each of shape (n,)."""
        _, churn_risk, _, value = self.curve(columns, days=[self.horizon_days])
        return one_effect(churn_risk[0], value[0], usual=self.usual_)

    def predict(self, frame: pd.DataFrame, *, horizon_days: Sequence[int] | None = None) -> pd.DataFrame:
        """Forecast each row of a frame.

        Parameters
        ----------
        horizon_days
            Days from 7 to the last of `knots`; without any, the forecast is about the horizon.

        Returns
        -------
        Without `horizon_days` one row per row of the frame, with the columns of `OUTPUTS`:
        ``churn_risk`` is P(no order in the horizon); ``expected_orders`` counts order days;
        ``expected_value`` and ``clv`` are in the frame's unit of money and never negative;
        ``value_low`` and ``value_high`` are the 10% and 90% quantiles of the value;
        ``next_order_days`` is the median time to the next order, NaN where it lies beyond the knots.
        With `horizon_days` one row per row and horizon, horizons in turn: ``days``, ``churn_risk``,
        ``expected_orders``, ``expected_value``.
        """
        columns = columns_of(frame)
        if horizon_days is None:
            return pd.DataFrame(self.forecast(columns), index=frame.index)
        curve = self.curve(columns).at(horizon_days)
        parts = [
            pd.DataFrame(
                {"days": days, "churn_risk": risk, "expected_orders": orders, "expected_value": value},
                index=frame.index,
            )
            for days, risk, orders, value in zip(horizon_days, *curve[1:], strict=True)
        ]
        return pd.concat(parts)

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return what was learnt as plain data."""

    @abstractmethod
    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take up what was learnt from plain data."""

    def _compare(self, frame: pd.DataFrame, labels: pd.DataFrame | None) -> None:
        """Keep what is usual at present, and compare forecasts of the labelled rows with what came."""
        self.usual_, self.skill_, self.spread_ = {}, Skill(), ValueSpread()
        present = self.explain(columns_of(frame[frame[CALENDAR] == frame[CALENDAR].max()]))
        self.usual_ = dict(zip(present.targets, map(mean, present.score), strict=True))
        if labels is None:
            return
        came, value = (labels[f"{name}_{self.horizon_days}"].to_numpy() for name in ("orders", "value"))
        known = ~np.isnan(value)
        columns = columns_of(frame[known])
        curve = self.curve(columns, days=[self.horizon_days])
        self.spread_ = ValueSpread().fit(curve.no_order[0], curve.value[0], value[known])
        self.skill_ = Skill().fit(columns["orders_all"], curve.no_order[0], (came[known] == 0).astype(float))

    def _compared(self) -> dict[str, Any]:
        """Return what was learnt by comparing as plain data."""
        return {"spread": self.spread_.state(), "skill": self.skill_.state(), "usual": dict(self.usual_)}

    def _take_up(self, state: Mapping[str, Any]) -> None:
        """Take up what was learnt by comparing."""
        self.spread_ = ValueSpread.restore(state["spread"])
        self.skill_ = Skill.restore(state["skill"])
        self.usual_ = dict(state["usual"])


def columns_of(frame: pd.DataFrame) -> Columns:
    """Return a frame as arrays by name."""
    return {str(name): frame[name].to_numpy(dtype=float) for name in frame.columns}
