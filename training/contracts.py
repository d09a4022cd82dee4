"""The training job of the contractual setting: contracts that end."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
from sklearn.base import clone

from features.assignments import add_planned
from features.batch import end_of_contracts, workplace
from features.configuration import Configuration
from features.errors import InputError
from features.forecast_settings import ForecastSettings
from features.instants import EPOCH, Cutoff
from features.protected import feature_sources
from features.staging import stage
from features.survey import plan_features
from models.bundle import Bundle
from models.contract_baselines import LifeTable, OverallHazard, ShiftedBetaGeometric
from models.contract_estimator import ContractEstimator
from models.contract_forecaster import ContractForecaster
from models.curve import knots
from models.estimator import CALENDAR
from models.standing import quantile_grid
from training.contract_history import ContractHistory
from training.evaluation import Evaluation, evaluate
from training.gate import SO_FAR, judge, unfit
from training.golden import with_golden_contracts
from training.grade import grade_of
from training.holdout import Progress, held_out_origins
from training.leakage import check_single_features
from training.placing import measured
from training.registration import Result, Training, register
from training.registry import Registry

SEED = 0
HAZARD = "contract hazard"
ABOUT_ENDS = ("auc", "log_loss", "calibration_error")
"""What can be measured where there are no fees."""


@dataclass(frozen=True)
class ContractLesson:
    """What there is to learn from: the history of contracts, and what is asked of it."""

    history: ContractHistory
    settings: ForecastSettings
    as_of: datetime

    def recipes(self) -> dict[str, ContractEstimator]:
        """Return unfitted forecasters by name, the most capable first."""
        about = self.settings.question | {"fee_days": self.history.plan.fee_days}
        trees = {name: size for name, size in self.settings.capacity.items() if name != "rounds"}
        return {
            HAZARD: ContractForecaster(**about, **trees, seed=SEED),
            "shifted beta-geometric": ShiftedBetaGeometric(**about),
            "life table by age": LifeTable(**about),
            "overall hazard": OverallHazard(**about),
        }

    def check(self) -> None:
        """Refuse a feature that alone tells which contract ends."""
        frame, labels = self.history.lesson(self.as_of, share=self.history.share(self.as_of))
        ended = labels[f"ended_{self.settings.horizon_days}"].to_numpy(dtype=float)
        check_single_features(frame, ended, allowed=self.settings.allow_features)

    def held_out(self, champion: Bundle | None, progress: Progress) -> pd.DataFrame:
        """Return the forecasts of all recipes, and of the champion so far, at the held-out origins.

        The frame is that of `training.evaluation.evaluate`, of the customers whose contract ran at the
        origin: ``orders`` are 0 where it ended in the horizon; without a fee the value is 0.
        """
        parts = []
        for origin in held_out_origins(self.history, self.as_of):
            frame, labels = self.history.lesson(origin, share=self.history.share(origin))
            if frame.empty:
                continue
            for name, recipe in self.recipes().items():
                progress(f"{name}, held out from {origin:%Y-%m-%d}")
                parts.append(self._judged(self.history, name, recipe.fit(frame, labels), origin))
            if champion is not None:
                parts.append(self._of_champion(champion, origin))
        known = [part for part in parts if not part.empty]
        return pd.concat(known, ignore_index=True) if known else pd.DataFrame()

    def taught(self, name: str) -> tuple[ContractEstimator, dict[str, Any], pd.DataFrame]:
        """Teach a recipe on everything known; return it with the facts of its training, and the present."""
        frame, labels = self.history.lesson(self.as_of, share=self.history.share(self.as_of))
        undone = self.history.notes()
        estimator = self.recipes()[name].fit(frame, labels)
        present = self.history.snapshot(self.as_of, share=self.history.judging_share(self.as_of))
        known = labels[f"ended_{self.settings.horizon_days}"]
        facts = {
            "as_of": self.as_of.isoformat(),
            "model": name,
            "seed": SEED,
            "customers": self.history.customers(self.as_of),
            "snapshots": int(frame[CALENDAR].nunique()),
            "labelled_rows": int(known.notna().sum()),
            "churn_risk_grid": quantile_grid(estimator.predict(present)["churn_risk"].to_numpy()),
            "notes": [*_notes(present, known), *undone],
            **self.settings.question,
        }
        return estimator, facts, present

    def _of_champion(self, champion: Bundle, origin: datetime) -> pd.DataFrame:
        """Forecast by the champion, taught anew where it knew the held-out window."""
        past = replace(self.history, plan=champion.plan())
        estimator = champion.estimator()
        assert isinstance(estimator, ContractEstimator)  # noqa: S101 - its setting is the same
        if datetime.fromisoformat(champion.training["as_of"]) > origin:
            estimator = clone(estimator).fit(*past.lesson(origin, share=past.share(origin)))
        return self._judged(past, SO_FAR, estimator, origin)

    def _judged(
        self, history: ContractHistory, name: str, estimator: ContractEstimator, origin: datetime
    ) -> pd.DataFrame:
        share, horizon = history.judging_share(origin), self.settings.horizon_days
        frame = history.snapshot(origin, share=share)
        truth = history.labels(origin, known_by=self.as_of, share=share)
        forecast = estimator.predict(frame)
        return forecast.assign(
            expected_value=forecast["expected_value"].fillna(0.0),
            origin=origin,
            model=name,
            orders=1.0 - truth[f"ended_{horizon}"],
            value=truth[f"value_{horizon}"].fillna(0.0),
        ).reset_index(names="customer_id")


def train_contracts(
    configuration: Configuration,
    registry: Registry,
    champion: Bundle | None,
    *,
    as_of: datetime | None,
    planned: pa.Table | None,
    progress: Progress,
) -> Training:
    """Train on the contracts known at `as_of`, by default the end of the data, and register the bundle.

    The forecaster and what it is compared with are judged on held-out origins, on the customers whose
    contract ran there; the best is then taught on every snapshot.

    Parameters
    ----------
    champion
        The bundle that serves now; null for none.
    planned
        As of `training.train.train`.

    Raises
    ------
    InputError
        A source or a setting is wrong, or no contract runs at `as_of`.
    """
    project = configuration.project
    with workplace(project.workspace) as connection:
        progress("reading the sources")
        stage(configuration, connection)
        add_planned(connection, planned, time_zone=project.time_zone)
        lesson = _lesson(configuration, connection, as_of)
        lesson.check()
        why_unfit = unfit(champion, configuration, connection)
        rival = None if why_unfit else champion
        held_out = lesson.held_out(rival, progress)
        verdict = judge(
            held_out,
            HAZARD,
            has_rival=rival is not None,
            as_of=lesson.as_of,
            horizon_days=lesson.settings.horizon_days,
        ).after(why_unfit)
        progress(f"teaching {verdict.name} on everything known")
        estimator, facts, present = lesson.taught(verdict.name)
        plan, forecasts = lesson.history.plan, estimator.predict(present)
        facts["placement"] = measured(
            configuration, connection, as_of=lesson.as_of, present=present, forecasts=forecasts
        ).to_json()
    facts |= {key: getattr(project, key) for key in ("setting", "currency", "time_zone")}
    facts["was_judged"] = not held_out.empty
    facts |= grade_of(held_out, verdict.name, list(lesson.recipes())).facts()
    bundle = with_golden_contracts(Bundle.of(estimator, plan, training=facts), time_zone=project.time_zone)
    return register(
        Result(estimator, bundle, verdict, _evaluated(held_out), held_out), registry, project, champion
    )


def look_over(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Say what the staged contracts have to learn from."""
    customers, periods, first = connection.execute(
        "SELECT count(DISTINCT customer_id), count(*), min(started_at) FROM contracts"
    ).fetchall()[0]
    ended, without_fee, without_renewal = connection.execute(
        "SELECT count(ended_at), count(*) - count(fee), count(*) - count(renews_at) FROM contracts"
    ).fetchall()[0]
    begun = EPOCH + timedelta(microseconds=first)
    notes = {
        "fee, so they add no value": without_fee,
        "renews_at, so their renewals are not seen": without_renewal,
    }
    return [
        *(
            f"note: {rows:,} of {periods:,} contract periods have no {what}"
            for what, rows in notes.items()
            if rows
        ),
        f"{periods:,} contract periods of {customers:,} customers since {begun:%Y-%m-%d}; {ended:,} ended",
    ]


def _lesson(
    configuration: Configuration, connection: duckdb.DuckDBPyConnection, as_of: datetime | None
) -> ContractLesson:
    settings = configuration.section("forecast", ForecastSettings)
    if settings.value == "margin":
        raise InputError(
            "forecast.value = 'margin' is about orders; fees have no costs, so set it to 'revenue'"
        )
    time_zone = configuration.project.time_zone
    as_of = as_of or end_of_contracts(connection, now=datetime.now(UTC))
    plan = plan_features(
        connection,
        feature_sources(configuration, connection),
        horizon_days=settings.horizon_days,
        cutoff=Cutoff.at(as_of, time_zone),
        is_contractual=True,
    )
    days = knots(settings.horizon_days, settings.clv_days)
    history = ContractHistory(connection, plan, time_zone, days=days)
    if history.snapshot(as_of, share=history.judging_share(as_of)).empty:
        raise InputError(f"no contract runs at {as_of:%Y-%m-%d %H:%M} UTC; give another --as-of")
    if not history.cutoffs(as_of):
        raise InputError(
            f"contracts are known for less than two months before {as_of:%Y-%m-%d}; give a later --as-of"
        )
    return ContractLesson(history, settings, as_of)


def _evaluated(held_out: pd.DataFrame) -> Evaluation | None:
    if held_out.empty:
        return None
    done = evaluate(held_out)
    if held_out["value"].any():
        return done
    return replace(done, table=done.table[done.table["metric"].isin(ABOUT_ENDS)])


def _notes(present: pd.DataFrame, ended: pd.Series) -> list[str]:
    notes = []
    if present["fee"].isna().all():
        notes.append("no contract has a fee, so no value is forecast; map sources.contracts.columns.fee")
    if not ended.any():
        notes.append("no contract was seen to end: the risk is that of half an end among all")
    return notes
