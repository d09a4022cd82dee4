"""The batch engine: DuckDB executes the compiled steps over the staged tables."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from features.contract import CONTRACTS, DAY, FEEDBACK, INTERACTIONS, ORDERS
from features.instants import EPOCH, Cutoff, micros
from features.scratch import scratch_folder

SPINE = "spine"
MEMORY_LIMIT = "4GB"


@contextmanager
def workplace(workspace: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database that lives as long as the job and spills to the workspace beyond its memory."""
    with scratch_folder(workspace) as scratch:
        connection = duckdb.connect(str(scratch / "staged.duckdb"))
        try:
            connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
            yield connection
        finally:
            connection.close()


def tables_in(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Return the names of the tables that there are."""
    return {name for (name,) in connection.execute("SHOW TABLES").fetchall()}


def end_of_data(connection: duckdb.DuckDBPyConnection) -> datetime:
    """Return 00:00 UTC of the day after the last order line."""
    return _day_after(connection, "SELECT max(ordered_at) FROM orders")


def end_of_contracts(connection: duckdb.DuckDBPyConnection, *, now: datetime) -> datetime:
    """Return 00:00 UTC of the day after the last start or end of a contract that is not in the future."""
    dates = "SELECT started_at AS happened_at FROM contracts UNION ALL SELECT ended_at FROM contracts"
    return _day_after(
        connection, f"SELECT coalesce(max(happened_at), 0) FROM ({dates}) WHERE happened_at < {micros(now)}"
    )


def _day_after(connection: duckdb.DuckDBPyConnection, query: str) -> datetime:
    return EPOCH + timedelta(days=connection.execute(query).fetchall()[0][0] // DAY + 1)


def match_refunds(connection: duckdb.DuckDBPyConnection, steps: Mapping[str, str]) -> None:
    """Run the steps that hold at every `as_of`, once; each makes the table of its name."""
    for name, text in steps.items():
        if name != "features":
            connection.execute(f"CREATE OR REPLACE TABLE {name} AS {text}")


def put_everybody_on_spine(connection: duckdb.DuckDBPyConnection, cutoff: Cutoff) -> int:
    """Make the spine of a snapshot: everybody known at the cutoff; return how many they are.

    Known is who had an order line, a contract, an interaction or feedback before the cutoff, or a row in
    ``customers`` that does not join later.
    """
    tables = tables_in(connection)
    clocks = {table.name: table.clock for table in (ORDERS, INTERACTIONS, FEEDBACK, CONTRACTS)}
    known = [
        f"SELECT customer_id FROM {table} WHERE {clock} < {cutoff.micros} AND ingested_at <= {cutoff.micros}"
        for table, clock in clocks.items()
        if table in tables
    ]
    if "customers" in tables:
        known.append(
            f"SELECT customer_id FROM customers WHERE coalesce(joined_at, valid_from, 0) < {cutoff.micros}"
        )
    everybody = " UNION ".join(known)
    return put_on_spine(connection, f"SELECT customer_id FROM ({everybody})", cutoff)


def put_on_spine(connection: duckdb.DuckDBPyConnection, customers: str, cutoff: Cutoff) -> int:
    """Make the spine of the customers that a query lists (column ``customer_id``); return how many."""
    connection.execute(
        f"CREATE OR REPLACE TABLE {SPINE} AS "
        f"SELECT customer_id, {cutoff.micros}::BIGINT AS as_of, {cutoff.day}::BIGINT AS as_of_day, "
        f"{cutoff.month}::BIGINT AS as_of_month, row_number() OVER (ORDER BY customer_id) AS subject "
        f"FROM (SELECT DISTINCT customer_id FROM ({customers}))"
    )
    return int(connection.execute(f"SELECT count(*) FROM {SPINE}").fetchall()[0][0])
