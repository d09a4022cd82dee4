"""What the grading did: how each tier fared after a run, beside the run before and that of a year before."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

import duckdb
import ibis
import pandas as pd

from features.batch import SPINE, put_on_spine, tables_in
from features.contract import DAY, FEEDBACK
from features.days import SUBJECT, known, order_days, unbound_spine
from features.feedback import COMPLAINT, RECOMMEND
from features.instants import Cutoff, micros
from features.parsing import literal
from features.plan import FeaturePlan
from training.contract_labels import contract_label_query, label_contracts
from training.labels import label_query, label_spine
from training.moves import standing_at

MEASURES = (
    "revenue",
    "revenue_per_customer",
    "margin",
    "repurchase_rate",
    "churn_rate",
    "to_best_rate",
    "complaints",
    "complaints_per_customer",
    "resolve_days",
    "unresolved_share",
    "satisfaction",
    "recommendation",
)
YEAR = timedelta(days=365)
YEAR_TOLERANCE = timedelta(days=31)
"""How far from a year before the run may lie that stands for it."""
GRADED = "graded"


@dataclass(frozen=True)
class Grading:
    """The tiers of all runs, and the records of what became of the customers in them.

    Parameters
    ----------
    connection
        With the staged tables and the matched refunds; its spine is replaced.
    plan
        The features: what a purchase is, and the horizon that customers are followed for.
    periods
        As in `training.moves.standing_at`; those of value tiers count.
    runs
        The `as_of` of every run.
    tiers
        Their names, best first.
    time_zone
        Of the project's calendar days.
    """

    connection: duckdb.DuckDBPyConnection
    plan: FeaturePlan
    periods: pd.DataFrame
    runs: Sequence[datetime]
    tiers: tuple[str, ...]
    time_zone: str

    def effects(self, runs: Iterable[datetime], *, known_by: datetime) -> pd.DataFrame:
        """Tell how the customers of each tier fared in the horizon after each of these runs.

        Parameters
        ----------
        known_by
            Until when records are complete; of a horizon that ends later only ``customers`` is known.

        Returns
        -------
        One row per run and tier, best tier first, names of the past last: ``as_of``, ``tier``,
        ``customers`` and `MEASURES`, NaN where not known: ``revenue`` (orders of the horizon less their
        refunds known by its end, or fees) and ``revenue_per_customer``; ``margin``, where costs are
        known; ``repurchase_rate``, of those who had ordered before, and ``churn_rate``, its complement
        (of contracts: the share that ended); ``to_best_rate``, of those not in the best tier the share
        that is in it at the first run from the horizon's end on; ``complaints`` and
        ``complaints_per_customer``; ``resolve_days``, the mean of those resolved by the end, and
        ``unresolved_share`` of the others; ``satisfaction``, the mean score of surveys and reviews, and
        ``recommendation``, that of those about recommending (0 to 10).
        """
        tables = [self._effect(as_of, known_by=known_by) for as_of in runs]
        columns = ["as_of", "tier", "customers", *MEASURES]
        return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)

    def comparison(self, *, known_by: datetime) -> pd.DataFrame:
        """Compare the latest run whose horizon is over with the run before it and that of a year before.

        Parameters
        ----------
        known_by
            As in `effects`. While no horizon is over, the latest run is compared.

        Returns
        -------
        One row per tier and of ``customers`` and `MEASURES`: ``tier``, ``measure``, ``value``,
        ``run_before``, ``year_before`` (NaN where not known), and the `as_of` of each: ``as_of``,
        ``run_before_as_of``, ``year_before_as_of`` (null where there was no such run; the one of a year
        before is the nearest within 31 days of it).
        """
        compared = dict(zip(("value", "run_before", "year_before"), self._compared(known_by), strict=True))
        rows = pd.DataFrame(
            [(tier, measure) for tier in self.tiers for measure in ("customers", *MEASURES)],
            columns=["tier", "measure"],
        )
        for name, run in compared.items():
            told = self.effects([] if run is None else [run], known_by=known_by)
            cells = told.set_index("tier").reindex(self.tiers)[["customers", *MEASURES]]
            rows[name] = cells.to_numpy(float).ravel()
            rows["as_of" if name == "value" else f"{name}_as_of"] = run
        return rows

    def churned(self, as_of: datetime, *, known_by: datetime) -> pd.Series:
        """Tell who churned in the horizon after a run, by customer_id.

        Returns
        -------
        1 for who did not order (or whose contract ended), 0 for who did; NaN for those who had never
        ordered (without a contract that ran). Empty while the horizon is not over, or nothing tells.
        """
        if self._end(as_of) > known_by:
            return pd.Series(dtype=float)
        self._put(standing_at(self.periods, kind="value_tier", at=as_of), as_of)
        came = self._came(known_by)
        return pd.Series(dtype=float) if came.empty else came["churned"]

    def _compared(self, known_by: datetime) -> tuple[datetime | None, datetime | None, datetime | None]:
        runs = sorted(self.runs)
        over = [run for run in runs if self._end(run) <= known_by]
        if not runs:
            return None, None, None
        latest = (over or runs)[-1]
        before = [run for run in runs if run < latest]
        year_ago = [run for run in before if abs(latest - YEAR - run) <= YEAR_TOLERANCE]
        nearest = min(year_ago, key=lambda run: abs(latest - YEAR - run), default=None)
        return latest, before[-1] if before else None, nearest

    def _end(self, run: datetime) -> datetime:
        return run + timedelta(days=self.plan.horizon_days)

    def _effect(self, as_of: datetime, *, known_by: datetime) -> pd.DataFrame:
        tiers = standing_at(self.periods, kind="value_tier", at=as_of)
        others = sorted(set(tiers) - set(self.tiers))
        customers = tiers.value_counts().reindex([*self.tiers, *others], fill_value=0)
        effect = pd.DataFrame({"customers": customers}, columns=["customers", *MEASURES], dtype=float)
        effect["customers"] = customers
        if self._end(as_of) <= known_by:
            self._put(tiers, as_of)
            for measures in (
                self._bought(tiers, known_by),
                self._rose(tiers, as_of),
                self._said(as_of, known_by),
            ):
                effect.update(measures)
            effect["revenue_per_customer"] = effect["revenue"] / customers.where(customers > 0)
            effect["complaints_per_customer"] = effect["complaints"] / customers.where(customers > 0)
        return effect.rename_axis("tier").reset_index().assign(as_of=as_of)

    def _bought(self, tiers: pd.Series, known_by: datetime) -> pd.DataFrame:
        """Sum by tier what came of orders, or of contracts, in the horizon."""
        came = self._came(known_by)
        if came.empty:
            return came
        by_tier = came.groupby(tiers.reindex(came.index))
        measures = by_tier[[name for name in came if name != "churned"]].sum(min_count=1)
        measures["churn_rate"] = by_tier["churned"].mean()
        if not self.plan.reads_contracts:
            measures["repurchase_rate"] = 1 - measures["churn_rate"]
        return measures

    def _came(self, known_by: datetime) -> pd.DataFrame:
        """Tell of everybody on the spine what came: revenue, the margin where known, and who churned."""
        days, known_until = [self.plan.horizon_days], micros(known_by)
        if self.plan.reads_contracts:
            query = contract_label_query(days=days, fee_days=self.plan.fee_days)
            ended = label_contracts(self.connection, query, days=days, known_by=known_until)
            ran = self.connection.execute(query).df()["left_days"].notna()
            rows = {"revenue": ended[f"value_{days[0]}"], "churned": ended[f"ended_{days[0]}"].where(ran)}
            return pd.DataFrame(rows).set_index(pd.Index(ended["customer_id"]))
        if not self.plan.reads_orders:
            return pd.DataFrame()
        rows = {}
        for value, query in self._label_queries.items():
            labels = label_spine(self.connection, query, days=days, known_by=known_until)
            rows[value] = labels[f"value_{days[0]}"]
        buyers = self.connection.execute(self._ordered_query).df()["customer_id"]
        had_ordered = labels["customer_id"].isin(buyers)
        rows["churned"] = (labels[f"orders_{days[0]}"] == 0).astype(float).where(had_ordered)
        return pd.DataFrame(rows).set_index(pd.Index(labels["customer_id"]))

    @cached_property
    def _label_queries(self) -> dict[str, str]:
        """Compile what orders bring: revenue, and their margin where costs are known."""
        bases = ["revenue", "margin"] if "cost" in self.plan.order_columns else ["revenue"]
        return {
            value: label_query(replace(self.plan, value=value), days=[self.plan.horizon_days])
            for value in bases
        }

    @cached_property
    def _ordered_query(self) -> str:
        """Compile the query for who on the spine had ordered."""
        lines = known(self.plan.order_lines(), unbound_spine(), clock="ordered_at")
        subjects = ibis.to_sql(order_days(lines).select(SUBJECT).distinct(), dialect="duckdb")
        return f"SELECT customer_id FROM {SPINE} JOIN ({subjects}) USING ({SUBJECT})"

    def _rose(self, tiers: pd.Series, as_of: datetime) -> pd.DataFrame:
        """Tell by tier the share of customers who stand in the best tier at the first run from the end on."""
        later = [run for run in self.runs if run >= self._end(as_of)]
        if not later:
            return pd.DataFrame()
        best = self.tiers[0]
        then = standing_at(self.periods, kind="value_tier", at=min(later)).reindex(tiers.index)
        below = tiers != best
        return (then[below] == best).groupby(tiers[below]).mean().to_frame("to_best_rate")

    def _said(self, as_of: datetime, known_by: datetime) -> pd.DataFrame:
        """Sum by tier the feedback of the horizon."""
        if FEEDBACK.name not in tables_in(self.connection):
            return pd.DataFrame()
        end = micros(self._end(as_of))
        complaint = f"kind = {literal(COMPLAINT)}"
        recommends = f"coalesce(lower(topic) IN ({', '.join(map(literal, RECOMMEND))}), FALSE)"
        told = self.connection.execute(
            f"SELECT tier, count(*) FILTER ({complaint}) AS complaints, "
            f"avg((resolved_at - occurred_at) / {DAY}) FILTER ({complaint} AND resolved_at < {end}) "
            f"AS resolve_days, "
            f"avg(coalesce(resolved_at < {end}, FALSE)::INT) FILTER ({complaint}) AS resolved, "
            f"avg(score) FILTER (kind IN ('survey', 'review') AND NOT {recommends}) AS satisfaction, "
            f"avg(score) FILTER ({recommends}) AS recommendation "
            f"FROM {GRADED} LEFT JOIN (SELECT * FROM {FEEDBACK.name} "
            f"WHERE occurred_at >= {micros(as_of)} AND occurred_at < {end} "
            f"AND ingested_at <= {micros(known_by)}) USING (customer_id) GROUP BY tier"
        ).df()
        told["unresolved_share"] = 1 - told.pop("resolved")
        return told.set_index("tier")

    def _put(self, tiers: pd.Series, as_of: datetime) -> None:
        """Put the graded on the spine, and beside it their tiers."""
        self.connection.register("tiers_at", tiers.rename("tier").reset_index())
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {GRADED} AS FROM tiers_at")
        self.connection.unregister("tiers_at")
        put_on_spine(self.connection, f"SELECT customer_id FROM {GRADED}", Cutoff.at(as_of, self.time_zone))
