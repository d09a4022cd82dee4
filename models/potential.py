"""The chance to spend like the top fifth: what the forecast says of it, corrected by what came before."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from typing import Any, Self

import lightgbm as lgb
import numpy as np
from scipy.special import expit, logit

from models.blend import NOTHING_LEARNT, Outcome, weigh_odds
from models.boosting import margin, matrix_of, tree_settings
from models.estimator import CALENDAR, Columns, ForecastEstimator
from models.first_order import FirstOrder
from models.likelihood import Vector, log_odds
from models.snapshots import SETTLED_DAYS, Snapshot, log_value
from models.spread import ValueSpread
from models.tree_forecaster import Seen, TreeForecaster

ROUNDS, LEAVES, LEARNING_RATE, FEATURE_SHARE = 60, 8, 0.06, 0.3
EVERY = 2
"""Of the snapshots one in so many teaches: neighbours share most of their horizon."""
NEAREST = 1e-4
"""Chances are no nearer to 0 and 1 than this where they start from: quantiles know no further."""
PRIOR = np.array([0.0, 1.0, 0.3])
"""Shift, weight of the forecast, weight of the trees, before anything was seen: most is in the forecast."""
ORDERED = "orders_all"
TREES = OWN, FIRST = "potential", "first_order"
"""What its trees are called beside those of a forecaster."""


class Potential:
    """The chance that a customer's value in the horizon reaches a cut point, in hundredths.

    The forecast of no order and of the value, and how values spread around it, imply a chance (a hurdle
    model: Cragg 1971). Boosted trees that start from it learn on past snapshots, each with the cut point
    that was frozen there, how customers differ from what it implies. Log-odds of both are weighted, and
    shifted, by what came at origins whose outcome neither had seen (stacked generalisation: Wolpert 1992),
    so the chance is calibrated. Without such an origin the forecast stands alone.

    Parameters
    ----------
    seed
        Of the sampling of rows and features; the same data and seed give the same model.

    Attributes
    ----------
    cut_
        The cut point of the present that was taught at.
    spread_
        How values spread around the forecast.
    weights_
        Shift, weight of the forecast and weight of the trees.
    names_, booster_
        The trees, null without any, and their inputs.
    first_order_
        The chance of prospects; null where too few first orders were seen.
    """

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed
        self.cut_ = 0.0
        self.spread_ = ValueSpread()
        self.weights_ = NOTHING_LEARNT
        self.names_: list[str] = []
        self.booster_: lgb.Booster | None = None
        self.first_order_: FirstOrder | None = None

    def fit(self, forecaster: ForecastEstimator, cuts: Mapping[float, float]) -> Self:
        """Learn from what a forecaster was just taught on.

        Parameters
        ----------
        cuts
            The cut point frozen at a snapshot by its day (days since 1970-01-01), the present among them;
            a snapshot without one does not teach.
        """
        self.cut_, self.spread_ = cuts[max(cuts)], forecaster.spread_
        if isinstance(forecaster, TreeForecaster) and forecaster.taught_ is not None:
            self._learn(forecaster, forecaster.taught_.seen, _teaching(forecaster, cuts))
        return self

    def alone(self) -> "Potential":
        """Return the same by the forecast alone."""
        plain = copy(self)
        plain.weights_, plain.booster_, plain.names_ = NOTHING_LEARNT, None, []
        return plain

    def score(self, columns: Columns, outputs: Columns, *, cut: float | None = None) -> Vector:
        """Score everybody.

        Parameters
        ----------
        columns
            Features by name, each of shape (n,).
        outputs
            The forecast of those with an order, in their order.
        cut
            The cut point at the `as_of` of the features; without one that of the training.

        Returns
        -------
        100 x the chance, of shape (n,): of a first order for who has none, NaN where that cannot be told.
        """
        ordered = ~np.isnan(columns[ORDERED])
        chance = np.full(ordered.shape, np.nan)
        if ordered.any():
            known = {name: columns[name] for name in self.names_}
            if not ordered.all():
                known = {name: values[ordered] for name, values in known.items()}
            chance[ordered] = self._reaching(known, outputs, self.cut_ if cut is None else cut)
        if self.first_order_ is not None and not ordered.all():
            rest = {name: columns[name][~ordered] for name in self.first_order_.names_}
            chance[~ordered] = self.first_order_.chance(rest)
        return 100.0 * chance

    def state(self) -> dict[str, Any]:
        """Return what was learnt as plain data, the trees as LightGBM's text."""
        trees = {} if self.booster_ is None else {OWN: self.booster_.model_to_string()}
        first = None if self.first_order_ is None else self.first_order_.state()
        if first is not None:
            trees[FIRST] = first.pop("booster")
        return {
            "cut": self.cut_,
            "spread": self.spread_.state(),
            "weights": self.weights_.tolist(),
            "names": self.names_,
            "first_order": first,
            "boosters": trees,
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> "Potential":
        """Take up what was learnt."""
        potential, trees = cls(), state["boosters"]
        potential.cut_, potential.spread_ = float(state["cut"]), ValueSpread.restore(state["spread"])
        potential.weights_, potential.names_ = np.array(state["weights"]), list(state["names"])
        if OWN in trees:
            potential.booster_ = lgb.Booster(model_str=trees[OWN])
        if state["first_order"] is not None:
            told = {**state["first_order"], "booster": trees[FIRST]}
            potential.first_order_ = FirstOrder.restore(told)
        return potential

    def _reaching(self, columns: Columns, outputs: Columns, cut: float) -> Vector:
        shift, of_forecast, of_trees = self.weights_
        scores = shift + of_forecast * implied(
            self.spread_, outputs["churn_risk"], outputs["expected_value"], cut
        )
        if self.booster_ is not None:
            scores = scores + of_trees * margin(self.booster_, matrix_of(columns, self.names_))
        return np.asarray(expit(scores))

    def _learn(
        self, forecaster: TreeForecaster, seen: Sequence[Seen], lessons: "Mapping[float, _Lesson]"
    ) -> None:
        horizon = forecaster.knots.index(forecaster.horizon_days)
        tried = [one for one in seen if one.knot == horizon and one.origin.day in lessons]
        days = [one.origin.day - forecaster.horizon_days for one in tried]
        with ThreadPoolExecutor() as pool:
            *before, now = pool.map(
                lambda day: self._taught(lessons, day), [*days, max(lessons, default=0.0)]
            )
        outcomes = [
            lessons[one.origin.day].outcome(forecaster, one, booster, trust=min(rows / now[1], 1.0) ** 2)
            for one, (booster, rows) in zip(tried, before, strict=True)
            if booster is not None
        ]
        if outcomes and now[0] is not None:
            self.weights_, self.booster_ = _weigh(outcomes), now[0]
            self.names_ = list(lessons[max(lessons)].names)

    def _taught(self, lessons: "Mapping[float, _Lesson]", day: float) -> "tuple[lgb.Booster | None, int]":
        """Teach by the snapshots until a day; return trees, or none, and the rows that taught."""
        chosen = sorted((one for one in lessons if one <= day), reverse=True)[::EVERY]
        if not chosen:
            return None, 0
        parts = [lessons[one] for one in chosen]
        came = np.concatenate([part.came for part in parts])
        if came.min() == came.max():
            return None, came.size
        data = lgb.Dataset(
            np.concatenate([part.matrix() for part in parts]),
            came,
            init_score=np.concatenate([part.start for part in parts]),
        )
        settings = tree_settings(
            came.size,
            leaves=LEAVES,
            learning_rate=LEARNING_RATE,
            feature_share=FEATURE_SHARE,
            seed=self.seed,
        )
        return lgb.train(settings | {"objective": "binary"}, data, ROUNDS), came.size


class _Lesson:
    """A snapshot whose horizon is over: who reached the cut point, and what the process implied.

    It starts from the process on the level that the shop turned out to have: trees then learn how customers
    differ, not how the shop moved.
    """

    def __init__(self, snapshot: Snapshot, horizon: int, spread: ValueSpread, cut: float) -> None:
        risk_level, _, value_level = snapshot.level(horizon)
        described = snapshot.described
        no_order = expit(log_odds(described.curve.no_order[horizon]) + risk_level)
        value = np.exp(log_value(described, horizon) + value_level)
        self.names = [name for name in snapshot.columns if name != CALENDAR]
        self.came = (snapshot.value[horizon] >= cut).astype(float)
        self.start = implied(spread, no_order, value, cut)
        self._snapshot, self._cut = snapshot, cut

    def matrix(self) -> Vector:
        """Return the inputs of trees, of shape (n, f)."""
        return np.column_stack([self._snapshot.columns[name] for name in self.names])

    def outcome(
        self, forecaster: TreeForecaster, seen: Seen, booster: lgb.Booster, *, trust: float
    ) -> Outcome:
        """Compare what forecast and trees said here, before it was known, with what came."""
        risk, value = (seen.outcome(target, seen.rows) for target in ("no_order", "value"))
        no_order = expit(forecaster.blend_.add("no_order", *risk[:3]))
        expected = np.exp(forecaster.blend_.add("value", *value[:3]))
        said = implied(forecaster.spread_, no_order, expected, self._cut)
        rows = len(self.came)
        return Outcome(said, margin(booster, self.matrix()), np.zeros(rows), self.came, np.full(rows, trust))


def implied(spread: ValueSpread, no_order: Vector, expected: Vector, cut: float) -> Vector:
    """Return the log-odds that a forecast implies for a value of at least the cut point, of shape (n,)."""
    return np.asarray(logit(np.clip(spread.reaching(cut, no_order, expected), NEAREST, 1.0 - NEAREST)))


def _weigh(outcomes: Sequence[Outcome]) -> Vector:
    """Weigh forecast and trees, the forecast at most once.

    At the origins the level of the shop is known, for the present it is only forecast: what looks too flat
    there is not, here.
    """
    weights = weigh_odds(outcomes, prior=PRIOR)
    if weights[1] <= 1.0:
        return weights
    once = [one._replace(process=np.zeros_like(one.process), level=one.process) for one in outcomes]
    shift, _, of_trees = weigh_odds(once, prior=PRIOR)
    return np.array([shift, 1.0, of_trees])


def _teaching(forecaster: TreeForecaster, cuts: Mapping[float, float]) -> dict[float, _Lesson]:
    horizon = forecaster.knots.index(forecaster.horizon_days)
    assert forecaster.taught_ is not None  # noqa: S101 - asked before
    return {
        one.day: _Lesson(one, horizon, forecaster.spread_, cuts[one.day])
        for one in forecaster.taught_.past
        if one.day in cuts and one.is_known(horizon) and one.history_days >= SETTLED_DAYS
    }
