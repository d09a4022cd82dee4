"""Customer-days: what was known of each customer's orders at an `as_of`, one row per order."""

import ibis
import ibis.expr.types as ir

SUBJECT = "subject"
"""The row number of the spine: one whole number is quicker to group by than a text and a time."""


def unbound_spine() -> ir.Table:
    """Return the spine: one row per ``(customer_id, as_of)`` for which features are wanted.

    ``as_of`` is int64 us UTC; ``as_of_day`` its calendar day in the project's time zone (days since
    1970-01-01) and ``as_of_month`` the month of that day, 1 to 12; ``subject`` numbers the rows.
    """
    columns = {"customer_id": "string"} | dict.fromkeys(
        ("as_of", "as_of_day", "as_of_month", SUBJECT), "int64"
    )
    return ibis.table(columns, name="spine")


def known(events: ir.Table, spine: ir.Table, *, clock: str) -> ir.Table:
    """Join events to the spine and keep those known at `as_of`: happened before it, ingested by it."""
    joined = spine.join(events, "customer_id")
    return joined.filter((joined[clock] < joined.as_of) & (joined.ingested_at <= joined.as_of))


def cost_of(lines: ir.Table) -> ir.IntegerValue:
    """Return what each line cost, taken back by a return; nothing where it is not known."""
    cost = lines.cost.fill_null(0)
    return (lines.is_return == 1).ifelse(-cost.abs(), cost)


def order_days(lines: ir.Table, *, less_costs: bool = False) -> ir.Table:
    """Sum known order lines to orders: one row per subject and day with an order left.

    An order that was fully cancelled is none: one whose lines were all taken back, or whose refunds
    ate its value up. ``spend`` is net of refunds, in ten-thousandths; ``gap`` is the number of days
    since the order before (null for the first), ``age`` the number of days from the order to `as_of`,
    ``is_last`` marks the latest order.

    Parameters
    ----------
    less_costs
        Whether ``spend`` is the margin: also less what the lines left cost.
    """
    belonging = lines.filter(lines.order_day.notnull())
    days = belonging.group_by(SUBJECT, day=belonging.order_day).aggregate(
        as_of_day=belonging.as_of_day.max(),
        lines=(belonging.is_purchase - belonging.cancels).sum(),
        spend=belonging.amount.sum(),
        refunded=(belonging.is_return == 1).ifelse(-belonging.amount, 0).sum(),
        units=belonging.quantity.fill_null(0).sum(),
        **({"cost": cost_of(belonging).sum()} if less_costs else {}),
    )
    orders = days.filter((days.lines > 0) & ((days.spend > 0) | (days.refunded == 0)))
    if less_costs:
        orders = orders.mutate(spend=orders.spend - orders.cost)
    in_turn = ibis.window(group_by=SUBJECT, order_by="day")
    return orders.mutate(
        gap=orders.day - orders.day.lag().over(in_turn),
        is_last=orders.day.lead().over(in_turn).isnull(),
        age=orders.as_of_day - orders.day,
    )
