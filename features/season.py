"""The time of the year: what happened in the same window before."""

import ibis.expr.types as ir

from features.contract import SCALE

QUARTER_DAYS_PER_YEAR = 1461
"""Four years in days: a mean year in quarters of a day, so that the season stays in whole numbers."""


def measures(days: ir.Table, *, horizon_days: int) -> dict[str, ir.Value]:
    """Aggregate the orders of the coming window, a year ago and in all years."""
    ahead = 365 - days.age
    year_ago = (ahead >= 0) & (ahead < horizon_days)
    phase = (400 * QUARTER_DAYS_PER_YEAR - 4 * days.age) % QUARTER_DAYS_PER_YEAR
    return {
        "orders_year_ago": year_ago.cast("int64").sum(),
        "_spend_year_ago": year_ago.ifelse(days.spend, 0).sum(),
        "_orders_in_season": (phase < 4 * horizon_days).cast("int64").sum(),
    }


def features(t: ir.Table) -> dict[str, ir.Value]:
    """Derive the features of season.

    Returns
    -------
    Per customer and `as_of`: ``orders_year_ago`` and ``spend_year_ago`` (in the window of the horizon's
    length that began 365 days before), ``season_share`` (part of all orders that fell into that season
    of any year), ``as_of_month`` and ``as_of_day`` (days since 1970-01-01), which tell the snapshot.
    """
    return {
        "orders_year_ago": t.orders_year_ago,
        "spend_year_ago": t._spend_year_ago.cast("float64") / SCALE,
        "season_share": t._orders_in_season.cast("float64") / t.orders_all.nullif(0),
        **calendar(t),
    }


def calendar(t: ir.Table) -> dict[str, ir.Value]:
    """Tell the snapshot: ``as_of_month`` and ``as_of_day`` (days since 1970-01-01)."""
    return {"as_of_month": t.as_of_month, "as_of_day": t.as_of_day}
