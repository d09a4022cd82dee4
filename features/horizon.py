"""How long customers pause between purchases, and what horizon follows from it."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime

import duckdb
import numpy as np
import numpy.typing as npt
from rich.table import Table

from features.instants import micros

WINDOWS = (30, 60, 90, 120, 180, 365)
"""Candidate horizons, in days."""

LIMIT = 730
"""Silences are followed for so many days; who returns later counts as lost."""

TOLERATED = 0.2
"""The recommended horizon calls no more than this share of returning customers lost."""

PROBABILITIES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


@dataclass(frozen=True)
class Window:
    """One candidate horizon.

    Parameters
    ----------
    days
        Its length.
    wrongly_lost
        Of the silences that end within two years, the share that last longer (Kaplan and Meier
        1958, so that silences still open on the last day count for as long as they were seen); null
        when nothing was seen that long.
    silent, returned
        Customers who were silent for longer at least once, and those of them who bought again after
        such a silence, as far as seen by `as_of`.
    """

    days: int
    wrongly_lost: float | None
    silent: int
    returned: int


@dataclass(frozen=True)
class HorizonAdvice:
    """How long customers pause between purchases.

    Parameters
    ----------
    gaps
        How many pauses between two successive days with a purchase of one customer were seen whole.
    quantiles
        Of their length in days, by probability; only of whole ones, so rather too short.
    windows
        The candidate horizons.
    recommended
        The shortest that calls at most a fifth of returning customers lost, else the longest seen.
    """

    gaps: int
    quantiles: dict[float, float]
    windows: list[Window]
    recommended: int | None

    def to_json(self) -> str:
        """Write the advice as JSON."""
        return json.dumps(asdict(self), indent=2)


def horizon_advice(connection: duckdb.DuckDBPyConnection, *, as_of: datetime) -> HorizonAdvice:
    """Measure the pauses between the days on which each customer bought, as known at `as_of`.

    Parameters
    ----------
    connection
        With the staged ``orders``; a purchase is a line that is no return and not negative.
    """
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE pauses AS SELECT customer_id, next_day IS NOT NULL AS ended, "
        f"coalesce(next_day, last_day) - day AS length FROM (SELECT customer_id, day, "
        f"lead(day) OVER (PARTITION BY customer_id ORDER BY day) AS next_day, max(day) OVER () AS last_day "
        f"FROM (SELECT DISTINCT customer_id, day FROM orders WHERE is_return = 0 AND amount >= 0 "
        f"AND ordered_at < {micros(as_of)} AND ingested_at <= {micros(as_of)}))"
    )
    rows = connection.execute(
        "SELECT length, count(*) FILTER (ended), count(*) FILTER (NOT ended) FROM pauses "
        "GROUP BY length ORDER BY length"
    ).fetchall()
    length, ended, still_open = np.array(rows, np.int64).reshape(-1, 3).T
    lasting = _lasting(ended, still_open)
    windows = [
        Window(days, _wrongly_lost(length, lasting, days), *_silent(connection, days)) for days in WINDOWS
    ]
    connection.execute("DROP TABLE pauses")
    return HorizonAdvice(int(ended.sum()), _quantiles(length, ended), windows, _recommended(windows))


def _lasting(ended: npt.NDArray[np.int64], still_open: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Estimate the share of pauses that last longer than each length (Kaplan and Meier)."""
    both = ended + still_open
    at_risk = both[::-1].cumsum()[::-1]
    return np.asarray(np.cumprod(1 - ended / np.maximum(at_risk, 1)))


def _wrongly_lost(length: npt.NDArray[np.int64], lasting: npt.NDArray[np.float64], days: int) -> float | None:
    if not len(length) or length[-1] <= days:
        return None
    at_limit, at_window = (lasting[np.searchsorted(length, limit, "right") - 1] for limit in (LIMIT, days))
    return float((at_window - at_limit) / (1 - at_limit)) if at_limit < 1 else None


def _silent(connection: duckdb.DuckDBPyConnection, days: int) -> tuple[int, int]:
    silent, returned = connection.execute(
        "SELECT count(DISTINCT customer_id), count(DISTINCT customer_id) FILTER (ended) FROM pauses "
        "WHERE length > ?",
        [days],
    ).fetchall()[0]
    return int(silent), int(returned)


def _quantiles(length: npt.NDArray[np.int64], ended: npt.NDArray[np.int64]) -> dict[float, float]:
    if not ended.any():
        return {}
    reached = ended.cumsum() / ended.sum()
    return {p: float(length[np.searchsorted(reached, p)]) for p in PROBABILITIES}


def _recommended(windows: list[Window]) -> int | None:
    seen = [window for window in windows if window.wrongly_lost is not None]
    good = [window.days for window in seen if (window.wrongly_lost or 0) <= TOLERATED]
    return good[0] if good else seen[-1].days if seen else None


def render(advice: HorizonAdvice) -> Table:
    """Lay the advice out for a terminal: a line per candidate horizon."""
    table = Table(
        "horizon (days)", "returning customers called lost", "silent for longer", "of them returned"
    )
    for column in table.columns:
        column.justify = "right"
    for window in advice.windows:
        share = "not seen" if window.wrongly_lost is None else f"{window.wrongly_lost:.1%}"
        style = "bold" if window.days == advice.recommended else None
        table.add_row(str(window.days), share, f"{window.silent:,}", f"{window.returned:,}", style=style)
    return table
