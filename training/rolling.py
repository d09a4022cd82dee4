"""Rolling origins: the model beside what one would use instead, as it would have been."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from features.errors import InputError
from models.estimator import ForecastEstimator
from models.level import YEAR_DAYS
from models.tree_forecaster import TreeForecaster
from training.calibration import calibration_table, uncalibrated
from training.evaluation import Evaluation, Gain, evaluate
from training.gains import mean_gains
from training.grade import Grade, graded
from training.history import STEP_DAYS, History
from training.holdout import Progress, forecasts
from training.recipes import TREES, contestants
from training.tails import interval_table, pinball_table
from training.train import SEED, Lesson

ORIGINS = 6
LOST_HORIZONS = 3
"""Who was silent for longer is lost, and nobody needs a model to say so."""
PLAIN = f"{TREES}, uncalibrated"
SEASONAL = "seasonal naive"


@dataclass(frozen=True, eq=False)
class Backtest:
    """How a model would have done.

    Attributes
    ----------
    as_of, horizon_days, currency
        Nothing later than `as_of` was known to the truth.
    model
        The name of the model; all others in the tables are baselines.
    origins
        Latest first.
    held_out
        The forecasts as of `training.holdout.forecasts`.
    everybody, remaining
        The measures of all customers, and of those who were not silent for more than three horizons; null
        where nobody is left.
    gains
        The mean gain over every baseline, in log loss and Gini.
    calibration
        As of `training.calibration.calibration_table`, the model without its calibration included.
    intervals, pinball
        As of `training.tails`.
    totals
        One row per model and origin: the ``forecast`` total value, the one that ``came``, and the ``bias``.
    grade
        Of the model.
    """

    as_of: datetime
    horizon_days: int
    currency: str
    model: str
    origins: tuple[datetime, ...]
    held_out: pd.DataFrame
    everybody: Evaluation
    remaining: Evaluation | None
    gains: tuple[Gain, ...]
    calibration: pd.DataFrame
    intervals: pd.DataFrame
    pinball: pd.DataFrame
    totals: pd.DataFrame
    grade: Grade

    def median_bias(self) -> "pd.Series[float]":
        """Return the median absolute bias of the total over origins by model, the smallest first."""
        biases = self.totals.assign(bias=self.totals["bias"].abs()).groupby("model", sort=False)["bias"]
        return biases.median().sort_values()

    def to_json(self) -> str:
        """Return everything but the forecasts as JSON; what cannot be measured is null."""
        document: dict[str, Any] = {
            "as_of": self.as_of.isoformat(),
            "horizon_days": self.horizon_days,
            "currency": self.currency,
            "model": self.model,
            "origins": [origin.isoformat() for origin in self.origins],
            **self.grade.facts(),
            "gains": [vars(gain) for gain in self.gains],
            "everybody": json.loads(self.everybody.to_json()),
            "remaining": None if self.remaining is None else json.loads(self.remaining.to_json()),
            "median_absolute_bias": self.median_bias().to_dict(),
        }
        for name in ("calibration", "intervals", "pinball", "totals"):
            document[name] = getattr(self, name).to_dict("records")
        return json.dumps(_plain(document), indent=2, allow_nan=False)


def judge(lesson: Lesson, *, currency: str, progress: Progress = lambda _: None) -> Backtest:
    """Judge the model and every baseline at rolling origins.

    Raises
    ------
    InputError
        The history is too short for any origin.
    """
    history, as_of = lesson.history, lesson.as_of
    origins = rolling_origins(history, as_of)
    if not origins:
        raise InputError(
            f"the history before {as_of:%Y-%m-%d} is too short for a backtest of "
            f"{history.plan.horizon_days} days; set a shorter forecast.horizon_days, or wait"
        )
    tried = contestants(lesson.settings, seed=SEED)
    judged = forecasts(history, tried, origins=origins, known_by=as_of, progress=progress, beside=_beside)
    progress("measuring")
    named = judged[judged["model"] != PLAIN]
    left = named[named["recency_days"] <= LOST_HORIZONS * history.plan.horizon_days]
    gains = tuple(mean_gains(named, TREES, list(tried)))
    return Backtest(
        as_of=as_of,
        horizon_days=history.plan.horizon_days,
        currency=currency,
        model=TREES,
        origins=tuple(origins),
        held_out=judged,
        everybody=evaluate(named),
        remaining=None if left.empty else evaluate(left),
        gains=gains,
        calibration=calibration_table(judged, seed=SEED),
        intervals=interval_table(named),
        pinball=pinball_table(named, horizon=pd.Timedelta(days=history.plan.horizon_days)),
        totals=pd.concat([_totals(named), _seasonal_totals(history, named, origins)], ignore_index=True),
        grade=graded(gains),
    )


def rolling_origins(history: History, as_of: datetime) -> list[datetime]:
    """Return up to six origins, latest first, each with its horizon over at `as_of` and something to learn.

    They lie a horizon apart; where fewer than six fit like that closer, but no closer than thirty days,
    and whole times thirty days, so that they share snapshots.
    """
    horizon = history.plan.horizon_days
    for step in (horizon, *range(horizon // STEP_DAYS * STEP_DAYS, 0, -STEP_DAYS)):
        days = [horizon + step * number for number in range(ORIGINS)]
        origins = [as_of - timedelta(days=back) for back in days]
        fitting = [origin for origin in origins if history.cutoffs(origin)]
        if len(fitting) == ORIGINS or step <= STEP_DAYS:
            return fitting
    return fitting


def seasonal_total(history: History, origin: datetime) -> float:
    """Forecast the total of the horizon by that of the same window last year, of the customers known then.

    A year is 52 weeks, or the horizon where that is longer. Where there was hardly any history before last
    year's window, the horizon just over stands for it; NaN where nobody was known before that either.
    """
    horizon = history.plan.horizon_days
    last_year = origin - timedelta(days=max(YEAR_DAYS, horizon))
    before = last_year if history.cutoffs(last_year) else origin - timedelta(days=horizon)
    labels = history.labels(before, known_by=origin, share=history.judging_share(origin))
    return float(labels[f"value_{horizon}"].sum(min_count=1))


def _beside(name: str, fitted: ForecastEstimator) -> Mapping[str, ForecastEstimator]:
    return {PLAIN: uncalibrated(fitted)} if isinstance(fitted, TreeForecaster) and name == TREES else {}


def _totals(named: pd.DataFrame) -> pd.DataFrame:
    grouped = named.groupby(["model", "origin"], sort=False)
    totals = grouped.agg(forecast=("expected_value", "sum"), came=("value", "sum")).reset_index()
    return _with_bias(totals)


def _seasonal_totals(history: History, named: pd.DataFrame, origins: list[datetime]) -> pd.DataFrame:
    came = named[named["model"] == TREES].groupby("origin", sort=False)["value"].sum()
    rows = [
        {
            "model": SEASONAL,
            "origin": origin,
            "forecast": seasonal_total(history, origin),
            "came": came[origin],
        }
        for origin in origins
    ]
    return _with_bias(pd.DataFrame(rows))


def _with_bias(totals: pd.DataFrame) -> pd.DataFrame:
    worth = totals["came"] > 0
    return totals.assign(bias=(totals["forecast"] / totals["came"].where(worth)) - 1.0)


def _plain(content: Any) -> Any:  # noqa: ANN401 - of JSON
    """Return JSON's kinds only: times as text, NaN as null."""
    if isinstance(content, Mapping):
        return {str(key): _plain(part) for key, part in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(part) for part in content]
    if content is pd.NaT:
        return None
    if isinstance(content, datetime):
        return content.isoformat()
    return None if isinstance(content, float) and not math.isfinite(content) else content
