"""How the purchase process and what behaviour adds are weighted: generalised linear models, out of fold."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np
from scipy.special import expit

from models.curve import Curve
from models.likelihood import Vector, log_odds
from models.purchase_forecaster import Described
from models.snapshots import Snapshot, log_value

PRIOR = np.array([0.0, 1.0, 0.8])
"""Shift, weight of the process, weight of behaviour, before anything was seen."""
BELIEF = 0.3
"""The standard deviation of the prior of each weight."""
TWEEDIE_POWER = 1.5
"""Between a Poisson and a gamma distribution of value (Jorgensen 1987)."""
STEPS = 25
LARGEST = 12.0
"""Of a log mean while it is searched for."""
NOTHING_LEARNT = np.array([0.0, 1.0, 0.0])


class Outcome(NamedTuple):
    """What was forecast out of fold, and what came.

    Attributes
    ----------
    process, behaviour
        In log-odds or logs, of shape (n,).
    level
        By which the shop as a whole moved, of shape (n,).
    came
        Of shape (n,): 1 and 0, or values.
    trust
        How much each row counts, of shape (n,).
    """

    process: Vector
    behaviour: Vector
    level: Vector
    came: Vector
    trust: Vector


class Blend:
    """Both targets as a weighted sum on the level of the shop.

    The log-odds of no order by a knot are ``shift + level + weight x process + weight x behaviour``, and so
    is the log of the value. The weights are fitted to trees that had not seen the outcome, at origins each
    of which was taught on what was known there (stacked generalisation: Wolpert 1992); an origin at which
    less was known to learn from than now counts as much less.

    Attributes
    ----------
    weights_
        By target shift, weight of the process and weight of behaviour, of shape (3,).
    """

    def __init__(self) -> None:
        self.weights_ = dict.fromkeys(WEIGH, NOTHING_LEARNT)

    def fit(self, outcomes: Mapping[str, Sequence[Outcome]]) -> Self:
        """Weigh what was forecast out of fold by target."""
        self.weights_ = {target: WEIGH[target](seen) for target, seen in outcomes.items()}
        return self

    def add(self, target: str, process: Vector, behaviour: Vector, level: Vector) -> Vector:
        """Return log-odds or logs, of the shape that the arguments broadcast to."""
        shift, of_process, of_behaviour = self.weights_[target]
        return np.asarray(shift + level + of_process * process + of_behaviour * behaviour)

    def curve(
        self, described: Described, behaviour: Mapping[str, Vector], level: Mapping[str, Vector]
    ) -> Curve:
        """Put a curve together; who orders makes as many orders as by the process, at its level.

        Parameters
        ----------
        behaviour
            By target what behaviour adds, of shape (n,).
        level
            By part the level by each knot, of shape (k, n).
        """
        process = described.curve
        logs = log_value(described, slice(None))
        no_order = expit(
            self.add("no_order", log_odds(process.no_order), behaviour["no_order"], level["no_order"])
        )
        value = np.exp(self.add("value", logs, behaviour["value"], level["value"]))
        value = np.where(described.order_value > 0, value, 0.0)
        each = process.orders / np.maximum(1.0 - process.no_order, np.finfo(float).tiny)
        orders = (1.0 - no_order) * np.maximum(each * np.exp(level["orders"]), 1.0)
        return Curve(process.days, no_order, orders, value).coherent()


def outcome(target: str, origin: Snapshot, knot: int, behaviour: Vector, *, trust: float) -> Outcome:
    """Compare an origin's forecast by a knot with what came, on the level that the shop came to have."""
    risk_level, _, value_level = origin.level(knot)
    if target == "no_order":
        process, level = log_odds(origin.described.curve.no_order[knot]), risk_level
        came = (origin.orders[knot] == 0).astype(float)
    else:
        process, level = log_value(origin.described, knot), value_level
        came = np.maximum(origin.value[knot], 0.0)
    return Outcome(process, behaviour, np.full(came.size, level), came, np.full(came.size, trust))


def weigh_odds(outcomes: Sequence[Outcome], *, prior: Vector = PRIOR) -> Vector:
    """Weigh log-odds by penalised logistic regression; return shift and both weights, of shape (3,)."""

    def slopes(log_odds: Vector, came: Vector) -> tuple[Vector, Vector]:
        chance = expit(log_odds)
        return chance - came, chance * (1.0 - chance)

    return _weigh(outcomes, slopes, prior)


def weigh_logs(outcomes: Sequence[Outcome]) -> Vector:
    """Weigh logs by penalised Tweedie regression; return shift and both weights, of shape (3,)."""
    scale = float(np.mean([outcome.came.mean() for outcome in outcomes])) if outcomes else 0.0
    if scale <= 0:
        return NOTHING_LEARNT
    power = TWEEDIE_POWER

    def slopes(logs: Vector, value: Vector) -> tuple[Vector, Vector]:
        mean = np.exp(np.clip(logs, -LARGEST, LARGEST))
        slope = mean ** (1.0 - power) * (mean - value)
        return slope, (2.0 - power) * mean ** (2.0 - power) + (power - 1.0) * value * mean ** (1.0 - power)

    # In units of the mean, or prior and limits of the shift would hang on the currency.
    unit = np.log(scale)
    weights = _weigh(
        [one._replace(process=one.process - unit, came=one.came / scale) for one in outcomes], slopes
    )
    return np.asarray(weights + np.array([unit * (1.0 - weights[1]), 0.0, 0.0]))


WEIGH = {"no_order": weigh_odds, "value": weigh_logs}


def _weigh(
    outcomes: Sequence[Outcome],
    slopes: Callable[[Vector, Vector], tuple[Vector, Vector]],
    prior: Vector = PRIOR,
) -> Vector:
    """Minimise the loss plus the pull of the prior by Newton's method."""
    if not outcomes:
        return NOTHING_LEARNT
    process, behaviour, level, came, trust = (np.concatenate(part) for part in zip(*outcomes, strict=True))
    design = np.stack([np.ones_like(process), process, behaviour], axis=1)
    weights, pull = prior.copy(), np.eye(3) / BELIEF**2
    for _ in range(STEPS):
        slope, curvature = slopes(level + design @ weights, came)
        gradient = design.T @ (trust * slope) + pull @ (weights - prior)
        step = np.linalg.solve((design * (trust * curvature)[:, None]).T @ design + pull, gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-8:  # noqa: PLR2004 - converged
            break
    return np.asarray(np.clip(weights, [-2.0, 0.3, 0.0], [2.0, 1.7, 1.7]))
