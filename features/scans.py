"""Sources as DuckDB relations: every kind of source becomes Parquet or UTF-8 text files to scan."""

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from features.configuration import nearest
from features.contract import ORDERS, Table
from features.errors import InputError
from features.extracts import assert_decodable, copy_query, copy_table, first_line, transcode
from features.parsing import Cell, identifier, literal
from features.sources import Source

TEXT_FILES = (".csv", ".tsv", ".txt")
FILE = "source file"
ROW = "source row"


@dataclass(frozen=True)
class Scan:
    """A source that DuckDB can read, as often as needed.

    Parameters
    ----------
    relation
        SQL: the columns of the source, the number of the file, and the row in it (null in text
        files: counting rows keeps them from being read in parallel).
    numbered
        The same with the row in text files too, but slower.
    cells
        The source's column for each canonical column that it has.
    columns
        The source's own columns.
    files
        What the user calls each file.
    paths
        What is read for each.
    """

    relation: str
    numbered: str
    cells: dict[str, Cell]
    columns: tuple[str, ...]
    files: tuple[str, ...]
    paths: tuple[str, ...]


def open_source(
    table: Table, source: Source, folder: Path, connection: duckdb.DuckDBPyConnection, scratch: Path
) -> Scan:
    """Make a source ready to scan.

    Parameters
    ----------
    folder
        Where relative paths start.
    scratch
        A folder for copies, which must live as long as the scan.

    Raises
    ------
    InputError
        No such file, not readable, in another encoding, or without a required column.
    """
    _assert_known_to_engine(table, source, connection)
    files, shown = _files(table, source, folder, connection, scratch)
    relation = _relation(files, source)
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM ({relation})").fetchall()
    except duckdb.Error as error:
        raise unreadable(table, files, error) from None
    types = {name: kind for name, kind, *_ in described if name not in {FILE, ROW}}
    return Scan(
        relation,
        _relation(files, source, numbered=True),
        _cells(table, source, types, shown[0]),
        tuple(types),
        tuple(shown),
        tuple(map(str, files)),
    )


def _assert_known_to_engine(table: Table, source: Source, connection: duckdb.DuckDBPyConnection) -> None:
    """Try the settings that the engine interprets: the zone, in which the session is left, and the format."""
    settings = {"time_zone": "SET TimeZone = {}", "time_format": "SELECT try_strptime('', {})"}
    for name, statement in settings.items():
        value = getattr(source, name)
        try:
            connection.execute(statement.format(literal(value or "%Y")))
        except duckdb.Error as error:
            place = f"sources.{table.name}.{name}"
            raise InputError(f"{place} = {value!r} cannot be used: {first_line(error)}") from None


def unreadable(table: Table, files: Sequence[Path], error: duckdb.Error) -> InputError:
    """Say which file DuckDB cannot read, and why."""
    if "unicode" in str(error) or "utf-8" in str(error):
        for file in files:
            try:
                assert_decodable(file, "utf-8")
            except InputError as found:
                return found
    culprit = next((str(file) for file in files if str(file) in str(error)), str(files[0]))
    remedy = "write it again" if culprit.endswith(".parquet") else f"set sources.{table.name}.delimiter"
    return InputError(f"sources.{table.name}: {culprit} cannot be read ({first_line(error)}); {remedy}")


def _files(
    table: Table, source: Source, folder: Path, connection: duckdb.DuckDBPyConnection, scratch: Path
) -> tuple[list[Path], list[str]]:
    copy = scratch / f"{table.name}.parquet"
    if source.query:
        name = f"sources.{table.name}.query"
        copy_query(name, source.query, folder, connection, copy)
        return [copy], [name]
    if source.url and source.table:
        copy_table(source.url, source.table, folder, copy)
        return [copy], [f"table {source.table}"]
    files = _matching(table, source.path or "", folder)
    shown = [str(file) for file in files]
    if source.encoding != "utf-8":
        for number, file in enumerate(files):
            if _is_text(file):
                files[number] = scratch / f"{table.name}-{number}.csv"
                transcode(file, source.encoding, files[number])
    return files, shown


def _matching(table: Table, path: str, folder: Path) -> list[Path]:
    exact = folder / path
    found = (
        [exact]
        if exact.is_file()
        else sorted(
            map(
                Path,
                glob.glob(str(exact), recursive=True),  # noqa: PTH207 -- may be absolute
            )
        )
    )
    files = [file for file in found if file.is_file()]
    if not files:
        raise InputError(f"sources.{table.name}.path = {path!r}: no file matches {exact}")
    kinds = {_is_text(file) for file in files}
    if len(kinds) > 1:
        raise InputError(
            f"sources.{table.name}.path = {path!r} matches both text and Parquet files; name one kind"
        )
    return files


def _is_text(file: Path) -> bool:
    suffix = Path(file.name.removesuffix(".gz")).suffix.lower()
    if suffix not in {*TEXT_FILES, ".parquet"}:
        raise InputError(
            f"{file} is neither text (.csv, .tsv, .txt) nor .parquet; rename it, or read it with a query"
        )
    return suffix in TEXT_FILES


def _relation(files: Sequence[Path], source: Source, *, numbered: bool = False) -> str:
    if not _is_text(files[0]):
        names = ", ".join(literal(glob.escape(str(file))) for file in files)
        return (
            f"SELECT *, file_index AS {identifier(FILE)}, file_row_number + 1 AS {identifier(ROW)} "
            f"FROM read_parquet([{names}], union_by_name = true)"
        )
    row = "row_number() OVER ()" if numbered else "NULL::BIGINT"
    delimiter = f", delim = {literal(source.delimiter)}" if source.delimiter else ""
    return " UNION ALL BY NAME ".join(
        f"SELECT *, {number}::UBIGINT AS {identifier(FILE)}, {row} AS {identifier(ROW)} "
        f"FROM read_csv({literal(glob.escape(str(file)))}, all_varchar = true, header = true, "
        f"store_rejects = true, rejects_limit = 0{delimiter})"
        for number, file in enumerate(files)
    )


def _cells(table: Table, source: Source, types: dict[str, str], file: str) -> dict[str, Cell]:
    """Find the source's column of each canonical one; those of an open table keep their own names."""
    wanted = {name: source.columns.get(name, name) for name in (*table.columns, *source.columns)}
    if table.open_ended:
        mapped = set(wanted.values())
        wanted |= {name: name for name in types if name not in mapped and name not in wanted}
    for canonical, column in wanted.items():
        needed = canonical in source.columns or (canonical in table.required and canonical != "amount")
        if column not in types and needed:
            raise _missing(table, canonical, column, types, file)
    cells = {
        name: Cell(column, types[column], source.decimal, source.time_format, source.time_zone)
        for name, column in wanted.items()
        if column in types
    }
    if table is ORDERS and "amount" not in cells and not {"quantity", "unit_price"} <= cells.keys():
        raise _missing(table, "amount", "amount", types, file)
    return cells


def _missing(table: Table, canonical: str, column: str, types: dict[str, str], file: str) -> InputError:
    also = " (or those of quantity and unit_price)" if canonical == "amount" else ""
    if table.open_ended and canonical == "customer_id":
        also = (
            ', or, where there is none, number the rows with sources.customers.query = "select '
            "row_number() over () as customer_id, * from read_csv('...')\""
        )
    return InputError(
        f"{file} has no column {column!r}; {nearest(column, types)}; name it with "
        f"sources.{table.name}.columns.{canonical}{also}"
    )
