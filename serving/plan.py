"""One plan: what is done for everybody in a published run, within budget and places."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol

import duckdb
import numpy as np
import pyarrow as pa

from features.assignments import ASSIGNMENTS
from features.batch import workplace
from features.configuration import Configuration, Project
from features.contract import TREATMENTS
from features.errors import InputError
from features.instants import Cutoff
from features.plan import FeaturePlan
from features.protected import protected_attributes
from features.quality import DataQuality
from features.staging import stage
from features.treatment_settings import PlanSettings, TreatmentSettings, read_treatments
from models.arms import Arms
from models.beliefs import Past
from models.bundle import Bundle, as_json
from models.contact_rules import ContactRules, open_arms
from models.effects import Effect
from models.placement import Placement
from models.planning import Proposal, decide, expect
from models.playbooks import Playbook, left_out, playbooks
from models.subjects import TABLE
from models.uplift import Uplift
from serving.feature_rows import make_features
from serving.plan_rows import PlanRows, summary
from serving.plan_subjects import make_plan_subjects
from serving.plans import Plan
from serving.settings import ServingSettings
from serving.store import Run, Store

_MEASURED = f"""
SELECT treatment, campaign, count(*) / sum(count(*)) OVER (PARTITION BY treatment) AS share
FROM {ASSIGNMENTS} WHERE is_over = 1 AND is_explored = 0 AND is_holdout IS NOT NULL
    AND coalesce(propensity, 0) < 1
GROUP BY treatment, campaign ORDER BY treatment, campaign
"""
Progress = Callable[[str], None]


class Measure(Protocol):
    """What measures the effects of treatments from the log of them, as `training.effects.measure` does."""

    def __call__(
        self,
        connection: duckdb.DuckDBPyConnection,
        configuration: Configuration,
        *,
        cutoff: Cutoff,
        planned: pa.Table,
        model: FeaturePlan,
    ) -> Mapping[str, Effect]:
        """Measure what was assigned before the cutoff."""


@dataclass(frozen=True)
class PlanJob:
    """What a plan is made from.

    Parameters
    ----------
    configuration
        Of the project.
    bundle
        The model of the run.
    store
        Where the run is, and the plan is published.
    run
        For whose customers it is made.
    measure
        Tells the effects.
    """

    configuration: Configuration
    bundle: Bundle
    store: Store
    run: Run
    measure: Measure

    def make(self, *, progress: Progress = lambda _: None) -> Plan:
        """Plan for everybody in the run and publish it; a plan that is published already stays as it is.

        Parameters
        ----------
        progress
            Told what is being done.

        Raises
        ------
        InputError
            A source or a setting is wrong, the scores of the run are gone, or the store refuses.
        """
        progress("reading the sources")
        with workplace(self._project.workspace) as connection:
            quality = stage(self.configuration, connection, attributes=self.bundle.plan().attributes)
            plan = self._named(quality)
            published = self.store.plans.at(self.run.as_of)
            if published and published.plan_id == plan.plan_id:
                return published
            progress(f"measuring what was done so far, and choosing for {self.run.customers:,} customers")
            table, facts = self._made(connection)
        done = replace(plan, customers=table.num_rows, facts=facts)
        self.store.plans.publish(done, table)
        return done

    def _made(self, connection: duckdb.DuckDBPyConnection) -> tuple[pa.Table, dict[str, Any]]:
        """Make the rows of the plan, and what is said of the whole."""
        effects = self._effects(connection)
        make_features(connection, self.bundle, self._cutoff)
        proposal = self._proposal(connection, self._open_arms(connection), effects)
        rows = PlanRows(
            connection,
            proposal,
            self._settings,
            self._cutoff,
            self.bundle.plan(),
            self._serving.language,
        )
        facts = summary(proposal, effects) | {
            "left_out": self._left_out(connection),
            "left_alone": rows.left_alone(),
        }
        return rows.table(), facts

    def _proposal(
        self,
        connection: duckdb.DuckDBPyConnection,
        books: Sequence[Playbook],
        effects: Mapping[str, Effect],
    ) -> Proposal:
        arms = Arms.read(connection, books)
        expected = expect(
            arms, books, effects, self._uplifts(connection, effects), self._pasts(connection, books)
        )
        decisions = decide(arms, books, expected, self._settings, key=f"{self._seed} {self.run.run_id}")
        return Proposal(books, arms, expected, decisions)

    @property
    def _project(self) -> Project:
        return self.configuration.project

    @property
    def _settings(self) -> PlanSettings:
        return self.configuration.section("plan", PlanSettings)

    @property
    def _serving(self) -> ServingSettings:
        return self.configuration.section("serving", ServingSettings)

    @cached_property
    def _treatments(self) -> tuple[TreatmentSettings, ...] | None:
        return read_treatments(self.configuration)

    @property
    def _seed(self) -> str:
        return self._settings.seed or self._project.name

    @cached_property
    def _cutoff(self) -> Cutoff:
        return Cutoff.at(self.run.as_of, self._project.time_zone)

    def _named(self, quality: DataQuality) -> Plan:
        """Name the plan by all that it depends on."""
        treatments, preceding = self._treatments, self.store.plans.latest(before=self.run.as_of)
        before = preceding.plan_id if preceding else None
        facts = {
            "run": self.run.run_id,
            "data": quality.digests,
            "treatments": treatments and [each.model_dump(mode="json") for each in treatments],
            "plan": self._settings.model_dump(mode="json"),
            "seed": self._seed,
            "language": self._serving.language,
            "preceding": before,
        }
        digest = hashlib.sha256(as_json(facts).encode()).hexdigest()[:16]
        return Plan(
            plan_id=f"{self.run.as_of:%Y%m%d}-{digest}",
            run_id=self.run.run_id,
            as_of=self.run.as_of,
            customers=0,
            facts={},
            preceding=before,
        )

    def _effects(self, connection: duckdb.DuckDBPyConnection) -> Mapping[str, Effect]:
        """Measure what was done so far, and let contact rules know what plans assigned."""
        planned = self.store.plans.log(before=self.run.as_of)
        effects = self.measure(
            connection,
            self.configuration,
            cutoff=self._cutoff,
            planned=planned,
            model=self.bundle.plan(),
        )
        connection.execute(f"CREATE OR REPLACE TABLE {TREATMENTS.name} AS SELECT * FROM {ASSIGNMENTS}")
        return effects

    def _open_arms(self, connection: duckdb.DuckDBPyConnection) -> tuple[Playbook, ...]:
        """Make the table of arms; return the playbooks."""
        placement = self._placement()
        kinds = make_plan_subjects(
            connection,
            self._scores(),
            placement,
            self.bundle.plan().attributes,
            cutoff=self._cutoff,
            time_zone=self._project.time_zone,
        )
        tiers, protected = placement.policy.names, protected_attributes(self.configuration)
        books = playbooks(
            self._treatments,
            columns=kinds,
            tiers=tiers,
            language=self._serving.language,
            protected=protected,
        )
        if not books:
            raise InputError("no default treatment fits these customers; name your own as [[treatments]]")
        rules = ContactRules.of(self._settings, books, columns=kinds, tiers=tiers, protected=protected)
        open_arms(connection, books, rules, cutoff=self._cutoff)
        return books

    def _left_out(self, connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[str, ...]]:
        """Tell which defaults these customers go without, and the columns that they lack."""
        if self._treatments is not None:
            return {}
        known = [name for name, *_ in connection.execute(f"DESCRIBE {TABLE}").fetchall()]
        return left_out(known)

    def _placement(self) -> Placement:
        facts = self.store.facts(self.run.run_id) or {}
        if "placement" not in facts:
            raise InputError(f"run '{self.run.run_id}' placed nobody, as older versions did; score again")
        return Placement.from_json(facts["placement"])

    def _scores(self) -> pa.Table:
        try:
            return pa.Table.from_batches(self.store.scores(self.run.run_id))
        except LookupError as error:
            raise InputError(f"{error}; score again, or raise serving.keep_runs") from None

    def _uplifts(
        self, connection: duckdb.DuckDBPyConnection, effects: Mapping[str, Effect]
    ) -> dict[str, Uplift]:
        """Tell by treatment its effect on every customer, where that differs beyond noise."""
        learners = {name: effect.uplift for name, effect in effects.items() if effect.uplift is not None}
        if not learners:
            return {}
        features = connection.execute(
            f"SELECT features.* FROM {TABLE} LEFT JOIN features USING (customer_id) ORDER BY customer_id"
        ).df()
        return {name: learner.told(features) for name, learner in learners.items()}

    def _pasts(self, connection: duckdb.DuckDBPyConnection, books: Sequence[Playbook]) -> dict[str, Past]:
        """Tell by treatment what plans assumed, in the same words, of whom its effect was measured on."""
        known = self.store.plans.assumed(before=self.run.as_of)
        text = {book.name: book.effect.text for book in books}
        told = connection.execute(_MEASURED).df()
        campaigns = zip(told["campaign"], told["treatment"], strict=True)
        told["assumed"] = [known.get((campaign, name, text.get(name, ""))) for campaign, name in campaigns]
        told = told.dropna(subset="assumed").astype({"assumed": float})
        return {
            str(name): Past(
                float(part["share"].sum()), float(np.average(part["assumed"], weights=part["share"]))
            )
            for name, part in told.groupby("treatment")
        }


def planned_run(store: Store, as_of: datetime | None) -> Run:
    """Find the run to plan for: the latest, or the one that counts at a time.

    Raises
    ------
    InputError
        There is none.
    """
    run = store.latest() if as_of is None else store.last(as_of=as_of)
    if run is None:
        when = "" if as_of is None else f" as of {as_of:%Y-%m-%d %H:%M} UTC"
        raise InputError(f"no run{when} is published; a plan needs one: tierwise score")
    return run
