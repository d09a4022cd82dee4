"""Rows delivered more than once: across files for events, per customer for customers."""

from collections.abc import Iterable, Sequence

import duckdb

from features.parsing import identifier

MANY = 50
"""Beyond so many overlaps, one interval around them all is quicker to test."""


def merge_across_files(
    connection: duckdb.DuckDBPyConnection, table: str, *, columns: Sequence[str], clock: str, file: str
) -> int:
    """Let an identical row count as often as in the file in which it is most frequent.

    Only rows whose time lies within the range of more than one file are compared.

    Parameters
    ----------
    columns
        What makes two rows identical (nulls are alike).
    clock
        The time of the row, int64.
    file
        The column that numbers the files.

    Returns
    -------
    How many rows were dropped from the table.
    """
    clock, file = identifier(clock), identifier(file)
    ranges = connection.execute(f"SELECT min({clock}), max({clock}) FROM {table} GROUP BY {file}").fetchall()
    overlaps = _overlaps(ranges)
    if not overlaps:
        return 0
    shared = " OR ".join(f"{clock} BETWEEN {first} AND {last}" for first, last in overlaps)
    listed = ", ".join(map(identifier, columns))
    connection.execute(
        f"CREATE TEMP TABLE shared_hashes AS SELECT hash({listed}) AS h FROM {table} WHERE {shared} "
        f"GROUP BY ALL HAVING min({file}) <> max({file})"
    )
    suspect = f"({shared}) AND hash({listed}) IN (SELECT h FROM shared_hashes)"
    numbered = (
        f"SELECT rowid AS id, {listed}, {file}, row_number() OVER "
        f"(PARTITION BY {listed}, {file} ORDER BY rowid) AS nth FROM {table} WHERE {suspect}"
    )
    merged = connection.execute(
        f"DELETE FROM {table} WHERE rowid IN (SELECT id FROM ({numbered}) "
        f"QUALIFY row_number() OVER (PARTITION BY {listed}, nth ORDER BY {file}) > 1)"
    ).fetchall()[0][0]
    connection.execute("DROP TABLE shared_hashes")
    return int(merged)


def _overlaps(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Intervals that more than one range covers, ends included."""
    found: list[tuple[int, int]] = []
    reached: int | None = None
    for first, last in sorted(ranges):
        if reached is not None and first <= reached:
            shared = (first, min(last, reached))
            if found and shared[0] <= found[-1][1]:
                shared = (found[-1][0], max(found[-1][1], shared[1]))
                found.pop()
            found.append(shared)
        reached = last if reached is None else max(last, reached)
    return found if len(found) <= MANY else [(found[0][0], max(last for _, last in found))]


def keep_last(
    connection: duckdb.DuckDBPyConnection, table: str, *, columns: Sequence[str], key: Sequence[str]
) -> tuple[int, int]:
    """Keep the last row of each key, in the order of files and rows.

    Returns
    -------
    How many rows were dropped that equal the kept one, and how many that differ from it.
    """
    keys, listed = (", ".join(map(identifier, names)) for names in (key, columns))
    rows, groups = connection.execute(
        f"SELECT count(*), (SELECT count(*) FROM (SELECT DISTINCT {keys} FROM {table})) FROM {table}"
    ).fetchall()[0]
    if rows == groups:
        return 0, 0
    connection.execute(
        f"CREATE TEMP TABLE superseded AS SELECT row, h = last_h AS alike FROM (SELECT rowid AS row, "
        f"hash({listed}) AS h, max(rowid) OVER same AS last_row, "
        f"arg_max(hash({listed}), rowid) OVER same AS last_h FROM {table} "
        f"WINDOW same AS (PARTITION BY {keys})) WHERE row <> last_row"
    )
    connection.execute(f"DELETE FROM {table} WHERE rowid IN (SELECT row FROM superseded)")
    alike = connection.execute("SELECT count(*) FROM superseded WHERE alike").fetchall()[0][0]
    connection.execute("DROP TABLE superseded")
    return int(alike), int(rows - groups - alike)
