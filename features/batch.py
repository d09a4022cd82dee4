"""The batch engine: DuckDB executes the compiled steps over the staged tables."""

from collections.abc import Iterator, Mapping, Sequence
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


def acquaintances(connection: duckdb.DuckDBPyConnection) -> str:
    """Write the query that tells since when each customer is known: ``customer_id`` and ``since`` (us UTC).

    Known is who had an order line, a contract, an interaction or feedback before a cutoff, or a row in
    ``customers`` that does not join later; ``since`` is the earliest such cutoff.
    """
    tables = tables_in(connection)
    clocks = {table.name: table.clock for table in (ORDERS, INTERACTIONS, FEEDBACK, CONTRACTS)}
    known = [
        f"SELECT customer_id, greatest({clock} + 1, ingested_at) AS since FROM {table}"
        for table, clock in clocks.items()
        if table in tables
    ]
    if "customers" in tables:
        known.append("SELECT customer_id, coalesce(joined_at, valid_from, 0) + 1 AS since FROM customers")
    return f"SELECT customer_id, min(since) AS since FROM ({' UNION ALL '.join(known)}) GROUP BY customer_id"


def put_everybody_on_spine(connection: duckdb.DuckDBPyConnection, cutoff: Cutoff) -> int:
    """Make the spine of a snapshot: everybody known at the cutoff; return how many they are."""
    return put_known_on_spine(connection, acquaintances(connection), [cutoff])[0]


def put_known_on_spine(
    connection: duckdb.DuckDBPyConnection, known: str, cutoffs: Sequence[Cutoff]
) -> list[int]:
    """Make one spine of several snapshots, in the order of their `as_of`; return how many each holds.

    Parameters
    ----------
    known
        Lists customers, as `acquaintances` does: each is in the snapshots from ``since`` on.
    """
    at = ", ".join(f"({each.micros}::BIGINT, {each.day}::BIGINT, {each.month}::BIGINT)" for each in cutoffs)
    connection.execute(
        f"CREATE OR REPLACE TABLE {SPINE} AS SELECT customer_id, as_of, as_of_day, as_of_month, "
        f"row_number() OVER (ORDER BY as_of, customer_id) AS subject "
        f"FROM ({known}) JOIN (VALUES {at}) AS cutoffs (as_of, as_of_day, as_of_month) ON since <= as_of"
    )
    counts = dict(connection.execute(f"SELECT as_of, count(*) FROM {SPINE} GROUP BY as_of").fetchall())
    return [counts.get(cutoff.micros, 0) for cutoff in cutoffs]


def put_on_spine(connection: duckdb.DuckDBPyConnection, customers: str, cutoff: Cutoff) -> int:
    """Make the spine of the customers that a query lists (column ``customer_id``); return how many."""
    connection.execute(
        f"CREATE OR REPLACE TABLE {SPINE} AS "
        f"SELECT customer_id, {cutoff.micros}::BIGINT AS as_of, {cutoff.day}::BIGINT AS as_of_day, "
        f"{cutoff.month}::BIGINT AS as_of_month, row_number() OVER (ORDER BY customer_id) AS subject "
        f"FROM (SELECT DISTINCT customer_id FROM ({customers}))"
    )
    return int(connection.execute(f"SELECT count(*) FROM {SPINE}").fetchall()[0][0])
