"""Feature rows: made for everybody, as arrays by column, and forecasts of some of them as columns."""

from collections.abc import Iterable

import duckdb
import numpy as np
import pyarrow as pa

from features.batch import match_refunds, put_everybody_on_spine, put_on_spine
from features.contract import CUSTOMERS
from features.errors import InputError
from features.instants import Cutoff
from models.bundle import Bundle
from models.likelihood import Vector


def make_features(connection: duckdb.DuckDBPyConnection, bundle: Bundle, cutoff: Cutoff) -> None:
    """Make the table ``features``: one row for everybody known at the cutoff.

    Parameters
    ----------
    connection
        With the staged tables.

    Raises
    ------
    InputError
        Nobody is known.
    """
    steps = bundle.steps("duckdb")
    match_refunds(connection, steps)
    if bundle.training["setting"] == "labelled":
        put_on_spine(connection, f"SELECT customer_id FROM {CUSTOMERS.name}", cutoff)
    elif put_everybody_on_spine(connection, cutoff) == 0:
        raise InputError("nobody is known before this as_of; give a later one with --as-of")
    connection.execute(f"CREATE OR REPLACE TABLE features AS {steps['features']}")


def numbers(rows: pa.RecordBatch | pa.Table, name: str) -> Vector:
    """Return a column as floats of shape (n,), NaN where it is null."""
    return np.asarray(rows.column(name).cast(pa.float64()).to_pandas())


def columns_of(rows: pa.RecordBatch, names: Iterable[str]) -> dict[str, Vector]:
    """Return columns by name as floats, each of shape (n,), NaN where they are null."""
    return {name: numbers(rows, name) for name in names}


def numbers_at(present: Vector, values: Vector) -> pa.Array:
    """Return values at the rows that are present, of shape (n,); the others, and NaN, are null."""
    full = np.full(len(present), np.nan)
    full[present] = values
    return pa.array(full, from_pandas=True)


def texts_at(present: Vector, texts: list[str]) -> pa.Array:
    """Return texts at the rows that are present, of shape (n,); the others are null."""
    full = np.full(len(present), None, dtype=object)
    full[present] = texts
    return pa.array(full, pa.string())
