"""What a quick script forecasts with: LightGBM as it comes, on recency, frequency, spend and tenure."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import lightgbm as lgb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.curve import Curve
from models.estimator import CALENDAR, Columns, ForecastEstimator, columns_of
from models.likelihood import CERTAIN, Vector

RFM = ("recency_days", "orders_all", "spend_all", "tenure_days")


class PlainTrees(ForecastEstimator):
    """Forecast by trees on few features, taught on the latest snapshot whose outcome is known.

    Where no snapshot's horizon is over, the longest knot that is known teaches, and its mean hazard and
    value a day continue. Without anything known everybody is half certain to come back and worth nothing.

    Attributes
    ----------
    names_
        The features.
    boosters_
        Trees for ``no_order`` and ``value``; none where nothing is known.
    days_
        The days after a snapshot that were taught.
    """

    kind = "plain_trees"
    rounds: ClassVar[int] = 100
    settings: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "no_order": {"objective": "binary"},
        "value": {"objective": "regression"},
    }
    """Of LightGBM by target, where they are not its own."""

    def fit(self, frame: pd.DataFrame, labels: pd.DataFrame) -> Self:
        """Learn from the snapshots that teach."""
        self.names_ = self._features(frame)
        self.boosters_: dict[str, lgb.Booster] = {}
        self.days_ = self.horizon_days
        for days in reversed(self.knots[: self.knots.index(self.horizon_days) + 1]):
            known = labels[f"orders_{days}"].notna().to_numpy()
            if known.any():
                rows = self._teaching(frame[CALENDAR].to_numpy(dtype=float), known)
                self._learn(frame[rows], labels[rows], days)
                break
        self._compare(frame, labels)
        return self

    def curve(self, columns: Columns, *, days: Sequence[int] | None = None) -> Curve:
        """Forecast what was taught, at its mean hazard and value a day."""
        at = np.array(self.knots if days is None else days, dtype=float)
        matrix = np.array([columns[name] for name in self.names_]).T
        risk, value = np.full(len(matrix), 0.5), np.zeros(len(matrix))
        if self.boosters_:
            risk = np.clip(np.asarray(self.boosters_["no_order"].predict(matrix)), CERTAIN, 1.0 - CERTAIN)
            value = np.maximum(np.asarray(self.boosters_["value"].predict(matrix)), 0.0)
        parts = (at / self.days_)[:, None]
        no_order = risk**parts
        return Curve(at, no_order, -np.log(no_order), value * parts).coherent()

    def state(self) -> dict[str, Any]:
        """Return what was learnt, the trees as LightGBM's text."""
        return {
            "names": self.names_,
            "days": self.days_,
            "boosters": {name: booster.model_to_string() for name, booster in self.boosters_.items()},
            **self._compared(),
        }

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take up what was learnt."""
        self.names_, self.days_ = list(state["names"]), int(state["days"])
        self.boosters_ = {name: lgb.Booster(model_str=text) for name, text in state["boosters"].items()}
        self._take_up(state)
        return self

    def _features(self, frame: pd.DataFrame) -> list[str]:
        return [name for name in RFM if name in frame]

    def _teaching(self, days: Vector, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return np.asarray(known & (days == days[known].max()))

    def _learn(self, frame: pd.DataFrame, labels: pd.DataFrame, days: int) -> None:
        columns = columns_of(frame)
        matrix = np.array([columns[name] for name in self.names_]).T
        came = {
            "no_order": np.asarray(labels[f"orders_{days}"] == 0, dtype=float),
            "value": labels[f"value_{days}"].to_numpy(dtype=float),
        }
        self.days_ = days
        for target, settings in self.settings.items():
            data = lgb.Dataset(matrix, came[target])
            quiet = {"num_threads": 1, "verbose": -1}
            self.boosters_[target] = lgb.train({**settings, **quiet}, data, self.rounds)
