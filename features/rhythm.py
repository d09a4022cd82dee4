"""The rhythm of a customer's orders: gaps, their spread, and how overdue the next order is."""

import ibis.expr.types as ir

BLOCK_DAYS = 30
MONDAY = 70_003
"""Makes days count from a Monday long ago: no remainder is negative, which engines take differently."""


def measures(days: ir.Table) -> dict[str, ir.Value]:
    """Aggregate the gaps between order days; a customer with one order has none."""
    recent = days.age <= 365
    block = days.age // BLOCK_DAYS
    new_block = days.gap.isnull() | (block != (days.age + days.gap) // BLOCK_DAYS)
    weekend = (days.day + MONDAY) % 7 >= 5
    return {
        "gap_max_days": days.gap.max(),
        "gap_min_days": days.gap.min(),
        "_gaps": days.gap.count(),
        "_gap_days": days.gap.sum(),
        "_gap_squares": (days.gap * days.gap).sum(),
        "_gaps_365d": (recent & days.gap.notnull()).cast("int64").sum(),
        "_gap_days_365d": recent.ifelse(days.gap, None).sum(),
        "gap_last_days": days.is_last.ifelse(days.gap, None).max(),
        "months_active_360d": (new_block & (days.age < 12 * BLOCK_DAYS)).cast("int64").sum(),
        "_weekend_orders": weekend.cast("int64").sum(),
    }


def features(t: ir.Table) -> dict[str, ir.Value]:
    """Derive the features of rhythm.

    Returns
    -------
    Per customer and `as_of`: ``gap_*_days`` (null with fewer than two order days), ``gap_scv`` (squared
    coefficient of variation of gaps: 0 for a clockwork, 1 for a Poisson process; null with fewer than
    three order days), ``overdue_ratio`` and ``overdue_max_ratio`` (days since the last order over the
    mean and the longest gap), ``months_active_360d`` (30-day blocks with an order), ``weekend_share``.
    """
    gaps = t._gaps.nullif(0)
    mean = t._gap_days.cast("float64") / gaps
    variance = t._gap_squares.cast("float64") / gaps - mean * mean
    return {
        "gap_mean_days": mean,
        "gap_max_days": t.gap_max_days,
        "gap_min_days": t.gap_min_days,
        "gap_last_days": t.gap_last_days,
        "gap_mean_days_365d": t._gap_days_365d.cast("float64") / t._gaps_365d.nullif(0),
        "gap_last_ratio": t.gap_last_days / mean.nullif(0),
        "gap_scv": (t._gaps > 1).ifelse(variance / (mean * mean).nullif(0), None),
        "overdue_ratio": t.recency_days / mean.nullif(0),
        "overdue_max_ratio": t.recency_days.cast("float64") / t.gap_max_days.nullif(0),
        "months_active_360d": t.months_active_360d,
        "weekend_share": t._weekend_orders.cast("float64") / t.orders_all.nullif(0),
    }
