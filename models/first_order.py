"""The chance that a prospect, known by visits, questions or joining, makes a first order."""

from collections.abc import Mapping
from typing import Any, Self

import lightgbm as lgb
import numpy as np
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from models.blend import Outcome, weigh_odds
from models.boosting import margin, tree_settings
from models.estimator import CALENDAR, Columns
from models.likelihood import Vector

ENOUGH = 50
"""First orders from which on they teach."""
ROUNDS, LEAVES, LEARNING_RATE, FEATURE_SHARE = 60, 6, 0.06, 0.5
GUESS = 0.5
"""The area under the curve of who knows nothing."""
DATED = ("_days_since", "joined_days")
"""How features end that tell since when somebody is known."""


class FirstOrder:
    """Boosted trees on what is known of prospects, calibrated on a snapshot that trees had not seen.

    Who is known by nothing with a date is left out: a table of customers tells of many only because they
    bought later.

    Attributes
    ----------
    names_, booster_
        The trees and their inputs.
    calibration_
        Shift and slope of their log-odds.
    auc_
        How often a prospect of the last snapshot who bought had the higher chance than one who did not, by
        trees that had not seen it; null where they could not be taught.
    """

    names_: list[str]
    booster_: lgb.Booster
    calibration_: tuple[float, float]
    auc_: float | None

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, columns: Columns, came: Vector, *, horizon_days: int) -> Self | None:
        """Learn from prospects at past snapshots; null where too few first orders tell who makes them.

        Parameters
        ----------
        columns
            The features of prospects, of shape (n,), of all snapshots.
        came
            1 with an order in the horizon, 0 without, of shape (n,).
        """
        self.names_ = [name for name, values in columns.items() if name != CALENDAR and _varies(values)]
        known = dated(columns)
        if not self._is_enough(came[known]):
            return None
        day = columns[CALENDAR]
        latest = day[known].max()
        matrix = np.column_stack([columns[name] for name in self.names_])
        self.calibration_, self.auc_ = (0.0, 1.0), None
        taught, later = known & (day + horizon_days <= latest), known & (day == latest)
        if self._is_enough(came[taught]) and np.ptp(came[later]) > 0:
            said = margin(self._taught(matrix[taught], came[taught]), matrix[later])
            self.auc_ = float(roc_auc_score(came[later], said))
            if self.auc_ <= GUESS:
                return None
            nothing, trust = np.zeros(said.size), np.ones(said.size)
            shift, slope, _ = weigh_odds([Outcome(said, nothing, nothing, came[later], trust)])
            self.calibration_ = (float(shift), float(slope))
        self.booster_ = self._taught(matrix[known], came[known])
        return self

    def chance(self, columns: Columns) -> Vector:
        """Return P(an order in the horizon), of shape (n,); NaN for who is known by nothing with a date."""
        shift, slope = self.calibration_
        matrix = np.column_stack([columns[name] for name in self.names_])
        chance = expit(shift + slope * margin(self.booster_, matrix))
        return np.where(dated(columns), chance, np.nan)

    def state(self) -> dict[str, Any]:
        """Return what was learnt as plain data, the trees as LightGBM's text."""
        return {
            "names": self.names_,
            "calibration": list(self.calibration_),
            "auc": self.auc_,
            "booster": self.booster_.model_to_string(),
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> "FirstOrder":
        """Take up what was learnt."""
        first = cls()
        first.names_, first.calibration_ = list(state["names"]), tuple(state["calibration"])
        first.auc_ = state["auc"]
        first.booster_ = lgb.Booster(model_str=state["booster"])
        return first

    def _taught(self, matrix: Vector, came: Vector) -> lgb.Booster:
        settings = tree_settings(
            came.size, leaves=LEAVES, learning_rate=LEARNING_RATE, feature_share=FEATURE_SHARE, seed=self.seed
        )
        return lgb.train(settings | {"objective": "binary"}, lgb.Dataset(matrix, came), ROUNDS)

    def _is_enough(self, came: Vector) -> bool:
        return bool(ENOUGH <= came.sum() < came.size and self.names_)


def dated(columns: Columns) -> Vector:
    """Tell of whom it is known since when, of shape (n,)."""
    told = [~np.isnan(values) for name, values in columns.items() if name.endswith(DATED)]
    return np.any(told, axis=0) if told else np.zeros(len(next(iter(columns.values()))), dtype=bool)


def _varies(values: Vector) -> bool:
    known = values[~np.isnan(values)]
    return known.size > 0 and (known.size < values.size or bool((known != known[0]).any()))
