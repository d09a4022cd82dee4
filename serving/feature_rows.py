"""Columns of feature rows as arrays, and forecasts of some of the rows as columns."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from models.likelihood import Vector


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
