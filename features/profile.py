"""What a customer's standing is told from beside the features: the main category, and a return after long."""

import ibis
import ibis.expr.types as ir

from features.days import SUBJECT, known, order_days

NEEDED = (
    SUBJECT,
    "as_of_day",
    "day",
    "order_day",
    "amount",
    "quantity",
    "is_return",
    "is_purchase",
    "cancels",
)


def unbound_shop() -> ir.Table:
    """Return the shop as an expression: one row with ``lost_days``, the silence that few ever end."""
    return ibis.table({"lost_days": "int64"}, name="shop")


def profile(lines: ir.Table | None, spine: ir.Table, *, has_category: bool) -> ir.Table:
    """Describe each customer by what was known at `as_of`.

    Parameters
    ----------
    lines
        One row per order line, led back to its order; without orders nothing is known.
    spine
        One row per ``(customer_id, as_of)``.
    has_category
        Whether the lines tell a category.

    Returns
    -------
    One row per spine row: ``main_category`` (text: the category of most purchased lines, of equals the
    first by name; null without any) and ``return_days`` (float64: days from the latest order that ended a
    silence of more than the shop's ``lost_days`` to `as_of`; null without such a return).
    """
    category, days = ibis.null("string"), ibis.null("int64")
    joined = spine
    if lines is not None:
        seen = known(lines, spine, clock="ordered_at").select(
            *NEEDED, *(["category"] if has_category else [])
        )
        joined = joined.left_join(_returns(seen), SUBJECT)
        days = joined.return_days
        if has_category:
            joined = joined.left_join(_main_categories(seen), SUBJECT, rname="{name}_of_category")
            days, category = joined.return_days, joined.main_category
    return joined.select("customer_id", "as_of", main_category=category, return_days=days.cast("float64"))


def _returns(seen: ir.Table) -> ir.Table:
    """Find the latest order after a long silence: one row per subject with any."""
    days = order_days(seen).cross_join(unbound_shop())
    returns = days.filter(days.gap > days.lost_days)
    return returns.group_by(SUBJECT).aggregate(return_days=returns.age.min())


def _main_categories(seen: ir.Table) -> ir.Table:
    """Count the purchased lines of each category, and keep the most frequent."""
    bought = seen.filter((seen.is_purchase == 1) & seen.category.notnull())
    counts = bought.group_by(SUBJECT, "category").aggregate(lines=bought.count())
    best = ibis.window(group_by=SUBJECT, order_by=[ibis.desc("lines"), "category"])
    ranked = counts.mutate(place=ibis.row_number().over(best))
    main = ranked.filter(ranked.place == 0)
    return main.select(SUBJECT, main_category=main.category)
