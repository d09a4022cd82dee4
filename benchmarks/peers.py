"""What people forecast with instead, as they would fit it: for the comparison only."""

import warnings
from importlib.util import find_spec
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.estimator import CALENDAR
from models.likelihood import Vector
from models.plain_trees import PlainTrees

SMALL = {
    "num_leaves": 15,
    "learning_rate": 0.04,
    "min_child_samples": 50,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "seed": 0,
}
WEEK = 7.0


class RollingTrees(PlainTrees):
    """The strongest simple peer: small regularised trees on all features of all snapshots that are known."""

    rounds = 200
    settings = MappingProxyType(
        {
            "no_order": {"objective": "binary", **SMALL},
            "value": {"objective": "tweedie", "tweedie_variance_power": 1.3, **SMALL},
        }
    )

    def _features(self, frame: pd.DataFrame) -> list[str]:
        return [str(name) for name in frame if name != CALENDAR]

    def _teaching(self, days: Vector, known: NDArray[np.bool_]) -> NDArray[np.bool_]:  # noqa: ARG002
        return known

    def _learn(self, frame: pd.DataFrame, labels: pd.DataFrame, days: int) -> None:
        worth = labels.assign(**{f"value_{days}": labels[f"value_{days}"].clip(lower=0)})
        super()._learn(frame, worth, days)


def lifetimes_forecast(present: pd.DataFrame, *, horizon_days: int) -> dict[str, Vector] | None:
    """Fit BG/NBD and Gamma-Gamma with `lifetimes`, in weeks and a small penalty, as its guide does.

    It has no chance of no order for a customer: exp(-expected orders) stands for it. Where its formula
    overflows, the customer's rate so far does.

    Returns
    -------
    ``churn_risk`` and ``expected_value`` of each customer; null without the package.
    """
    if find_spec("lifetimes") is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lifetimes import BetaGeoFitter, GammaGammaFitter  # noqa: PLC0415 - it is an extra

        frequency = present["orders_all"] - 1
        recency = present["span_days"] / WEEK
        age = np.maximum(present["tenure_days"] - 1, present["span_days"]) / WEEK
        process = BetaGeoFitter(penalizer_coef=0.001).fit(frequency, recency, age)
        orders = process.conditional_expected_number_of_purchases_up_to_time(
            horizon_days / WEEK, frequency, recency, age
        )
        mean = present["spend_mean_order"]
        again = (frequency > 0) & (mean > 0)
        spend = GammaGammaFitter(penalizer_coef=0.001).fit(frequency[again], mean[again])
        each = spend.conditional_expected_average_profit(frequency, mean)
    rate = frequency / np.maximum(age, 1.0) * horizon_days / WEEK
    orders = np.where(np.isfinite(orders), orders, rate)
    each = np.where(np.isfinite(each) & (each >= 0), each, mean)
    return {"churn_risk": np.exp(-orders), "expected_value": orders * each}
