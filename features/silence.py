"""How long customers keep silent between purchases, and which silence is longer than usual in a shop."""

from dataclasses import dataclass
from datetime import datetime

import duckdb
import numpy as np
import numpy.typing as npt

from features.batch import tables_in
from features.contract import ORDERS
from features.instants import micros

LIMIT = 730
"""Silences are followed for so many days; who returns later counts as lost."""
LAPSING, LOST = 0.2, 0.05
"""Of returning customers, the shares that outlast a silence of ``lapsing_days`` and of ``lost_days``."""
FEWEST_RETURNS = 50
"""With fewer there is no rhythm to measure."""
MOST_LINES = 1_000_000
"""Of orders that are looked at; of more a share of the customers is drawn by a hash."""
SHORTEST = 7
"""Days: no silence of a week is called unusual."""


@dataclass(frozen=True)
class Rhythm:
    """The silences that are unusual in a shop.

    Parameters
    ----------
    lapsing_days
        A silence that one in five returning customers outlasts.
    lost_days
        A silence that one in twenty outlasts; always longer.
    """

    lapsing_days: int
    lost_days: int


@dataclass(frozen=True)
class Silences:
    """Silences by their length, shortest first.

    Parameters
    ----------
    days
        The lengths that were seen, of shape (k,).
    ended, still_open
        How many of each length ended with a purchase, or were still open when last seen, of shape (k,).
    """

    days: npt.NDArray[np.int64]
    ended: npt.NDArray[np.int64]
    still_open: npt.NDArray[np.int64]

    @classmethod
    def of(cls, connection: duckdb.DuckDBPyConnection, relation: str) -> "Silences":
        """Count the rows of a relation as of `silences_query`."""
        rows = connection.execute(
            f"SELECT length, count(*) FILTER (ended), count(*) FILTER (NOT ended) FROM {relation} "
            "GROUP BY length ORDER BY length"
        ).fetchall()
        return cls(*np.array(rows, np.int64).reshape(-1, 3).T)

    def outlasted(self) -> npt.NDArray[np.float64]:
        """Return which share of the silences that end within `LIMIT` last longer than each of `days`.

        By Kaplan and Meier (1958), so that silences still open count for as long as they were seen. NaN
        where none ended.
        """
        both = self.ended + self.still_open
        at_risk = both[::-1].cumsum()[::-1]
        lasting = np.cumprod(1 - self.ended / np.maximum(at_risk, 1))
        never = lasting[np.searchsorted(self.days, LIMIT, "right") - 1] if len(lasting) else 1.0
        return np.asarray((lasting - never) / (1 - never if never < 1 else np.nan))

    def outlasted_by(self, share: float) -> int:
        """Return the shortest silence that at most a share of those who return outlasts.

        Needs a return within `LIMIT`.
        """
        return int(self.days[np.argmax(self.outlasted() <= share)])


def silences_query(*, as_of: datetime, share: float = 1.0) -> str:
    """Write the SQL for the silences after each day on which a customer bought, as known at `as_of`.

    A purchase is a line that is no return and not negative.

    Parameters
    ----------
    share
        Of the customers to draw, by a hash of their id.

    Returns
    -------
    A query over the staged ``orders``: ``customer_id``, ``ended`` (whether a purchase followed) and
    ``length`` in days, until that purchase or the last day on record.
    """
    drawn = f" AND hash(customer_id) % 1000000 < {share * 1e6:.0f}" if share < 1 else ""
    return (
        "SELECT customer_id, next_day IS NOT NULL AS ended, coalesce(next_day, last_day) - day AS length "
        "FROM (SELECT customer_id, day, lead(day) OVER (PARTITION BY customer_id ORDER BY day) AS next_day, "
        "max(day) OVER () AS last_day FROM "
        f"(SELECT DISTINCT customer_id, day FROM {_purchases(as_of)}{drawn}))"
    )


def shop_rhythm(connection: duckdb.DuckDBPyConnection, *, as_of: datetime, horizon_days: int) -> Rhythm:
    """Measure which silences are unusual in a shop, as known at `as_of`.

    With few returns the rhythm is the horizon and twice the horizon; nor is a silence unusual before these
    if it is longer than half of the history: a young shop has not seen its long silences end.

    Parameters
    ----------
    connection
        With the staged ``orders``; without that table there are no returns.
    """
    fallback = Rhythm(horizon_days, 2 * horizon_days)
    if ORDERS.name not in tables_in(connection):
        return fallback
    lines, history = connection.execute(
        f"SELECT count(*), max(day) - min(day) FROM {_purchases(as_of)}"
    ).fetchall()[0]
    query = silences_query(as_of=as_of, share=min(1.0, MOST_LINES / max(lines, 1)))
    silences = Silences.of(connection, f"({query})")
    if silences.ended[silences.days <= LIMIT].sum() < FEWEST_RETURNS:
        return fallback
    lapsing, lost = (silences.outlasted_by(share) for share in (LAPSING, LOST))
    lapsing = max(lapsing, SHORTEST, fallback.lapsing_days if 2 * lapsing > history else 0)
    return Rhythm(lapsing, max(lost, lapsing + SHORTEST, fallback.lost_days if 2 * lost > history else 0))


def _purchases(as_of: datetime) -> str:
    instant = micros(as_of)
    return (
        f"orders WHERE is_return = 0 AND amount >= 0 AND ordered_at < {instant} AND ingested_at <= {instant}"
    )
