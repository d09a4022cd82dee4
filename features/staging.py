"""Sources to canonical tables in DuckDB: every row used, quarantined with a reason, or merged."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from features.attributes import Attribute
from features.canonical import BITS, FAULT, Canonical, canonical
from features.configuration import Configuration
from features.contract import CUSTOMERS, ORDERS, TABLES, Kind, Table
from features.duplicates import keep_last, merge_across_files
from features.errors import InputError
from features.parsing import identifier
from features.quality import Counts, DataQuality, Finding
from features.quarantine import Found, Quarantine
from features.scans import FILE, Scan, open_source, unreadable
from features.scratch import scratch_folder
from features.sources import CustomersSource, OrdersSource, Source, read_sources


def stage(
    configuration: Configuration,
    connection: duckdb.DuckDBPyConnection,
    *,
    attributes: Sequence[Attribute] = (),
) -> DataQuality:
    """Fill the canonical tables of every configured source.

    Each table has the staged columns of the contract in their order, of the types inside; a column
    that its source lacks is null. ``customers`` also keeps its attributes: text, float64, or
    int64 flags. Rows that cannot be used lie in ``<workspace>/quarantine/<table>.parquet``, as text
    beside ``reason``, ``file``, ``row`` and, when a line could not be split, the ``line`` itself.

    Parameters
    ----------
    connection
        Replaced are tables with the names of the contract; the session ends up in UTC.
    attributes
        Columns of ``customers`` as a model knows them: of a few customers, a text may look like a flag.

    Raises
    ------
    InputError
        A source cannot be read, lacks a column, or has no usable row.
    """
    sources = read_sources(configuration)
    workspace = configuration.project.workspace
    connection.execute("SET autoinstall_known_extensions = false; SET autoload_known_extensions = false")
    counts, findings, digests = {}, [], {}
    for name, source in sources.items():
        with scratch_folder(workspace) as scratch:
            staging = _Staging(TABLES[name], source, configuration, connection, scratch, attributes)
            counts[name], found = staging.run()
        findings += found
        digests[name] = _digest(connection, TABLES[name])
    connection.execute("SET TimeZone = 'UTC'")
    return DataQuality(counts, findings, digests)


@dataclass(frozen=True)
class _Staging:
    """One table on its way in."""

    table: Table
    source: Source
    configuration: Configuration
    connection: duckdb.DuckDBPyConnection
    scratch: Path
    attributes: Sequence[Attribute]

    def run(self) -> tuple[Counts, list[Finding]]:
        name = self.table.name
        scan = open_source(self.table, self.source, self.configuration.folder, self.connection, self.scratch)
        time_zone = self.configuration.project.time_zone
        rows = canonical(self.table, scan, self.connection, time_zone, self._kinds())
        self._fill(scan, rows)
        quarantine = Quarantine(self.table, scan, rows, self.connection)
        bad, findings = quarantine.write(
            self.configuration.project.workspace / "quarantine" / f"{name}.parquet", scratch=self.scratch
        )
        read = self._count()
        self.connection.execute(f"DELETE FROM {name} WHERE {identifier(FAULT)} IS NOT NULL")
        merged, merges = self._merge(scan, rows)
        for column in (FAULT, BITS, FILE):
            self.connection.execute(f"ALTER TABLE {name} DROP COLUMN {identifier(column)}")
        counts = Counts(read + quarantine.rejected, self._count(), bad, merged)
        self._assert_usable(counts, findings)
        found = [*findings, *merges, *self._exclusions()]
        return counts, [self._finding(counts, each) for each in found]

    def _fill(self, scan: Scan, rows: Canonical) -> None:
        name = self.table.name
        try:
            self.connection.execute(f"CREATE OR REPLACE TABLE {name} AS {rows.sql}")
        except duckdb.Error as error:
            if isinstance(error, duckdb.OutOfMemoryException) or "Could not write" in str(error):
                raise  # memory or disk is short: no fault of the source
            raise unreadable(self.table, [Path(file) for file in scan.files], error) from None
        if "line" in self.table.staged and scan.relation != scan.numbered:
            self.connection.execute(
                f"CREATE OR REPLACE TABLE {name} AS SELECT * REPLACE (rowid + 1 AS line) FROM {name}"
            )

    def _kinds(self) -> dict[str, Kind]:
        """Return the kinds of further columns of customers that are settled beforehand."""
        if not isinstance(self.source, CustomersSource):
            return {}
        return {each.name: each.kind for each in self.attributes} | self.source.forced_kinds

    def _count(self) -> int:
        return int(self.connection.execute(f"SELECT count(*) FROM {self.table.name}").fetchall()[0][0])

    def _merge(self, scan: Scan, rows: Canonical) -> tuple[int, list[Found]]:
        name, columns = (
            self.table.name,
            [column for column in rows.columns if column != "line" or self.table is CUSTOMERS],
        )
        if self.table is CUSTOMERS:
            alike, differing = keep_last(
                self.connection, name, columns=columns, key=("customer_id", "valid_from")
            )
            found: list[Found] = [
                ("*", "the same row of a customer again", alike, "", "merged"),
                (
                    "*",
                    "another row of a customer, not the same",
                    differing,
                    "",
                    "merged: the last one is used",
                ),
            ]
            return alike + differing, [each for each in found if each[2]]
        if len(scan.files) == 1:
            return 0, []
        clock = str(self.table.clock)
        merged = merge_across_files(self.connection, name, columns=columns, clock=clock, file=FILE)
        return merged, [("*", "the same row in more than one file", merged, "", "merged")] if merged else []

    def _exclusions(self) -> list[Found]:
        if not isinstance(self.source, OrdersSource):
            return []
        found = []
        for column, patterns in self.source.exclude.items():
            for pattern in patterns:
                rows, value = self.connection.execute(
                    f"SELECT count(*), min({column}) FROM orders WHERE {column} LIKE ? ESCAPE '\\'",
                    [like(pattern)],
                ).fetchall()[0]
                found.append((column, f"is excluded: {pattern}", rows, value or "", "left out of orders"))
        return found

    def _assert_usable(self, counts: Counts, findings: list[Found]) -> None:
        if self.table is ORDERS and not counts.rows_in:
            raise InputError(f"sources.{self.table.name} has no rows; check its path, table or query")
        if counts.rows_in and not counts.used:
            column, rule, rows, example, _ = max(findings, key=lambda found: found[2])
            shown = f" (for example {example!r})" if example else ""
            raise InputError(
                f"sources.{self.table.name}: no row can be used; in {rows:,} of {counts.rows_in:,} "
                f"{column} {rule}{shown}; check columns, time_format and decimal of this source"
            )

    def _finding(self, counts: Counts, found: Found) -> Finding:
        column, rule, rows, example, action = found
        return Finding(self.table.name, column, rule, rows, rows / max(counts.rows_in, 1), example, action)


def like(pattern: str) -> str:
    r"""Turn a pattern with ``*`` into one for LIKE with the escape ``\``."""
    escaped = re.sub(r"([%_\\])", r"\\\1", pattern)
    return escaped.replace("*", "%")


def _digest(connection: duckdb.DuckDBPyConnection, table: Table) -> str:
    """Digest the rows, whatever their order; the columns that follow from others add nothing."""
    described = connection.execute(f"DESCRIBE {table.name}").fetchall()
    columns = [name for name, *_ in described if name in table.columns or name not in table.staged]
    listed = ", ".join(map(identifier, columns))
    rows, total = connection.execute(
        f"SELECT count(*), sum(hash({listed})::HUGEINT) FROM {table.name}"
    ).fetchall()[0]
    return hashlib.sha256(f"{columns} {rows} {total}".encode()).hexdigest()
