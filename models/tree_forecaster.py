"""Gradient-boosted trees, taught on rolling snapshots, averaged with the purchase process."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import lightgbm as lgb
import numpy as np
import pandas as pd
from scipy.special import expit, logit

from models.estimator import Columns, ForecastEstimator, coherent, columns_of
from models.likelihood import Vector
from models.purchase_forecaster import PurchaseForecaster

YEAR_DAYS = 365
CERTAIN = 1e-6
OBJECTIVES: dict[str, dict[str, Any]] = {
    "churn": {"objective": "binary"},
    "orders": {"objective": "poisson"},
    "value": {"objective": "tweedie", "tweedie_variance_power": 1.5},
}
"""Tweedie: a Poisson number of orders of gamma value (Jorgensen 1987); its power as in the evaluation."""


class TreeForecaster(ForecastEstimator):
    """Forecast by the mean of trees and purchase process: of churn in log-odds, of orders and value as is.

    The trees learn from behaviour and from what the process says of each customer; the process is
    fitted per snapshot, on what was known then, and a later prediction uses that of the latest. The two
    err apart: trees misjudge a shop whose level moved since their snapshots, the process its behaviour
    (combination of forecasts: Bates and Granger 1969). The month of `as_of` is an input only once a
    snapshot of a year before had two horizons of history behind it; else it would only tell that the
    shop was young.

    Parameters
    ----------
    rounds, leaves, learning_rate
        Of the boosted trees: small ones, which can be explained.
    seed
        Of the sampling of rows and features; the same data and seed give the same trees.

    Attributes
    ----------
    feature_names_
        The inputs of the trees in order: those of the frame, then those of the process.
    process_
        The purchase process of the latest snapshot.
    boosters_
        One model each for churn, orders and value.
    """

    kind = "trees"

    def __init__(  # noqa: PLR0913 - an estimator's settings stand side by side
        self,
        *,
        horizon_days: int = 90,
        clv_days: int = 365,
        discount_rate: float = 0.10,
        rounds: int = 200,
        leaves: int = 8,
        learning_rate: float = 0.05,
        seed: int = 0,
    ) -> None:
        super().__init__(horizon_days=horizon_days, clv_days=clv_days, discount_rate=discount_rate)
        self.rounds = rounds
        self.leaves = leaves
        self.learning_rate = learning_rate
        self.seed = seed

    def fit(self, frame: pd.DataFrame, labels: pd.DataFrame) -> Self:
        """Learn from the snapshots with labels; the process is also fitted to the latest without."""
        inputs = self._described(frame)
        known = labels["orders"].notna().to_numpy()
        oldest = inputs["tenure_days"].max()
        untaught = [] if oldest >= YEAR_DAYS + 2 * self.horizon_days else ["as_of_month"]
        self.feature_names_ = [name for name in inputs.columns if name not in untaught]
        targets = {
            "churn": (labels["orders"] == 0).to_numpy(dtype=float)[known],
            "orders": labels["orders"].to_numpy()[known],
            "value": labels["value"].clip(lower=0).to_numpy()[known],
        }
        matrix = inputs.loc[known, self.feature_names_].to_numpy(dtype=float)
        with ThreadPoolExecutor() as pool:  # one thread a model: LightGBM's own stall on a shared machine
            fitted = pool.map(lambda name: self._boost(name, matrix, targets[name]), targets)
            self.boosters_ = dict(zip(targets, fitted, strict=True))
        return self

    def forecast(self, columns: Columns) -> Columns:
        """Forecast from both; CLV continues the value by the course of the process."""
        inputs = self._inputs(self.process_, columns)
        matrix = np.array([inputs[name] for name in self.feature_names_]).T
        churn, orders, value = (np.asarray(self.boosters_[name].predict(matrix)) for name in OBJECTIVES)
        value = (value + inputs["process_value"]) / 2
        return coherent(
            churn_risk=expit((_log_odds(churn) + _log_odds(inputs["process_no_order"])) / 2),
            expected_orders=(orders + inputs["process_orders"]) / 2,
            expected_value=value,
            clv=value * self.process_.clv_ratio(columns),
        )

    def importance(self) -> pd.Series:
        """Return each input's share of the total gain of the churn and value trees, largest first."""
        gains = sum(
            self.boosters_[name].feature_importance("gain")
            / max(self.boosters_[name].feature_importance("gain").sum(), 1e-12)
            for name in ("churn", "value")
        )
        shares = pd.Series(np.asarray(gains) / 2, index=self.feature_names_, name="share_of_gain")
        return shares.sort_values(ascending=False)

    def state(self) -> dict[str, Any]:
        """Return the feature names, the process and the trees as LightGBM's text."""
        return {
            "feature_names": self.feature_names_,
            "process": self.process_.state(),
            "boosters": {name: booster.model_to_string() for name, booster in self.boosters_.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take up feature names, process and trees."""
        self.feature_names_ = list(state["feature_names"])
        self.process_ = self._process().restore(state["process"])
        self.boosters_ = {name: lgb.Booster(model_str=text) for name, text in state["boosters"].items()}
        return self

    def _process(self) -> PurchaseForecaster:
        return PurchaseForecaster(
            horizon_days=self.horizon_days, clv_days=self.clv_days, discount_rate=self.discount_rate
        )

    def _described(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Fit the process to each snapshot, oldest first, and describe its rows by it."""
        parts, process = [], None
        for _, rows in frame.groupby("snapshot"):
            process = self._process().fit(rows, near=process)
            columns = columns_of(rows.drop(columns="snapshot"))
            parts.append(pd.DataFrame(self._inputs(process, columns), index=rows.index))
            self.process_ = process
        return pd.concat(parts).loc[frame.index]

    @staticmethod
    def _inputs(process: PurchaseForecaster, columns: Columns) -> dict[str, Vector]:
        return {**columns, **process.describe(columns)}

    def _boost(self, name: str, matrix: Vector, target: Vector) -> lgb.Booster:
        settings = {
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "min_child_samples": int(np.clip(len(target) // 300, 20, 200)),
            "feature_fraction": 0.3,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "lambda_l2": 10.0,
            "max_bin": 127,
            "seed": self.seed,
            "deterministic": True,
            "force_col_wise": True,
            "num_threads": 1,
            "verbose": -1,
        }
        data = lgb.Dataset(matrix, target, feature_name=self.feature_names_, free_raw_data=True)
        return lgb.train(settings | OBJECTIVES[name], data, self.rounds)


def _log_odds(probability: Vector) -> Vector:
    return np.asarray(logit(np.clip(probability, CERTAIN, 1 - CERTAIN)))
