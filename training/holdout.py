"""Held-out origins: every recipe is taught on what was known there, and judged by what then happened."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import pandas as pd
from sklearn.base import clone

from models.bundle import Bundle
from models.estimator import ForecastEstimator
from training.history import MOST_CELLS, History

ORIGINS = 2
"""Held-out windows, one horizon each, back to back before `as_of`."""
JUDGED_CELLS = MOST_CELLS // 3
"""Which recipe is better shows in fewer customers: those of a large shop are drawn more sparsely."""

Progress = Callable[[str], None]
Watch = Callable[[datetime, str, ForecastEstimator], None]
Beside = Callable[[str, ForecastEstimator], Mapping[str, ForecastEstimator]]


def held_out_origins(history: History, as_of: datetime) -> list[datetime]:
    """Return the origins to judge at, latest first; empty when the history is too short for any.

    Each has its labels known at `as_of` and at least one labelled snapshot before it.
    """
    horizon = timedelta(days=history.plan.horizon_days)
    candidates = (as_of - horizon * number for number in range(1, ORIGINS + 1))
    return [origin for origin in candidates if history.cutoffs(origin)]


def forecasts(  # noqa: PLR0913 - what is taught, where, and who looks on
    history: History,
    recipes: Mapping[str, ForecastEstimator],
    *,
    origins: list[datetime],
    known_by: datetime,
    progress: Progress,
    cells: int = MOST_CELLS,
    beside: Beside = lambda _name, _fitted: {},
    watch: Watch = lambda _origin, _name, _fitted: None,
) -> pd.DataFrame:
    """Teach and forecast at every origin.

    Parameters
    ----------
    known_by
        The truth is what was known at this instant.
    cells
        Rows times features of all snapshots that a recipe is taught on.
    beside
        Returns by name what a fitted forecaster is to be judged beside, fitted as well.
    watch
        Is shown every forecaster that was fitted at an origin, while it is at hand.

    Returns
    -------
    One row per origin, customer and model: ``origin``, ``customer_id``, ``model``, the forecast, the
    ``recency_days`` at the origin, and the truth ``orders`` and ``value``.
    """
    parts = []
    for origin in origins:
        frame, labels = history.lesson(origin, share=history.share(origin, cells=cells))
        share = history.judging_share(origin)
        truth = history.labels(origin, known_by=known_by, share=share)
        for name, recipe in recipes.items():
            progress(f"{name}, held out from {origin:%Y-%m-%d}")
            fitted = clone(recipe).fit(frame, labels)
            watch(origin, name, fitted)
            present = history.snapshot(origin, share=share)
            for model, estimator in ({name: fitted} | dict(beside(name, fitted))).items():
                parts.append(_judged(estimator, present, truth, origin, model))
    return pd.concat(parts, ignore_index=True)


def champion_forecasts(
    history: History, champion: Bundle, *, origins: list[datetime], known_by: datetime, name: str
) -> pd.DataFrame:
    """Forecast by the champion: as it is where it knew nothing of the held-out window, else taught anew.

    Parameters
    ----------
    history
        With the features of the champion's own plan.
    """
    trained_at = datetime.fromisoformat(champion.training["as_of"])
    parts = []
    for origin in origins:
        estimator = champion.estimator()
        if trained_at > origin:
            taught = history.lesson(origin, share=history.share(origin, cells=JUDGED_CELLS))
            estimator = clone(estimator).fit(*taught)
        share = history.judging_share(origin)
        truth = history.labels(origin, known_by=known_by, share=share)
        parts.append(_judged(estimator, history.snapshot(origin, share=share), truth, origin, name))
    return pd.concat(parts, ignore_index=True)


def _judged(
    estimator: ForecastEstimator, frame: pd.DataFrame, truth: pd.DataFrame, origin: datetime, name: str
) -> pd.DataFrame:
    came = truth[[f"orders_{estimator.horizon_days}", f"value_{estimator.horizon_days}"]]
    forecast = estimator.predict(frame).join(came.set_axis(["orders", "value"], axis=1))
    forecast["recency_days"] = frame["recency_days"]
    return forecast.assign(origin=origin, model=name).reset_index(names="customer_id")
