"""The report job: read the sources again as of a run, put its parts together, write the page."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from features.batch import match_refunds, workplace
from features.configuration import Configuration
from features.instants import Cutoff
from features.plan import FeaturePlan
from features.scratch import whole_file
from features.staging import stage
from features.tier_settings import TierSettings
from models.bundle import Bundle
from models.lost import EVERYBODY, lost_table
from models.placement import Placement
from training.effect_report import FILE as EFFECTS
from training.effect_report import EffectReport
from training.fairness import attributes_at, calibration_by_group, tier_rates
from training.funnel import retention, stage_rates
from training.grading import Grading
from training.holdout import Progress
from training.moves import transition_matrix
from training.order_calendar import put_order_calendar
from training.record import EVALUATION
from training.registry import Registry
from training.report import Moves, Plan, Report
from training.report_page import page
from training.train import registry_of
from training.versions import Version

PAGE = "report.html"
MOVED = timedelta(days=28)
"""Moves are told since the latest run that is at least as old, else since the first."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """What was published of where customers stand.

    Attributes
    ----------
    run_id, as_of, model_version
        Of the latest run.
    placement
        Its rules as plain data; null for a run that placed nobody.
    expected
        How many of each of its ``tiers`` will be in each when the horizon is over (``rows``); null where
        nothing tells.
    scores
        Its scores, one row per customer.
    periods
        Of tiers and stages, of all runs, as in `training.moves.standing_at`.
    runs
        The `as_of` of every run.
    judged_as_of, judged
        Of the latest run whose horizon was over at `as_of` and whose scores are kept: its `as_of`, and the
        churn risk by customer_id; null without one.
    plan
        The latest one as plain data, with what `training.report.Plan` holds; null without one.
    """

    run_id: str
    as_of: datetime
    model_version: str
    placement: Mapping[str, Any] | None
    expected: Mapping[str, Any] | None
    scores: pd.DataFrame
    periods: pd.DataFrame
    runs: Sequence[datetime]
    judged_as_of: datetime | None = None
    judged: "pd.Series[float] | None" = None
    plan: Mapping[str, Any] | None = None

    def moves(self) -> Moves | None:
        """Count who moved between the tiers since an earlier run; null without one."""
        before = sorted(run for run in self.runs if run < self.as_of)
        if not before or self.periods.empty:
            return None
        old = [run for run in before if run <= self.as_of - MOVED]
        since = old[-1] if old else before[0]
        counts = transition_matrix(self.periods, kind="value_tier", start=since, end=self.as_of)
        return Moves(counts=counts, since=since, until=self.as_of, expected=self._expected())

    def _expected(self) -> pd.DataFrame | None:
        """Return which share of each tier is expected where; NaN of a tier without anybody."""
        if self.expected is None:
            return None
        tiers = self.expected["tiers"]
        rows = pd.DataFrame(self.expected["rows"], index=tiers, columns=tiers, dtype=float)
        return rows.div(rows.sum(axis=1).replace(0, np.nan), axis=0)


def write_report(
    configuration: Configuration, record: Record, *, language: str, progress: Progress = lambda _: None
) -> Path:
    """Write the page about the latest run into the workspace; return where it lies.

    Raises
    ------
    InputError
        A source or a setting is wrong, or the model of the run is no longer registered.
    """
    registry = registry_of(configuration)
    version = registry.find(record.model_version)
    bundle = Bundle.read(registry.fetch(version.version))
    with workplace(configuration.project.workspace) as connection:
        progress("reading the sources")
        quality = stage(configuration, connection, attributes=bundle.plan().attributes)
        progress("looking at who came, moved and left")
        gathering = Gathering(configuration, record, bundle, connection)
        report = Report(
            project=configuration.project.name,
            run_id=record.run_id,
            as_of=record.as_of,
            model_version=record.model_version,
            horizon_days=bundle.training["horizon_days"],
            currency=configuration.project.currency,
            language=language,
            customers=record.scores,
            moves=record.moves(),
            quality=quality,
            facts=bundle.training,
            measures=measures_of(registry, version),
            treatments=EffectReport.read(configuration.project.workspace / EFFECTS),
            plan=None if record.plan is None else Plan(**record.plan),
            **gathering.parts(),
        )
    file = configuration.project.workspace / PAGE
    with whole_file(file) as unfinished:
        unfinished.write_text(page(report), encoding="utf-8")
    return file


def measures_of(registry: Registry, version: Version) -> pd.DataFrame | None:
    """Return how good a version and its rivals were when it was trained; null if it was never judged."""
    text = registry.text(version, EVALUATION)
    if text is not None:
        return pd.read_csv(io.StringIO(text))
    own = pd.DataFrame({"metric": list(version.metrics), "estimate": list(version.metrics.values())})
    return None if own.empty else own.assign(model=version.kind, low=np.nan, high=np.nan)


@dataclass(frozen=True)
class Gathering:
    """What is read from the sources again, as known at the `as_of` of the run.

    Parameters
    ----------
    connection
        With the staged tables.
    """

    configuration: Configuration
    record: Record
    bundle: Bundle
    connection: duckdb.DuckDBPyConnection

    def parts(self) -> dict[str, Any]:
        """Return the parts of the report, by their names."""
        if self.record.placement is None:
            return {}
        placement = Placement.from_json(self.record.placement)
        tiers = placement.policy.names
        attributes = self._attributes()
        parts: dict[str, Any] = {"tier_names": tiers}
        if attributes is not None:
            now = self.record.scores.set_index("customer_id")["value_tier"].dropna()
            parts["fairness"] = tier_rates(now, attributes, best=tiers[0], worst=tiers[-1])
        if placement.setting == "labelled":
            return parts
        steps = self.bundle.steps("duckdb")
        match_refunds(self.connection, steps)
        put_order_calendar(self.connection, self._plan, self._cutoff)
        if placement.setting == "transactional":
            parts["funnel"] = stage_rates(
                self.connection,
                cutoff=self._cutoff,
                **asdict(placement.rhythm),
                established_orders=placement.established_orders,
                time_zone=self._time_zone,
            )
            parts["retention"] = retention(self.connection, cutoff=self._cutoff)
        parts["lost"] = self._lost(steps["features"], placement.rhythm.lapsing_days)
        grading = Grading(
            self.connection, self._plan, self.record.periods, self.record.runs, tiers, self._time_zone
        )
        parts["effect"] = grading.comparison(known_by=self.record.as_of)
        run, risk = self.record.judged_as_of, self.record.judged
        if attributes is not None and run is not None and risk is not None:
            churned = grading.churned(run, known_by=self.record.as_of)
            parts["calibration"] = calibration_by_group(risk, churned, attributes)
        return parts

    def _lost(self, features: str, lapsing_days: float) -> pd.DataFrame:
        """List who left, from the features of everybody on the spine and the scores of the run."""
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE features AS {features}")
        self.connection.register("scored", self.record.scores)
        told = lost_table(
            self.connection,
            EVERYBODY,
            cutoff=self._cutoff,
            clv_days=self.bundle.training["clv_days"],
            lapsing_days=lapsing_days,
        )
        self.connection.unregister("scored")
        return pd.DataFrame(told.to_pandas())

    def _attributes(self) -> pd.DataFrame | None:
        """Read what groups are compared by; null where the configuration names nothing."""
        names = self.configuration.section("tiers", TierSettings).fairness.attributes
        return attributes_at(self.connection, names, cutoff=self._cutoff) if names else None

    @property
    def _plan(self) -> FeaturePlan:
        return self.bundle.plan()

    @property
    def _cutoff(self) -> Cutoff:
        return Cutoff.at(self.record.as_of, self._time_zone)

    @property
    def _time_zone(self) -> str:
        return self.configuration.project.time_zone
