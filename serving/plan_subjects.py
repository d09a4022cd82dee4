"""Subjects of a plan: all that is known of each customer of a published run, one wide row each."""

from collections.abc import Mapping, Sequence

import duckdb
import pyarrow as pa

from features.attributes import Attribute, customers_at
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
    attributes: Sequence[Attribute],
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
    attributes
        Those that are features: of a text its value is taken, not the code that the model knows it by.
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
    for name, (kind, column) in _known(connection, attributes).items():
        if name not in kinds:
            kinds[name] = kind
            taken.append(f"{column} AS {identifier(name)}")
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


def _known(
    connection: duckdb.DuckDBPyConnection, attributes: Sequence[Attribute]
) -> dict[str, tuple[Kind, str]]:
    """List features and attributes by name: what each holds, and its column."""
    own = {
        name: (kind, f"attributes.{identifier(name)}") for name, kind in attribute_kinds(connection).items()
    }
    described = connection.execute("DESCRIBE features").fetchall()
    features = {
        name: (Kind.NUMBER, f"features.{identifier(name)}")
        for name, *_ in described
        if name not in {"customer_id", "as_of"}
    }
    coded = {
        each.feature: own[each.name] for each in attributes if each.kind is Kind.TEXT and each.name in own
    }
    return own | features | coded


def _attributes(connection: duckdb.DuckDBPyConnection, cutoff: Cutoff) -> str:
    if CUSTOMERS.name not in tables_in(connection):
        return ""
    return f"LEFT JOIN ({customers_at(cutoff)}) AS attributes USING (customer_id)"
