"""What must be copied before it can be scanned: database tables, queries, files in other encodings.

Each copy is a temporary file written in a stream, so that memory stays bounded.
"""

import codecs
import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, cast

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from features.configuration import nearest
from features.errors import InputError
from features.parsing import literal

CHUNK = 1 << 20
ROWS = 20_000


def transcode(file: Path, encoding: str, target: Path) -> None:
    """Copy a text file to UTF-8.

    Raises
    ------
    InputError
        The file is not in this encoding; names the first such byte.
    """
    with target.open("wb") as copy:
        for text in _decoded(file, encoding):
            copy.write(text.encode())


def assert_decodable(file: Path, encoding: str) -> None:
    """Raise InputError naming the first byte of a text file that is not in this encoding."""
    for _ in _decoded(file, encoding):
        pass


def _decoded(file: Path, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    read = 0
    with _open(file) as raw:
        while True:
            chunk = raw.read(CHUNK)
            pending = len(decoder.getstate()[0])
            try:
                yield decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                raise InputError(
                    f"{file}: byte {read - pending + error.start:,} is not {encoding}; name the file's "
                    "encoding with the source's key 'encoding' (gb18030, latin-1, utf-16, ...)"
                ) from None
            read += len(chunk)
            if not chunk:
                return


def _open(file: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(file)) if file.suffix == ".gz" else file.open("rb")


def copy_query(
    name: str, query: str, folder: Path, connection: duckdb.DuckDBPyConnection, target: Path
) -> None:
    """Write the rows of a DuckDB query to a Parquet file; file names are relative to the folder.

    Raises
    ------
    InputError
        DuckDB refuses the query.
    """
    connection.execute(f"SET file_search_path = {literal(str(folder))}")
    try:
        connection.execute(f"COPY ({query.strip().rstrip(';')}) TO {literal(str(target))} (FORMAT parquet)")
    except duckdb.Error as error:
        raise InputError(f"{name} fails: {first_line(error)}") from None
    finally:
        connection.execute("RESET file_search_path")


def copy_table(url: str, table: str, folder: Path, target: Path) -> None:
    """Write a table or view of a database to a Parquet file, batch after batch.

    Raises
    ------
    InputError
        No such database, driver, table, or no permission; never shows the password.
    """
    address, shown = _address(url, folder)
    try:
        engine = sa.create_engine(address, poolclass=sa.NullPool)
        with engine.connect() as connection:
            _write(connection, _reflected(connection, table, shown), target)
    except (sa.exc.SQLAlchemyError, pa.ArrowException, ImportError) as error:
        raise InputError(f"{shown}, table {table!r} cannot be read: {first_line(error)}") from None


def _address(url: str, folder: Path) -> tuple[sa.URL, str]:
    try:
        address = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise InputError(
            "a database url reads like sqlite:///shop.db or postgresql://user:password@host/shop"
        ) from None
    if address.drivername in {"postgres", "postgresql"}:
        address = address.set(drivername="postgresql+psycopg")
    if address.get_backend_name() == "sqlite":
        file = folder / (address.database or "")
        if not file.is_file():
            raise InputError(f"there is no SQLite file {file}; correct the url")
        address = address.set(database=str(file))
    return address, address.render_as_string(hide_password=True)


def _reflected(connection: sa.Connection, name: str, shown: str) -> sa.Table:
    schema, _, table = name.rpartition(".")
    try:
        return sa.Table(table, sa.MetaData(), schema=schema or None, autoload_with=connection)
    except sa.exc.NoSuchTableError:
        inspector = sa.inspect(connection)
        known = inspector.get_table_names(schema or None) + inspector.get_view_names(schema or None)
        raise InputError(f"{shown} has no table {name!r}; {nearest(table, known)}") from None


def _write(connection: sa.Connection, table: sa.Table, target: Path) -> None:
    typed = connection.dialect.name != "sqlite"  # any value may stand in any column of SQLite
    schema = pa.schema(
        [(column.name, _arrow_type(column) if typed else pa.string()) for column in table.columns]
    )
    quote = connection.dialect.identifier_preparer.quote
    names: list[Any] = [sa.literal_column(quote(column.name)) for column in table.columns]
    query = sa.select(*names).select_from(table)
    rows = connection.execution_options(stream_results=True, yield_per=ROWS).execute(query)
    with pq.ParquetWriter(target, schema) as writer:
        for batch in rows.partitions():
            columns = zip(*batch, strict=True)
            writer.write_table(
                pa.table([_array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)
            )


def _arrow_type(column: sa.Column[Any]) -> pa.DataType:
    kind = column.type
    if isinstance(kind, sa.Boolean):
        return pa.bool_()
    if isinstance(kind, sa.Integer):
        return pa.int64()
    if isinstance(kind, sa.Numeric):
        return pa.float64()
    if isinstance(kind, sa.DateTime):
        return pa.timestamp("us", tz="UTC" if kind.timezone else None)
    return pa.date32() if isinstance(kind, sa.Date) else pa.string()


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        return pa.array([None if value is None else _text(value) for value in values], kind)
    if pa.types.is_floating(kind):
        return pa.array([None if value is None else float(value) for value in values], kind)
    return pa.array(values, kind)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def first_line(error: BaseException) -> str:
    """Return the first line of what an engine says."""
    return str(error).strip().split("\n", 1)[0]
