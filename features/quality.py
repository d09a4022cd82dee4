"""What was found in the data and what was done about it: the data-quality report."""

import json
from dataclasses import asdict, dataclass

from rich.table import Table


@dataclass(frozen=True)
class Finding:
    """One rule that rows of one table hit.

    Parameters
    ----------
    table, column
        Canonical names; ``*`` is the whole row.
    rule
        What is wrong, or remarkable.
    rows
        How many rows it concerns.
    share
        Of the rows of the table that came in, 0 to 1.
    example
        The first such value, as it stood; empty where nothing stood.
    action
        What was done with these rows.
    """

    table: str
    column: str
    rule: str
    rows: int
    share: float
    example: str
    action: str


@dataclass(frozen=True)
class Counts:
    """Where the rows of one table went: rows in = used + quarantined + merged."""

    rows_in: int
    used: int
    quarantined: int
    merged: int

    def __post_init__(self) -> None:
        """Refuse counts that lose or invent rows."""
        if self.rows_in != self.used + self.quarantined + self.merged:
            raise AssertionError(f"rows were lost or invented while staging: {self}")


@dataclass(frozen=True)
class DataQuality:
    """The report on one staging of all sources.

    Parameters
    ----------
    counts
        Per table.
    findings
        In the order of the tables.
    digests
        Per table, a digest of its staged rows whatever their order.
    """

    counts: dict[str, Counts]
    findings: list[Finding]
    digests: dict[str, str]

    def to_json(self) -> str:
        """Write the report as JSON."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)


def render(quality: DataQuality) -> Table:
    """Lay the report out for a terminal: a line per table, and one per finding below it."""
    titles = ("table", "column", "rule", "rows", "share", "example", "what was done")
    table = Table(*titles, box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"
        column.no_wrap = column.header in {"table", "column", "rows", "share"}
        column.justify = "right" if column.header in {"rows", "share"} else "left"
    table.columns[-1].min_width = len("quarantined,")
    for name, counts in quality.counts.items():
        done = f"{counts.used:,} used, {counts.quarantined:,} quarantined, {counts.merged:,} merged"
        table.add_row(name, "", "rows in", f"{counts.rows_in:,}", "", "", done, style="bold")
        for f in quality.findings:
            if f.table == name:
                table.add_row("", f.column, f.rule, f"{f.rows:,}", f"{f.share:.2%}", f.example, f.action)
    return table
