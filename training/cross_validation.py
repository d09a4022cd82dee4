"""Repeated stratified cross-validation: forecasts of customers that a model has not seen."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import lightgbm as lgb
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold

from models.estimator import ForecastEstimator, columns_of
from models.likelihood import Vector
from models.margins import TREES, LogisticMargin

FOLDS = 5
REPEATS = 5
ENOUGH_ROWS = 40_000
"""Forecasts out of fold, all repeats together, beyond which another repeat tells nothing new."""
AT_ONCE = 2
CHANCE = {"churn": ("churn_risk", 1.0), "conversion": ("potential_score", 100.0)}
"""By meaning the output that tells the chance of the outcome, and how many times."""
BASE_RATE, REGRESSION, PLAIN_TREES = "base rate", "logistic regression", "LightGBM, defaults"

Split = tuple[int, NDArray[np.intp], NDArray[np.intp]]
"""A repeat, the rows to learn from, and the rows to forecast."""


def splits(came: Vector, *, seed: int) -> list[Split]:
    """Split the rows into folds, again and again, each outcome alike; none where one is too rare."""
    folds = min(FOLDS, int(came.sum()), int(len(came) - came.sum()))
    if folds < 2:  # noqa: PLR2004 - nothing to test on
        return []
    repeats = int(np.clip(ENOUGH_ROWS // len(came), 1, REPEATS))
    return [
        (repeat, taught, tested)
        for repeat in range(repeats)
        for taught, tested in StratifiedKFold(folds, shuffle=True, random_state=seed + repeat).split(
            came[:, None], came
        )
    ]


def out_of_fold(
    name: str, recipe: ForecastEstimator, frame: pd.DataFrame, came: pd.Series, made: list[Split]
) -> pd.DataFrame:
    """Teach a recipe without each fold, and forecast it.

    Returns
    -------
    As of `training.evaluation.evaluate`, where an origin is a repeat: ``churn_risk`` is the chance of the
    outcome, ``orders`` are 0 for those with it, and there is no value.
    """
    output, times = CHANCE[recipe.get_params()["meaning"]]

    def forecast(split: Split) -> Vector:
        _, taught, tested = split
        labels = pd.DataFrame({"came": came.to_numpy()[taught]})
        fitted = clone(recipe).fit(frame.iloc[taught], labels)
        return np.asarray(fitted.predict(frame.iloc[tested])[output], dtype=float) / times

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return _judged(name, came, made, pool.map(forecast, made))


def baselines(
    recipe: ForecastEstimator, frame: pd.DataFrame, came: pd.Series, made: list[Split]
) -> pd.DataFrame:
    """Forecast the same rows by what anyone would use instead; the frame is that of `out_of_fold`."""
    columns, outcome = columns_of(frame), came.to_numpy()
    categorical = [name for name in columns if name in recipe.get_params()["categorical"]]

    def forecast(split: Split) -> dict[str, Vector]:
        _, taught, tested = split
        learn, test = ({name: column[rows] for name, column in columns.items()} for rows in (taught, tested))
        regression = LogisticMargin().fit(learn, outcome[taught], categorical=categorical)
        return {
            BASE_RATE: np.full(len(tested), outcome[taught].mean()),
            REGRESSION: 1.0 / (1.0 + np.exp(-regression.log_odds(test))),
            PLAIN_TREES: _plain_trees(learn, outcome[taught], test, categorical),
        }

    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = list(pool.map(forecast, made))
    return pd.concat(
        [
            _judged(name, came, made, (each[name] for each in told))
            for name in (REGRESSION, PLAIN_TREES, BASE_RATE)
        ],
        ignore_index=True,
    )


def _plain_trees(
    learn: Mapping[str, Vector], came: Vector, test: Mapping[str, Vector], categorical: list[str]
) -> Vector:
    data = lgb.Dataset(
        np.stack(list(learn.values()), axis=1),
        came,
        feature_name=list(learn),
        categorical_feature=categorical,
    )
    settings = {name: TREES[name] for name in ("objective", "deterministic", "num_threads", "verbose")}
    booster = lgb.train(settings, data, 100)
    return np.asarray(booster.predict(np.stack(list(test.values()), axis=1)))


def _judged(name: str, came: pd.Series, made: list[Split], told: Iterator[Vector]) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                "origin": repeat,
                "customer_id": came.index[tested],
                "model": name,
                "churn_risk": chance,
                "expected_value": 0.0,
                "orders": 1.0 - came.to_numpy()[tested],
                "value": 0.0,
            }
        )
        for (repeat, _, tested), chance in zip(made, told, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)
