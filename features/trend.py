"""Whether a customer orders more or less than before."""

import ibis.expr.types as ir

from features.contract import SCALE

BLOCK_DAYS = 60
BLOCKS = 6
SPREAD = sum((2 * block - BLOCKS + 1) ** 2 for block in range(BLOCKS))


def measures(days: ir.Table) -> dict[str, ir.Value]:
    """Aggregate orders over six blocks of 60 days for a least-squares slope in whole numbers."""
    weight = (BLOCKS - 1) - 2 * (days.age // BLOCK_DAYS)
    inside = days.age < BLOCKS * BLOCK_DAYS
    return {
        "_orders_tilt": inside.ifelse(weight, 0).sum(),
        "_spend_tilt": inside.ifelse(weight * days.spend, 0).sum(),
    }


def features(t: ir.Table) -> dict[str, ir.Value]:
    """Derive the features of trend.

    Returns
    -------
    Per customer and `as_of`: ``orders_slope_360d`` and ``spend_slope_360d`` (least-squares change per
    60 days), the part of the longer window that fell into the shorter one (null without orders in the
    longer), and ``spend_order_trend`` (mean order of the last year over the mean order of all time).
    """
    ratios = {
        f"{what}_{short}d_of_{long}d": t[f"{column}_{short}d"].cast("float64")
        / t[f"{column}_{long}d"].nullif(0)
        for what, column in (("orders", "orders"), ("spend", "_spend"))
        for short, long in ((30, 90), (90, 180), (180, 365))
    }
    mean_365d = t._spend_365d.cast("float64") / t.orders_365d.nullif(0)
    return ratios | {
        "orders_slope_360d": t._orders_tilt.cast("float64") * 2 / SPREAD,
        "spend_slope_360d": t._spend_tilt.cast("float64") * 2 / SPREAD / SCALE,
        "spend_order_trend": mean_365d * t.orders_all / t._spend_all.cast("float64").nullif(0),
    }
