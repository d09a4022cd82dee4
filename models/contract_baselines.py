"""What anyone would use instead for contracts: the overall rate, a life table, the shifted beta-geometric."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import betaln

from models.contract_estimator import ContractEstimator
from models.estimator import Columns, columns_of
from models.explanation import CHURN_RISK, mean
from models.likelihood import Vector
from models.person_periods import PersonPeriods, person_periods

TILE_DAYS = 30
"""Snapshots lie so far apart: intervals until there tile the time of a contract without overlap."""
AGE_DAYS = 30
"""The width of a row of the life table."""
DOUBT = 5.0
"""Ends that everybody's rate counts for in a row of the life table."""


class AgeHazard(ContractEstimator):
    """Forecast by the age of the contract alone: by the hazard summed up over all ages before."""

    def state(self) -> dict[str, Any]:
        """Return what is usual."""
        return super().state() | {"usual": dict(self.usual_)}

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take up what is usual."""
        self.usual_ = dict(state["usual"])
        return super().restore(state)

    def _learn(self, frame: pd.DataFrame, labels: pd.DataFrame) -> None:
        tiles = [day for day in self.knots if day <= TILE_DAYS]
        lived = person_periods(labels, tiles)
        columns = columns_of(frame)
        self._fit(lived, columns["contract_age_days"][lived.rows])
        self.usual_ = {}
        self.usual_ = {CHURN_RISK: mean(self.explain(columns).score[0])}

    def _runs(self, columns: Columns) -> Vector:
        ages = columns["contract_age_days"]
        now = self._summed(ages)
        return np.array([np.exp(now - self._summed(ages + day)) for day in self.knots])

    @abstractmethod
    def _fit(self, lived: PersonPeriods, ages: Vector) -> None:
        """Learn from intervals of contracts of these ages at their snapshots."""

    @abstractmethod
    def _summed(self, ages: Vector) -> Vector:
        """Return the hazard summed up until an age, minus the log of P(a contract lasts so long)."""


class OverallHazard(AgeHazard):
    """One hazard for all: ends per day.

    Attributes
    ----------
    rate_
        Ends per contract and day.
    """

    kind = "overall_hazard"

    def state(self) -> dict[str, Any]:
        """Return the rate."""
        return super().state() | {"rate": self.rate_}

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take up the rate."""
        self.rate_ = float(state["rate"])
        return super().restore(state)

    def _fit(self, lived: PersonPeriods, ages: Vector) -> None:  # noqa: ARG002 - age makes no difference
        self.rate_ = _rate(lived)

    def _summed(self, ages: Vector) -> Vector:
        return self.rate_ * ages


class LifeTable(AgeHazard):
    """The hazard by age, in rows of thirty days (Kaplan and Meier 1958; left-truncated at the snapshot).

    Attributes
    ----------
    rates_
        Ends per contract and day in each row of ages; the last goes on.
    """

    kind = "life_table"

    def state(self) -> dict[str, Any]:
        """Return the rates."""
        return super().state() | {"rates": self.rates_.tolist()}

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take up the rates."""
        self.rates_ = np.array(state["rates"])
        return super().restore(state)

    def _fit(self, lived: PersonPeriods, ages: Vector) -> None:
        rate = _rate(lived)
        row = ((ages + (lived.begin + lived.end) / 2) // AGE_DAYS).astype(int)
        ends = np.bincount(row, weights=lived.ended)
        days = np.bincount(row, weights=_exposed(lived))
        self.rates_ = (ends + DOUBT) / (days + DOUBT / rate)

    def _summed(self, ages: Vector) -> Vector:
        edges = np.arange(self.rates_.size + 1) * AGE_DAYS
        until = np.append(0.0, np.cumsum(self.rates_ * AGE_DAYS))
        beyond = np.maximum(ages - edges[-1], 0.0) * self.rates_[-1]
        return np.asarray(np.interp(ages, edges, until) + beyond)


class ShiftedBetaGeometric(AgeHazard):
    """Each contract has its own chance to end in a period, drawn from a beta (Fader and Hardie 2007, eq. 5).

    Attributes
    ----------
    alpha_, beta_
        Of the beta; a period has thirty days.
    """

    kind = "shifted_beta_geometric"

    def state(self) -> dict[str, Any]:
        """Return the parameters of the beta."""
        return super().state() | {"alpha": self.alpha_, "beta": self.beta_}

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take up the parameters of the beta."""
        self.alpha_, self.beta_ = float(state["alpha"]), float(state["beta"])
        return super().restore(state)

    def _fit(self, lived: PersonPeriods, ages: Vector) -> None:
        """Find the most likely beta; both parameters have a weak prior around 1."""

        def loss(point: Vector) -> float:
            self.alpha_, self.beta_ = np.exp(point).tolist()
            fallen = self._summed(ages + lived.end) - self._summed(ages + lived.begin)
            left = np.log(np.maximum(-np.expm1(-fallen), np.finfo(float).tiny))
            return float(-np.where(lived.ended == 1, left, -fallen).sum() + 0.01 * (point**2).sum())

        start = np.log([1.0, max(1.0 / (_rate(lived) * AGE_DAYS), 1.0)])
        found = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-3})
        self.alpha_, self.beta_ = np.exp(found.x).tolist()

    def _summed(self, ages: Vector) -> Vector:
        periods = ages / AGE_DAYS
        return np.asarray(betaln(self.alpha_, self.beta_) - betaln(self.alpha_, self.beta_ + periods))


def _exposed(lived: PersonPeriods) -> Vector:
    """Return the days under risk: of who ended half the interval."""
    return (lived.end - lived.begin) * (1.0 - lived.ended / 2)


def _rate(lived: PersonPeriods) -> float:
    """Return the ends per day, half an end added: no certainty."""
    return float((lived.ended.sum() + 0.5) / max(_exposed(lived).sum(), 1.0))
