"""How recently, how often and for how much a customer ordered."""

import ibis
import ibis.expr.types as ir

from features.contract import SCALE

WINDOWS = (7, 14, 30, 60, 90, 180, 365)
LARGEST = 30_000_000
"""Tenths of a unit of money beyond which an order adds no more to the spread: squares stay exact in int64."""


def measures(days: ir.Table) -> dict[str, ir.Value]:
    """Aggregate orders (one row per order day) to sums; names with ``_`` in front are for further use."""
    # Not clip: it guards each bound against null, and SQLite would divide twelve times for one order.
    tenths = ibis.greatest(-LARGEST, ibis.least(LARGEST, days.spend // (SCALE // 10)))
    counted = {
        name: value
        for window in WINDOWS
        for name, value in (
            (f"orders_{window}d", (days.age <= window).cast("int64").sum()),
            (f"_spend_{window}d", (days.age <= window).ifelse(days.spend, 0).sum()),
        )
    }
    return counted | {
        "orders_all": days.day.count(),
        "_spend_all": days.spend.sum(),
        "_spend_squares": (tenths * tenths).sum(),
        "_spend_tenths": tenths.sum(),
        "_spend_max_order": days.spend.max(),
        "_spend_first_order": days.gap.isnull().ifelse(days.spend, 0).sum(),
        "_spend_last_order": days.is_last.ifelse(days.spend, 0).sum(),
        "recency_days": days.age.min(),
        "tenure_days": days.age.max(),
    }


def features(t: ir.Table) -> dict[str, ir.Value]:
    """Derive the features of a customer's recency, tenure, volume and spend.

    Returns
    -------
    Per customer and `as_of`: ``recency_days`` and ``tenure_days`` (since the last and first order),
    ``span_days`` between the two, ``orders_{w}d`` and ``spend_{w}d`` over the last ``w`` days, and over
    all history, the mean, largest, first and last order, and ``spend_scv_order``, the squared
    coefficient of variation of order values (null with one order). Money is in units of the currency.
    """
    spend = {f"spend_{window}d": _money(t[f"_spend_{window}d"]) for window in WINDOWS}
    single = ("spend_all", "spend_max_order", "spend_first_order", "spend_last_order")
    mean_tenths = t._spend_tenths.cast("float64") / t.orders_all.nullif(0)
    variance = t._spend_squares.cast("float64") / t.orders_all.nullif(0) - mean_tenths * mean_tenths
    return {
        "recency_days": t.recency_days,
        "tenure_days": t.tenure_days,
        "span_days": t.tenure_days - t.recency_days,
        "recency_share": t.recency_days.cast("float64") / t.tenure_days.nullif(0),
        **{f"orders_{window}d": t[f"orders_{window}d"] for window in WINDOWS},
        "orders_all": t.orders_all,
        "orders_per_month": t.orders_all.cast("float64") * 30 / (t.tenure_days + 1).nullif(0),
        **spend,
        **{name: _money(t[f"_{name}"]) for name in single},
        "spend_mean_order": _money(t._spend_all) / t.orders_all.nullif(0),
        "spend_scv_order": (t.orders_all > 1).ifelse(variance / (mean_tenths * mean_tenths).nullif(0), None),
    }


def _money(amount: ir.IntegerValue) -> ir.FloatingValue:
    return amount.cast("float64") / SCALE
