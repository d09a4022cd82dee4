"""Models side by side on held-out origins: every measure with its interval, and paired gains."""

import json
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from models.likelihood import Vector
from training import metrics
from training.panel import Panel

RESAMPLES = 200
"""Of an evaluation: its limits stand to a fifth of a standard error."""

PAIRED_RESAMPLES = 1_000
"""Of a paired gain, on which a decision hangs."""


class Measure(NamedTuple):
    """What a measure is called, its possible range and its best value."""

    title: str
    lowest: float
    highest: float
    best: float


MEASURES = {
    "auc": Measure("AUC", 0, 1, 1),
    "log_loss": Measure("log loss", 0, np.inf, 0),
    "calibration_error": Measure("calibration error", 0, 1, 0),
    "gini": Measure("Gini, normalised", -1, 1, 1),
    "spearman": Measure("Spearman", -1, 1, 1),
    "top_decile_share": Measure("value in top decile", 0, 1, 1),
    "tweedie_deviance": Measure("Tweedie deviance", 0, np.inf, 0),
    "mean_absolute_error": Measure("mean absolute error", 0, np.inf, 0),
    "total_bias": Measure("bias of the total", -np.inf, np.inf, 0),
}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How good each model was on the held-out origins.

    Attributes
    ----------
    table
        One row per model and metric: ``estimate``, ``low`` and ``high`` (95% interval), and the
        ``lowest_origin`` and ``highest_origin`` of the estimates at single origins. ``auc``, ``log_loss`` and
        ``calibration_error`` judge churn_risk; the others judge expected_value: ``mean_absolute_error`` in
        units of the currency, ``tweedie_deviance`` in their square root, ``total_bias`` as predicted over
        true total less 1. Null (NaN) is what cannot be measured.
    customers, origins, resamples
        How many of each it rests on.
    held_out
        What the origins are.
    """

    table: pd.DataFrame
    customers: int
    origins: int
    resamples: int
    held_out: str = "held-out origins"

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table.copy()

    def to_json(self) -> str:
        """Return the table and what it rests on as JSON; what cannot be measured is null."""
        table = self.table.astype(object).where(self.table.notna(), None)
        document: dict[str, Any] = {
            "customers": self.customers,
            "origins": self.origins,
            "held_out": self.held_out,
            "resamples": self.resamples,
            "measures": table.to_dict("records"),
        }
        return json.dumps(document, indent=2, allow_nan=False)


def evaluate(frame: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> Evaluation:
    """Measure every model on the same held-out rows, with bootstrap intervals by customer.

    Customers are drawn, each with all its origins, because their rows are not independent (Efron and
    Tibshirani 1993, ch. 8). The same rows in any order and the same seed give the same intervals.

    Parameters
    ----------
    frame
        One row per origin, customer and model: ``origin``, ``customer_id``, ``model``, the forecast
        (``churn_risk``, ``expected_value`` in units of the currency) and the truth (``orders``, ``value``).

    Raises
    ------
    ValueError
        If the models do not stand on the same origins and customers.
    """
    panel = Panel.of(frame)
    origins = int(panel.origins.max()) + 1
    whole = panel.measure(np.ones(len(panel.value)))
    single = [panel.measure((panel.origins == origin).astype(float)) for origin in range(origins)]
    quick = panel.thinned()
    drawn = [quick.measure(weights) for weights in panel.resamples(resamples, seed=seed)]
    rows = []
    for model, measured in whole.items():
        for metric, estimate in measured.items():
            low, high = panel.interval(_column(drawn, model, metric), estimate)
            at_origins = _column(single, model, metric)
            known = at_origins[np.isfinite(at_origins)]
            rows.append(
                {
                    "model": model,
                    "metric": metric,
                    "estimate": estimate,
                    "low": max(low, MEASURES[metric].lowest),
                    "high": min(high, MEASURES[metric].highest),
                    "lowest_origin": known.min(initial=np.inf) if len(known) else None,
                    "highest_origin": known.max(initial=-np.inf) if len(known) else None,
                }
            )
    numbers = ["estimate", "low", "high", "lowest_origin", "highest_origin"]
    table = pd.DataFrame(rows).astype(dict.fromkeys(numbers, "float64"))
    return Evaluation(table, panel.customer_count, origins, resamples)


@dataclass(frozen=True)
class Gain:
    """By how much a model is better than its rival: positive is better.

    Attributes
    ----------
    estimate, low, high
        The gain and its paired 95% interval; None where it cannot be measured.
    """

    metric: str
    model: str
    rival: str
    estimate: float | None
    low: float | None
    high: float | None

    @property
    def better(self) -> bool:
        """Whether the whole interval is above zero."""
        return self.low is not None and self.low > 0

    @property
    def worse(self) -> bool:
        """Whether the whole interval is below zero."""
        return self.high is not None and self.high < 0


def paired_gain(
    frame: pd.DataFrame,
    model: str,
    rival: str,
    loss: Literal["log_loss", "tweedie_deviance", "gini"],
    *,
    resamples: int = PAIRED_RESAMPLES,
    seed: int = 0,
) -> Gain:
    """Compare two models on the same rows and the same resamples of customers.

    The gain in ``log_loss`` and ``tweedie_deviance`` is the rival's mean loss less the model's; in ``gini``
    it is the model's normalised Gini less the rival's. The frame is that of `evaluate`.
    """
    panel = Panel.of(frame[frame["model"].isin([model, rival])])

    def gain(panel: Panel, weights: Vector) -> float | None:
        ours, theirs = (_measure_one(panel, name, loss, weights) for name in (model, rival))
        if ours is None or theirs is None:
            return None
        return ours - theirs if loss == "gini" else theirs - ours

    estimate, quick = gain(panel, np.ones(len(panel.value))), panel.thinned()
    drawn = [gain(quick, weights) for weights in panel.resamples(resamples, seed=seed)]
    low, high = panel.interval(np.array(drawn, dtype=float), estimate)
    if np.isnan(low):
        return Gain(loss, model, rival, estimate, None, None)
    return Gain(loss, model, rival, estimate, low, high)


def _measure_one(panel: Panel, model: str, loss: str, weights: Vector) -> float | None:
    sheet = panel.sheets[model]
    if loss == "log_loss":
        return metrics.mean(sheet.log_losses, weights)
    if loss == "tweedie_deviance":
        return metrics.mean(sheet.deviances, weights)
    return metrics.gini_of(
        metrics.gain_curve(panel.value, sheet.value_ranks, weights),
        metrics.gain_curve(panel.value, panel.value_ranks, weights),
    )


def _column(measured: list[dict[str, dict[str, float | None]]], model: str, metric: str) -> Vector:
    return np.array([one[model][metric] for one in measured], dtype=float)
