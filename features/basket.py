"""What is in a customer's orders: size, breadth, concentration, discounts and refunds."""

from collections.abc import Mapping, Sequence

import ibis
import ibis.expr.types as ir

from features.contract import SCALE, slug
from features.days import SUBJECT

WINDOWS = (90, 365)

Mixes = Mapping[str, Sequence[str]]
"""Per column of ``orders`` the values whose shares are features (the shop's main categories, channels)."""


def measures(days: ir.Table) -> dict[str, ir.Value]:
    """Aggregate the sizes of orders (one row per order day)."""
    recent = days.age <= 365
    return {
        "lines_all": days.lines.sum(),
        "lines_90d": (days.age <= 90).ifelse(days.lines, 0).sum(),
        "lines_365d": recent.ifelse(days.lines, 0).sum(),
        "_units": days.units.sum(),
        "_units_365d": recent.ifelse(days.units, 0).sum(),
    }


def line_summary(lines: ir.Table, mixes: Mixes) -> ir.Table:
    """Aggregate known lines: refunds, discounts and purchases by category and the like, per subject."""
    refund, purchase = lines.is_return == 1, lines.is_purchase == 1
    age = lines.as_of_day - lines.day
    windows = {
        name: value
        for w in WINDOWS
        for name, value in (
            (f"refunds_{w}d", (refund & (age <= w)).ifelse(1, 0).sum()),
            (f"_refunded_{w}d", (refund & (age <= w)).ifelse(-lines.amount, 0).sum()),
        )
    }
    shares = {
        f"_{column}_{number}": (purchase & (lines[column] == value)).ifelse(1, 0).sum()
        for column, values in mixes.items()
        for number, value in enumerate(values)
    }
    return lines.group_by(SUBJECT).aggregate(
        refunds_all=lines.is_return.sum(),
        _refunded_all=refund.ifelse(-lines.amount, 0).sum(),
        refund_days_since=refund.ifelse(age, ibis.null("int64")).min(),
        _purchases=lines.is_purchase.sum(),
        _amount=purchase.ifelse(lines.amount, 0).sum(),
        _discount=purchase.ifelse(lines.discount.fill_null(0), 0).sum(),
        _discounted=(purchase & (lines.discount > 0)).ifelse(1, 0).sum(),
        **windows,
        **shares,
    )


def product_summary(lines: ir.Table) -> ir.Table:
    """Aggregate known purchases by product, per subject.

    A product was bought within a window exactly if it was last bought within it, so the distinct
    counts of all windows come from one aggregate per product.
    """
    bought = lines.filter((lines.is_purchase == 1) & lines.product_id.notnull())
    products = bought.group_by(SUBJECT, "product_id").aggregate(
        times=bought.count(), age=(bought.as_of_day - bought.day).min()
    )
    return products.group_by(SUBJECT).aggregate(
        products_all=products.count(),
        products_90d=(products.age <= 90).ifelse(1, 0).sum(),
        products_365d=(products.age <= 365).ifelse(1, 0).sum(),
        _product_times=products.times.sum(),
        _product_squares=(products.times * products.times).sum(),
        _products_repeated=(products.times > 1).ifelse(1, 0).sum(),
    )


def features(t: ir.Table) -> dict[str, ir.Value]:
    """Derive order sizes and refunds.

    Returns
    -------
    Per customer and `as_of`: lines of orders, ``spend_per_line``, counts and amounts of
    refunds (0 without any; ``refund_days_since`` null), ``refund_share`` of the amount purchased.
    """
    orders = t.orders_all.nullif(0)
    refunds = {
        name: value
        for w in WINDOWS
        for name, value in (
            (f"refunds_{w}d", t[f"refunds_{w}d"]),
            (f"refunded_{w}d", t[f"_refunded_{w}d"].cast("float64") / SCALE),
        )
    }
    return refunds | {
        "lines_all": t.lines_all,
        "lines_90d": t.lines_90d,
        "lines_365d": t.lines_365d,
        "lines_per_order": t.lines_all.cast("float64") / orders,
        "spend_per_line": t._spend_all.cast("float64") / SCALE / t.lines_all.nullif(0),
        "refunds_all": t.refunds_all,
        "refund_days_since": t.refund_days_since,
        "refund_share": t._refunded_all.cast("float64") / t._amount.nullif(0),
    }


def unit_features(t: ir.Table) -> dict[str, ir.Value]:
    """Derive ``units_per_order`` and ``units_365d``: quantities bought and not taken back."""
    return {
        "units_per_order": t._units.cast("float64") / SCALE / t.orders_all.nullif(0),
        "units_365d": t._units_365d.cast("float64") / SCALE,
    }


def discount_features(t: ir.Table) -> dict[str, ir.Value]:
    """Derive ``discount_share`` of the amount before discount and the share of lines with a discount."""
    undiscounted = (t._amount + t._discount).cast("float64")
    return {
        "discount_share": t._discount / undiscounted.nullif(0),
        "discounted_lines_share": t._discounted.cast("float64") / t._purchases.nullif(0),
    }


def share_of(column: str, value: str) -> str:
    """Name the feature for the share of a value of a mix."""
    return f"{column}_share_{slug(value)}"


def mix_features(t: ir.Table, mixes: Mixes) -> dict[str, ir.Value]:
    """Derive the share of purchased lines by category and the like, and the concentration of each mix.

    The concentration is Herfindahl's index (1 for one value only); all unnamed values count as one.
    """
    lines = t._purchases.cast("float64").nullif(0)
    mixed: dict[str, ir.Value] = {}
    for column, values in mixes.items():
        shares = {share_of(column, value): t[f"_{column}_{n}"] / lines for n, value in enumerate(values)}
        rest = 1 - sum(shares.values())
        squares = sum(share * share for share in shares.values())
        mixed |= shares | {f"{column}_concentration": squares + rest * rest}
    return mixed


def product_features(t: ir.Table) -> dict[str, ir.Value]:
    """Derive distinct products, their concentration (Herfindahl) and how many were bought again."""
    times = t._product_times.cast("float64").nullif(0)
    return {
        "products_all": t.products_all,
        "products_90d": t.products_90d,
        "products_365d": t.products_365d,
        "product_concentration": t._product_squares / times / times,
        "product_repeat_share": t._products_repeated.cast("float64") / t.products_all.nullif(0),
    }
