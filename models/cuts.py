"""Cut points: the values from which a customer is among the others' highest or lowest."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import duckdb

from features.parsing import identifier

Cuts = Mapping[str, float | None]
"""Cut points by name (of conditions `Cut.key`); null where nobody has a value."""
TOP, BOTTOM, BRINGS = "top", "bottom", "brings"
FUNCTIONS = (TOP, BOTTOM, BRINGS)


@dataclass(frozen=True)
class Cut:
    """What a cut point is of.

    Parameters
    ----------
    function
        ``top``, ``bottom`` or ``brings``.
    column
        A number.
    share
        Of those with a value, or of the total of the positive values; above 0, at most 1.
    """

    function: str
    column: str
    share: float

    @cached_property
    def key(self) -> str:
        """The cut as a condition writes it."""
        return f"{self.function}({self.column}, {self.share:.12g})"

    def eased(self, by: float) -> Self:
        """Return the cut whose share is larger by a part of it, or smaller for a negative one."""
        share = float(f"{min(1.0, self.share * (1.0 + by)):.12g}")
        return type(self)(self.function, self.column, share)


def measured_cuts(
    connection: duckdb.DuckDBPyConnection, cuts: Iterable[Cut], source: str = "subjects"
) -> dict[str, float | None]:
    """Take cut points, by `Cut.key`: those of `cuts_sql`."""
    wanted = list(dict.fromkeys(cuts))
    if not wanted:
        return {}
    (row,) = connection.execute(cuts_sql(wanted, source)).fetchall()
    return dict(zip((cut.key for cut in wanted), row, strict=True))


def cuts_sql(cuts: Iterable[Cut], source: str = "subjects") -> str:
    """Write one DuckDB query that gives all cut points in one row, in the order of the cuts.

    The cut point of ``top`` is the value that comes nearest to the share when all with the same value go
    together, the larger share of two that are as near; so a share of customers without any purchase never
    takes in everybody, and is null, for nobody, where none comes nearer. ``bottom`` mirrors it: who is not
    in ``top(x, s)`` is in ``bottom(x, 1 - s)``.
    ``brings`` is the value of the customer with whom, highest first, the share is reached.

    Parameters
    ----------
    cuts
        One at least.
    source
        A table, or a query in brackets.
    """
    wanted = list(dict.fromkeys(cuts))
    columns = list(dict.fromkeys((cut.function, cut.column) for cut in wanted))
    queries = ", ".join(
        f"cuts_{number} AS ({_query(kind, column, _shares(wanted, kind, column), source)})"
        for number, (kind, column) in enumerate(columns)
    )
    named = ", ".join(
        f"cuts_{columns.index((cut.function, cut.column))}."
        f"at_{_shares(wanted, cut.function, cut.column).index(cut.share)} AS {identifier(cut.key)}"
        for cut in wanted
    )
    tables = ", ".join(f"cuts_{number}" for number in range(len(columns)))
    return f"WITH {queries} SELECT {named} FROM {tables}"


def _shares(cuts: Sequence[Cut], function: str, column: str) -> list[float]:
    return [cut.share for cut in cuts if (cut.function, cut.column) == (function, column)]


def _query(function: str, column: str, shares: list[float], source: str) -> str:
    if function == BRINGS:
        return _bringing(column, shares, source)
    sign = "-" if function == TOP else ""
    return _ranked(f"{sign}CAST({identifier(column)} AS DOUBLE)", shares, source, sign)


def _ranked(value: str, shares: list[float], source: str, sign: str) -> str:
    """Find quantiles by one sort, then step back where leaving the last equal values out is nearer."""
    places = range(len(shares))
    counted = ", ".join(
        f"count(*) FILTER (x < marks[{at + 1}]) AS under_{at}, "
        f"count(*) FILTER (x <= marks[{at + 1}]) AS upto_{at}, "
        f"max(x) FILTER (x < marks[{at + 1}]) AS before_{at}, any_value(marks[{at + 1}]) AS mark_{at}"
        for at in places
    )
    chosen = ", ".join(
        f"{sign}(CASE WHEN {share!r}e0 * n - under_{at} < upto_{at} - {share!r}e0 * n "
        f"THEN before_{at} ELSE mark_{at} END) AS at_{at}"
        for at, share in zip(places, shares, strict=True)
    )
    marks = ", ".join(repr(share) for share in shares)
    values = f"SELECT {value} AS x FROM {source} AS s"
    return (
        f"SELECT {chosen} FROM (SELECT count(x) AS n, {counted} FROM ({values}) AS v, "
        f"(SELECT quantile_disc(x, [{marks}]) AS marks FROM ({values}) AS w) AS q)"
    )


def _bringing(column: str, shares: list[float], source: str) -> str:
    chosen = ", ".join(
        f"max(x) FILTER (reached >= {share!r}e0 * total) AS at_{at}" for at, share in enumerate(shares)
    )
    values = f"SELECT CAST({identifier(column)} AS DOUBLE) AS x FROM {source} AS s"
    reached = "sum(x) OVER (ORDER BY x DESC ROWS UNBOUNDED PRECEDING) AS reached"
    # The total is the last sum itself: another one may differ in its last digit, so that all are too few.
    return (
        f"SELECT {chosen} FROM (SELECT x, reached, max(reached) OVER () AS total FROM "
        f"(SELECT x, {reached} FROM ({values}) AS v WHERE x > 0))"
    )
