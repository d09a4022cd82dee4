"""How long customers pause between purchases, and what horizon follows from it."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime

import duckdb
import numpy as np
from rich.table import Table

from features.silence import Silences, silences_query

WINDOWS = (30, 60, 90, 120, 180, 365)
"""Candidate horizons, in days."""

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
    connection.execute(f"CREATE OR REPLACE TEMP TABLE pauses AS {silences_query(as_of=as_of)}")
    silences = Silences.of(connection, "pauses")
    windows = [Window(days, _wrongly_lost(silences, days), *_silent(connection, days)) for days in WINDOWS]
    connection.execute("DROP TABLE pauses")
    return HorizonAdvice(int(silences.ended.sum()), _quantiles(silences), windows, _recommended(windows))


def _wrongly_lost(silences: Silences, days: int) -> float | None:
    if not len(silences.days) or silences.days[-1] <= days:
        return None
    share = silences.outlasted()[np.searchsorted(silences.days, days, "right") - 1]
    return None if np.isnan(share) else float(share)


def _silent(connection: duckdb.DuckDBPyConnection, days: int) -> tuple[int, int]:
    silent, returned = connection.execute(
        "SELECT count(DISTINCT customer_id), count(DISTINCT customer_id) FILTER (ended) FROM pauses "
        "WHERE length > ?",
        [days],
    ).fetchall()[0]
    return int(silent), int(returned)


def _quantiles(silences: Silences) -> dict[float, float]:
    ended = silences.ended
    if not ended.any():
        return {}
    reached = ended.cumsum() / ended.sum()
    return {p: float(silences.days[np.searchsorted(reached, p)]) for p in PROBABILITIES}


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
