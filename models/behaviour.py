"""What behaviour adds to the purchase process: boosted trees that start from what the process says."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import lightgbm as lgb
import numpy as np

from models.boosting import margin, matrix_of, tree_settings
from models.contributions import ContributionTables
from models.estimator import Columns
from models.likelihood import Vector, log_odds
from models.purchase_forecaster import Described
from models.snapshots import SETTLED_DAYS, Snapshot, inputs, log_value

FIRST_KNOT_DAYS = 30
"""The shortest time whose outcome teaches; what came in a week is mostly chance."""
MANY_ROWS = 500
"""From so many rows on, tables of contributions are worth being made."""
OBJECTIVES: dict[str, dict[str, Any]] = {
    "no_order": {"objective": "binary"},
    "value": {"objective": "tweedie", "tweedie_variance_power": 1.3},
}
"""Tweedie: a Poisson number of orders of gamma value (Jorgensen 1987)."""


class Capacity(NamedTuple):
    """How much the trees may learn.

    Attributes
    ----------
    rounds, leaves, learning_rate
        Of the boosted trees: small ones, which can be explained.
    seed
        Of the sampling of rows and features; the same data and seed give the same trees.
    """

    rounds: int
    leaves: int
    learning_rate: float
    seed: int


class Lesson(NamedTuple):
    """Rows to learn from: inputs (n, f), and per target what came (n,) and what it is started from (n,)."""

    matrix: Vector
    came: Mapping[str, Vector]
    starts: Mapping[str, Vector]


class Behaviour:
    """Trees for ``no_order`` (log-odds) and ``value`` (logs), each as an addition to the process.

    A snapshot teaches by the longest knot until the horizon whose outcome is known, so that recent ones
    teach too. Its rows start from the process at that knot, moved by the level that the shop turned out
    to have: trees then learn how customers differ, not how the shop moved.

    Attributes
    ----------
    boosters_
        By target; none where there was nothing to learn.
    rows_
        Customers in the snapshots that taught.
    """

    def __init__(self, names: Sequence[str], *, horizon: int) -> None:
        self.names = list(names)
        self.horizon = horizon
        self.boosters_: dict[str, lgb.Booster] = {}
        self.rows_ = 0
        self._tables: dict[str, ContributionTables | None] = {}

    def fit(self, past: Sequence[Snapshot], knots: Sequence[int], capacity: Capacity, *, day: float) -> Self:
        """Learn from what was known on a day.

        Parameters
        ----------
        past
            Snapshots, those after the day are left out.
        day
            Days since 1970-01-01.
        """
        lesson = self._lesson(past, knots, day)
        if lesson is not None:
            self.rows_ = len(lesson.matrix)
            data = lgb.Dataset(lesson.matrix, feature_name=self.names)  # its bins serve both targets
            for target in OBJECTIVES:
                if np.ptp(lesson.came[target]) > 0:
                    self.boosters_[target] = _boost(data, lesson, target, capacity)
        return self

    def margins(self, columns: Columns, described: Described) -> dict[str, Vector]:
        """Return by target what behaviour adds, each of shape (n,)."""
        return self.added(self.matrix(columns, described))

    def added(self, matrix: Vector) -> dict[str, Vector]:
        """Return by target what inputs of shape (n, f) add, each of shape (n,)."""
        return {
            target: margin(self.boosters_[target], matrix)
            if target in self.boosters_
            else np.zeros(len(matrix))
            for target in OBJECTIVES
        }

    def contributions(self, columns: Columns, described: Described) -> dict[str, Vector]:
        """Return by target what each input adds to the margin, and last its mean: of shape (n, f + 1).

        These are the inputs' Shapley values along the trees' paths (Lundberg and others 2020).
        """
        matrix = self.matrix(columns, described)
        return {
            target: self._contributed(target, matrix)
            if target in self.boosters_
            else np.zeros((len(matrix), len(self.names) + 1))
            for target in OBJECTIVES
        }

    def _contributed(self, target: str, matrix: Vector) -> Vector:
        booster = self.boosters_[target]
        if len(matrix) >= MANY_ROWS:
            if target not in self._tables:
                self._tables[target] = ContributionTables.of(booster)
            tables = self._tables[target]
            if tables is not None:
                return tables.at(matrix)
        return np.asarray(booster.predict(matrix, pred_contrib=True, num_threads=1))

    def matrix(self, columns: Columns, described: Described) -> Vector:
        """Return the inputs of the trees, of shape (n, f)."""
        given = inputs(columns, described, knot=self.horizon)
        return matrix_of(given, self.names)

    def _lesson(self, past: Sequence[Snapshot], knots: Sequence[int], day: float) -> Lesson | None:
        parts = []
        for snapshot in past:
            knot = longest_known(snapshot, knots[: self.horizon + 1], day=day)
            if knot is None or snapshot.history_days < SETTLED_DAYS:
                continue
            described, (risk_level, _, value_level) = snapshot.described, snapshot.level(knot)
            parts.append(
                (
                    self.matrix(snapshot.columns, described),
                    (snapshot.orders[knot] == 0).astype(float),
                    np.maximum(snapshot.value[knot], 0.0),
                    log_odds(described.curve.no_order[knot]) + risk_level,
                    log_value(described, knot) + value_level,
                )
            )
        if not parts:
            return None
        matrix, *rest = (np.concatenate(part) for part in zip(*parts, strict=True))
        rows = np.ascontiguousarray(matrix)  # which LightGBM bins sooner than columns
        return Lesson(
            rows, dict(zip(OBJECTIVES, rest[:2], strict=True)), dict(zip(OBJECTIVES, rest[2:], strict=True))
        )


def longest_known(snapshot: Snapshot, knots: Sequence[int], *, day: float) -> int | None:
    """Return the place of the longest of these knots known on a day; null if none is long enough to teach."""
    shortest = min(FIRST_KNOT_DAYS, knots[-1])
    for place in range(len(knots) - 1, -1, -1):
        if knots[place] >= shortest and snapshot.day + knots[place] <= day and snapshot.is_known(place):
            return place
    return None


def _boost(data: lgb.Dataset, lesson: Lesson, target: str, capacity: Capacity) -> lgb.Booster:
    came, start = lesson.came[target], lesson.starts[target]
    if target == "value":  # by its mean, or the regularisation would hang on the currency
        came, start = came / came.mean(), start - np.log(came.mean())
    settings = tree_settings(
        came.size,
        leaves=capacity.leaves,
        learning_rate=capacity.learning_rate,
        feature_share=0.3,
        seed=capacity.seed,
    )
    data.set_label(came)
    data.set_init_score(start)
    return lgb.train(settings | OBJECTIVES[target], data, capacity.rounds)
