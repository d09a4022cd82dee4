"""Subjects of a plan: all that is known of each customer of a published run, one wide row each."""

from collections.abc import Mapping

import duckdb
import pyarrow as pa

from features.attributes import customers_at
from features.batch import tables_in
from features.contract import CUSTOMERS, Kind
from features.instants import Cutoff
from features.parsing import identifier
from features.survey import attribute_kinds
from models.occasions import add_occasions, occasion_kinds
from models.placement import Placement
from models.subjects import TABLE

LEFT_OUT = ("customer_id", "reasons", "transition_reason")
"""Columns of scores that no condition reads."""
VALUE = "expected_value"
"""What is expected without a treatment: null for everybody where no value is forecast."""
_KINDS = {pa.float64(): Kind.NUMBER, pa.string(): Kind.TEXT, pa.bool_(): Kind.FLAG}


def make_plan_subjects(
    connection: duckdb.DuckDBPyConnection,
    scores: pa.Table,
    placement: Placement,
    *,
    cutoff: Cutoff,
    time_zone: str,
) -> dict[str, Kind]:
    """Make the table ``subjects``: scores, features, attributes and occasions of everybody in a run.

    Parameters
    ----------
    connection
        With the staged tables, and the table ``features`` of everybody in the run.
    scores
        As published; of equal names they come first, then features, then attributes.
    placement
        The rules of the run.
    cutoff
        Of the run.

    Returns
    -------
    What conditions may name, with what it holds.
    """
    kinds: dict[str, Kind] = {}
    taken = []
    for name, kind in _scored(scores).items():
        kinds[name] = kind
        column = f"scored.{identifier(name)}"
        taken.append(f"CAST({column} AS BIGINT) AS {identifier(name)}" if kind is Kind.FLAG else column)
    if VALUE not in kinds:
        taken.append(f"CAST(NULL AS DOUBLE) AS {VALUE}")
    for table, known in (("features", _features(connection)), ("attributes", attribute_kinds(connection))):
        fresh = {name: kind for name, kind in known.items() if name not in kinds}
        kinds |= fresh
        taken += [f"{table}.{identifier(name)}" for name in fresh]
    connection.register("scored", scores)
    connection.execute(
        f"CREATE OR REPLACE TABLE {TABLE} AS SELECT customer_id, {', '.join(taken)} FROM scored "
        f"LEFT JOIN features USING (customer_id) {_attributes(connection, cutoff)}"
    )
    connection.unregister("scored")
    add_occasions(connection, placement.policy, placement.cuts["tiers"], cutoff=cutoff, time_zone=time_zone)
    return kinds | occasion_kinds(connection, kinds)


def _scored(scores: pa.Table) -> Mapping[str, Kind]:
    """List the columns that anybody has a value in."""
    return {
        field.name: _KINDS[field.type]
        for field in scores.schema
        if field.name not in LEFT_OUT
        and field.type in _KINDS
        and scores[field.name].null_count < scores.num_rows
    }


def _features(connection: duckdb.DuckDBPyConnection) -> dict[str, Kind]:
    described = connection.execute("DESCRIBE features").fetchall()
    return {name: Kind.NUMBER for name, *_ in described if name not in {"customer_id", "as_of"}}


def _attributes(connection: duckdb.DuckDBPyConnection, cutoff: Cutoff) -> str:
    if CUSTOMERS.name not in tables_in(connection):
        return ""
    return f"LEFT JOIN ({customers_at(cutoff)}) AS attributes USING (customer_id)"
