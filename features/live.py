"""The live engine: SQLite in memory executes the compiled steps over the rows of one request."""

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple

from features.contract import ORDERS, TABLES
from features.instants import Cutoff
from features.parsing import identifier

RETURN = list(ORDERS.staged).index("is_return")

ONE_SUBJECT = "ANALYZE; INSERT INTO sqlite_stat1 VALUES ('spine', NULL, '1'); ANALYZE sqlite_schema"
"""Tells SQLite's planner that a spine has one row: else every request pays for indices to look it up by."""

Rows = Sequence[Sequence[object]]
"""Rows of a canonical table, each with the staged columns in their order."""


class Held(NamedTuple):
    """A customer whose rows the engine holds.

    Attributes
    ----------
    execute
        Of the connection that holds them.
    feature_text, profile_text
        The queries.
    """

    execute: Callable[..., sqlite3.Cursor]
    feature_text: str
    profile_text: str | None

    def features(self) -> tuple[float | None, ...]:
        """Return the feature row, in the order of the plan."""
        row: tuple[float | None, ...] = self.execute(self.feature_text).fetchone()[2:]
        return row

    def profile(self, *, lost_days: int) -> tuple[str | None, float | None]:
        """Return ``main_category`` and ``return_days``, as of `features.profile`."""
        assert self.profile_text is not None  # noqa: S101 - given to whoever asks
        self.execute("INSERT INTO shop VALUES (?)", (lost_days,))
        category, days = self.execute(self.profile_text).fetchone()[2:]
        return category, days


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
        self._columns = {
            name: (*table.staged, *(attributes if table.open_ended else ())) for name, table in TABLES.items()
        }
        spine = ("customer_id", "as_of", "as_of_day", "as_of_month", "subject")
        for name, columns in (*self._columns.items(), ("spine", spine), ("shop", ("lost_days",))):
            self._connection.execute(f"CREATE TABLE {name} ({', '.join(map(identifier, columns))})")
        for name, text in steps.items():
            if name != "features":
                self._connection.execute(f"CREATE TABLE {name} AS {text}")
        self._connection.executescript(ONE_SUBJECT)
        self._steps = {
            name: f"INSERT INTO {name} {text}" for name, text in steps.items() if name != "features"
        }
        self._held = Held(self._connection.execute, steps["features"], profile)

    def features(
        self, rows: Mapping[str, Rows], customer_id: str, cutoff: Cutoff
    ) -> tuple[float | None, ...]:
        """Return the feature row of one customer at the cutoff, in the order of the plan.

        Parameters
        ----------
        rows
            As of `holding`.
        """
        with self.holding(rows, customer_id, cutoff) as held:
            return held.features()

    @contextmanager
    def holding(self, rows: Mapping[str, Rows], customer_id: str, cutoff: Cutoff) -> Iterator[Held]:
        """Hold the rows of one customer, to be asked at the cutoff; afterwards nothing is left of them.

        Parameters
        ----------
        rows
            Per canonical table the customer's rows; tables without rows may be left out.
        """
        execute = self._connection.execute
        execute("BEGIN")
        try:
            for table, values in rows.items():
                if values:
                    self._insert(table, values)
            execute(
                "INSERT INTO spine VALUES (?, ?, ?, ?, 0)",
                (customer_id, cutoff.micros, cutoff.day, cutoff.month),
            )
            if any(line[RETURN] for line in rows.get("orders", ())):  # else no refund finds its order
                for text in self._steps.values():
                    execute(text)
            yield self._held
        finally:
            execute("ROLLBACK")

    def _insert(self, table: str, rows: Rows) -> None:
        """Insert the columns that hold anything: to bind a null takes longer than all else of a row."""
        columns = zip(self._columns[table], zip(*rows, strict=True), strict=True)
        told = {name: values for name, values in columns if values.count(None) < len(values)}
        self._connection.executemany(_insertion(table, tuple(told)), zip(*told.values(), strict=True))


@lru_cache(maxsize=1000)
def _insertion(table: str, columns: tuple[str, ...]) -> str:
    listed, marks = ", ".join(map(identifier, columns)), ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({listed}) VALUES ({marks})"


def _found(text: str | None, pattern: str) -> bool | None:
    return None if text is None else _compiled(pattern).search(text) is not None


@lru_cache(maxsize=100)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
