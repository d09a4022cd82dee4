"""What became of assignments: the outcome of each in the horizon after it, and in as long a time before."""

from dataclasses import dataclass
from functools import cached_property

import duckdb
import pandas as pd
import pyarrow as pa

from features.assignments import ASSIGNMENTS, put_assignments_on_spine
from features.batch import SPINE, match_refunds
from features.configuration import Configuration
from features.forecast_settings import ForecastSettings
from features.instants import Cutoff
from features.parsing import literal
from features.plan import FeaturePlan
from features.protected import feature_sources
from features.survey import plan_features
from training.contract_labels import contract_label_query, label_contracts
from training.labels import label_query, label_spine

BEFORE = ("value_before", "ordered_before")
"""Of as many days before the assignment as the horizon has."""
KINDS = ("value_tier", "lifecycle_stage")
"""Of the standing that effects are told by."""
WAITING = "is_over = 0 AND is_explored = 0"
"""Assignments whose outcome is not known yet, as a condition."""
OVERTAKEN = (
    "is_over = 1 AND is_holdout = 1 AND EXISTS (SELECT 1 FROM assignments AS later "
    "WHERE later.customer_id = each_.customer_id AND later.treatment = each_.treatment "
    "AND later.is_holdout = 0 AND later.assigned_at > each_.assigned_at "
    "AND later.assigned_at < each_.assigned_at + {horizon})"
)
"""Assignments that were held out of a treatment and given it within the horizon after all, as a condition."""
SMALL = 20
"""Campaigns with fewer assignments share what is assumed of their propensity."""


@dataclass(frozen=True)
class Followed:
    """The assignments whose horizon is over, and the records of what their customers did.

    Parameters
    ----------
    connection
        With the staged tables and ``assignments``; its spine and matched refunds are replaced.
    configuration
        Says what an order is worth, and the horizon.
    cutoff
        Until when records are complete.
    """

    connection: duckdb.DuckDBPyConnection
    configuration: Configuration
    cutoff: Cutoff

    def outcomes(self) -> pd.DataFrame:
        """Return one row per assignment that is over, by its number.

        Returns
        -------
        The columns of `features.assignments.assignments`, ``value`` and ``ordered`` (1 or 0; of contracts
        whether it still runs) of the horizon from the assignment on, and ``value_before`` and
        ``ordered_before`` of as long a time before it, as known at the assignment. Records at or after the
        cutoff, or known later, are not seen.
        """
        rows = self.connection.execute(
            f"SELECT * EXCLUDE (is_over) FROM {ASSIGNMENTS} WHERE is_over = 1 ORDER BY subject"
        ).df()
        if rows.empty:
            return rows.assign(**dict.fromkeys(("value", "ordered", *BEFORE), pd.Series(dtype=float)))
        if self.plan.reads_orders:
            match_refunds(self.connection, self._steps)
        before, after = self._labels(self.horizon_days), self._labels(0)
        before.columns = pd.Index(BEFORE)
        return pd.concat([rows, after, before], axis=1)

    def features(self) -> pd.DataFrame:
        """Return the features of each of these assignments, as known at it, by its number."""
        put_assignments_on_spine(self.connection, time_zone=self._time_zone)
        told = f"SELECT DISTINCT * FROM ({self._steps['features']})"
        rows = self.connection.execute(
            f"SELECT subject, told.* EXCLUDE (customer_id, as_of) FROM ({told}) AS told "
            f"JOIN {SPINE} USING (customer_id, as_of) ORDER BY subject"
        ).df()
        return rows.set_index("subject")

    @property
    def horizon_days(self) -> int:
        """The days that an assignment is followed for."""
        return self._settings.horizon_days

    @cached_property
    def plan(self) -> FeaturePlan:
        """The features that the records allow."""
        return plan_features(
            self.connection,
            feature_sources(self.configuration, self.connection),
            horizon_days=self.horizon_days,
            cutoff=self.cutoff,
            value=self._settings.value,
            is_contractual=self.configuration.project.setting == "contractual",
        )

    @cached_property
    def _steps(self) -> dict[str, str]:
        return self.plan.sql()["duckdb"]

    @property
    def _settings(self) -> ForecastSettings:
        return self.configuration.section("forecast", ForecastSettings)

    @property
    def _time_zone(self) -> str:
        return self.configuration.project.time_zone

    def _labels(self, days_before: int) -> pd.DataFrame:
        """Return ``value`` and ``ordered`` of a horizon that begins so many days before the assignments."""
        put_assignments_on_spine(self.connection, days_before=days_before, time_zone=self._time_zone)
        horizon = self.horizon_days
        if self.plan.reads_contracts:
            return self._of_contracts(horizon)
        query = label_query(self.plan, days=[horizon])
        labels = label_spine(self.connection, query, days=[horizon], known_by=self.cutoff.micros)
        return pd.DataFrame(
            {"value": labels[f"value_{horizon}"], "ordered": (labels[f"orders_{horizon}"] > 0).astype(float)}
        )

    def _of_contracts(self, horizon: int) -> pd.DataFrame:
        """Label the spine one instant after another: the labels of contracts are those of a customer."""
        query = contract_label_query(days=[horizon], fee_days=self.plan.fee_days)
        everybody = self.connection.execute(f"SELECT * FROM {SPINE} ORDER BY subject").df()
        told = pd.DataFrame(0.0, index=everybody.index, columns=["value", "ordered"])
        for _, part in everybody.groupby("as_of"):
            self.connection.register("instant", part)
            self.connection.execute(f"CREATE OR REPLACE TABLE {SPINE} AS FROM instant")
            self.connection.unregister("instant")
            labels = label_contracts(self.connection, query, days=[horizon], known_by=self.cutoff.micros)
            labels = labels.set_index("customer_id").loc[part["customer_id"]]
            told.loc[part.index, "value"] = labels[f"value_{horizon}"].fillna(0.0).to_numpy()
            told.loc[part.index, "ordered"] = 1.0 - labels[f"ended_{horizon}"].to_numpy()
        return told


def with_chances(rows: pd.DataFrame) -> pd.DataFrame:
    """Fill in propensities that are unknown: the share of the campaign that was held out, or treated.

    Campaigns of fewer than 20 assignments of a treatment are taken together.
    """
    unknown = rows["propensity"].isna()
    size = rows.groupby(["treatment", "campaign"])["subject"].transform("size")
    campaign = rows["campaign"].where(size >= SMALL, "")
    held = rows["is_holdout"].groupby([rows["treatment"], campaign]).transform("mean")
    share = held.where(rows["is_holdout"] == 1, 1 - held)
    return rows.assign(propensity=rows["propensity"].where(~unknown, share), is_assumed=unknown)


def with_standings(
    connection: duckdb.DuckDBPyConnection, rows: pd.DataFrame, standings: pa.Table | None
) -> pd.DataFrame:
    """Add the tier and the stage that the customers stood in when they were assigned; null where unknown.

    Parameters
    ----------
    standings
        Periods, as in `training.moves.standing_at`.
    """
    if standings is None:
        return rows.assign(**dict.fromkeys(KINDS))
    connection.register("standings", standings)
    connection.register("followed", rows[["subject", "customer_id", "assigned_at"]])
    names = ", ".join(f"any_value(name) FILTER (kind = {literal(kind)}) AS {kind}" for kind in KINDS)
    told = connection.execute(
        f"SELECT subject, {names} FROM followed JOIN standings "
        "ON followed.customer_id = standings.customer_id AND epoch_us(started_at) <= assigned_at "
        "AND (ended_at IS NULL OR epoch_us(ended_at) > assigned_at) GROUP BY subject"
    ).df()
    connection.unregister("followed")
    connection.unregister("standings")
    return rows.merge(told, on="subject", how="left")


def count_assignments(connection: duckdb.DuckDBPyConnection, condition: str) -> dict[str, int]:
    """Count the assignments of each treatment for which a condition holds; those without any are left out."""
    rows = connection.execute(
        f"SELECT treatment, count(*) FROM {ASSIGNMENTS} AS each_ WHERE {condition} GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    return dict(rows)
