"""Many rows at once into a table of the store and out of it, the way its database moves them fastest."""

import io
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from pyarrow import csv

from serving.tables import ISO, Instant, arrow_type

CHUNK_ROWS = 50_000
ISO_OF_POSTGRESQL = 'YYYY-MM-DD"T"HH24:MI:SS.US+00:00'


def append(connection: sa.Connection, table: sa.Table, batches: Iterator[pa.RecordBatch]) -> int:
    """Append rows whose columns are those of the table, in order; return how many."""
    write = _insert if connection.dialect.name == "sqlite" else _copy
    return write(connection, table, batches)


def _insert(connection: sa.Connection, table: sa.Table, batches: Iterator[pa.RecordBatch]) -> int:
    names = table.columns.keys()
    statement = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    cursor = connection.connection.cursor()
    rows = 0
    for batch in batches:
        cursor.executemany(statement, list(zip(*map(_plain, batch.columns), strict=True)))
        rows += batch.num_rows
    return rows


def _plain(column: pa.Array) -> list[Any]:
    """Return values as SQLite holds them: days and times as ISO text."""
    if pa.types.is_timestamp(column.type):
        told = column.dictionary_encode()
        column = pc.strftime(told.dictionary, format=ISO).take(told.indices)
    elif pa.types.is_date(column.type):
        column = column.cast(pa.string())
    return list(column.to_pylist())


def _copy(connection: sa.Connection, table: sa.Table, batches: Iterator[pa.RecordBatch]) -> int:
    statement = f"COPY {table.name} ({', '.join(table.columns.keys())}) FROM STDIN (FORMAT csv)"
    rows = 0
    with connection.connection.cursor().copy(statement) as copy:
        for batch in batches:
            text = io.BytesIO()
            csv.write_csv(batch, text, csv.WriteOptions(include_header=False))
            copy.write(text.getbuffer())
            rows += batch.num_rows
    connection.exec_driver_sql(f"ANALYZE {table.name}")  # or the planner scans the table until it is analysed
    return rows


def read(connection: sa.Connection, query: sa.Select[Any]) -> pa.Table:
    """Read a query into columns; times travel as text, since a million of them are slow to make."""
    told = [_iso(column, connection.dialect) for column in query.selected_columns]
    wanted = pa.schema([(column.name, arrow_type(column)) for column in query.selected_columns])
    result = connection.execute(query.with_only_columns(*told))
    parts = []
    while rows := result.cursor.fetchmany(CHUNK_ROWS):  # plain tuples: millions are read
        columns = zip(*rows, strict=True)
        parts.append([_typed(column, field.type) for column, field in zip(columns, wanted, strict=True)])
    result.close()
    return pa.Table.from_batches([pa.RecordBatch.from_arrays(part, schema=wanted) for part in parts], wanted)


def _iso(column: sa.ColumnElement[Any], dialect: sa.Dialect) -> sa.ColumnElement[Any]:
    """Write a time as ISO 8601 text in UTC, as SQLite holds it; leave the rest as it is."""
    if not isinstance(column.type, Instant):
        return column
    if dialect.name == "sqlite":
        return sa.type_coerce(column, sa.Text).label(column.name)
    return sa.func.to_char(sa.func.timezone("UTC", column), ISO_OF_POSTGRESQL).label(column.name)


def _typed(values: tuple[Any, ...], wanted: pa.DataType) -> pa.Array:
    """Make a column of what a driver gives: times are text, in SQLite days too, and flags are numbers."""
    if pa.types.is_timestamp(wanted):
        texts = pa.array(values, pa.string()).dictionary_encode()
        return texts.dictionary.cast(wanted).take(texts.indices)
    return pa.array(values).cast(wanted)
