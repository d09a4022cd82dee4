"""Where customers will stand a horizon later: chances by tier, learnt from how customers moved before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from models.estimator import Columns
from models.likelihood import Vector, log_odds
from models.tiers import TierPolicy

COVARIATES = ("clv", "churn_risk", "potential_score")
"""The forecasts that tell where a customer goes."""
VALUE_FROM, POTENTIAL_FROM = 0.8, 0.6
"""Value and potential are told beside these quantiles of the shop: near them tiers are cut by default."""
USUAL = 0.5
"""The part of the shop's median risk beside which risk is told: not all can fall where tiers are shares.

That and `TRUST` were chosen by 27 periods of two public shops, none of them one that benchmarks judge.
"""
LEAST = 0.02
"""Of the value, added to each: far below it customers are alike."""
TRUST = 0.005
"""In what one period teaches of slopes: the inverse of their penalty."""
FEWEST = 30
"""Customers of a tier; with fewer, or none of them moving, all of it have the chances that were seen."""
NEAREST = 1e-4
"""To 0 and 1, that chances are told apart."""

Names = npt.NDArray[np.object_]


class Transitions:
    """P(tier a horizon later | tier now, forecasts now), a multinomial logistic regression in each tier.

    The covariates are the log of the clv, and the log-odds of the churn risk and of the potential, each
    beside a quantile of the shop. Slopes are shrunk hard, intercepts are free (ridge: le Cessie and van
    Houwelingen 1992): where forecasts tell nothing, the shares of the period before return.

    Attributes
    ----------
    policy_
        Of the tiers, as plain data; chances of another policy's tiers are not known.
    tiers_
        Their names, best first.
    names_
        Of the covariates that were known.
    chances_
        By tier the chances in it.
    """

    def fit(self, columns: Columns, before: Names, after: Names, *, policy: TierPolicy) -> Self:
        """Learn from customers who were known at the beginning of a period of one horizon.

        Parameters
        ----------
        columns
            Their forecasts then: those of `COVARIATES` that there are, each of shape (n,).
        before, after
            Their tiers then and at the end, of shape (n,).
        policy
            Of the tiers, the same at both ends.
        """
        self.policy_, self.tiers_ = policy.to_json(), policy.names
        self.names_ = [name for name in COVARIATES if name in columns and np.isfinite(columns[name]).any()]
        told = self._covariates(columns)
        self.chances_ = {
            tier: _Chances.fit(told[before == tier], after[before == tier], self.tiers_, home=tier)
            for tier in self.tiers_
        }
        return self

    def expected(self, columns: Columns, now: Names) -> Vector:
        """Return how many of each tier will stand where.

        Parameters
        ----------
        columns
            Forecasts of everybody in a run, each of shape (n,); who has none (no order yet) is left out.
        now
            Their tiers, of shape (n,).

        Returns
        -------
        Expected customers, of shape (k, k): from the tier of the row to that of the column.
        """
        known = np.isfinite(columns["clv"]) & np.isfinite(columns["churn_risk"])
        told, now = self._covariates({name: columns[name][known] for name in self.names_}), now[known]
        return np.array([self.chances_[tier].of(told[now == tier]).sum(axis=0) for tier in self.tiers_])

    def are_of(self, policy: TierPolicy) -> bool:
        """Tell whether these are the chances of a policy."""
        return self.policy_ == policy.to_json()

    def state(self) -> dict[str, Any]:
        """Return what was learnt as plain data."""
        chances = {tier: chance.state() for tier, chance in self.chances_.items()}
        return {"policy": self.policy_, "names": self.names_, "chances": chances}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Self:
        """Take up what was learnt."""
        transitions = cls()
        transitions.policy_, transitions.names_ = dict(state["policy"]), list(state["names"])
        transitions.tiers_ = TierPolicy.from_json(state["policy"]).names
        transitions.chances_ = {
            tier: _Chances(**{name: np.array(values) for name, values in chance.items()})
            for tier, chance in state["chances"].items()
        }
        return transitions

    def _covariates(self, columns: Columns) -> Vector:
        """Return what chances are told from, of shape (n, c)."""
        return np.column_stack([_TOLD[name](np.nan_to_num(columns[name])) for name in self.names_])


@dataclass(frozen=True)
class _Chances:
    """A regression of one tier: covariates are centred and scaled, each outcome has its slopes."""

    centre: Vector
    scale: Vector
    intercepts: Vector
    slopes: Vector

    @classmethod
    def fit(cls, told: Vector, after: Names, tiers: Sequence[str], *, home: str) -> Self:
        seen = [place for place, tier in enumerate(tiers) if (after == tier).any()]
        covariates = told.shape[1]
        if len(after) < FEWEST or len(seen) == 1:
            counts = np.array([np.sum(after == tier) + 0.5 * (tier == home) for tier in tiers])
            shares = np.log(np.maximum(counts, NEAREST))
            return cls(np.zeros(covariates), np.ones(covariates), shares, np.zeros((covariates, len(tiers))))
        centre, scale = told.mean(axis=0), np.maximum(told.std(axis=0), NEAREST)
        outcomes = np.searchsorted(seen, [tiers.index(tier) for tier in after])
        model = LogisticRegression(C=TRUST, max_iter=1_000).fit((told - centre) / scale, outcomes)
        slopes, intercepts = model.coef_.T, model.intercept_
        if len(seen) == 2:  # noqa: PLR2004 - told of the second beside the first
            slopes = np.column_stack([np.zeros(covariates), slopes])
            intercepts = np.append(0.0, intercepts)
        every = np.full(len(tiers), np.log(NEAREST) + np.min(intercepts))
        every[seen] = intercepts
        wide = np.zeros((covariates, len(tiers)))
        wide[:, seen] = slopes
        return cls(centre, scale, every, wide)

    def of(self, told: Vector) -> Vector:
        """Return the chances of each row, of shape (n, k)."""
        return np.asarray(softmax((told - self.centre) / self.scale @ self.slopes + self.intercepts, axis=1))

    def state(self) -> dict[str, Any]:
        return {name: values.tolist() for name, values in vars(self).items()}


def _beside_value(clv: Vector) -> Vector:
    usual = np.quantile(clv, VALUE_FROM) if clv.size else 0.0
    return np.asarray(np.log(np.maximum(clv, 0.0) / (usual if usual > 0 else 1.0) + LEAST))


def _beside_risk(risk: Vector) -> Vector:
    odds = _odds(risk)
    return np.asarray(odds - USUAL * np.median(odds)) if odds.size else odds


def _beside_potential(score: Vector) -> Vector:
    usual = np.quantile(score, POTENTIAL_FROM, keepdims=True) if score.size else np.zeros(1)
    return np.asarray(_odds(score / 100.0) - _odds(usual / 100.0))


def _odds(chance: Vector) -> Vector:
    return np.asarray(log_odds(np.clip(chance, NEAREST, 1.0 - NEAREST)))


_TOLD = {"clv": _beside_value, "churn_risk": _beside_risk, "potential_score": _beside_potential}
