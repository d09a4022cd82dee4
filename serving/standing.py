"""The standing of everybody in a run: tiers that follow from those before, stages, classes, and who moves."""

import json
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from features.contract import DAY
from features.instants import Cutoff
from features.parsing import identifier
from features.profile import make_profiles
from features.silence import Rhythm, shop_rhythm
from features.tier_settings import TierSettings
from models.bundle import Bundle
from models.placement import Placement
from models.rules import Rules
from serving.standings import MOVES
from serving.store import Run, Store
from serving.tables import SCHEMA

_COLUMNS = """
SELECT value_tier, loyalty_tier, lifecycle_stage, is_base_customer = 1 AS is_base_customer, need,
    main_category, frequency_band, monetary_band,
    CASE WHEN value_tier = previous_tier THEN tier_before ELSE previous_tier END AS previous_value_tier,
    CASE WHEN value_tier = previous_tier THEN started ELSE $as_of END AS tier_changed_at,
    CASE WHEN value_tier = previous_tier THEN reason_before ELSE why.reason END AS transition_reason
FROM followed LEFT JOIN why USING (customer_id) ORDER BY customer_id
"""
_MOVES = """
SELECT customer_id, 'value_tier' AS kind, value_tier AS name, previous_tier AS previous, reason
FROM followed LEFT JOIN why USING (customer_id) WHERE value_tier IS DISTINCT FROM previous_tier
UNION ALL
SELECT customer_id, 'lifecycle_stage', lifecycle_stage, previous_stage,
    CASE WHEN previous_stage IS NOT NULL THEN {stage_reason} END
FROM followed WHERE lifecycle_stage IS DISTINCT FROM previous_stage
UNION ALL
SELECT customer_id, kind, NULL, name, NULL FROM standing_before
WHERE NOT EXISTS (SELECT 1 FROM followed WHERE followed.customer_id = standing_before.customer_id)
"""
_WITH_BEFORE = """
(SELECT subjects.*, tier.name AS previous_tier, tier.previous AS tier_before, tier.started,
    tier.reason AS reason_before, tier.previous IS NOT NULL AS has_moved,
    ({as_of} - tier.started) / {day} AS days_in_tier, stage.name AS previous_stage
FROM subjects
LEFT JOIN (SELECT * FROM standing_before WHERE kind = 'value_tier') AS tier USING (customer_id)
LEFT JOIN (SELECT * FROM standing_before WHERE kind = 'lifecycle_stage') AS stage USING (customer_id))
"""


@dataclass(frozen=True)
class Standing:
    """The outcome for one run.

    Parameters
    ----------
    scores
        One row per customer, by customer_id: the columns of the output table, but those common to the run.
    moves
        Who begins a period in the store, with the columns of `MOVES`.
    placement
        The rules, with their cut points.
    """

    scores: pa.Table
    moves: pa.Table
    placement: Placement


@dataclass(frozen=True)
class StandingJob:
    """What the standing of a run is made from.

    Parameters
    ----------
    connection
        With the staged tables, the spine, and the table ``features`` of everybody on it.
    bundle
        The model.
    settings
        The ``[tiers]`` of the configuration.
    store
        What was published so far.
    run
        That is made.
    cutoff
        Its `as_of`.
    """

    connection: duckdb.DuckDBPyConnection
    bundle: Bundle
    settings: TierSettings
    store: Store
    run: Run
    cutoff: Cutoff

    def stand(self, scores: pa.Table) -> Standing:
        """Place everybody, and leave the tables ``subjects`` and ``followed`` in the database.

        Parameters
        ----------
        scores
            One row per customer, by customer_id, with the columns of the output table, of which only the
            forecasts and their percentile are told.

        Raises
        ------
        InputError
            The ``[tiers]`` of the configuration are no policy for such customers.
        """
        rhythm = self._rhythm()
        text = self.bundle.profile("duckdb")
        make_profiles(self.connection, self.bundle.plan(), text, lost_days=rhythm.lost_days)
        rules = Rules(self.settings, self.run.setting, self.run.horizon_days, rhythm)
        placement = rules.measured(
            self.connection, scores, features=self.bundle.feature_names, cutoff=self.cutoff
        )
        self._follow(placement)
        self._tell_why(placement)
        return Standing(self._with_standing(scores, placement), self._moves(placement), placement)

    def _rhythm(self) -> Rhythm:
        measured = shop_rhythm(self.connection, as_of=self.run.as_of, horizon_days=self.run.horizon_days)
        return self.settings.rhythm(measured)

    def _follow(self, placement: Placement) -> None:
        """Make the table ``followed``: everybody with the standing of now and before."""
        before = self.store.standing(before=self.run.as_of)
        started = before["started_at"].cast(pa.int64())
        self.connection.register("before", before.append_column("started", started))
        self.connection.execute("CREATE OR REPLACE TABLE standing_before AS SELECT * FROM before")
        self.connection.unregister("before")
        source = _WITH_BEFORE.format(as_of=self.cutoff.micros, day=float(DAY))
        self.connection.execute(f"CREATE OR REPLACE TABLE followed AS {placement.follow_sql(source)}")

    def _tell_why(self, placement: Placement) -> None:
        """Make the table ``why``: the reason of everybody who had a tier and now has another."""
        policy, cuts = placement.policy, placement.cuts["tiers"]
        columns = ", ".join(map(identifier, ["customer_id", "value_tier", "previous_tier", *policy.columns]))
        movers = self.connection.sql(
            f"SELECT {columns} FROM followed WHERE value_tier <> previous_tier"
        ).to_arrow_table()
        names = movers["customer_id"].to_pylist()
        then = self.store.rows(self.run.preceding, names) if self.run.preceding else {}
        reasons = [
            policy.because(cuts, then.get(row["customer_id"]), row, row["previous_tier"], row["value_tier"])
            for row in movers.to_pylist()
        ]
        told = [json.dumps(reason, ensure_ascii=False) for reason in reasons]
        why = pa.table({"customer_id": pa.array(names, pa.string()), "reason": pa.array(told, pa.string())})
        self.connection.register("reasons", why)
        self.connection.execute("CREATE OR REPLACE TABLE why AS SELECT * FROM reasons")
        self.connection.unregister("reasons")

    def _with_standing(self, scores: pa.Table, placement: Placement) -> pa.Table:
        columns = self.connection.sql(_COLUMNS, params={"as_of": self.cutoff.micros}).to_arrow_table()
        is_highest = pc.equal(columns["value_tier"], pa.scalar(placement.without_potential, pa.string()))
        potential = pc.if_else(pc.fill_null(is_highest, fill_value=False), None, scores["potential_score"])
        for name, column in zip(columns.column_names, columns.columns, strict=True):
            scores = _with(scores, name, column)
        return _with(scores, "potential_score", potential)

    def _moves(self, placement: Placement) -> pa.Table:
        reason = placement.stage_reason_sql()
        return self.connection.sql(_MOVES.format(stage_reason=reason)).to_arrow_table().cast(MOVES)


def _with(scores: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    return scores.set_column(scores.column_names.index(name), name, column.cast(SCHEMA.field(name).type))
