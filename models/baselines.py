"""The rules that a forecaster has to beat, each a forecaster itself."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd

from models.curve import Curve
from models.estimator import Columns, ForecastEstimator, columns_of
from models.likelihood import Vector


class OwnRate(ForecastEstimator):
    """Everybody goes on as before: a Poisson process of the customer's own past rate.

    The past is counted from the first order to `as_of`, and one horizon more, so that a first order
    yesterday does not promise one a day.
    """

    kind = "own_rate"

    def fit(self, frame: pd.DataFrame, labels: pd.DataFrame) -> Self:
        """Learn only how far values spread."""
        self._compare(frame, labels)
        return self

    def curve(self, columns: Columns, *, days: Sequence[int] | None = None) -> Curve:
        """Forecast by the customer's past rate and mean order."""
        at = np.array(self.knots if days is None else days, dtype=float)
        orders = at[:, None] * columns["orders_all"] / (columns["tenure_days"] + self.horizon_days)
        return Curve(at, np.exp(-orders), orders, orders * columns["spend_mean_order"]).coherent()

    def state(self) -> dict[str, Any]:
        """Return what is usual, and how far values spread."""
        return self._compared()

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take up what is usual, and how far values spread."""
        self._take_up(state)
        return self


class RecencyRule(ForecastEstimator):
    """Who was silent for longer than the horizon is lost: one forecast for each of the two groups.

    Attributes
    ----------
    groups_
        Of the others and of those silent: P(no order), orders and value by each knot, of shape (2, 3, k).
    """

    kind = "recency_rule"

    def fit(self, frame: pd.DataFrame, labels: pd.DataFrame) -> Self:
        """Learn the means of both groups from the labels; a knot not known yet continues the last."""
        silent = self._silent(columns_of(frame))
        means = [[_means(labels[silent == group], days) for days in self.knots] for group in (False, True)]
        self.groups_ = _continued(np.array(means).transpose(0, 2, 1), np.array(self.knots, dtype=float))
        self._compare(frame, labels)
        return self

    def curve(self, columns: Columns, *, days: Sequence[int] | None = None) -> Curve:
        """Forecast the means of the customer's group."""
        at = np.array(self.knots if days is None else days, dtype=float)
        places = [self.knots.index(int(day)) for day in at]
        silent = self._silent(columns).astype(int)
        flows = self.groups_[:, :, places].transpose(1, 2, 0)[:, :, silent]
        return Curve(at, *flows).coherent()

    def state(self) -> dict[str, Any]:
        """Return the means of both groups."""
        return {"groups": self.groups_.tolist(), **self._compared()}

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take up the means of both groups."""
        self.groups_ = np.array(state["groups"])
        self._take_up(state)
        return self

    def _silent(self, columns: Columns) -> Vector:
        return np.asarray(columns["recency_days"] > self.horizon_days)


def _means(labels: pd.DataFrame, days: int) -> tuple[float, float, float]:
    """Take the means with one customer who did and one who did not come back added: no certainty."""
    orders, value = labels[f"orders_{days}"].dropna(), labels[f"value_{days}"].dropna()
    if orders.empty:
        return (np.nan, np.nan, np.nan)
    no_order = ((orders == 0).sum() + 1) / (len(orders) + 2)
    return float(no_order), float(orders.mean()), float(value.clip(lower=0).mean())


def _continued(flows: Vector, days: Vector) -> Vector:
    """Let knots not known yet continue the last known: its mean hazard, orders and value a day."""
    for group in flows:
        known = np.flatnonzero(~np.isnan(group[0]))
        last = known[-1] if known.size else 0
        start = group[:, last] if known.size else np.array([0.5, 0.5, 0.0])
        times = days[last + 1 :] / days[last]
        group[:, last + 1 :] = [start[0] ** times, start[1] * times, start[2] * times]
        group[:, last] = start
    return flows
