"""The chance of a known outcome from a table of customers: a blend of models whose capacity fits the data."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import lightgbm as lgb
import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.model_selection import StratifiedKFold

from features.errors import InputError
from models.estimator import Columns, ForecastEstimator, columns_of
from models.explanation import CHURN_RISK, POTENTIAL_SCORE, Explanation, mean
from models.likelihood import Vector
from models.margins import LogisticMargin, Rows, TreeMargin, ridge_logistic, smoothed_log_odds

if TYPE_CHECKING:
    from models.curve import Curve

STRENGTHS = (0.02, 0.2, 2.0)
CAPACITIES = {
    "stumps": TreeMargin(leaves=2, learning_rate=0.2, feature_share=0.7),
    "small": TreeMargin(leaves=6, learning_rate=0.08, feature_share=0.5),
    "middle": TreeMargin(leaves=20, learning_rate=0.05, feature_share=1.0, row_share=0.9, patience=15),
    "large": TreeMargin(
        leaves=63, learning_rate=0.08, feature_share=1.0, row_share=0.9, ridge=2.0, patience=15
    ),
}
"""From main effects alone to interactions of many columns."""
LOGISTIC = "logistic"
FOLDS = 3
MANY_ROWS = 20_000
"""From so many rows on, one test of a fold says as much as all."""
HOPELESS = 1.02
"""Trees that lose so many times the least loss end the search: deeper ones would lose more."""
TINY = 1e-9
NEGLIGIBLE = 0.02
"""Log-odds: a part whose share of the blend spreads no more is left out."""


class LabelledForecaster(ForecastEstimator):
    """Forecast an outcome by a weighted sum of log-odds, whose weights are learnt out of fold.

    Logistic regression, trees that know main effects alone, and trees of growing depth each forecast the
    rows of folds they have not seen; what their log-odds weigh together, and by which shift, is learnt from
    that by logistic regression with weights of at least 0 (stacking: Wolpert 1992; Breiman 1996). So the
    capacity follows the data, and the sum is calibrated and stays additive.

    Parameters
    ----------
    meaning
        What the outcome is: the customer left, or bought.
    categorical
        The features that are codes of texts.
    seed
        Of folds and of the sampling of rows and features; the same data and seed give the same model.

    Attributes
    ----------
    feature_names_
        The inputs: the features that vary.
    intercept_, weights_
        Of the blend; a part without a weight is not in it.
    usual_
        By feature what it adds to the regression on average.
    logistic_, boosters_
        Its parts: the regression (null without a weight), and trees by capacity.
    """

    kind = "labelled"

    def __init__(
        self,
        *,
        meaning: Literal["churn", "conversion"] = "churn",
        categorical: Sequence[str] = (),
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.meaning = meaning
        self.categorical = categorical
        self.seed = seed

    def fit(self, frame: pd.DataFrame, labels: pd.DataFrame) -> Self:
        """Learn from one row per customer.

        Parameters
        ----------
        labels
            ``came`` per row: 1 with the outcome, 0 without.
        """
        came = labels["came"].to_numpy(dtype=float)
        columns = {name: values for name, values in columns_of(frame).items() if _varies(values)}
        self.feature_names_ = list(columns)
        folds = _folds(came, seed=self.seed)
        self.logistic_: LogisticMargin | None = None
        self.boosters_: dict[str, lgb.Booster] = {}
        self.weights_: dict[str, float] = {}
        self.usual_ = {}
        if not columns or not folds:
            self.intercept_ = smoothed_log_odds(came)
            return self
        self._fit_blend(columns, came, folds)
        return self

    def log_odds(self, columns: Columns) -> Vector:
        """Return the log-odds of the outcome, of shape (n,)."""
        total = np.full(len(next(iter(columns.values()))), self.intercept_)
        known = {name: columns[name] for name in self.feature_names_}
        if self.logistic_ is not None:
            total += self.weights_[LOGISTIC] * self.logistic_.log_odds(known)
        if self.boosters_:
            matrix = np.stack(list(known.values()), axis=1)
            for name, booster in self.boosters_.items():
                total += self.weights_[name] * np.asarray(
                    booster.predict(matrix, raw_score=True, num_threads=1)
                )
        return total

    def forecast(self, columns: Columns) -> Columns:
        """Forecast ``churn_risk``, or ``potential_score``: 100 x the chance of a conversion."""
        chance = expit(self.log_odds(columns))
        return {"churn_risk": chance} if self.meaning == "churn" else {"potential_score": 100.0 * chance}

    def explain(self, columns: Columns) -> Explanation:
        """Tell what moved the chance: each feature by all parts of the blend, over its mean."""
        rows = len(next(iter(columns.values())))
        base, effects = np.full((1, rows), self.intercept_), np.zeros((1, rows, len(self.feature_names_)))
        known = {name: columns[name] for name in self.feature_names_}
        if self.logistic_ is not None:
            base += self.weights_[LOGISTIC] * self.logistic_.intercept_
            for name, added in self.logistic_.effects(known).items():
                base += self.weights_[LOGISTIC] * self.usual_[name]
                effects[0, :, self.feature_names_.index(name)] += self.weights_[LOGISTIC] * (
                    added - self.usual_[name]
                )
        matrix = np.array(list(known.values())).reshape(-1, rows).T
        for name, booster in self.boosters_.items():
            moved = self.weights_[name] * np.asarray(
                booster.predict(matrix, pred_contrib=True, num_threads=1)
            )
            effects[0] += moved[:, :-1]
            base[0] += moved[:, -1]
        target = CHURN_RISK if self.meaning == "churn" else POTENTIAL_SCORE
        return Explanation((target,), tuple(self.feature_names_), base, effects, matrix[None])

    def curve(self, columns: Columns, *, days: Sequence[int] | None = None) -> "Curve":  # noqa: ARG002
        """Refuse: an outcome without a date has no course.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(
            "a labelled table tells nothing about days; ask for no curves in the labelled setting"
        )

    def state(self) -> dict[str, Any]:
        """Return the blend, the regression and the trees as LightGBM's text."""
        return {
            "feature_names": self.feature_names_,
            "intercept": self.intercept_,
            "weights": self.weights_,
            "logistic": None if self.logistic_ is None else self.logistic_.state(),
            "usual": dict(self.usual_),
            "boosters": {name: booster.model_to_string() for name, booster in self.boosters_.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take up the blend and its parts."""
        self.feature_names_ = list(state["feature_names"])
        self.intercept_ = state["intercept"]
        self.weights_ = dict(state["weights"])
        self.logistic_ = None if state["logistic"] is None else LogisticMargin.restore(state["logistic"])
        self.usual_ = dict(state["usual"])
        boosters = state.get("boosters", {})
        self.boosters_ = {
            name: lgb.Booster(model_str=boosters[name]) for name in CAPACITIES if name in boosters
        }
        return self

    def _fit_blend(self, columns: Columns, came: Vector, folds: Sequence[tuple[Rows, Rows]]) -> None:
        categorical = [name for name in columns if name in self.categorical]
        tested = came[np.concatenate([test for _, test in folds])]
        strength, told = _regression(columns, came, folds, categorical)
        margins, rounds = {LOGISTIC: told}, {}
        for name, trees in CAPACITIES.items():
            margins[name], rounds[name] = trees.out_of_fold(
                columns, came, folds, categorical=categorical, seed=self.seed
            )
            losses = [_loss(each, tested) for each in margins.values()]
            if losses[-1] > HOPELESS * min(losses):
                break
        self.intercept_, self.weights_ = weigh(margins, tested)
        if LOGISTIC in self.weights_:
            self.logistic_ = LogisticMargin(strength=strength).fit(columns, came, categorical=categorical)
            self.usual_ = {name: mean(added) for name, added in self.logistic_.effects(columns).items()}
        self.boosters_ = {
            name: CAPACITIES[name].fit(
                columns, came, categorical=categorical, seed=self.seed, rounds=rounds[name]
            )
            for name in rounds
            if name in self.weights_
        }


def weigh(margins: Mapping[str, Vector], came: Vector) -> tuple[float, dict[str, float]]:
    """Weigh log-odds so that their sum forecasts best; return the shift and the weights above nothing.

    Weights are at least 0, and a normal prior of variance 1 pulls what each part adds, in standard
    deviations of log-odds, towards nothing.
    """
    names = list(margins)
    while True:
        intercept, weights = _weights(np.stack([margins[name] for name in names], axis=1), came)
        spreads = [weight * margins[name].std() for name, weight in zip(names, weights, strict=True)]
        kept = [name for name, spread in zip(names, spreads, strict=True) if spread > NEGLIGIBLE]
        if kept == names:
            return intercept, dict(zip(names, map(float, weights), strict=True))
        if not kept:
            return smoothed_log_odds(came), {}
        names = kept


def _weights(design: Vector, came: Vector) -> tuple[float, Vector]:
    centre, spread = design.mean(axis=0), np.maximum(design.std(axis=0), TINY)
    intercept, scaled = ridge_logistic((design - centre) / spread, came, pull=1.0, lowest=0.0)
    weights = scaled / spread
    return float(intercept - (weights * centre).sum()), weights


def _regression(
    columns: Columns, came: Vector, folds: Sequence[tuple[Rows, Rows]], categorical: Sequence[str]
) -> tuple[float, Vector]:
    """Return the ridge whose log-odds out of fold lose least, and those."""
    tested = came[np.concatenate([test for _, test in folds])]
    told: dict[float, Vector] = {}
    for strength in STRENGTHS:
        parts = [
            LogisticMargin(strength=strength)
            .fit(_rows(columns, taught), came[taught], categorical=categorical)
            .log_odds(_rows(columns, test))
            for taught, test in folds
        ]
        told[strength] = np.concatenate(parts)
    best = min(told, key=lambda strength: _loss(told[strength], tested))
    return best, told[best]


def _loss(log_odds: Vector, came: Vector) -> float:
    return float(np.logaddexp(0, (1 - 2 * came) * log_odds).mean())


def _folds(came: Vector, *, seed: int) -> list[tuple[Rows, Rows]]:
    """Split the rows, each outcome alike; nothing when one of the two is too rare."""
    folds = min(FOLDS, int(came.sum()), int(len(came) - came.sum()))
    if folds < 2:  # noqa: PLR2004 - nothing to test on
        return []
    split = list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(came[:, None], came))
    return split[:1] if len(came) >= MANY_ROWS else split


def _rows(columns: Columns, rows: Rows) -> Columns:
    return {name: values[rows] for name, values in columns.items()}


def _varies(values: Vector) -> bool:
    known = values[~np.isnan(values)]
    return len(known) > 0 and (len(known) < len(values) or bool((known != known[0]).any()))
