"""What every forecaster of contracts is: a chance that a contract still runs turned into the outputs."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd

from features.contracts import MONTH_DAYS, RUNS
from models.estimator import Columns, ForecastEstimator, columns_of
from models.explanation import CHURN_RISK, Explanation
from models.likelihood import Vector, log_odds
from models.term import Term

LOW, HIGH = 0.1, 0.9
"""The quantiles of the value."""
LEAST_VALUES = 20
"""Contracts whose fees are known before their sum corrects the forecast."""


class ContractEstimator(ForecastEstimator):
    """Forecast when each customer's contract ends, and the fees until then.

    A frame holds one row per customer, and to learn from one per running contract and snapshot: the
    features of a plan that reads contracts. Labels hold ``ended_{d}`` (1 or 0) and ``value_{d}`` (the fees)
    of the d days after `as_of` for every d of `knots`, NaN where they are not known yet. A customer whose
    contract has ended before `as_of` has left; one without any contract has no forecast.

    Parameters
    ----------
    horizon_days, clv_days, discount_rate
        As of `ForecastEstimator`.
    fee_days
        The days that a fee is for.

    Attributes
    ----------
    lift_
        Fees that came over those expected at today's fee: what raises add.
    """

    def __init__(
        self,
        *,
        horizon_days: int = 90,
        clv_days: int = 365,
        discount_rate: float = 0.10,
        fee_days: float = MONTH_DAYS,
    ) -> None:
        super().__init__(horizon_days=horizon_days, clv_days=clv_days, discount_rate=discount_rate)
        self.fee_days = fee_days

    def fit(self, frame: pd.DataFrame, labels: pd.DataFrame) -> Self:
        """Learn from snapshots of running contracts; the index of the frame names the customers."""
        self.lift_ = 1.0
        self._learn(frame, labels)
        self.lift_ = self._lift(columns_of(frame), labels)
        return self

    def curve(self, columns: Columns, *, days: Sequence[int] | None = None) -> Term:  # type: ignore[override]
        """Forecast how long contracts last; a term is read like a curve, its first part being the risk."""
        state = columns[RUNS]
        at_risk = state == 1
        runs = np.where(np.isnan(state), np.nan, np.zeros((len(self.knots), state.size)))
        runs[:, at_risk] = self._runs({name: values[at_risk] for name, values in columns.items()})
        fee = np.where(state == 0, 0.0, columns["fee"]) * self.lift_ / self.fee_days
        term = Term.of(self.knots, runs, fee)
        places = [self.knots.index(day) for day in days or self.knots]
        return Term(*(part[places] for part in term))

    def forecast(self, columns: Columns) -> Columns:
        """Forecast from features by name, each of shape (n,): `OUTPUTS` by name, each of shape (n,).

        ``expected_orders`` and ``next_order_days`` are NaN; all is NaN for a customer without a contract,
        and what is money for one without a fee.
        """
        term = self.curve(columns)
        horizon = self.knots.index(self.horizon_days)
        expected = term.value[horizon]
        daily = np.where(columns[RUNS] == 0, 0.0, columns["fee"]) * self.lift_ / self.fee_days
        low, high = (
            daily * np.where(columns[RUNS] == 0, 0.0, term.lasts(chance, until=self.horizon_days))
            for chance in (LOW, HIGH)
        )
        nothing = np.full(expected.size, np.nan)
        low, high = (
            np.minimum(low, expected),
            np.maximum(high, expected),
        )  # the mean of few early ends is lower
        return {
            "churn_risk": term.ended[horizon],
            "expected_orders": nothing,
            "expected_value": expected,
            "value_low": low,
            "value_high": high,
            "clv": term.discounted_value(until=self.clv_days, rate=self.discount_rate),
            "next_order_days": nothing,
        }

    def explain(self, columns: Columns) -> Explanation:
        """Tell what moved the risk of the horizon: the age of the contract, from features by name, (n,)."""
        score = np.nan_to_num(log_odds(self.curve(columns, days=[self.horizon_days]).ended[0]))
        base = np.full(score.size, self.usual_.get(CHURN_RISK, 0.0))
        effects, values = (part[None, :, None] for part in (score - base, columns["contract_age_days"]))
        return Explanation((CHURN_RISK,), ("contract_age_days",), base[None], effects, values)

    def state(self) -> dict[str, Any]:
        """Return what was learnt as plain data."""
        return {"lift": self.lift_}

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take up what was learnt from plain data."""
        self.lift_ = float(state["lift"])
        return self

    @abstractmethod
    def _learn(self, frame: pd.DataFrame, labels: pd.DataFrame) -> None:
        """Learn when contracts end."""

    @abstractmethod
    def _runs(self, columns: Columns) -> Vector:
        """Return P(the contract still runs) by each of k knots, of shape (k, n), of n running contracts."""

    def _lift(self, columns: Columns, labels: pd.DataFrame) -> float:
        """Compare fees that came in the horizon with what today's fee would bring if contracts last."""
        came = labels[f"value_{self.horizon_days}"].to_numpy(dtype=float)
        known = ~np.isnan(came) & ~np.isnan(columns["fee"])
        if known.sum() < LEAST_VALUES:
            return 1.0
        seen = {name: values[known] for name, values in columns.items()}
        expected = self.curve(seen, days=[self.horizon_days]).value[0].sum()
        return float(came[known].sum() / expected) if expected > 0 else 1.0
