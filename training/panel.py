"""The rows that models are compared on, prepared so that they can be measured under many weightings."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.likelihood import Vector
from training import metrics
from training.metrics import Ranks

COVERAGE = (0.025, 0.975)

PLACES = 1_000
"""Of ranks in resamples: their spread shows no more, and takes a third of the time."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """One model's forecasts for the rows of a panel, with what no weighting changes; each of shape (n,)."""

    risk: Vector
    value: Vector
    risk_ranks: Ranks
    risk_bins: Ranks
    value_ranks: Ranks
    log_losses: Vector
    deviances: Vector | None
    absolute_errors: Vector

    @classmethod
    def of(cls, forecast: pd.DataFrame, churned: Vector, value: Vector) -> Self:
        """Prepare a forecast against the truth."""
        risk = forecast["churn_risk"].to_numpy(dtype=float)
        predicted = forecast["expected_value"].to_numpy(dtype=float)
        ranks = Ranks.of(risk)
        return cls(
            risk=risk,
            value=predicted,
            risk_ranks=ranks,
            risk_bins=metrics.equal_bins(ranks),
            value_ranks=Ranks.of(predicted),
            log_losses=metrics.log_losses(churned, risk),
            deviances=metrics.tweedie_deviances(value, predicted),
            absolute_errors=np.abs(value - predicted),
        )

    def thinned(self) -> Self:
        """Return the sheet with ranks of few places."""
        return replace(
            self, risk_ranks=self.risk_ranks.thinned(PLACES), value_ranks=self.value_ranks.thinned(PLACES)
        )


@dataclass(frozen=True, eq=False)
class Panel:
    """The truth of every customer at every held-out origin, and each model's forecast of it.

    Attributes
    ----------
    origins, customers
        The origin and the customer of each row, as codes from 0; shape (n,).
    customer_count
        How many customers there are.
    churned, value
        The truth: 1 without an order in the horizon, and net value (negative after surplus refunds).
    value_ranks
        Those of the value: the perfect order.
    sheets
        One per model, in the order of their first rows.
    """

    origins: NDArray[np.intp]
    customers: NDArray[np.intp]
    customer_count: int
    churned: Vector
    value: Vector
    value_ranks: Ranks
    sheets: dict[str, Sheet]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Self:
        """Set the models' rows side by side.

        Parameters
        ----------
        frame
            One row per origin, customer and model: ``origin``, ``customer_id``, ``model``, the forecast
            (``churn_risk``, ``expected_value``) and the truth (``orders``, ``value``). Any order of rows.

        Raises
        ------
        ValueError
            If the models do not stand on the same origins and customers.
        """
        keys = np.column_stack(
            [pd.factorize(frame[name], sort=True)[0] for name in ("origin", "customer_id")]
        )
        places = {}
        for model in frame["model"].unique():
            rows = np.flatnonzero(frame["model"] == model)
            places[str(model)] = rows[np.lexsort(keys[rows].T[::-1])]
        first = next(iter(places.values()))
        for model, rows in places.items():
            if not np.array_equal(keys[rows], keys[first]):
                raise ValueError(
                    f"{model!r} was not evaluated on the same customers and origins as the others"
                )
        truth = frame.iloc[first]
        churned = np.asarray(truth["orders"] == 0, dtype=float)
        value = truth["value"].to_numpy(dtype=float)
        return cls(
            origins=keys[first, 0],
            customers=keys[first, 1],
            customer_count=int(keys[:, 1].max()) + 1,
            churned=churned,
            value=value,
            value_ranks=Ranks.of(value),
            sheets={model: Sheet.of(frame.iloc[rows], churned, value) for model, rows in places.items()},
        )

    def thinned(self) -> Self:
        """Return the panel with ranks of few places, quick to measure under many resamples."""
        sheets = {model: sheet.thinned() for model, sheet in self.sheets.items()}
        return replace(self, value_ranks=self.value_ranks.thinned(PLACES), sheets=sheets)

    def measure(self, weights: Vector) -> dict[str, dict[str, float | None]]:
        """Measure every model under one weighting of the rows: model -> metric -> its value."""
        perfect = metrics.gain_curve(self.value, self.value_ranks, weights)
        true_ranks = metrics.rank_rows(self.value_ranks, weights)
        measured = {}
        for model, sheet in self.sheets.items():
            curve = metrics.gain_curve(self.value, sheet.value_ranks, weights)
            measured[model] = {
                "auc": metrics.auc(self.churned, sheet.risk_ranks, weights),
                "log_loss": metrics.mean(sheet.log_losses, weights),
                "calibration_error": metrics.calibration_error(
                    self.churned, sheet.risk, weights, sheet.risk_bins
                ),
                "gini": metrics.gini_of(curve, perfect),
                "spearman": metrics.rank_correlation(sheet.value_ranks, *true_ranks, weights),
                "top_decile_share": None if curve is None else curve.at(0.1),
                "tweedie_deviance": metrics.mean(sheet.deviances, weights),
                "mean_absolute_error": metrics.mean(sheet.absolute_errors, weights),
                "total_bias": metrics.total_bias(self.value, sheet.value, weights),
            }
        return measured

    def resamples(self, count: int, *, seed: int) -> Iterator[Vector]:
        """Draw customers with replacement, each with all its origins: the weights of the rows, shape (n,)."""
        draw = np.random.default_rng(seed)
        for _ in range(count):
            drawn = draw.integers(self.customer_count, size=self.customer_count)
            yield np.bincount(drawn, minlength=self.customer_count).astype(float)[self.customers]

    def interval(self, replicates: Vector, estimate: float | None) -> tuple[float, float]:
        """Return the 95% percentile interval of a bootstrap (Efron and Tibshirani 1993, ch. 13).

        The replicates are first shifted so that their mean is the estimate: a resample is less calibrated
        than what it is drawn from. NaN for no estimate, and for fewer than two customers.
        """
        known = replicates[np.isfinite(replicates)]
        if estimate is None or self.customer_count < 2 or not len(known):  # noqa: PLR2004 - one never varies
            return np.nan, np.nan
        low, high = np.quantile(known, COVERAGE) - known.mean() + estimate
        return float(low), float(high)
