"""Looking for better trees: Optuna, on rolling origins that end before those by which models are judged."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from models.estimator import Columns, columns_of
from models.likelihood import Vector
from models.snapshots import Snapshot
from models.tree_forecaster import TreeForecaster
from training import metrics
from training.history import History
from training.holdout import Progress, held_out_origins

if TYPE_CHECKING:
    from optuna.trial import Trial

ORIGINS = 3
ROUNDS, LEAVES, LEARNING_RATE = (25, 400), (3, 31), (0.01, 0.2)
"""Between which it looks, on scales of logs."""


@dataclass(frozen=True)
class Tuning:
    """What a search came to.

    Attributes
    ----------
    capacity
        The best ``rounds``, ``leaves`` and ``learning_rate``: of all tried, those given among them, the
        lowest mean log loss over the origins.
    facts
        How it was found; empty where the history is too short to look.
    """

    capacity: dict[str, Any]
    facts: dict[str, Any]


@dataclass(frozen=True)
class _Origin:
    """Everything that every trial shares at one origin."""

    taught: list[Snapshot]
    present: Columns
    churned: Vector

    def loss(self, recipe: TreeForecaster) -> float:
        risk = np.asarray(clone(recipe).learn(self.taught).forecast(self.present)["churn_risk"])
        return float(metrics.log_losses(self.churned, risk).mean())


def tune(
    history: History, recipe: TreeForecaster, *, as_of: datetime, minutes: float, progress: Progress
) -> Tuning:
    """Search for the capacity of the trees that forecasts best at past origins.

    The origins lie a horizon apart, the last one a horizon before the earliest origin by which models are
    judged at `as_of`; nothing known later than that one is looked at. The first trial is the recipe as it
    is, the others follow Optuna's tree-structured Parzen estimator (Bergstra et al. 2011), seeded; how many
    there are depends on the time.

    Parameters
    ----------
    minutes
        To look for, the last trial being ended.
    """
    end = time.monotonic() + 60 * minutes
    given = {name: recipe.get_params()[name] for name in ("rounds", "leaves", "learning_rate")}
    known_by = min(held_out_origins(history, as_of), default=as_of)
    days = _origins(history, known_by)
    if not days:
        return Tuning(given, {})
    progress(f"tuning for {minutes:g} minutes at {len(days)} origins before {known_by:%Y-%m-%d}")
    origins = [_prepared(history, recipe, origin, known_by) for origin in days]

    def loss(trial: "Trial") -> float:
        capacity = {
            "rounds": trial.suggest_int("rounds", *ROUNDS, log=True),
            "leaves": trial.suggest_int("leaves", *LEAVES, log=True),
            "learning_rate": trial.suggest_float("learning_rate", *LEARNING_RATE, log=True),
        }
        tried = clone(recipe).set_params(**capacity)
        return float(np.mean([origin.loss(tried) for origin in origins]))

    import optuna  # noqa: PLC0415 - a second that only this needs

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=recipe.seed))
    before = float(np.mean([origin.loss(recipe) for origin in origins]))
    while time.monotonic() < end:
        study.optimize(loss, n_trials=1)
    better = bool(study.trials) and study.best_value < before
    facts = {
        "minutes": minutes,
        "trials": len(study.trials),
        "origins": [origin.isoformat() for origin in days],
        "log_loss": study.best_value if better else before,
        "log_loss_untuned": before,
    }
    return Tuning(study.best_params if better else given, facts)


def _origins(history: History, known_by: datetime) -> list[datetime]:
    horizon = timedelta(days=history.plan.horizon_days)
    candidates = (known_by - horizon * number for number in range(1, ORIGINS + 1))
    return [origin for origin in candidates if history.cutoffs(origin)]


def _prepared(history: History, recipe: TreeForecaster, origin: datetime, known_by: datetime) -> _Origin:
    """Fit the purchase process of every snapshot once; only the trees differ between trials."""
    frame, labels = history.lesson(origin, share=history.share(origin))
    share = history.judging_share(origin)
    truth = history.labels(origin, known_by=known_by, share=share)[f"orders_{recipe.horizon_days}"]
    return _Origin(
        recipe.parted(frame, labels),
        columns_of(history.snapshot(origin, share=share)),
        np.asarray(truth == 0, dtype=float),
    )
