"""The purchase process alone: a forecast from order days and order values, without a label."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import pandas as pd

from models.bg_nbd import BgNbd
from models.curve import Curve
from models.estimator import CALENDAR, Columns, ForecastEstimator, columns_of
from models.gamma_gamma import GammaGamma
from models.likelihood import Vector
from models.pareto_nbd import ParetoNbd
from models.purchase_process import PurchaseProcess
from models.skill import Skill
from models.spread import ValueSpread

PROCESSES: dict[str, type[PurchaseProcess]] = {"pareto_nbd": ParetoNbd, "bg_nbd": BgNbd}


class History(NamedTuple):
    """Order histories as purchase processes see them; each of shape (n,)."""

    frequency: Vector
    recency_days: Vector
    age_days: Vector


def history(columns: Columns) -> History:
    """Read histories from features; the age ends with the last whole day, the day before `as_of`."""
    age = np.maximum(columns["tenure_days"] - 1.0, columns["span_days"])
    return History(columns["orders_all"] - 1.0, columns["span_days"], age)


class Described(NamedTuple):
    """What a process says of n customers.

    ``alive``: P(not dropped out at `as_of`), and the expected ``order_value``, each of shape (n,), and the
    curve.
    """

    alive: Vector
    order_value: Vector
    curve: Curve


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

    def fit(self, frame: pd.DataFrame, labels: pd.DataFrame | None = None) -> Self:
        """Fit to the latest snapshot of the frame; labels only tell how far values spread."""
        self.learn(columns_of(frame[frame[CALENDAR] == frame[CALENDAR].max()]))
        self._compare(frame, labels)
        return self

    def learn(self, columns: Columns, *, near: Self | None = None) -> Self:
        """Fit the process and the order values to one snapshot.

        Parameters
        ----------
        near
            A forecaster fitted to similar customers, from which the search is short.
        """
        process, order_value = (None, None) if near is None else (near.process_, near.order_value_)
        self.process_ = PROCESSES[self.process]().fit(*history(columns), near=process)
        self.order_value_ = GammaGamma().fit(
            columns["orders_all"], columns["spend_mean_order"], near=order_value
        )
        self.usual_, self.skill_, self.spread_ = {}, Skill(), ValueSpread()
        return self

    def curve(self, columns: Columns, *, days: Sequence[int] | None = None) -> Curve:
        """Forecast from the fitted process."""
        return self.describe(columns, days=days).curve

    def describe(self, columns: Columns, *, days: Sequence[int] | None = None) -> "Described":
        """Describe customers by the process: the curve, and what trees learn from beside behaviour."""
        at = np.array(self.knots if days is None else days, dtype=float)
        outlook = self.process_.outlook(*history(columns), horizon_days=at[:, None])
        order_value = self.order_value_.expected_value(columns["orders_all"], columns["spend_mean_order"])
        curve = Curve(at, outlook.no_order, outlook.expected_orders, outlook.expected_orders * order_value)
        return Described(outlook.alive, order_value, curve.coherent())

    def state(self) -> dict[str, Any]:
        """Return the parameters of the process and of the order values."""
        return {
            "process": self.process_.parameters_,
            "order_value": self.order_value_.parameters_,
            **self._compared(),
        }

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take up fitted parameters."""
        self.process_ = PROCESSES[self.process].from_parameters(state["process"])
        self.order_value_ = GammaGamma.from_parameters(state["order_value"])
        self._take_up(state)
        return self
