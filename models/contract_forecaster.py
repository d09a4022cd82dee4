"""The forecaster of contracts: a regularised logistic hazard, and what trees add to it."""

from collections.abc import Mapping
from typing import Any, Self

import lightgbm as lgb
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from threadpoolctl import threadpool_limits

from features.contracts import MONTH_DAYS, RUNS
from models.boosting import tree_settings
from models.contract_estimator import ContractEstimator
from models.estimator import Columns, columns_of
from models.explanation import CHURN_RISK, Explanation, mean
from models.likelihood import CERTAIN, Vector, log_odds
from models.margins import LogisticMargin
from models.person_periods import NO_INPUTS, PersonPeriods, person_periods, risk_inputs

MOST_ROWS = 60_000
"""Intervals; more hardly teach better, and take their time."""
FOLDS = 3
STRENGTH = 0.003
"""The variance of the prior of each weight: features such as the age go on where nothing was seen yet."""
ROUNDS = (0, 10, 25, 50, 100, 200)
"""Numbers of trees to choose from ..."""
ENDS_PER_TREE = 2
"""... of which customers who left allow no more."""
TOLD_AS = {
    "log_age_then": "contract_age_days",
    "renewals_then": "contract_renewal_days",
    "renewal_days_then": "contract_renewal_days",
}
"""Inputs of an interval by the feature that tells of them."""
FEWEST_ENDS = 10
"""Without so many ends nothing can tell contracts apart: all have the rate of everybody."""


class ContractForecaster(ContractEstimator):
    """Forecast ends of contracts by discrete-time survival (Singer and Willett 1993).

    The hazard of each interval between knots has log-odds that a ridge logistic regression and small
    boosted trees (which start from it) add up to; a forecast is the product of what the hazards leave. How
    many trees, is decided on customers held out. Beyond the last knot known the last hazard goes on.

    Parameters
    ----------
    leaves, learning_rate, seed
        Of the trees.

    Attributes
    ----------
    names_
        The inputs of a hazard; none where everybody has the same.
    learnt_
        How many knots something is known of.
    """

    kind = "contracts"

    def __init__(  # noqa: PLR0913 - an estimator's settings stand side by side
        self,
        *,
        horizon_days: int = 90,
        clv_days: int = 365,
        discount_rate: float = 0.10,
        fee_days: float = MONTH_DAYS,
        leaves: int = 8,
        learning_rate: float = 0.06,
        seed: int = 0,
    ) -> None:
        super().__init__(
            horizon_days=horizon_days, clv_days=clv_days, discount_rate=discount_rate, fee_days=fee_days
        )
        self.leaves = leaves
        self.learning_rate = learning_rate
        self.seed = seed

    def explain(self, columns: Columns) -> Explanation:
        """Tell what moved the risk of the horizon, from features by name, each of shape (n,).

        The effects on the hazards of the intervals are added up, each by how much its hazard moves the risk
        (to first order); the base is the rest: what holds for everybody, and what is not additive.
        """
        names = tuple(name for name in columns if name not in NO_INPUTS)
        risk = self.curve(columns, days=[self.horizon_days]).ended[0]
        effects, begin = np.zeros((risk.size, len(names))), 0.0
        for end in (
            self.knots[: min(self.learnt_, self.knots.index(self.horizon_days) + 1)] if self.names_ else ()
        ):
            inputs = self._inputs(columns, begin, float(end))
            weight = expit(self._odds(inputs)) / np.maximum(risk, CERTAIN)
            for name, moved in self._moved(inputs).items():
                if (about := TOLD_AS.get(name, name)) in names:
                    effects[:, names.index(about)] += weight * moved
            begin = float(end)
        effects[columns[RUNS] != 1] = 0.0
        score = np.nan_to_num(log_odds(risk))
        values = np.stack([columns[name] for name in names], axis=1)
        base = score - effects.sum(axis=1)
        return Explanation((CHURN_RISK,), names, base[None], effects[None], values[None])

    def state(self) -> dict[str, Any]:
        """Return the regression, and the trees as LightGBM's text."""
        return super().state() | {
            "names": self.names_,
            "learnt": self.learnt_,
            "rate": self.rate_,
            "usual": dict(self.usual_),
            "logistic": self.logistic_.state() if self.names_ else None,
            "boosters": {"ends": self.booster_.model_to_string()} if self.booster_ is not None else {},
        }

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take up the regression and the trees."""
        super().restore(state)
        self.names_, self.learnt_ = list(state["names"]), int(state["learnt"])
        self.rate_, self.usual_ = float(state["rate"]), dict(state["usual"])
        if self.names_:
            self.logistic_ = LogisticMargin.restore(state["logistic"])
        text = state.get("boosters", {}).get("ends")
        self.booster_ = None if text is None else lgb.Booster(model_str=text)
        return self

    def _learn(self, frame: pd.DataFrame, labels: pd.DataFrame) -> None:
        lived = person_periods(labels, self.knots)
        self.learnt_ = int(np.searchsorted(self.knots, lived.end.max(initial=0.0), side="right"))
        self.names_, self.booster_, self.usual_ = [], None, {}
        self.rate_ = (lived.ended.sum() + 1.0) / ((lived.end - lived.begin).sum() + self.horizon_days)
        lived = lived.drawn(MOST_ROWS, seed=self.seed)
        if min(lived.ended.sum(), (1 - lived.ended).sum()) < FEWEST_ENDS:
            return
        inputs = _inputs(columns_of(frame), lived)
        inputs = {name: values for name, values in inputs.items() if not np.isnan(values).all()}
        self.names_ = list(inputs)
        customers = pd.factorize(frame.index)[0][lived.rows]
        with threadpool_limits(1, user_api="blas"):  # its threads take longer to wake than to work
            rounds = self._rounds(inputs, lived.ended, customers)
            self.logistic_ = LogisticMargin(strength=STRENGTH).fit(inputs, lived.ended, categorical=[])
            self.usual_ = {name: mean(added) for name, added in self.logistic_.effects(inputs).items()}
            self.booster_ = self._boosted(inputs, lived.ended, self.logistic_, rounds) if rounds else None

    def _runs(self, columns: Columns) -> Vector:
        runs = np.empty((len(self.knots), columns["fee"].size))
        left, begin, hazard, length = np.ones(runs.shape[1]), 0.0, np.zeros(runs.shape[1]), 1.0
        for place, end in enumerate(self.knots):
            if place < self.learnt_ or place == 0:
                hazard, length = self._hazard(columns, begin, float(end)), end - begin
                left = left * (1.0 - hazard)
            else:
                left = left * (1.0 - hazard) ** ((end - begin) / length)
            runs[place], begin = left, float(end)
        return runs

    def _hazard(self, columns: Columns, begin: float, end: float) -> Vector:
        """Return P(a contract ends in an interval | it runs at its beginning), of shape (n,)."""
        if not self.names_:
            return np.full(columns["fee"].size, -np.expm1(-self.rate_ * (end - begin)))
        return np.asarray(expit(self._odds(self._inputs(columns, begin, end))))

    def _inputs(self, columns: Columns, begin: float, end: float) -> Columns:
        size = columns["fee"].size
        inputs = risk_inputs(columns, np.full(size, begin), np.full(size, end))
        return {name: inputs[name] for name in self.names_}

    def _odds(self, inputs: Columns) -> Vector:
        odds = self.logistic_.log_odds(inputs)
        return odds if self.booster_ is None else odds + _added(self.booster_, inputs)

    def _moved(self, inputs: Columns) -> dict[str, Vector]:
        """Return by input what it adds to the log-odds, over what it adds on average."""
        moved = {name: added - self.usual_[name] for name, added in self.logistic_.effects(inputs).items()}
        if self.booster_ is None:
            return moved
        parts = np.asarray(self.booster_.predict(_matrix(inputs), pred_contrib=True, num_threads=1))
        return {name: moved.get(name, 0.0) + part for name, part in zip(inputs, parts.T[:-1], strict=True)}

    def _rounds(self, inputs: Columns, ended: Vector, customers: NDArray[np.intp]) -> int:
        """Return the number of trees that lose least on customers held out."""
        fold = np.random.default_rng(self.seed).integers(FOLDS, size=customers.max() + 1)[customers]
        allowed = np.unique(customers[ended == 1]).size / ENDS_PER_TREE
        tried = [rounds for rounds in ROUNDS if rounds <= allowed]
        if tried == [0]:
            return 0
        losses = np.zeros(len(tried))
        for number in range(FOLDS):
            taught, tested = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
            if ended[taught].sum() == 0 or not tested.size:
                return 0
            learn, test = (
                {name: values[rows] for name, values in inputs.items()} for rows in (taught, tested)
            )
            logistic = LogisticMargin(strength=STRENGTH).fit(learn, ended[taught], categorical=[])
            booster = self._boosted(learn, ended[taught], logistic, tried[-1])
            told = logistic.log_odds(test)
            for place, rounds in enumerate(tried):
                added = _added(booster, test, rounds) if rounds else 0.0
                losses[place] += np.logaddexp(0, (1 - 2 * ended[tested]) * (told + added)).sum()
        return tried[int(np.argmin(losses))]

    def _boosted(self, inputs: Columns, ended: Vector, logistic: LogisticMargin, rounds: int) -> lgb.Booster:
        settings = tree_settings(
            ended.size,
            leaves=self.leaves,
            learning_rate=self.learning_rate,
            feature_share=0.5,
            seed=self.seed,
        )
        data = lgb.Dataset(
            _matrix(inputs), ended, init_score=logistic.log_odds(inputs), feature_name=list(inputs)
        )
        return lgb.train(settings | {"objective": "binary"}, data, rounds)


def _inputs(columns: Columns, lived: PersonPeriods) -> dict[str, Vector]:
    at_risk = {name: values[lived.rows] for name, values in columns.items()}
    return risk_inputs(at_risk, lived.begin, lived.end)


def _matrix(inputs: Columns) -> Vector:
    return np.stack(list(inputs.values()), axis=1)


def _added(booster: lgb.Booster, inputs: Columns, rounds: int | None = None) -> Vector:
    return np.asarray(booster.predict(_matrix(inputs), raw_score=True, num_iteration=rounds, num_threads=1))
