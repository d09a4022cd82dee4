"""Rows that cannot be used, and values that had to be corrected: counted, shown and kept."""

from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from features.canonical import BITS, FAULT, Canonical, Rule, raw
from features.contract import Table
from features.extracts import assert_decodable
from features.parsing import identifier, literal
from features.scans import FILE, ROW, Scan

OWN = ("reason", "file", "row", "line")

Found = tuple[str, str, int, str, str]
"""column, rule, rows, example, action."""


@dataclass
class Quarantine:
    """What is wrong with the rows of one table, after it was filled.

    Parameters
    ----------
    rejected
        Lines of text files that could not be split into columns; set by `write`.
    """

    table: Table
    scan: Scan
    rows: Canonical
    connection: duckdb.DuckDBPyConnection
    rejected: int = field(default=0, init=False)

    def write(self, target: Path, *, scratch: Path) -> tuple[int, list[Found]]:
        """Write the unusable rows to a Parquet file, and list every finding.

        The file is made in a scratch folder of the same disk: several jobs may write one target.

        Returns
        -------
        How many rows were written, and the findings.
        """
        self._take_rejects()
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        bad = 0
        if self.rejected or self._hits(FAULT, "IS NOT NULL"):
            bad = self._copy(scratch / target.name)
        findings = self._faults(scratch / target.name) if bad else []
        if bad:
            (scratch / target.name).replace(target)
        return bad, findings + self._corrections()

    def _take_rejects(self) -> None:
        """Keep the rejects of the filling scan: each further scan would list them again."""
        self.connection.execute(
            "CREATE OR REPLACE TEMP TABLE rejected (reason TEXT, file BIGINT, row BIGINT, line TEXT)"
        )
        known = self.connection.execute(
            "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'reject_errors'"
        ).fetchall()[0][0]
        if known:
            self._assert_decoded()
            self.connection.execute(
                "INSERT INTO rejected SELECT min_by(error_type, column_idx), list_position(?, file_path)-1, "
                "line, any_value(csv_line) FROM reject_errors JOIN reject_scans USING (scan_id, file_id) "
                "GROUP BY file_path, line",
                [list(self.scan.paths)],
            )
            self._forget_rejects()
        self.rejected = self.connection.execute("SELECT count(*) FROM rejected").fetchall()[0][0]

    def _assert_decoded(self) -> None:
        paths = self.connection.execute(
            "SELECT DISTINCT file_path FROM reject_errors JOIN reject_scans USING (scan_id, file_id) "
            "WHERE error_type = 'INVALID ENCODING'"
        ).fetchall()
        for (path,) in paths:
            assert_decodable(Path(path), "utf-8")

    def _forget_rejects(self) -> None:
        self.connection.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")

    def _hits(self, column: str, condition: str) -> int:
        found = self.connection.execute(
            f"SELECT count(*) FROM {self.table.name} WHERE {identifier(column)} {condition}"
        )
        return int(found.fetchall()[0][0])

    def _copy(self, target: Path) -> int:
        names = ", ".join(
            f"CAST({raw(name)} AS VARCHAR) AS {identifier(_beside(name))}" for name in self.scan.columns
        )
        reasons = ", ".join(literal(_sentence(rule)) for rule in self.rows.faults)
        files = ", ".join(map(literal, self.scan.files))
        numbered = self.rows.parsed.replace(self.scan.relation, self.scan.numbered)
        marked = f"SELECT *, {self.rows.marks} FROM ({numbered})"
        bad = (
            f"SELECT {names}, [{reasons}][1 + {identifier(FAULT)}] AS reason, "
            f"[{files}][1 + {identifier(FILE)}::BIGINT] AS file, {identifier(ROW)} AS row, "
            f"NULL::VARCHAR AS line FROM ({marked}) WHERE {identifier(FAULT)} IS NOT NULL "
            f"UNION ALL BY NAME SELECT 'the line cannot be split into columns: ' || lower(reason) AS reason, "
            f"[{files}][file + 1] AS file, row, line FROM rejected"
        )
        rows = self.connection.execute(f"COPY ({bad}) TO {literal(str(target))} (FORMAT parquet)").fetchall()[
            0
        ][0]
        self._forget_rejects()
        return int(rows)

    def _faults(self, target: Path) -> list[Found]:
        found = []
        for rule in self.rows.faults:
            cell = self.scan.cells.get(rule.column)
            example = f"min({identifier(_beside(cell.name))})" if cell else "NULL"
            rows, value = self.connection.execute(
                f"SELECT count(*), {example} FROM read_parquet({literal(str(target))}) WHERE reason = ?",
                [_sentence(rule)],
            ).fetchall()[0]
            if rows:
                found.append((rule.column, rule.text, rows, value or "", "quarantined"))
        if self.rejected:
            line = self.connection.execute("SELECT min(line) FROM rejected").fetchall()[0][0]
            found.append(
                ("*", "the line cannot be split into columns", self.rejected, line or "", "quarantined")
            )
        return found

    def _corrections(self) -> list[Found]:
        if not self._hits(BITS, f"> 0 AND {identifier(FAULT)} IS NULL"):
            return []
        marked = f"SELECT *, {self.rows.marks} FROM ({self.rows.parsed})"
        found = []
        for n, rule in enumerate(self.rows.corrections):
            cell = self.scan.cells.get(rule.column)
            example = f"min(CAST({raw(cell.name)} AS VARCHAR))" if cell else "NULL"
            rows, value = self.connection.execute(
                f"SELECT count(*), {example} FROM ({marked}) WHERE ({identifier(BITS)} & {1 << n}) > 0 "
                f"AND {identifier(FAULT)} IS NULL"
            ).fetchall()[0]
            if rows:
                found.append((rule.column, rule.text, rows, value or "", rule.action))
        self._forget_rejects()
        return found


def _sentence(rule: Rule) -> str:
    return f"{rule.column} {rule.text}"


def _beside(name: str) -> str:
    """Put a source's column under a name that leaves room for our own."""
    return f"{name} (source)" if name.lower() in OWN else name
