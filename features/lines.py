"""Order lines, with each refund led back to the order that it takes back.

The matching runs over everything on record, yet holds at every `as_of`: it takes the lines in the
order in which they became known, and a later record never alters an earlier match. So a match counts
at an `as_of` exactly if its refund was known by then.
"""

import re
from collections.abc import Mapping, Sequence

import ibis
import ibis.expr.types as ir
from ibis.expr.builders import LegacyWindowBuilder

from features.contract import ORDERS

SAME_LINE = ("customer_id", "product", "amount_size", "quantity_size")


def unbound_orders() -> ir.Table:
    """Return the canonical ``orders`` as an expression: one row per order line, ``line`` its number."""
    return ibis.table({name: kind.ibis_type for name, kind in ORDERS.staged.items()}, name="orders")


def purchases_and_refunds(orders: ir.Table, *, exclude: Mapping[str, Sequence[str]]) -> ir.Table:
    """Leave out the lines that are no purchases, such as postage, and mark those that are.

    Parameters
    ----------
    orders
        One row per order line (times int64 us UTC, money and quantities int64 ten-thousandths).
    exclude
        Per column the values of lines to leave out; ``*`` stands for any characters.

    Returns
    -------
    One row per remaining line, with ``is_purchase``: 1 for a line that is no return and whose amount
    is not negative, else 0.
    """
    kept = orders.filter(~_excluded(orders, exclude)) if exclude else orders
    return kept.mutate(is_purchase=((kept.is_return == 1) | (kept.amount < 0)).ifelse(0, 1))


def refund_candidates(lines: ir.Table, *, cancellation_prefix: str) -> ir.Table:
    """Select the lines that refund matching is about: of a customer and product with any refund.

    Parameters
    ----------
    lines
        One row per line, with ``is_purchase``.
    cancellation_prefix
        What stands before an order's number in the number of its cancellation.

    Returns
    -------
    One row per such line: what it is matched by, ``told_at`` and ``told_day`` (for a refund that bears
    the number of an order known before: when that order was placed, by its line known first), and
    ``turn``, which orders lines by when they became known. A line that became known at an instant is
    known at an `as_of` of that instant only if it happened before, hence the half step between the two.
    """
    known_at = ibis.greatest(lines.ordered_at, lines.ingested_at)
    number = lines.order_id
    cancelled = (lines.is_return == 1) & (number.left(len(cancellation_prefix)) == cancellation_prefix)
    events = lines.select(
        "line",
        "customer_id",
        "ordered_at",
        "day",
        "is_return",
        "is_purchase",
        turn=known_at * 2 + (lines.ordered_at == known_at).ifelse(1, 0),
        product=lines.product_id.fill_null(""),
        amount_size=lines.amount.abs(),
        quantity_size=lines.quantity.fill_null(0).abs(),
        number=cancelled.ifelse(number.substr(len(cancellation_prefix)), number),
    )
    returns = events.filter(events.is_return == 1)
    touched = events.join(returns.select("customer_id", "product").distinct(), ["customer_id", "product"])
    numbers = returns.filter(returns.number.notnull()).select("customer_id", "number").distinct()
    orders = events.filter(events.is_purchase == 1).join(numbers, ["customer_id", "number"])
    joined = touched.left_join(_known_first(orders), ["customer_id", "number"])
    together = (joined.told_turn == joined.turn) & (joined.told_at <= joined.ordered_at)
    told = (joined.is_return == 1) & ((joined.told_turn < joined.turn) | together)
    return joined.select(
        *events.columns,
        told_at=told.ifelse(joined.told_at, ibis.null("int64")),
        told_day=told.ifelse(joined.told_day, ibis.null("int64")),
    )


def refund_matches(candidates: ir.Table) -> ir.Table:
    """Match refunds with the orders that they take back.

    A refund that bears the number of an earlier order belongs to that order and takes back its line
    of the same product, quantity and price. Any other refund takes back the customer's newest line of
    the same product, quantity and price that no other such refund has taken back. Of two refunds that
    would take back the same line, one by number and one by likeness, the one known first does; the
    other stays without an order.

    Returns
    -------
    One row per matched refund: its ``line``, ``order_at`` and ``order_day`` (instant and calendar day of
    the order that it belongs to) and ``cancels`` (1 if it takes back one whole line).
    """
    told = candidates.told_day.notnull()
    lines, by_number = _levelled(candidates, "number", told, (*SAME_LINE, "number"))
    lines, by_likeness = _levelled(lines, "likeness", ~told, SAME_LINE)
    lines = lines.mutate(
        number_at=lines.ordered_at.lag().over(by_number),
        number_day=lines.day.lag().over(by_number),
        number_turn=lines.turn.lead().over(by_number),
        like_at=lines.ordered_at.lag().over(by_likeness),
        like_day=lines.day.lag().over(by_likeness),
        like_turn=lines.turn.lead().over(by_likeness),
    )
    lines = lines.mutate(
        rival_of_number=lines.like_turn.lag().over(by_number),
        rival_of_likeness=lines.number_turn.lag().over(by_likeness),
    )
    return _settled(lines.filter(lines.is_return == 1))


def led_back(lines: ir.Table, matches: ir.Table) -> ir.Table:
    """Add ``order_at``, ``order_day`` (null for a refund without an order) and ``cancels`` to every line."""
    joined = lines.left_join(matches, lines.line == matches.line, rname="matched_{name}")
    refund = joined.is_return == 1
    return joined.drop("matched_line").mutate(
        order_at=refund.ifelse(joined.order_at, joined.ordered_at),
        order_day=refund.ifelse(joined.order_day, joined.day),
        cancels=joined.cancels.fill_null(0),
    )


def _excluded(orders: ir.Table, exclude: Mapping[str, Sequence[str]]) -> ir.BooleanValue:
    """Tell which lines fit a rule, by regular expression: LIKE ignores case on SQLite.

    There is one for all rules of a column: each OR nests deeper, and SQLite's parser goes only so far.
    """
    hits = []
    for column, rules in exclude.items():
        text = orders[column].fill_null("")
        hits.append(text.isin([rule for rule in rules if "*" not in rule]))
        patterns = [".*".join(map(re.escape, rule.split("*"))) for rule in rules if "*" in rule]
        if patterns:
            hits.append(text.re_search(f"^({'|'.join(patterns)})$"))
    return ibis.or_(*hits)


def _known_first(orders: ir.Table) -> ir.Table:
    """Keep of every order the line known first: what is added to an order later moves no refund."""
    turns = ibis.row_number().over(
        group_by=["customer_id", "number"], order_by=["turn", "ordered_at", "line"]
    )
    first = orders.mutate(place=turns).filter(lambda t: t.place == 0)
    return first.select(
        "customer_id", "number", told_turn=first.turn, told_at=first.ordered_at, told_day=first.day
    )


def _levelled(
    lines: ir.Table, name: str, refunds: ir.BooleanValue, keys: Sequence[str]
) -> tuple[ir.Table, LegacyWindowBuilder]:
    """Nest refunds in purchases like brackets: a pair stands on one level, the refund next to its line."""
    part, level = f"{name}_part", f"{name}_level"
    takes_part = (lines.is_purchase == 1) | ((lines.is_return == 1) & refunds)
    lines = lines.mutate(**{part: takes_part.ifelse(1, 0)})
    order = ["turn", "ordered_at", "is_return", "number", "line"]
    so_far = ibis.window(group_by=[*keys, part], order_by=order, rows=(None, 0))
    height = (1 - 2 * lines.is_return).sum().over(so_far)
    lines = lines.mutate(**{level: height + lines.is_return})
    return lines, ibis.window(group_by=[*keys, part, level], order_by=order)


def _settled(refunds: ir.Table) -> ir.Table:
    told = refunds.told_day.notnull()
    has_line = told.ifelse(refunds.number_day, refunds.like_day).notnull()
    lost = told.ifelse(
        refunds.rival_of_number < refunds.turn, refunds.rival_of_likeness <= refunds.turn
    ).fill_null(False)
    whole_order = told & ~has_line
    matched = refunds.filter((has_line & ~lost) | whole_order)
    told, has_line = matched.told_day.notnull(), matched.number_day.notnull()
    return matched.select(
        "line",
        order_at=told.ifelse(ibis.coalesce(matched.number_at, matched.told_at), matched.like_at),
        order_day=told.ifelse(ibis.coalesce(matched.number_day, matched.told_day), matched.like_day),
        cancels=(has_line | ~told).ifelse(1, 0),
    )
