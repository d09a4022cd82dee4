"""The purchase process and boosted trees together, on the level that the shop is going to have."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Self

import lightgbm as lgb
import numpy as np
import pandas as pd
from scipy.special import expit

from models.behaviour import FIRST_KNOT_DAYS, Behaviour, Capacity, longest_known
from models.blend import Blend, Outcome, outcome
from models.curve import Curve
from models.estimator import CALENDAR, Columns, ForecastEstimator, columns_of
from models.explanation import CHURN_RISK, EXPECTED_VALUE, PURCHASE_RHYTHM, Explanation, mean
from models.likelihood import Vector, log_odds
from models.purchase_forecaster import Described, PurchaseForecaster
from models.shop_level import PARTS, ShopLevel
from models.skill import Skill
from models.snapshots import PROCESS, SETTLED_DAYS, Snapshot, inputs, log_total, log_value, snapshots
from models.spread import ValueSpread

TARGETS = {"no_order": CHURN_RISK, "value": EXPECTED_VALUE}
"""What is learnt, and the output that it becomes ..."""
EXTREME = {"no_order": np.minimum, "value": np.maximum}
"""... which by a longer time is never above, or below, that by a shorter one."""
SHARES = np.linspace(0.05, 0.95, 19)
"""Of the rows, below the values at which partial dependence is told."""
ORIGINS = 3
"""At which trees taught on what was known before are compared with what came."""


class TreeForecaster(ForecastEstimator):
    """Forecast by the purchase process, what behaviour adds to it, and the level of the whole shop.

    `Behaviour` are boosted trees taught on rolling snapshots with the process as their start; the `Blend`
    weighs both by how they did at past origins; the `ShopLevel` follows the season and the usual error of
    the process. Without a snapshot that can teach, the process stands alone.

    Parameters
    ----------
    rounds, leaves, learning_rate, seed
        As of `Capacity`.

    Attributes
    ----------
    process_
        The purchase process of the present snapshot.
    behaviour_, blend_, level_
        What behaviour adds to it, how both are weighted, and the level of the shop.
    taught_
        What it learnt from, for what else is to be taught at once; nothing once it is restored.
    """

    kind = "trees"
    taught_: "Taught | None" = None

    def __init__(  # noqa: PLR0913 - an estimator's settings stand side by side
        self,
        *,
        horizon_days: int = 90,
        clv_days: int = 365,
        discount_rate: float = 0.10,
        rounds: int = 100,
        leaves: int = 8,
        learning_rate: float = 0.06,
        seed: int = 0,
    ) -> None:
        super().__init__(horizon_days=horizon_days, clv_days=clv_days, discount_rate=discount_rate)
        self.rounds = rounds
        self.leaves = leaves
        self.learning_rate = learning_rate
        self.seed = seed

    def fit(self, frame: pd.DataFrame, labels: pd.DataFrame) -> Self:
        """Learn from the snapshots whose labels are known by any knot; the latest one is the present."""
        return self.learn(self.parted(frame, labels))

    def parted(self, frame: pd.DataFrame, labels: pd.DataFrame) -> list[Snapshot]:
        """Part a frame into snapshots with their fits of the process, whatever the trees may learn."""
        return list(snapshots(frame, labels, self._process()))

    def learn(self, parted: Sequence[Snapshot]) -> Self:
        """Learn from snapshots, oldest first; the last one is the present."""
        *past, present = parted
        self.process_ = present.process
        scores = self._process_scores(present.described)
        self.usual_ = {output: mean(scores[target][-1]) for target, output in TARGETS.items()}
        names = list(inputs(present.columns, present.described, knot=0))
        origins = self._origins(past, present.day)
        days = [*(origin.day for origin in origins), present.day]
        with ThreadPoolExecutor() as pool:  # one thread a model: LightGBM's own stall on a shared machine
            *tried, self.behaviour_ = pool.map(lambda day: self._taught(names, past, day), days)
        seen = [
            Seen(origin, knot, trees.margins(origin.columns, origin.described), trees.rows_)
            for origin, trees in zip(origins, tried, strict=True)
            if trees.rows_ and (knot := self._longest(origin, present.day)) is not None
        ]
        self._weigh(seen)
        self.level_ = ShopLevel().fit(past, self.knots, said=self._said(present))
        self.taught_ = Taught(tuple(past), tuple(seen))
        return self

    def curve(self, columns: Columns, *, days: Sequence[int] | None = None) -> Curve:
        """Forecast from process, behaviour and level."""
        described = self.process_.describe(columns)
        behaviour = self.behaviour_.margins(columns, described)
        level = self.level_.at(columns[CALENDAR], knots=len(self.knots))
        curve = self.blend_.curve(described, behaviour, level)
        places = [self.knots.index(day) for day in days or self.knots]
        return Curve(*(part[places] for part in curve))

    def explain(self, columns: Columns) -> Explanation:
        """Tell what moved the forecasts of the horizon: the process, and each feature by the trees.

        What the trees make of the process's own outputs belongs to the process; the level, the shift and
        what a shorter time takes back for the curve to be coherent to the base.
        """
        described, place = self.process_.describe(columns), self._horizon
        level = self.level_.at(columns[CALENDAR], knots=len(self.knots))
        added, process = self.behaviour_.contributions(columns, described), self._process_scores(described)
        is_own = np.array([name not in PROCESS for name in self.behaviour_.names], dtype=bool)
        names = [name for name in self.behaviour_.names if name not in PROCESS]
        base, effects = [], []
        for target, output in TARGETS.items():
            shift, of_process, of_behaviour = self.blend_.weights_[target]
            moved, usual = of_behaviour * added[target], self.usual_[output]
            scores = of_process * process[target] + level[target][: place + 1]
            rhythm = of_process * (process[target][-1] - usual) + moved[:, :-1][:, ~is_own].sum(axis=1)
            coherent = EXTREME[target].reduce(scores)
            base.append(shift + coherent - of_process * (process[target][-1] - usual) + moved[:, -1])
            effects.append(np.column_stack([moved[:, :-1][:, is_own], rhythm]))
        known = [columns[name] for name in names]
        alone = (described.curve.no_order[place], described.curve.value[place])
        values = np.array([np.column_stack([*known, one]) for one in alone])
        return Explanation(
            tuple(TARGETS.values()), (*names, PURCHASE_RHYTHM), np.array(base), np.array(effects), values
        )

    def importance(self) -> pd.Series:
        """Return each input's share of the total gain of the trees, largest first."""
        gains = [booster.feature_importance("gain") for booster in self.behaviour_.boosters_.values()]
        shares = [gain / max(gain.sum(), 1e-12) for gain in gains] or [np.zeros(len(self.behaviour_.names))]
        series = pd.Series(np.mean(shares, axis=0), index=self.behaviour_.names, name="share_of_gain")
        return series.sort_values(ascending=False)

    def partial_dependence(self, frame: pd.DataFrame, feature: str) -> pd.DataFrame:
        """Forecast the rows of a frame on average, if the trees saw one value of a feature in all of them.

        The purchase process goes on by each customer's own orders: what is told is what the trees make of
        the feature (Friedman 2001, section 8.2).

        Returns
        -------
        One row per `SHARES` of the rows: ``feature``, ``share``, the ``value`` that lies above that share of
        them, ``churn_risk`` and ``expected_value``.
        """
        columns = columns_of(frame)
        described = self.process_.describe(columns)
        level = self.level_.at(columns[CALENDAR], knots=len(self.knots))
        matrix, place = self.behaviour_.matrix(columns, described), self.behaviour_.names.index(feature)
        seen = matrix[:, place][~np.isnan(matrix[:, place])]
        values = np.quantile(seen if seen.size else np.zeros(1), SHARES)
        told = {}
        for value in np.unique(values):
            matrix[:, place] = value
            curve = self.blend_.curve(described, self.behaviour_.added(matrix), level)
            told[value] = (curve.no_order[self._horizon].mean(), curve.value[self._horizon].mean())
        risk, worth = zip(*(told[value] for value in values), strict=True)
        table = {"share": SHARES, "value": values, CHURN_RISK: risk, EXPECTED_VALUE: worth}
        return pd.DataFrame({"feature": feature, **table})

    def state(self) -> dict[str, Any]:
        """Return what was learnt, the trees as LightGBM's text."""
        trees = self.behaviour_.boosters_
        return {
            "feature_names": self.behaviour_.names,
            "process": self.process_.state(),
            "boosters": {target: booster.model_to_string() for target, booster in trees.items()},
            "weights": {target: weights.tolist() for target, weights in self.blend_.weights_.items()},
            "level": self.level_.state(),
            **self._compared(),
        }

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take up what was learnt."""
        self.process_ = self._process().restore(state["process"])
        self.behaviour_ = Behaviour(state["feature_names"], horizon=self._horizon)
        for target, text in state.get("boosters", {}).items():
            self.behaviour_.boosters_[target] = lgb.Booster(model_str=text)
        self.blend_ = Blend()
        self.blend_.weights_ = {target: np.array(weights) for target, weights in state["weights"].items()}
        self.level_ = ShopLevel.restore(state["level"])
        self._take_up(state)
        return self

    def _process(self) -> PurchaseForecaster:
        return PurchaseForecaster(
            horizon_days=self.horizon_days, clv_days=self.clv_days, discount_rate=self.discount_rate
        )

    def _process_scores(self, described: Described) -> dict[str, Vector]:
        """Return by target what the process says by each knot until the horizon, of shape (k, n)."""
        places = slice(self._horizon + 1)
        return {
            "no_order": log_odds(described.curve.no_order[places]),
            "value": log_value(described, places),
        }

    @property
    def _horizon(self) -> int:
        return self.knots.index(self.horizon_days)

    def _longest(self, origin: Snapshot, day: float) -> int | None:
        return longest_known(origin, self.knots[: self._horizon + 1], day=day)

    def _origins(self, past: Sequence[Snapshot], present: float) -> list[Snapshot]:
        """Choose up to three snapshots with something to learn from before, and much known after.

        They lie one, two and three horizons back from the present; where history is too short for that, at
        the shorter knots, the longest first.
        """
        whole = [self.horizon_days * number for number in range(1, ORIGINS + 1)]
        parts = [days for days in reversed(self.knots[: self._horizon]) if days >= FIRST_KNOT_DAYS]
        settled = [one for one in past if one.history_days >= SETTLED_DAYS + FIRST_KNOT_DAYS]
        chosen: dict[float, Snapshot] = {}
        for back in (*whole, *parts):
            for origin in [one for one in settled if one.day + back <= present][-1:]:
                chosen.setdefault(origin.day, origin)
        return list(chosen.values())[:ORIGINS]

    def _taught(self, names: Sequence[str], past: Sequence[Snapshot], day: float) -> Behaviour:
        capacity = Capacity(self.rounds, self.leaves, self.learning_rate, self.seed)
        return Behaviour(names, horizon=self._horizon).fit(past, self.knots, capacity, day=day)

    def _said(self, present: Snapshot) -> Vector:
        """Return by knot the log of the total value expected at present on no level, of shape (k,)."""
        behaviour = self.behaviour_.margins(present.columns, present.described)
        curve = self.blend_.curve(present.described, behaviour, dict.fromkeys(PARTS, np.zeros((1, 1))))
        totals = [log_total(present.described, value) for value in curve.value]
        return np.nan_to_num(totals)  # where orders are worth nothing so far, no level matters

    def _weigh(self, seen: "Sequence[Seen]") -> None:
        """Learn the weights from what was seen at the origins, and then how far values lay from them."""
        outcomes = {
            target: [one.outcome(target, self.behaviour_.rows_) for one in seen] for target in TARGETS
        }
        self.blend_ = Blend().fit(outcomes)
        self.spread_, self.skill_ = ValueSpread(), Skill()
        if seen:
            risk, value = (
                np.concatenate([self.blend_.add(target, *one[:3]) for one in outcomes[target]])
                for target in TARGETS
            )
            orders = np.concatenate([one.origin.columns["orders_all"] for one in seen])
            gone, came = (np.concatenate([one.came for one in outcomes[target]]) for target in TARGETS)
            self.spread_.fit(expit(risk), np.exp(value), came)
            self.skill_.fit(orders, expit(risk), gone)


class Seen(NamedTuple):
    """An origin, the place of the longest knot known of it, and what trees taught before it said."""

    origin: Snapshot
    knot: int
    behaviour: Mapping[str, Vector]
    rows: int

    def outcome(self, target: str, rows_now: int) -> Outcome:
        """Compare with what came; fewer rows to learn from than now are trusted less."""
        trust = min(self.rows / max(rows_now, 1), 1.0) ** 2
        return outcome(target, self.origin, self.knot, self.behaviour[target], trust=trust)


class Taught(NamedTuple):
    """The snapshots before the present, oldest first, and those at which forecasts were compared."""

    past: tuple[Snapshot, ...]
    seen: tuple[Seen, ...]
