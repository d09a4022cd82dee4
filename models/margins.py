"""What one kind of model says of an outcome, in log-odds: a ridge logistic regression, or boosted trees.

Inputs are arrays by name, of shape (n,); a text is the code of its value, NaN is what is not known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from models.estimator import Columns
from models.likelihood import Vector

Rows = NDArray[np.intp]
"""Places of rows."""
FARTHEST = 5.0
"""Standard deviations from the mean beyond which a number counts as no farther."""
RATHER_MORE = 1.1
"""All rows bear more rounds of boosting than those of a fold."""
TREES: dict[str, Any] = {
    "objective": "binary",
    "bagging_freq": 1,
    "min_child_samples": 20,
    "cat_smooth": 10.0,
    "cat_l2": 10.0,
    "max_cat_to_onehot": 8,
    "feature_pre_filter": False,
    "deterministic": True,
    "force_col_wise": True,
    "num_threads": 1,
    "verbose": -1,
}


@dataclass(frozen=True)
class Term:
    """One column of a linear predictor: a number's distance from the mean, that it is missing, or a value.

    Parameters
    ----------
    feature
        The input.
    code
        Of the value that it marks; null for a number, NaN never.
    centre, scale
        Of a number.
    marks_missing
        Whether it marks rows without a value.
    """

    feature: str
    code: int | None = None
    centre: float = 0.0
    scale: float = 1.0
    marks_missing: bool = False

    def column(self, values: Vector) -> Vector:
        """Return the column, of shape (n,)."""
        if self.marks_missing:
            return np.isnan(values).astype(float)
        if self.code is not None:
            return np.asarray(values == self.code, dtype=float)
        far = (values - self.centre) / self.scale
        return np.asarray(np.nan_to_num(np.clip(far, -FARTHEST, FARTHEST)))


def ridge_logistic(
    design: Vector, came: Vector, *, pull: float, lowest: float | None = None
) -> tuple[float, Vector]:
    """Fit a logistic regression with a ridge on the weights; return the intercept and the weights.

    Parameters
    ----------
    design
        Of shape (n, k).
    came
        1 and 0, of shape (n,).
    pull
        The inverse of the variance of the normal prior of each weight.
    lowest
        What no weight may be below.
    """

    def loss(point: Vector) -> tuple[float, Vector]:
        odds = point[0] + _times(design, point[1:])
        slope = expit(odds) - came
        lost = np.logaddexp(0, odds).sum() - (came * odds).sum() + pull * (point[1:] ** 2).sum() / 2
        gradient = np.einsum("ij,i->j", design, slope) + pull * point[1:]
        return float(lost), np.append(slope.sum(), gradient)

    start = np.append(smoothed_log_odds(came), np.zeros(design.shape[1]))
    bounds = [(None, None)] + [(lowest, None)] * design.shape[1]
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500, "ftol": 1e-7}
    ).x
    return float(found[0]), np.asarray(found[1:])


def smoothed_log_odds(came: Vector) -> float:
    """Return the log-odds of the rate of what came, one of each outcome added: no certainty."""
    return float(np.log((came.sum() + 1) / (len(came) - came.sum() + 1)))


def _times(design: Vector, weights: Vector) -> Vector:
    return np.asarray(np.einsum("ij,j->i", design, weights))


class LogisticMargin:
    """Logistic regression with a ridge: numbers standardised, texts by their values.

    Parameters
    ----------
    strength
        The variance of the normal prior of each weight.

    Attributes
    ----------
    terms_, weights_, intercept_
        Of the linear predictor.
    """

    def __init__(self, *, strength: float = 1.0) -> None:
        self.strength = strength

    def fit(self, columns: Columns, came: Vector, *, categorical: Sequence[str]) -> Self:
        """Learn from inputs and what came, 1 or 0, of shape (n,), with both in it."""
        self.terms_ = [
            term for name, values in columns.items() for term in _terms(name, values, name in categorical)
        ]
        self.intercept_, self.weights_ = ridge_logistic(self._design(columns), came, pull=1.0 / self.strength)
        return self

    def log_odds(self, columns: Columns) -> Vector:
        """Return the linear predictor, of shape (n,)."""
        return np.asarray(self.intercept_ + _times(self._design(columns), self.weights_))

    def effects(self, columns: Columns) -> dict[str, Vector]:
        """Return by feature what it adds to the intercept, each of shape (n,)."""
        added: dict[str, Vector] = {}
        for term, weight in zip(self.terms_, self.weights_, strict=True):
            part = weight * term.column(columns[term.feature])
            added[term.feature] = added.get(term.feature, 0.0) + part
        return added

    def state(self) -> dict[str, Any]:
        """Return the terms with their weights as plain data."""
        terms = [
            {**term.__dict__, "weight": float(weight)}
            for term, weight in zip(self.terms_, self.weights_, strict=True)
        ]
        return {"strength": self.strength, "intercept": self.intercept_, "terms": terms}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Self:
        """Take up the terms with their weights."""
        restored = cls(strength=state["strength"])
        restored.intercept_ = state["intercept"]
        restored.weights_ = np.array([term["weight"] for term in state["terms"]])
        restored.terms_ = [
            Term(**{key: value for key, value in term.items() if key != "weight"}) for term in state["terms"]
        ]
        return restored

    def _design(self, columns: Columns) -> Vector:
        return np.stack([term.column(columns[term.feature]) for term in self.terms_], axis=1)


def _terms(name: str, values: Vector, is_categorical: bool) -> list[Term]:
    known = values[~np.isnan(values)]
    missing = [Term(name, marks_missing=True)] if len(known) < len(values) else []
    if is_categorical:
        return [Term(name, code=int(code)) for code in np.unique(known)] + missing
    if not len(known) or known.std() == 0:
        return missing
    return [Term(name, centre=float(known.mean()), scale=float(known.std())), *missing]


@dataclass(frozen=True)
class TreeMargin:
    """Gradient-boosted trees of one capacity.

    Parameters
    ----------
    leaves, learning_rate, feature_share, row_share, ridge
        Of the trees: LightGBM's ``num_leaves``, ``feature_fraction``, ``bagging_fraction``, ``lambda_l2``.
    most_rounds, patience
        How many trees at most, and how many without gain end the search.
    """

    leaves: int
    learning_rate: float
    feature_share: float
    row_share: float = 0.7
    ridge: float = 5.0
    most_rounds: int = 500
    patience: int = 20

    def out_of_fold(
        self,
        columns: Columns,
        came: Vector,
        folds: Sequence[tuple[Rows, Rows]],
        *,
        categorical: Sequence[str],
        seed: int,
    ) -> tuple[Vector, int]:
        """Return the log-odds of the rows tested in each fold, one fold after the other, and the rounds.

        All folds are told by the same number of rounds, the mean of those that were best in each.
        """
        boosters = []
        for taught, tested in folds:
            data = _dataset(columns, came, categorical, taught)
            test = _dataset(columns, came, categorical, tested, like=data)
            stop = lgb.early_stopping(self.patience, verbose=False)
            boosters.append(
                lgb.train(
                    self._settings(seed),
                    data,
                    self.most_rounds,
                    valid_sets=[test],
                    callbacks=[stop],
                    keep_training_booster=True,
                )
            )
        rounds = max(1, round(float(np.mean([booster.best_iteration for booster in boosters]))))
        told = [
            np.asarray(
                booster.predict(_matrix(columns)[tested], raw_score=True, num_iteration=rounds, num_threads=1)
            )
            for booster, (_, tested) in zip(boosters, folds, strict=True)
        ]
        return np.concatenate(told), rounds

    def fit(
        self, columns: Columns, came: Vector, *, categorical: Sequence[str], seed: int, rounds: int
    ) -> lgb.Booster:
        """Learn so many rounds from inputs and what came."""
        data = _dataset(columns, came, categorical, np.arange(len(came)))
        return lgb.train(self._settings(seed), data, max(1, round(RATHER_MORE * rounds)))

    def _settings(self, seed: int) -> dict[str, Any]:
        return TREES | {
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "feature_fraction": self.feature_share,
            "bagging_fraction": self.row_share,
            "lambda_l2": self.ridge,
            "seed": seed,
        }


def _matrix(columns: Columns) -> Vector:
    return np.stack(list(columns.values()), axis=1)


def _dataset(
    columns: Columns,
    came: Vector,
    categorical: Sequence[str],
    rows: Rows,
    *,
    like: lgb.Dataset | None = None,
) -> lgb.Dataset:
    return lgb.Dataset(
        _matrix(columns)[rows],
        came[rows],
        feature_name=list(columns),
        categorical_feature=[name for name in columns if name in categorical],
        reference=like,
        params=TREES,
    )
