"""One run: everybody known at one `as_of` is scored and published whole."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path

import duckdb
import pyarrow as pa

from features.batch import workplace
from features.configuration import Configuration
from features.coverage import lacking
from features.cut_point import cut_point
from features.errors import InputError
from features.freshness import freshness
from features.instants import Cutoff
from features.protected import check_attributes
from features.quality import DataQuality
from features.staging import stage
from features.tier_settings import TierSettings
from models.agreement import disagreement
from models.bundle import Bundle
from models.standing import percentile, quantile_grid
from serving.contracts import contract_scores
from serving.curves_file import write_curves
from serving.expectation import expected_transitions
from serving.feature_rows import make_features, numbers
from serving.labelled import labelled_scores
from serving.lost_file import write_lost
from serving.purchases import purchase_scores
from serving.run_identity import run_id
from serving.scores_file import write_scores
from serving.settings import ServingSettings
from serving.standing import StandingJob
from serving.store import Run, Store
from serving.tables import SCHEMA

BATCH_ROWS = 100_000


@dataclass(frozen=True)
class ScoringJob:
    """What a run is made from.

    Parameters
    ----------
    configuration
        Of the project.
    bundle
        The model, and the features that it was trained with.
    model_version
        As registered.
    store
        Where the run is published.
    """

    configuration: Configuration
    bundle: Bundle
    model_version: str
    store: Store

    def run(
        self,
        *,
        as_of: datetime,
        out: Path | None = None,
        curves: Path | None = None,
        lost: Path | None = None,
        allow_stale: bool = False,
    ) -> Run:
        """Score everybody known at `as_of`, publish the run, and write it to a Parquet file if asked.

        A run that is published already is neither computed nor published again, unless another one of its
        `as_of` has replaced it since: who goes back to a model or to tiers of before wants them to count.

        Parameters
        ----------
        curves
            A second Parquet file, for the forecasts by other days than the horizon.
        lost
            A third, for the customers who left.

        Raises
        ------
        InputError
            A source is wrong, the bundle is about something else than the configuration, nobody is known
            at `as_of`, or the store refuses.
        StaleDataError
            The days before `as_of` are improbably thin.
        """
        self._check_bundle()
        if self._is_labelled and (curves or lost):
            raise InputError(
                f"{'--curves' if curves else '--lost'} asks for what happens by days, and a labelled table "
                "knows no days; leave it out"
            )
        project = self.configuration.project
        with workplace(project.workspace) as connection:
            quality = stage(self.configuration, connection, attributes=self.bundle.plan().attributes)
            self._check_tables(connection)
            if self.bundle.training["setting"] == "transactional":
                freshness(connection, as_of=as_of, time_zone=project.time_zone, allow_stale=allow_stale)
            run = self._named(quality, as_of)
            published = self.store.published(run.run_id)
            cutoff = Cutoff.at(as_of, project.time_zone)
            if published is None or curves or lost:
                make_features(connection, self.bundle, cutoff)
            if published is None:
                run = self._publish(connection, run, cutoff)
            if curves is not None:
                write_curves(self.bundle, _feature_rows(connection), curves)
            if lost is not None:
                write_lost(connection, self.store, run, self.bundle, lost)
        run = published or run
        if out is not None:
            write_scores(self.store, run, out, language=self._settings.language)
        if published is None:  # last, since a run of the past may be pruned at once
            self.store.prune(keep=self._settings.keep_runs)
        return run

    @property
    def _settings(self) -> ServingSettings:
        return self.configuration.section("serving", ServingSettings)

    @property
    def _tiers(self) -> TierSettings:
        return self.configuration.section("tiers", TierSettings)

    @property
    def _is_labelled(self) -> bool:
        return bool(self.bundle.training["setting"] == "labelled")

    def _check_bundle(self) -> None:
        told = disagreement(self.bundle, self.configuration)
        if told:
            raise InputError(f"the model {told}; train again, or set it back")

    def _check_tables(self, connection: duckdb.DuckDBPyConnection) -> None:
        check_attributes(connection, self._tiers.fairness.attributes)
        lacks = lacking(connection, self.bundle.plan())
        if lacks:
            raise InputError(
                f"the model was trained with {lacks}, which no source gives any more; bring it back, or "
                "train again"
            )

    def _named(self, quality: DataQuality, as_of: datetime) -> Run:
        preceding = self.store.latest(before=as_of)
        name = partial(
            run_id,
            self.configuration,
            quality,
            as_of=as_of,
            bundle_digest=self.bundle.digest,
            preceding=preceding.run_id if preceding else None,
        )
        training = self.bundle.training
        return Run(
            run_id=self._unreplaced(name, as_of),
            as_of=as_of,
            bundle_digest=self.bundle.digest,
            model_version=self.model_version,
            setting=training["setting"],
            horizon_days=training["horizon_days"],
            currency=training["currency"],
            value_basis=None if self._is_labelled else training.get("value", "revenue"),
            customers=0,
            preceding=preceding.run_id if preceding else None,
        )

    def _unreplaced(self, name: Callable[..., str], as_of: datetime) -> str:
        """Return the name under which the run counts, or can be published so that it does."""
        last = self.store.last(as_of=as_of)
        names = (name(again=again) for again in count())
        return next(
            each
            for each in names
            if last is None or each == last.run_id or self.store.published(each) is None
        )

    def _publish(self, connection: duckdb.DuckDBPyConnection, run: Run, cutoff: Cutoff) -> Run:
        cut = cut_point(connection, self.bundle.cut_query) if self.bundle.has_potential else None
        batches = list(self._forecast(_feature_rows(connection), cutoff, cut))
        table = pa.Table.from_batches(batches).sort_by("customer_id")
        grid = quantile_grid(numbers(table, "churn_risk")) if "churn_risk" in table.column_names else []
        for field in SCHEMA:  # what does not apply is null
            if field.name not in {*table.column_names, "churn_risk_percentile"}:
                table = table.append_column(field.name, pa.nulls(table.num_rows, field.type))
        ranks = percentile(grid, numbers(table, "churn_risk"))
        table = table.append_column("churn_risk_percentile", pa.array(ranks, from_pandas=True))
        job = StandingJob(connection, self.bundle, self._tiers, self.store, run, cutoff)
        standing = job.stand(table)
        done = replace(run, customers=table.num_rows)
        self.store.publish(
            done,
            standing.scores.select(SCHEMA.names).cast(SCHEMA).to_batches(),
            facts={
                "churn_risk_grid": grid,
                "cut_point": cut,
                "placement": standing.placement.to_json(),
                "expected_transitions": expected_transitions(
                    self.bundle, table, standing.scores, standing.placement
                ),
            },
            moves=standing.moves,
        )
        return done

    def _forecast(
        self, reader: pa.RecordBatchReader, cutoff: Cutoff, cut: float | None
    ) -> Iterator[pa.RecordBatch]:
        if self._is_labelled:
            return labelled_scores(self.bundle, reader)
        if self.bundle.plan().reads_contracts:
            return contract_scores(self.bundle, reader)
        return purchase_scores(self.bundle, reader, cutoff, cut=cut)


def _feature_rows(connection: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
    return connection.sql("SELECT * FROM features").to_arrow_reader(BATCH_ROWS)
