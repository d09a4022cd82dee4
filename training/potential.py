"""The potential in a training: taught beside the forecaster, and judged at the held-out origins."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from features.cut_point import TOP_SHARE
from features.instants import Cutoff
from models.estimator import Columns, ForecastEstimator, columns_of
from models.likelihood import Vector
from models.potential import Potential
from training.evaluation import Evaluation, evaluate
from training.history import History
from training.prospects import first_order
from training.recipes import TREES
from training.scoreboard import amount

TAUGHT, IMPLIED, SPENDERS = "potential", "forecast alone", "next highest spenders"
WIDTH = len(SPENDERS) + 2
YEAR = "spend_365d"
MEASURES = ("auc", "log_loss", "calibration_error", "lift")


@dataclass
class PotentialTrial:
    """Potentials taught at held-out origins, beside what the forecast alone implies, and beside spending.

    Parameters
    ----------
    history
        Of the shop.
    known_by
        The truth is what was known at this instant.
    seed
        Of the trees.
    """

    history: History
    known_by: datetime
    seed: int
    _parts: list[pd.DataFrame] = field(default_factory=list, init=False)

    def watch(self, origin: datetime, name: str, forecaster: ForecastEstimator) -> None:
        """Teach beside the trees that were just taught at an origin, and forecast what then came."""
        if name != TREES:
            return
        potential = _beside(self.history, forecaster, origin, seed=self.seed)
        share = self.history.judging_share(origin)
        present = self.history.snapshot(origin, share=share)
        truth = self.history.labels(origin, known_by=self.known_by, share=share)
        columns, value = columns_of(present), truth[f"value_{forecaster.horizon_days}"].to_numpy()
        outputs = forecaster.forecast(columns)
        below = outputs["clv"] <= np.quantile(outputs["clv"], 1 - TOP_SHARE)  # all of a shop that is for free
        for model, chance in _chances(potential, columns, outputs).items():
            came = (value >= potential.cut_).astype(float)
            told = {"churn_risk": 1.0 - chance, "expected_value": chance, "orders": came, "value": came}
            rows = pd.DataFrame(told, index=present.index)[below]
            self._parts.append(rows.assign(origin=origin, model=model).reset_index(names="customer_id"))

    @property
    def reached(self) -> float:
        """The share of those held out who reached the cut point."""
        return float(np.mean(np.concatenate([part["value"] for part in self._parts])))

    def evaluation(self) -> Evaluation | None:
        """Measure as churn is measured, where to reach the cut point is the opposite of churn.

        Null where nothing was held out, and where nobody reached the cut point, or everybody.
        """
        if not self._parts or not 0 < self.reached < 1:
            return None
        return evaluate(pd.concat(self._parts, ignore_index=True))

    def outcome(self, forecaster: ForecastEstimator) -> "PotentialOutcome":
        """Teach on everything known; where trees were worse than the forecast alone, that serves."""
        history, as_of = self.history, self.known_by
        potential = _beside(history, forecaster, as_of, seed=self.seed)
        judged = self.evaluation()
        if judged is not None and potential.booster_ is not None:
            losses = judged.table.set_index(["model", "metric"])["estimate"]
            if losses[TAUGHT, "log_loss"] > losses[IMPLIED, "log_loss"]:
                potential = potential.alone()
        potential.first_order_ = first_order(history, as_of=as_of, seed=self.seed)
        return PotentialOutcome(potential, judged)


@dataclass(frozen=True)
class PotentialOutcome:
    """The potential that serves.

    Attributes
    ----------
    potential
        Of everybody, and of prospects.
    evaluation
        Of customers below the top fifth by clv at the held-out origins; null without any.
    """

    potential: Potential
    evaluation: Evaluation | None

    def facts(self) -> dict[str, Any]:
        """Return what a bundle says of it: what serves, measures and remarks."""
        serves = IMPLIED if self.potential.booster_ is None else TAUGHT
        told = {} if self.evaluation is None else measured(self.evaluation, serves)
        return {"potential": {"serves": serves, "measures": told, "remark": self._remark(serves)}}

    def _remark(self, serves: str) -> str:
        first = self.potential.first_order_
        prospects = "no score for prospects" if first is None else "prospects as well"
        if first is not None and first.auc_ is not None:
            prospects += f" (AUC {amount(first.auc_)} at the last snapshot)"
        if self.evaluation is None:
            return f"{serves}, not judged; {prospects}"
        head = (
            f"{serves} serves, {prospects}; judged on {self.evaluation.customers:,} customers below the top "
            f"fifth, held-out origins: {self.evaluation.origins}"
        )
        names = (TAUGHT, IMPLIED, SPENDERS)
        told = [f"  {name:{WIDTH}}{_told(measured(self.evaluation, name))}" for name in names]
        return "\n".join([head, *told])


def _beside(history: History, forecaster: ForecastEstimator, as_of: datetime, *, seed: int) -> Potential:
    cuts = history.cuts([*history.cutoffs(as_of), as_of])
    days = {float(Cutoff.at(at, history.time_zone).day): cut for at, cut in cuts.items()}
    return Potential(seed=seed).fit(forecaster, days)


def _chances(potential: Potential, columns: Columns, outputs: Columns) -> dict[str, Vector]:
    rank = np.asarray(pd.Series(columns[YEAR]).rank(pct=True), dtype=float)
    scores = {TAUGHT: potential, IMPLIED: potential.alone()}
    told = {name: one.score(columns, outputs) / 100.0 for name, one in scores.items()}
    return told | {SPENDERS: rank}


def measured(evaluation: Evaluation, model: str) -> dict[str, float]:
    """Return what can be said of one of the models; the lift is that of the top decile."""
    table = evaluation.table
    known = table[(table["model"] == model) & table["estimate"].notna()].set_index("metric")["estimate"]
    told = {str(name): float(value) for name, value in known.items()}
    told["lift"] = told["top_decile_share"] / 0.1
    wanted = ("auc", "lift") if model == SPENDERS else MEASURES
    return {name: told[name] for name in wanted if name in told}


def _told(measures: dict[str, float]) -> str:
    titles = {"auc": "AUC", "log_loss": "log loss", "calibration_error": "calibration error"}
    told = [f"{titles.get(name, name)} {amount(value)}" for name, value in measures.items()]
    return ", ".join(told)
