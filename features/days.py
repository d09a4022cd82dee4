"""Customer-days: what was known of each customer's orders at an `as_of`, one row per order."""

import ibis
import ibis.expr.types as ir

KEY = ("customer_id", "as_of")


def unbound_spine() -> ir.Table:
    """Return the spine: one row per ``(customer_id, as_of)`` for which features are wanted.

    ``as_of`` is int64 us UTC; ``as_of_day`` its calendar day in the project's time zone (days since
    1970-01-01) and ``as_of_month`` the month of that day, 1 to 12.
    """
    columns = {"customer_id": "string", "as_of": "int64", "as_of_day": "int64", "as_of_month": "int64"}
    return ibis.table(columns, name="spine")


def known(events: ir.Table, spine: ir.Table, *, clock: str) -> ir.Table:
    """Join events to the spine and keep those known at `as_of`: happened before it, ingested by it."""
    joined = spine.join(events, "customer_id")
    return joined.filter((joined[clock] < joined.as_of) & (joined.ingested_at <= joined.as_of))


def order_days(lines: ir.Table) -> ir.Table:
    """Sum known order lines to orders: one row per ``(customer_id, as_of, day)`` with an order left.

    An order that was fully cancelled is none: one whose lines were all taken back, or whose refunds
    ate its value up. ``spend`` and ``discount`` are net of refunds in ten-thousandths; ``gap`` is the
    number of days since the order before (null for the first), ``age`` the number of days from the
    order to `as_of`, ``silence`` the days from the customer's last order to `as_of`.
    """
    summed = lines.filter(lines.order_day.notnull()).group_by(*KEY, day=lines.order_day)
    days = summed.aggregate(
        as_of_day=lambda t: t.as_of_day.max(),
        lines=lambda t: (t.is_purchase - t.cancels).sum(),
        spend=lambda t: t.amount.sum(),
        refunded=lambda t: (t.is_return == 1).ifelse(-t.amount, 0).sum(),
        discount=lambda t: (t.is_purchase == 1).ifelse(t.discount.fill_null(0), 0).sum(),
        units=lambda t: t.quantity.fill_null(0).sum(),
    )
    orders = days.filter((days.lines > 0) & ((days.spend > 0) | (days.refunded == 0)))
    previous = orders.day.lag().over(group_by=KEY, order_by="day")
    last = orders.day.max().over(group_by=KEY)
    return orders.mutate(
        gap=orders.day - previous, age=orders.as_of_day - orders.day, silence=orders.as_of_day - last
    )
