"""Many rows at once into a table of the store, the way its database takes them fastest."""

import io
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from pyarrow import csv

from serving.tables import ISO


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
