"""The training job: stage, hold out, judge, decide, teach on everything, register."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from features.assignments import add_planned
from features.batch import end_of_data, workplace
from features.configuration import Configuration
from features.errors import InputError
from features.forecast_settings import ForecastSettings
from features.instants import Cutoff
from features.own import Function
from features.own_sources import read_own
from features.protected import feature_sources
from features.staging import stage
from features.survey import plan_features
from models.bundle import TRANSITIONS, Bundle
from models.curve import knots
from models.estimator import CALENDAR, ForecastEstimator
from models.purchase_forecaster import PurchaseForecaster
from models.tree_forecaster import TreeForecaster
from training import contracts, labelled
from training.evaluation import evaluate
from training.gate import SO_FAR, judge, unfit
from training.golden import with_golden_histories
from training.grade import grade_of
from training.history import History
from training.holdout import JUDGED_CELLS, Progress, Watch, champion_forecasts, forecasts, held_out_origins
from training.leakage import check_engines_agree, check_no_future, check_single_features
from training.potential import PotentialTrial
from training.recipes import TREES, recipes
from training.registration import Result, Training, champion_so_far, register
from training.registry import Registry
from training.transitions import Standings
from training.tuning import tune

SEED = 0


@dataclass(frozen=True)
class Lesson:
    """What there is to learn from: the history and what is asked of it."""

    history: History
    settings: ForecastSettings
    as_of: datetime
    tuning: dict[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse features that know the future, or tell the outcome alone.

        Raises
        ------
        InputError
            A feature does.
        """
        history, past = self.history, next(iter(self.history.cutoffs(self.as_of)), self.as_of)
        if history.plan.own:
            for check in (check_no_future, check_engines_agree):
                check(history.connection, history.plan, as_of=past, time_zone=history.time_zone)
        frame, labels = history.lesson(self.as_of, share=history.share(self.as_of))
        orders = labels[f"orders_{self.settings.horizon_days}"].to_numpy()
        gone = np.where(np.isnan(orders), np.nan, orders == 0)
        names = [feature.name for feature in history.plan.own]
        check_single_features(frame, gone, allowed=self.settings.allow_features, own=names)

    def tuned(self, progress: Progress) -> "Lesson":
        """Look for better trees, where the configuration gives time for it."""
        if not self.settings.tuning_minutes:
            return self
        recipe = recipes(self.settings, seed=SEED)[TREES]
        assert isinstance(recipe, TreeForecaster)  # noqa: S101 - by its name
        minutes = self.settings.tuning_minutes
        found = tune(self.history, recipe, as_of=self.as_of, minutes=minutes, progress=progress)
        settings = self.settings.model_copy(update=found.capacity)
        return replace(self, settings=settings, tuning=found.facts)

    def held_out(
        self,
        champion: Bundle | None,
        progress: Progress,
        *,
        watch: Watch = lambda _origin, _name, _fitted: None,
    ) -> pd.DataFrame:
        """Return the forecasts of all recipes, and of the champion so far, at the held-out origins."""
        origins = held_out_origins(self.history, self.as_of)
        if not origins:
            return pd.DataFrame()
        tried = recipes(self.settings, seed=SEED)
        judged = [
            forecasts(
                self.history,
                tried,
                origins=origins,
                known_by=self.as_of,
                progress=progress,
                cells=JUDGED_CELLS,
                watch=watch,
            )
        ]
        if champion is not None:
            progress("the champion so far")
            past = self.history
            if champion.plan() != past.plan:
                past = replace(past, plan=champion.plan(), days=champion.estimator().knots)
            judged.append(
                champion_forecasts(past, champion, origins=origins, known_by=self.as_of, name=SO_FAR)
            )
        return pd.concat(judged, ignore_index=True)

    def taught(self, name: str) -> tuple[ForecastEstimator, dict[str, Any], pd.DataFrame]:
        """Teach a recipe on everything known; return it with the facts of its training, and the present."""
        frame, labels = self.history.lesson(self.as_of, share=self.history.share(self.as_of))
        undone = self.history.notes()
        estimator = recipes(self.settings, seed=SEED)[name].fit(frame, labels)
        present = self.history.snapshot(self.as_of, share=self.history.judging_share(self.as_of))
        facts = {
            "as_of": self.as_of.isoformat(),
            "model": name,
            "seed": SEED,
            "customers": self.history.customers(self.as_of),
            "snapshots": int(frame[CALENDAR].nunique() - 1),
            "labelled_rows": int(labels[f"orders_{self.settings.horizon_days}"].notna().sum()),
            "notes": [*_notes(estimator), *undone, *_tuning_notes(self)],
            "tuning": self.tuning,
            "value": self.settings.value,
            **self.settings.question,
        }
        return estimator, facts, present


def train(
    configuration: Configuration,
    *,
    as_of: datetime | None = None,
    own: Sequence[Function] = (),
    planned: pa.Table | None = None,
    progress: Progress = lambda _: None,
) -> Training:
    """Train on what is known at `as_of`, by default the end of the data, and register the bundle.

    Every recipe is judged on held-out origins; the best of them is then taught on every snapshot whose
    labels are known. Where the history is too short for that, trees and process are taken unjudged.

    Parameters
    ----------
    own
        Features beside those of the configuration: functions of ``days`` or ``lines``.
    planned
        What plans assigned, as of `features.assignments.assignments`; its effects are undone.

    Raises
    ------
    InputError
        A source, a setting or a feature is wrong, or nobody ordered before `as_of`.
    """
    project = configuration.project
    if project.setting != "transactional" and (own or "features" in configuration.tables):
        raise InputError(
            f"own features are made of orders, which project.setting = {project.setting!r} does not forecast "
            "from; take [features] out"
        )
    registry = registry_of(configuration)
    champion, unreadable = champion_so_far(registry)
    if project.setting == "labelled":
        done = labelled.train_labelled(configuration, registry, champion, as_of=as_of, progress=progress)
    elif project.setting == "contractual":
        done = contracts.train_contracts(
            configuration, registry, champion, as_of=as_of, planned=planned, progress=progress
        )
    else:
        with workplace(project.workspace) as connection:
            progress("reading the sources")
            stage(configuration, connection)
            add_planned(connection, planned, time_zone=project.time_zone)
            lesson = lesson_of(configuration, connection, as_of, own)
            done = _train(configuration, lesson, registry, champion, progress)
    return replace(done, verdict=done.verdict.after(unreadable))


def _train(
    configuration: Configuration,
    lesson: Lesson,
    registry: Registry,
    champion: Bundle | None,
    progress: Progress,
) -> Training:
    progress("looking whether a feature knows the future")
    lesson.check()
    lesson = lesson.tuned(progress)
    project, history = configuration.project, lesson.history
    why_unfit = unfit(champion, configuration, history.connection)
    rival = None if why_unfit else champion
    trial = PotentialTrial(history, lesson.as_of, SEED)
    held_out = lesson.held_out(rival, progress, watch=trial.watch)
    verdict = judge(
        held_out,
        TREES,
        has_rival=rival is not None,
        as_of=lesson.as_of,
        horizon_days=lesson.settings.horizon_days,
    ).after(why_unfit)
    progress(f"teaching {verdict.name} on everything known")
    estimator, facts, present = lesson.taught(verdict.name)
    beside = trial.outcome(estimator)
    standings = Standings(configuration, history, estimator, beside.potential)
    facts["churn_risk_grid"] = standings.risk_grid(lesson.as_of)
    placement, transitions = standings.learnt(lesson.as_of)
    facts["placement"] = placement.to_json()
    evaluation = None if held_out.empty else evaluate(held_out)
    facts |= {key: getattr(project, key) for key in ("setting", "currency", "time_zone")}
    facts["was_judged"] = evaluation is not None
    facts |= grade_of(held_out, verdict.name, list(recipes(lesson.settings, seed=SEED))).facts()
    facts |= beside.facts()
    bundle = Bundle.of(estimator, history.plan, training=facts, potential=beside.potential)
    if transitions is not None:
        bundle = bundle.with_document(TRANSITIONS, transitions.state())
    bundle = with_golden_histories(bundle, time_zone=project.time_zone)
    result = Result(estimator, bundle, verdict, evaluation, held_out, present)
    return register(result, registry, project, champion)


def registry_of(configuration: Configuration) -> Registry:
    """Open the registry of a project: in its workspace, or where MLFLOW_TRACKING_URI says."""
    project = configuration.project
    return Registry.open(
        project.workspace, project=project.name, tracking_uri=os.environ.get("MLFLOW_TRACKING_URI")
    )


def _notes(estimator: ForecastEstimator) -> list[str]:
    """Tell where the fit of the purchase process had to be helped; nothing without a process."""
    process = estimator.process_ if isinstance(estimator, TreeForecaster) else estimator
    if not isinstance(process, PurchaseForecaster):
        return []
    parts = (process.process_, process.order_value_)
    return [f"{type(part).__name__}: {part.note_}" for part in parts if part.note_]


def _tuning_notes(lesson: Lesson) -> list[str]:
    """Tell when there was no tuning though it was asked for."""
    if not lesson.settings.tuning_minutes or lesson.tuning.get("trials"):
        return []
    why = "there was no time for a trial" if lesson.tuning else "the history is too short for its origins"
    return [f"forecast.tuning_minutes = {lesson.settings.tuning_minutes:g} changed nothing: {why}"]


def lesson_of(
    configuration: Configuration,
    connection: Any,  # noqa: ANN401
    as_of: datetime | None = None,
    own: Sequence[Function] = (),
) -> Lesson:
    """Plan the features of staged sources, and look back from `as_of`, by default the end of the data.

    Parameters
    ----------
    own
        Features beside those of the configuration.

    Raises
    ------
    InputError
        A setting is wrong, or nobody ordered before `as_of`.
    """
    settings = configuration.section("forecast", ForecastSettings)
    time_zone = configuration.project.time_zone
    as_of = as_of or end_of_data(connection)
    plan = plan_features(
        connection,
        feature_sources(configuration, connection),
        horizon_days=settings.horizon_days,
        cutoff=Cutoff.at(as_of, time_zone),
        value=settings.value,
    )
    plan = replace(plan, own=read_own(configuration, own))
    history = History(connection, plan, time_zone, days=knots(settings.horizon_days, settings.clv_days))
    if history.snapshot(as_of, share=history.judging_share(as_of)).empty:
        raise InputError(f"nobody ordered before {as_of:%Y-%m-%d %H:%M} UTC; give a later --as-of")
    return Lesson(history, settings, as_of)
