"""Whether chances mean what they say: beside what chance alone does to right ones, and recalibrated."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit

from models.blend import Blend
from models.likelihood import Vector, log_odds
from models.shop_level import ShopLevel
from models.tree_forecaster import TreeForecaster
from training import metrics

DRAWS = 400
SHARE = 0.95
STEPS = 50
SETTLED = 1e-9
UNIT_WEIGHTS = np.array([0.0, 1.0, 1.0])
"""Shift, weight of the process, weight of behaviour."""


class Recalibration(NamedTuple):
    """By how much log-odds must move for them to be right; both are None where they cannot be told.

    Attributes
    ----------
    level
        The shift of all of them, 0 where the mean chance is right: above 0, too few were expected to go.
    slope
        The factor with the best shift, 1 where chances are as far apart as they should be: below 1, they
        are too far apart.
    """

    level: float | None
    slope: float | None


def recalibration(churned: Vector, risk: Vector) -> Recalibration:
    """Recalibrate by logistic regression on the log-odds (Cox 1958); each argument of shape (n,)."""
    if not 0 < churned.sum() < churned.size:
        return Recalibration(None, None)
    odds = log_odds(risk)
    ones = np.ones((odds.size, 1))
    level = float(_logistic(ones, churned, odds)[0])
    if np.ptp(odds) < SETTLED:
        return Recalibration(level, None)
    return Recalibration(level, float(_logistic(np.column_stack([ones, odds]), churned, 0.0 * odds)[1]))


def error_by_chance(risk: Vector, *, draws: int = DRAWS, seed: int = 0) -> float:
    """Return the 95th percentile of the calibration error that the chances would have if they were right.

    Outcomes are drawn from the chances themselves, and the error of ten bins of equal counts taken of each
    draw: an error above that is none of chance.
    """
    draw, bins = np.random.default_rng(seed), metrics.equal_bins(risk)
    errors = [
        metrics.calibration_error((draw.random(risk.size) < risk).astype(float), risk, bins=bins)
        for _ in range(draws)
    ]
    return float(np.quantile(np.array(errors, dtype=float), SHARE))


def calibration_table(frame: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Judge the churn risk of every model at every origin, and over all.

    Parameters
    ----------
    frame
        That of `training.evaluation.evaluate`.

    Returns
    -------
    One row per model and origin, and one per model over all (``origin`` null): ``came`` and ``expected``
    shares without an order, the calibration ``error``, what it would be ``by_chance`` at most (95%), and
    ``level`` and ``slope`` of `recalibration`.
    """
    groups: list[tuple[Any, Any, pd.DataFrame]] = [
        (model, pd.NaT, rows) for model, rows in frame.groupby("model", sort=False)
    ]
    groups += [
        (model, origin, rows)
        for model, mine in frame.groupby("model", sort=False)
        for origin, rows in mine.groupby("origin")
    ]
    rows = []
    for model, origin, part in groups:
        churned = np.asarray(part["orders"] == 0, dtype=float)
        risk = part["churn_risk"].to_numpy(dtype=float)
        told = recalibration(churned, risk)
        rows.append(
            {
                "model": model,
                "origin": origin,
                "came": churned.mean(),
                "expected": risk.mean(),
                "error": metrics.calibration_error(churned, risk),
                "by_chance": error_by_chance(risk, seed=seed),
                "level": told.level,
                "slope": told.slope,
            }
        )
    numbers = ["came", "expected", "error", "by_chance", "level", "slope"]
    return pd.DataFrame(rows).astype(dict.fromkeys(numbers, "float64"))


def uncalibrated(fitted: TreeForecaster) -> TreeForecaster:
    """Return a forecaster as it would be without its calibration: process and trees just added up."""
    state = fitted.state() | {
        "weights": {target: UNIT_WEIGHTS.tolist() for target in Blend().weights_},
        "level": ShopLevel().state(),
    }
    return TreeForecaster(**fitted.get_params()).restore(state)


def _logistic(design: Vector, came: Vector, offset: Vector) -> Vector:
    """Maximise the likelihood by Newton's method, no step longer than one, with a breath of a ridge."""
    weights, ridge = np.zeros(design.shape[1]), SETTLED * np.eye(design.shape[1])
    for _ in range(STEPS):
        chance = expit(offset + np.einsum("nk,k->n", design, weights))
        curvature = np.einsum("nk,n,nl->kl", design, chance * (1.0 - chance), design) + ridge
        step = np.linalg.solve(curvature, np.einsum("nk,n->k", design, came - chance))
        weights = weights + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < SETTLED:
            break
    return np.asarray(weights)
