"""Who stood where at a time, and who moved between two."""

from datetime import datetime
from typing import Literal

import pandas as pd

Kind = Literal["value_tier", "lifecycle_stage"]
NEW, GONE = "(new)", "(gone)"
"""The row of who had no standing at the start, and the column of who has none at the end."""


def standing_at(periods: pd.DataFrame, *, kind: Kind, at: datetime) -> pd.Series:
    """Return the name of the tier or stage that each customer was in, by customer_id.

    Parameters
    ----------
    periods
        One row per customer, kind and period: ``customer_id``, ``kind``, ``name``, ``started_at`` and
        ``ended_at`` (times with a zone; the end is null while the period lasts, and no part of it). Of a
        customer of whom no source tells any more none lasts.
    at
        An instant, with a zone; customers without a standing then are left out.
    """
    of_kind = periods[periods["kind"] == kind]
    started = pd.to_datetime(of_kind["started_at"], utc=True) <= at
    ended = pd.to_datetime(of_kind["ended_at"], utc=True)
    lasting = of_kind[started & (ended.isna() | (ended > at))]
    return lasting.set_index("customer_id")["name"]


def transition_matrix(periods: pd.DataFrame, *, kind: Kind, start: datetime, end: datetime) -> pd.DataFrame:
    """Count the moves between two instants.

    Parameters
    ----------
    periods
        As in `standing_at`.

    Returns
    -------
    How many were in the tier or stage of the row at `start` and in that of the column at `end`; names by
    the alphabet, the same in both directions, and last the row ``(new)`` and the column ``(gone)``.
    """
    both = pd.DataFrame(
        {at: standing_at(periods, kind=kind, at=time) for at, time in (("start", start), ("end", end))}
    )
    names = sorted({*both["start"].dropna(), *both["end"].dropna()})
    counts = pd.crosstab(both["start"].fillna(NEW), both["end"].fillna(GONE))
    return counts.reindex(index=[*names, NEW], columns=[*names, GONE], fill_value=0)
