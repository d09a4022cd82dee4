"""The log of treatments: who was assigned to what, and when; each assignment once."""

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import duckdb
import pyarrow as pa

from features.batch import SPINE, tables_in
from features.contract import DAY, SCALE, TABLES, TREATMENTS
from features.errors import InputError
from features.instants import Cutoff
from features.parsing import literal, local_day
from features.treatment_settings import NOTHING

ASSIGNMENTS: Final = "assignments"
COLUMNS = MappingProxyType(
    {
        "customer_id": "VARCHAR",
        "assigned_at": "BIGINT",
        "treatment": "VARCHAR",
        "campaign": "VARCHAR",
        "propensity": "DOUBLE",
        "is_holdout": "BIGINT",
        "is_explored": "BIGINT",
        "cost": "DOUBLE",
        "channel": "VARCHAR",
        "run_id": "VARCHAR",
    }
)
_SAME = "(customer_id, treatment, run_id)"
_EACH_ONCE = (
    "SELECT * FROM planned_rows UNION ALL SELECT * FROM logged_rows WHERE run_id IS NULL "
    f"OR {_SAME} NOT IN (SELECT {_SAME} FROM planned_rows WHERE run_id IS NOT NULL)"
)
_HELD = "CASE WHEN count(is_holdout) OVER () = 0 THEN 0 ELSE is_holdout END"
_AT_ONCE = "campaign, customer_id, assigned_at"
_CHANCE = "CASE WHEN propensity BETWEEN 1e-9 AND 1 THEN propensity END"
_ASSIGNED = f"""
CREATE OR REPLACE TABLE {ASSIGNMENTS} AS
SELECT row_number() OVER (ORDER BY customer_id, assigned_at, campaign) AS subject,
    * EXCLUDE (held, treated)
        REPLACE ({_CHANCE} AS propensity, CASE WHEN held = treated THEN held END AS is_holdout),
    (assigned_at + {{horizon}} <= {{cutoff}})::BIGINT AS is_over
FROM (SELECT *, max(is_holdout) OVER at_once AS held, min(is_holdout) OVER at_once AS treated
    FROM told WHERE assigned_at < {{cutoff}}
    WINDOW at_once AS (PARTITION BY {_AT_ONCE}))
QUALIFY row_number() OVER (PARTITION BY campaign, customer_id
    ORDER BY assigned_at, is_holdout DESC, is_explored DESC, propensity, cost, channel, run_id) = 1
"""


@dataclass(frozen=True)
class Log:
    """How many assignments there are, and what became of the rows that are none.

    Parameters
    ----------
    assignments
        How many there are.
    over
        Those of them whose horizon is over.
    repeated
        Rows left out because the campaign has the customer already: the first row counts.
    planned
        Rows of the source left out because they carry out what a plan assigned, which is counted there.
    future
        Rows left out because they are not assigned yet.
    odd_propensities
        Rows whose propensity is no probability above 0 (from a billionth on), and so is not known.
    unclear
        Assignments compared with nobody: their ``is_holdout`` is not known, though that of others is.
    both_arms
        Assignments compared with nobody: the campaign both treated and held out the customer at once.
    strangers, strangers_held
        Assignments of customers whom no other source has, and those of them that were held out.
    """

    assignments: int
    over: int
    repeated: int
    planned: int
    future: int
    odd_propensities: int
    unclear: int = 0
    both_arms: int = 0
    strangers: int = 0
    strangers_held: int = 0


def assignments(
    connection: duckdb.DuckDBPyConnection,
    *,
    cutoff: Cutoff,
    horizon_days: int,
    planned: pa.Table | None = None,
    time_zone: str = "UTC",
) -> Log:
    """Make the table ``assignments`` of what was assigned before the cutoff.

    One row per customer and campaign: ``subject`` (from 1), ``customer_id``, ``assigned_at`` (int64, us UTC),
    ``treatment`` (the intended one), ``campaign`` (a plan, or else treatment and day), ``propensity`` (of
    what was done; null where unknown), ``is_holdout`` (0 or 1; null where the log does not say, or says both;
    0 for all of a log that never says) and ``is_explored`` (0 or 1), ``cost`` (in units of the currency, null
    where unknown), ``channel``, ``run_id``, ``is_over`` (1 when the horizon after it ended by the cutoff).
    Rows for whom nothing was intended are none.

    Parameters
    ----------
    connection
        With the staged ``treatments``, if there are any.
    horizon_days
        After which the outcome of an assignment is known.
    planned
        What plans assigned, one row per plan and customer: ``plan_id, customer_id, assigned_at, treatment,
        propensity, is_holdout, is_explored, cost, channel, run_id``. A row of the source with the run of a
        plan, for the same customer and treatment, is the same assignment.
    time_zone
        Whose days make the campaigns of the source.

    Raises
    ------
    InputError
        No other source has any of the customers.
    """
    _fill_planned(connection, planned)
    _fill_logged(connection, time_zone)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE told AS {_EACH_ONCE}")
    connection.execute(_ASSIGNED.format(horizon=horizon_days * DAY, cutoff=cutoff.micros))
    return replace(_counted(connection, cutoff), **_strangers(connection))


def _counted(connection: duckdb.DuckDBPyConnection, cutoff: Cutoff) -> Log:
    """Count the assignments, and the rows told of that are none."""
    before = f"assigned_at < {cutoff.micros}"
    rows, assigned = _count(connection, "told"), _count(connection, ASSIGNMENTS)
    future = _count(connection, f"told WHERE NOT {before}")
    is_odd = f"{before} AND propensity IS NOT NULL AND {_CHANCE} IS NULL"
    unknown = f"{ASSIGNMENTS} WHERE is_holdout IS NULL"
    at_once = f"told SEMI JOIN (FROM {unknown}) USING ({_AT_ONCE}) WHERE told.is_holdout IS NOT NULL"
    both_arms = _count(connection, f"(SELECT DISTINCT {_AT_ONCE} FROM {at_once})")
    return Log(
        assignments=assigned,
        over=_count(connection, f"{ASSIGNMENTS} WHERE is_over = 1"),
        repeated=rows - future - assigned - (_count(connection, at_once) - both_arms),
        planned=_count(connection, "planned_rows") + _count(connection, "logged_rows") - rows,
        future=future,
        odd_propensities=_count(connection, f"told WHERE {is_odd}"),
        unclear=_count(connection, unknown) - both_arms,
        both_arms=both_arms,
    )


def _strangers(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Count the assignments of customers whom no other source has.

    Where that is all, it is refused: nothing would seem to come of what was done for them.
    """
    others = [name for name in tables_in(connection) if name in TABLES and name != TREATMENTS.name]
    if not others:
        return {}
    known = " ".join(f"ANTI JOIN {name} USING (customer_id)" for name in others)
    strangers, held, first = connection.execute(
        f"SELECT count(*), count(*) FILTER (is_holdout = 1), min(customer_id) FROM {ASSIGNMENTS} {known}"
    ).fetchall()[0]
    if strangers and strangers == _count(connection, ASSIGNMENTS):
        raise InputError(
            f"sources.treatments: no other source has any customer of its {strangers:,} assignments (the "
            f"first is '{first}'); write customer_id alike in all, or list them in [sources.customers]"
        )
    return {"strangers": strangers, "strangers_held": held}


def add_planned(
    connection: duckdb.DuckDBPyConnection, planned: pa.Table | None, *, time_zone: str = "UTC"
) -> None:
    """Add what plans assigned to the staged ``treatments``; what carries a plan out counts once.

    Parameters
    ----------
    planned, time_zone
        As of `assignments`. The propensity of what was explored is left unknown: rare as it is, its weight
        would hide all others.
    """
    if planned is None or not planned.num_rows:
        return
    _fill_planned(connection, planned)
    _fill_logged(connection, time_zone)
    connection.execute(
        f"CREATE OR REPLACE TABLE {TREATMENTS.name} AS SELECT * REPLACE "
        f"(CASE WHEN is_explored = 0 THEN propensity END AS propensity) FROM ({_EACH_ONCE})"
    )


def put_assignments_on_spine(
    connection: duckdb.DuckDBPyConnection, rows: str, *, days_before: int = 0, time_zone: str = "UTC"
) -> None:
    """Make the spine of some assignments: `as_of` is their time, or so many days before.

    Parameters
    ----------
    rows
        A table of them, or a query in brackets, with ``subject``, ``customer_id`` and ``assigned_at``;
        ``subject`` stays that of the assignment.
    time_zone
        Of the calendar days.
    """
    as_of = f"assigned_at - {days_before * DAY}"
    connection.execute(
        f"CREATE OR REPLACE TABLE {SPINE} AS SELECT customer_id, as_of, as_of_day, "
        "month(DATE '1970-01-01' + as_of_day::INT)::BIGINT AS as_of_month, subject FROM ("
        f"SELECT customer_id, as_of, {local_day('as_of', time_zone)}::BIGINT AS as_of_day, subject FROM ("
        f"SELECT customer_id, {as_of} AS as_of, subject FROM {rows})) ORDER BY subject"
    )


def _fill_planned(connection: duckdb.DuckDBPyConnection, planned: pa.Table | None) -> None:
    if planned is None:
        _fill(connection, "planned_rows", None)
        return
    connection.register("planned", planned)
    _fill(
        connection,
        "planned_rows",
        "SELECT customer_id, epoch_us(assigned_at) AS assigned_at, treatment, plan_id AS campaign, "
        "propensity, is_holdout::BIGINT AS is_holdout, is_explored::BIGINT AS is_explored, cost, "
        "channel, run_id "
        f"FROM planned WHERE treatment <> {literal(NOTHING)}",
    )
    connection.unregister("planned")


def _fill_logged(connection: duckdb.DuckDBPyConnection, time_zone: str) -> None:
    if TREATMENTS.name not in tables_in(connection):
        _fill(connection, "logged_rows", None)
        return
    day = f"DATE '1970-01-01' + {local_day('assigned_at', time_zone)}::INT"
    _fill(
        connection,
        "logged_rows",
        f"SELECT customer_id, assigned_at, treatment, treatment || ' ' || ({day}) AS campaign, propensity, "
        f"{_HELD} AS is_holdout, 0::BIGINT AS is_explored, cost / {SCALE}::DOUBLE AS cost, "
        f"channel, run_id FROM {TREATMENTS.name} WHERE treatment <> {literal(NOTHING)}",
    )


def _fill(connection: duckdb.DuckDBPyConnection, table: str, query: str | None) -> None:
    """Fill a table of rows of a log; without a query it is empty."""
    listed = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} ({listed})")
    if query is not None:
        connection.execute(f"INSERT INTO {table} BY NAME {query}")


def _count(connection: duckdb.DuckDBPyConnection, rows: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {rows}").fetchall()[0][0])
