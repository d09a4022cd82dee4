"""What is in a customer's orders: breadth, concentration, discounts and refunds."""

import ibis.expr.types as ir

from features.contract import SCALE
from features.days import KEY

REFUND_WINDOWS = (90, 365)
VARIETY_WINDOWS = (90, 365)


def measures(days: ir.Table) -> dict[str, ir.Value]:
    """Aggregate the sizes of orders (one row per order day)."""
    return {
        "lines_all": days.lines.sum(),
        "lines_90d": (days.age <= 90).ifelse(days.lines, 0).sum(),
        "lines_365d": (days.age <= 365).ifelse(days.lines, 0).sum(),
        "_units": days.units.sum(),
        "_units_365d": (days.age <= 365).ifelse(days.units, 0).sum(),
        "_discount": days.discount.sum(),
        "_discounted": (days.discount > 0).cast("int64").sum(),
    }


def features(t: ir.Table) -> dict[str, ir.Value]:
    """Derive the features of order sizes: lines and units per order and the mean price of a unit."""
    orders = t.orders_all.nullif(0)
    return {
        "lines_all": t.lines_all,
        "lines_90d": t.lines_90d,
        "lines_365d": t.lines_365d,
        "lines_per_order": t.lines_all.cast("float64") / orders,
        "units_per_order": t._units.cast("float64") / SCALE / orders,
        "units_365d": t._units_365d.cast("float64") / SCALE,
        "spend_per_line": t._spend_all.cast("float64") / SCALE / t.lines_all.nullif(0),
    }


def discount_features(t: ir.Table) -> dict[str, ir.Value]:
    """Derive ``discount_share`` of the undiscounted spend and ``discounted_orders_share``."""
    undiscounted = (t._spend_all + t._discount).cast("float64")
    return {
        "discount_share": t._discount / undiscounted.nullif(0),
        "discounted_orders_share": t._discounted.cast("float64") / t.orders_all.nullif(0),
    }


def refunds(lines: ir.Table) -> ir.Table:
    """Aggregate known refunds: one row per ``(customer_id, as_of)`` with at least one."""
    returned = lines.filter(lines.is_return == 1)
    age = returned.as_of_day - returned.day
    counts = {f"refunds_{w}d": (age <= w).cast("int64").sum() for w in REFUND_WINDOWS}
    amounts = {f"_refunded_{w}d": (age <= w).ifelse(-returned.amount, 0).sum() for w in REFUND_WINDOWS}
    return returned.group_by(*KEY).aggregate(
        refunds_all=returned.count(),
        _refunded_all=-returned.amount.sum(),
        refund_days_since=age.min(),
        **counts,
        **amounts,
    )


def refund_features(t: ir.Table) -> dict[str, ir.Value]:
    """Derive refund counts and amounts (0 without any), and ``refund_share`` of spend before refunds."""
    refunded = t._refunded_all.fill_null(0).cast("float64")
    windows = {
        name: value
        for w in REFUND_WINDOWS
        for name, value in (
            (f"refunds_{w}d", t[f"refunds_{w}d"].fill_null(0)),
            (f"refunded_{w}d", t[f"_refunded_{w}d"].fill_null(0).cast("float64") / SCALE),
        )
    }
    return windows | {
        "refunds_all": t.refunds_all.fill_null(0),
        "refund_days_since": t.refund_days_since,
        "refund_share": refunded / (t._spend_all.cast("float64") + refunded).nullif(0),
    }


def variety(lines: ir.Table, what: str, column: str) -> ir.Table:
    """Aggregate known purchases by product (category, channel, ...): one row per ``(customer_id, as_of)``.

    A thing was bought within a window exactly if it was last bought within it, so the distinct counts
    of all windows come from one aggregate per thing.
    """
    bought = lines.filter((lines.is_purchase == 1) & lines[column].notnull())
    things = bought.group_by(*KEY, bought[column]).aggregate(
        times=bought.count(), age=(bought.as_of_day - bought.day).min()
    )
    windows = {f"{what}_{w}d": (things.age <= w).cast("int64").sum() for w in VARIETY_WINDOWS}
    return things.group_by(*KEY).aggregate(
        **{f"{what}_all": things.count()},
        **windows,
        **{
            f"_{what}_squares": (things.times * things.times).sum(),
            f"_{what}_times": things.times.sum(),
            f"_{what}_repeated": (things.times > 1).cast("int64").sum(),
        },
    )


def variety_features(t: ir.Table, what: str) -> dict[str, ir.Value]:
    """Derive distinct counts, ``*_concentration`` (Herfindahl: 1 for one thing only) and repeats."""
    times = t[f"_{what}_times"].cast("float64").nullif(0)
    counts = {
        name: t[name].fill_null(0) for name in (f"{what}_all", *(f"{what}_{w}d" for w in VARIETY_WINDOWS))
    }
    return counts | {
        f"{what}_concentration": t[f"_{what}_squares"] / times / times,
        f"{what}_repeat_share": t[f"_{what}_repeated"].cast("float64") / t[f"{what}_all"].nullif(0),
    }
