"""The purchase process alone: a forecast from order days and order values, without a label."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import pandas as pd

from models.bg_nbd import BgNbd
from models.estimator import Columns, ForecastEstimator, coherent, columns_of
from models.gamma_gamma import GammaGamma
from models.likelihood import Vector
from models.pareto_nbd import ParetoNbd
from models.purchase_process import PurchaseProcess

PROCESSES: dict[str, type[PurchaseProcess]] = {"pareto_nbd": ParetoNbd, "bg_nbd": BgNbd}
QUARTER_DAYS = 91


class History(NamedTuple):
    """Order histories as purchase processes see them; each of shape (n,)."""

    frequency: Vector
    recency_days: Vector
    age_days: Vector


def history(columns: Columns) -> History:
    """Read histories from features; the age ends with the last whole day, the day before `as_of`."""
    age = np.maximum(columns["tenure_days"] - 1.0, columns["span_days"])
    return History(columns["orders_all"] - 1.0, columns["span_days"], age)


class PurchaseForecaster(ForecastEstimator):
    """Forecast by a purchase process and Gamma-Gamma order values, fitted on the latest snapshot.

    Parameters
    ----------
    process
        ``pareto_nbd`` (Schmittlein, Morrison and Colombo 1987) or ``bg_nbd`` (Fader, Hardie, Lee 2005).

    Attributes
    ----------
    process_
        The fitted process.
    order_value_
        The fitted Gamma-Gamma model of order values.
    """

    kind = "purchase_process"
    process_: PurchaseProcess
    order_value_: GammaGamma

    def __init__(
        self,
        *,
        horizon_days: int = 90,
        clv_days: int = 365,
        discount_rate: float = 0.10,
        process: Literal["pareto_nbd", "bg_nbd"] = "pareto_nbd",
    ) -> None:
        super().__init__(horizon_days=horizon_days, clv_days=clv_days, discount_rate=discount_rate)
        self.process = process

    def fit(
        self,
        frame: pd.DataFrame,
        labels: pd.DataFrame | None = None,  # noqa: ARG002
        *,
        near: Self | None = None,
    ) -> Self:
        """Fit to the latest snapshot of the frame, without labels; sooner from a similar fit."""
        latest = columns_of(frame[frame["snapshot"] == frame["snapshot"].max()])
        process, order_value = (None, None) if near is None else (near.process_, near.order_value_)
        self.process_ = PROCESSES[self.process]().fit(*history(latest), near=process)
        self.order_value_ = GammaGamma().fit(
            latest["orders_all"], latest["spend_mean_order"], near=order_value
        )
        return self

    def forecast(self, columns: Columns) -> Columns:
        """Forecast from the fitted process."""
        described = self.describe(columns)
        return coherent(
            churn_risk=described["process_no_order"],
            expected_orders=described["process_orders"],
            expected_value=described["process_value"],
            clv=described["process_value"] * self.clv_ratio(columns),
        )

    def describe(self, columns: Columns) -> dict[str, Vector]:
        """Describe customers by the process: what trees learn from beside behaviour."""
        outlook = self.process_.outlook(*history(columns), horizon_days=self.horizon_days)
        order_value = self.order_value_.expected_value(columns["orders_all"], columns["spend_mean_order"])
        return {
            "process_alive": outlook.alive,
            "process_no_order": outlook.no_order,
            "process_orders": outlook.expected_orders,
            "process_order_value": order_value,
            "process_value": outlook.expected_orders * order_value,
        }

    def clv_ratio(self, columns: Columns) -> Vector:
        """Return the discounted orders until `clv_days` over the orders in the horizon, of shape (n,).

        Orders are discounted by the middle of their quarter after `as_of`. Whether the customer is alive
        bears on both alike.
        """
        frequency, _, age = history(columns)
        ends = np.append(np.arange(QUARTER_DAYS, self.clv_days, QUARTER_DAYS), self.clv_days)
        horizons = np.append(ends, self.horizon_days)[:, None]
        *reached, in_horizon = self.process_.orders_if_alive(frequency, age, horizon_days=horizons)
        quarterly = np.diff(np.vstack([np.zeros_like(in_horizon), *reached]), axis=0)
        middles = ends - np.diff(np.append(0.0, ends)) / 2
        discounted = (1.0 + self.discount_rate) ** (-middles / 365.0) @ quarterly
        return np.asarray(discounted / np.maximum(in_horizon, np.finfo(float).tiny))

    def state(self) -> dict[str, Any]:
        """Return the parameters of the process and of the order values."""
        return {"process": self.process_.parameters_, "order_value": self.order_value_.parameters_}

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take up fitted parameters."""
        self.process_ = PROCESSES[self.process].from_parameters(state["process"])
        self.order_value_ = GammaGamma.from_parameters(state["order_value"])
        return self
