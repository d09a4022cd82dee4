"""The live engine: SQLite in memory executes the compiled steps over the rows of one request."""

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from features.contract import ORDERS, TABLES
from features.instants import Cutoff

RETURN = list(ORDERS.staged).index("is_return")

ONE_SUBJECT = "ANALYZE; INSERT INTO sqlite_stat1 VALUES ('spine', NULL, '1'); ANALYZE sqlite_schema"
"""Tells SQLite's planner that a spine has one row: else every request pays for indices to look it up by."""

Rows = Sequence[Sequence[object]]
"""Rows of a canonical table, each with the staged columns in their order."""


class LiveEngine:
    """Features of one customer at a time; one engine serves one thread.

    Parameters
    ----------
    steps
        The ``sqlite`` texts of a feature plan, ``features`` last.
    attributes
        The columns that follow those of the contract in rows of ``customers``: the plan's attributes.
    profile
        The ``sqlite`` text of what a standing is told from beside the features.
    """

    def __init__(
        self, steps: Mapping[str, str], *, attributes: Sequence[str] = (), profile: str | None = None
    ) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._connection.create_function("_IBIS_REGEX_SEARCH", 2, _found, deterministic=True)
        self._inserts = {
            name: self._create(name, [*table.staged, *(attributes if table.open_ended else ())])
            for name, table in TABLES.items()
        }
        self._create("spine", ("customer_id", "as_of", "as_of_day", "as_of_month", "subject"))
        self._create("shop", ("lost_days",))
        for name, text in steps.items():
            if name != "features":
                self._connection.execute(f"CREATE TABLE {name} AS {text}")
        self._connection.executescript(ONE_SUBJECT)
        self._steps = {
            name: f"INSERT INTO {name} {text}" for name, text in steps.items() if name != "features"
        }
        self._features = steps["features"]
        self._profile = profile

    def features(
        self, rows: Mapping[str, Rows], customer_id: str, cutoff: Cutoff
    ) -> tuple[float | None, ...]:
        """Return the feature row of one customer at the cutoff, in the order of the plan.

        Parameters
        ----------
        rows
            Per canonical table the customer's rows; tables without rows may be left out.
        """
        with self._holding(rows, customer_id, cutoff) as execute:
            row: tuple[float | None, ...] = execute(self._features).fetchone()[2:]
            return row

    def profile(
        self, rows: Mapping[str, Rows], customer_id: str, cutoff: Cutoff, *, lost_days: int
    ) -> tuple[str | None, float | None]:
        """Return ``main_category`` and ``return_days`` of one customer, as of `features.profile`."""
        assert self._profile is not None  # noqa: S101 - given to whoever asks
        with self._holding(rows, customer_id, cutoff) as execute:
            execute("INSERT INTO shop VALUES (?)", (lost_days,))
            category, days = execute(self._profile).fetchone()[2:]
            return category, days

    @contextmanager
    def _holding(
        self, rows: Mapping[str, Rows], customer_id: str, cutoff: Cutoff
    ) -> Iterator[Callable[..., sqlite3.Cursor]]:
        execute = self._connection.execute
        execute("BEGIN")
        try:
            for table, values in rows.items():
                if values:
                    self._connection.executemany(self._inserts[table], values)
            execute(
                "INSERT INTO spine VALUES (?, ?, ?, ?, 0)",
                (customer_id, cutoff.micros, cutoff.day, cutoff.month),
            )
            if any(line[RETURN] for line in rows.get("orders", ())):  # else no refund finds its order
                for text in self._steps.values():
                    execute(text)
            yield execute
        finally:
            execute("ROLLBACK")

    def _create(self, name: str, columns: Sequence[str]) -> str:
        quoted = ['"' + column.replace('"', '""') + '"' for column in columns]
        self._connection.execute(f"CREATE TABLE {name} ({', '.join(quoted)})")
        return f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})"


def _found(text: str | None, pattern: str) -> bool | None:
    return None if text is None else re.search(pattern, text) is not None
