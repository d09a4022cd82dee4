"""Everybody ever known, and since when: who stands on the spine of any past day."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import duckdb

from features.batch import acquaintances, put_known_on_spine, tables_in
from features.contract import CONTRACTS, FEEDBACK, INTERACTIONS, ORDERS
from features.instants import Cutoff

KNOWN = "known"
"""The table of everybody: ``customer_id``, ``since`` when known (us UTC), and the `PLACE`."""
PLACE = "place of the customer"
"""A name that no feature can have."""
PLACES = 1_000_000
"""That customers are hashed to; a share draws those in the first of them."""
MOST_EVENTS = 10_000_000
"""Events of snapshots that are made at once, each counted for every snapshot: to plan a query takes longer
than to read the events of a small shop, and those of a large one take memory."""


class Crowd:
    """The customers of a staged shop, by the instant since when they are known.

    Parameters
    ----------
    connection
        With the staged tables.
    time_zone
        Of the project's calendar days.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, time_zone: str) -> None:
        self._connection = connection
        self._time_zone = time_zone
        connection.execute(
            f"CREATE OR REPLACE TABLE {KNOWN} AS "
            f'SELECT *, hash(customer_id) % {PLACES} AS "{PLACE}" FROM ({acquaintances(connection)})'
        )
        tables = {table.name for table in (ORDERS, INTERACTIONS, FEEDBACK, CONTRACTS)}
        self._events = sum(self._count(table) for table in tables & tables_in(connection))

    def size(self, as_of: datetime) -> int:
        """Return how many customers were known at `as_of`."""
        return self._count(f"{KNOWN} WHERE since <= {self._cutoff(as_of).micros}")

    def together(self, cutoffs: Sequence[datetime], *, share: float) -> Iterator[Sequence[datetime]]:
        """Part cutoffs, in order, into those whose snapshots are made at once."""
        several = max(1, int(MOST_EVENTS / max(share * self._events, 1.0)))
        for start in range(0, len(cutoffs), several):
            yield cutoffs[start : start + several]

    def put_on_spine(self, cutoffs: Sequence[datetime], *, share: float) -> list[int]:
        """Make the spine of a share of the customers at each cutoff; return how many each has."""
        drawn = f'SELECT customer_id, since FROM {KNOWN} WHERE "{PLACE}" < {places(share)}'
        return put_known_on_spine(self._connection, drawn, [self._cutoff(as_of) for as_of in cutoffs])

    def _cutoff(self, as_of: datetime) -> Cutoff:
        return Cutoff.at(as_of, self._time_zone)

    def _count(self, rows: str) -> int:
        return int(self._connection.execute(f"SELECT count(*) FROM {rows}").fetchall()[0][0])


def places(share: float) -> int:
    """Return how many of the `PLACES` a share of the customers has."""
    return round(share * PLACES)
