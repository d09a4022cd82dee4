"""Subjects: one wide row per customer of all that a standing is told from, in DuckDB."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import duckdb
import pyarrow as pa

from features.attributes import customers_at
from features.contract import Kind
from features.instants import Cutoff
from features.parsing import identifier
from features.survey import attribute_kinds

TABLE = "subjects"
PROFILE = {"main_category": Kind.TEXT, "return_days": Kind.NUMBER}
"""What `features.profile` tells."""


class Source(NamedTuple):
    """What a column of subjects holds, and the table it comes from."""

    kind: Kind
    table: str


def sources(
    connection: duckdb.DuckDBPyConnection, features: Iterable[str], scores: pa.Table
) -> dict[str, Source]:
    """List the columns that subjects can have, by name; of equal names a forecast comes before a feature.

    Parameters
    ----------
    connection
        With the staged tables: ``customers`` has attributes.
    features
        Names of the table ``features``.
    scores
        Forecasts; one that nobody has is no column.
    """
    numbers = [field.name for field in scores.schema if pa.types.is_floating(field.type)]
    forecasts = [name for name in numbers if scores[name].null_count < scores.num_rows]
    return {
        **{name: Source(kind, "attributes") for name, kind in attribute_kinds(connection).items()},
        **dict.fromkeys(features, Source(Kind.NUMBER, "features")),
        **dict.fromkeys(forecasts, Source(Kind.NUMBER, "scores")),
        **{name: Source(kind, "profile") for name, kind in PROFILE.items()},
    }


def make_subjects(
    connection: duckdb.DuckDBPyConnection, scores: pa.Table, columns: Mapping[str, Source], cutoff: Cutoff
) -> None:
    """Make the table ``subjects``: the columns asked for, and the profile, of everybody in the scores.

    Parameters
    ----------
    connection
        With the tables ``features`` and ``profile``, one row per customer each.
    cutoff
        Of attributes with ``valid_from``, those before it count.
    """
    taken = {name: source.table for name, source in columns.items()} | dict.fromkeys(PROFILE, "profile")
    listed = ", ".join(f"{table}.{identifier(name)}" for name, table in taken.items())
    attributes = f" LEFT JOIN ({customers_at(cutoff)}) AS attributes USING (customer_id)"
    connection.register("scores", scores)
    connection.execute(
        f"CREATE OR REPLACE TABLE {TABLE} AS SELECT customer_id, {listed} FROM scores "
        "JOIN features USING (customer_id) JOIN profile USING (customer_id)"
        + (attributes if "attributes" in taken.values() else "")
    )
    connection.unregister("scores")
