"""What became of assignments: the outcome of each in the horizon after it, and in as long a time before."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import duckdb
import pandas as pd
import pyarrow as pa

from features.assignments import ASSIGNMENTS, put_assignments_on_spine
from features.batch import SPINE, match_refunds
from features.configuration import Configuration
from features.contract import DAY
from features.forecast_settings import ForecastSettings
from features.instants import Cutoff
from features.parsing import literal
from features.plan import FeaturePlan
from features.protected import feature_sources
from features.survey import plan_features
from training.contract_labels import contract_label_query, label_contracts
from training.crowd import PLACES, places
from training.labels import label_query, label_spine

BEFORE = ("value_before", "value_earlier", "orders_before", "orders_earlier")
"""Of as many days before the assignment as the horizon has, and of thrice as many before those."""
EARLIER = 3
FOLLOWED = "followed"
MOST = 1_000_000
"""Assignments that are followed: more tell hardly more."""
KINDS = ("value_tier", "lifecycle_stage")
"""Of the standing that effects are told by."""
TOLD = "is_over = 1 AND is_explored = 0 AND is_holdout IS NOT NULL"
"""Assignments that are over and compared: none that was explored, or may have been either, as a condition."""
WAITING = "is_over = 0 AND is_explored = 0 AND is_holdout IS NOT NULL"
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
    model
        The features of a model that is told what was learnt; without one, those that the records allow.
    """

    connection: duckdb.DuckDBPyConnection
    configuration: Configuration
    cutoff: Cutoff
    model: FeaturePlan | None = None

    def outcomes(self) -> pd.DataFrame:
        """Return one row per assignment that is over and is compared, by its number.

        Of a log of more than a million the customers are drawn, by a hash of their id.

        Returns
        -------
        The columns of `features.assignments.assignments`, ``value`` and ``ordered`` (1 or 0; of contracts
        whether it still runs) of the horizon from the assignment on, and `BEFORE`. Records at or after the
        cutoff, or known later, are not seen.
        """
        self.connection.execute(
            f"CREATE OR REPLACE TABLE {FOLLOWED} AS SELECT * EXCLUDE (is_over) FROM {ASSIGNMENTS} "
            f"WHERE {TOLD} AND hash(customer_id) % {PLACES} < {places(self.share())}"
        )
        return self._with_outcomes()

    def drawn(self, log: pa.Table) -> pd.DataFrame:
        """Return, as of `outcomes`, all that plans left to chance and that is over.

        Parameters
        ----------
        log
            One row per plan and customer, nothing and explorations too: ``customer_id, assigned_at,
            treatment, propensity, is_holdout, is_explored, cost, candidates``.
        """
        self.connection.register("drawn", log)
        over = f"FROM drawn WHERE epoch_us(assigned_at) <= {self.cutoff.micros - self.horizon_days * DAY}"
        rows = self.connection.execute(f"SELECT count(*) {over}").fetchall()[0][0]
        self.connection.execute(
            f"CREATE OR REPLACE TABLE {FOLLOWED} AS SELECT row_number() OVER (ORDER BY customer_id, "
            "assigned_at) AS subject, * REPLACE (epoch_us(assigned_at) AS assigned_at) "
            f"{over} AND hash(customer_id) % {PLACES} < {places(min(1.0, MOST / max(rows, 1)))}"
        )
        self.connection.unregister("drawn")
        return self._with_outcomes()

    def _with_outcomes(self) -> pd.DataFrame:
        rows = self.connection.execute(f"FROM {FOLLOWED} ORDER BY subject").df()
        if rows.empty:
            return rows.assign(**dict.fromkeys(("value", "ordered", *BEFORE), pd.Series(dtype=float)))
        if self.plan.reads_orders:
            match_refunds(self.connection, self.plan.matching())
        horizon, earlier = self.horizon_days, EARLIER * self.horizon_days
        after = self._labels(days_before=0, days=[horizon])
        before = self._labels(days_before=earlier + horizon, days=[earlier, earlier + horizon])
        told = {"value": after[f"value_{horizon}"], "ordered": (after[f"orders_{horizon}"] > 0).astype(float)}
        for what in ("value", "orders"):
            told[f"{what}_earlier"] = before[f"{what}_{earlier}"]
            told[f"{what}_before"] = before[f"{what}_{earlier + horizon}"] - told[f"{what}_earlier"]
        return rows.assign(**told)

    def share(self) -> float:
        """Return the share of the customers that are followed: those of a million assignments."""
        counts = count_assignments(self.connection, TOLD)
        return min(1.0, MOST / max(sum(counts.values()), 1))

    def features(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the features of some of these assignments, as known at each, in their order."""
        self.connection.register("chosen", rows[["subject"]])
        chosen = f"(FROM {FOLLOWED} WHERE subject IN (SELECT subject FROM chosen))"
        put_assignments_on_spine(self.connection, chosen, time_zone=self._time_zone)
        self.connection.unregister("chosen")
        told = f"SELECT DISTINCT * FROM ({self.plan.sql()['duckdb']['features']})"
        found = self.connection.execute(
            f"SELECT subject, told.* EXCLUDE (customer_id, as_of) FROM ({told}) AS told "
            f"JOIN {SPINE} USING (customer_id, as_of)"
        ).df()
        return found.set_index("subject").loc[rows["subject"]]

    @property
    def horizon_days(self) -> int:
        """The days that an assignment is followed for."""
        return self._settings.horizon_days

    @cached_property
    def plan(self) -> FeaturePlan:
        """The features of the model, or those that the records allow."""
        return self.model or plan_features(
            self.connection,
            feature_sources(self.configuration, self.connection),
            horizon_days=self.horizon_days,
            cutoff=self.cutoff,
            value=self._settings.value,
            is_contractual=self.configuration.project.setting == "contractual",
        )

    @property
    def _settings(self) -> ForecastSettings:
        return self.configuration.section("forecast", ForecastSettings)

    @property
    def _time_zone(self) -> str:
        return self.configuration.project.time_zone

    def _labels(self, *, days_before: int, days: Sequence[int]) -> pd.DataFrame:
        """Return ``value_{d}`` and ``orders_{d}`` of the days from so many days before the assignments on."""
        put_assignments_on_spine(
            self.connection, FOLLOWED, days_before=days_before, time_zone=self._time_zone
        )
        if self.plan.reads_contracts:
            return self._of_contracts(days)
        query = label_query(self.plan, days=days)
        return label_spine(self.connection, query, days=days, known_by=self.cutoff.micros)

    def _of_contracts(self, days: Sequence[int]) -> pd.DataFrame:
        """Label the spine one instant after another: the labels of contracts are those of a customer.

        ``orders_{d}`` is 1 while the contract runs.
        """
        query = contract_label_query(days=days, fee_days=self.plan.fee_days)
        everybody = self.connection.execute(f"SELECT * FROM {SPINE} ORDER BY subject").df()
        parts = []
        for _, part in everybody.groupby("as_of"):
            self.connection.register("instant", part)
            self.connection.execute(f"CREATE OR REPLACE TABLE {SPINE} AS FROM instant")
            self.connection.unregister("instant")
            labels = label_contracts(self.connection, query, days=days, known_by=self.cutoff.micros)
            parts.append(labels.set_index("customer_id").loc[part["customer_id"]].set_axis(part.index))
        told = pd.concat(parts).sort_index().fillna(0.0)
        return told.assign(**{f"orders_{day}": 1.0 - told[f"ended_{day}"] for day in days})


def with_chances(rows: pd.DataFrame) -> pd.DataFrame:
    """Return assignments with the chance of what was done, of being treated or held out.

    Where it is unknown it is the share of the campaign that was held out, or treated; campaigns of fewer than
    20 assignments of a treatment are taken together. Where both chances do not add up to 1, for the rest was
    explored and is left out, they are divided by their sum, the mean of either in the campaign.
    """
    unknown = rows["propensity"].isna()
    size = rows.groupby(["treatment", "campaign"])["subject"].transform("size")
    campaign = rows["campaign"].where(size >= SMALL, "")
    held = rows["is_holdout"].groupby([rows["treatment"], campaign]).transform("mean")
    share = held.where(rows["is_holdout"] == 1, 1 - held)
    chance = rows["propensity"].where(~unknown, share)
    treated, held = (
        chance.where(rows["is_holdout"] == arm)
        .groupby([rows["treatment"], rows["campaign"]])
        .transform("mean")
        for arm in (0, 1)
    )
    kept = (treated + held).fillna(1.0).clip(upper=1.0)
    return rows.assign(propensity=chance / kept, is_assumed=unknown)


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
    connection.register("looked_up", rows[["subject", "customer_id", "assigned_at"]])
    names = ", ".join(f"any_value(name) FILTER (kind = {literal(kind)}) AS {kind}" for kind in KINDS)
    told = connection.execute(
        f"SELECT subject, {names} FROM looked_up AS followed JOIN standings "
        "ON followed.customer_id = standings.customer_id AND epoch_us(started_at) <= assigned_at "
        "AND (ended_at IS NULL OR epoch_us(ended_at) > assigned_at) GROUP BY subject"
    ).df()
    connection.unregister("looked_up")
    connection.unregister("standings")
    return rows.merge(told, on="subject", how="left")


def count_assignments(connection: duckdb.DuckDBPyConnection, condition: str) -> dict[str, int]:
    """Count the assignments of each treatment for which a condition holds; those without any are left out."""
    rows = connection.execute(
        f"SELECT treatment, count(*) FROM {ASSIGNMENTS} AS each_ WHERE {condition} GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    return dict(rows)
