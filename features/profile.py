"""What a customer's standing is told from beside the features: the main category, and a return after long."""

from typing import TYPE_CHECKING

import duckdb
import ibis
import ibis.expr.types as ir

from features.basket import share_of
from features.days import SUBJECT, known, order_days

if TYPE_CHECKING:
    from features.plan import FeaturePlan

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


def main_category_sql(plan: "FeaturePlan") -> str:
    """Write the main category as far as the features tell it: the largest share, beyond all unnamed ones.

    Over the features of one customer, for DuckDB and SQLite; null where the features do not tell.
    """
    shares = {name: f'"{share_of("category", name)}"' for name in sorted(plan.mixes.get("category", ()))}
    rest = f"1.000000001 - {' - '.join(shares.values())}"
    cases = [
        f"WHEN {' AND '.join(f'{share} >= {other}' for other in (rest, *shares.values()) if other != share)} "
        f"THEN '{name.replace(chr(39), chr(39) * 2)}'"
        for name, share in shares.items()
    ]
    return f"CASE {' '.join(cases)} END" if cases else "CAST(NULL AS TEXT)"


def wanted_sql(plan: "FeaturePlan", *, lost_days: int) -> str:
    """Write whether a customer's profile tells more than the features: a return, or the main category.

    Over the features of one customer, for DuckDB and SQLite; as good as false where null.
    """
    if not plan.reads_orders:
        return "1 = 0"
    returned = f'"gap_max_days" > {lost_days}'
    if "category" not in plan.order_columns:
        return returned
    return f'({returned} OR "refunds_all" IS NOT NULL AND {main_category_sql(plan)} IS NULL)'


def make_profiles(
    connection: duckdb.DuckDBPyConnection, plan: "FeaturePlan", text: str, *, lost_days: int
) -> None:
    """Make the table ``profile``: one row per row of ``features``, as of `profile`.

    Only those are looked up of whom the features do not tell: a small share of most shops.

    Parameters
    ----------
    connection
        With the staged tables, those of the steps, ``spine``, and ``features`` of everybody on it.
    text
        Of the bundle, for DuckDB.
    """
    connection.execute(f"CREATE OR REPLACE TABLE shop AS SELECT {lost_days}::BIGINT AS lost_days")
    connection.execute(  # the text reads this one, since temporary tables come first
        "CREATE TEMP TABLE spine AS SELECT spine.* FROM spine JOIN features USING (customer_id) "
        f"WHERE {wanted_sql(plan, lost_days=lost_days)}"
    )
    try:
        connection.execute(
            f"CREATE OR REPLACE TABLE profile AS SELECT customer_id, "
            f"coalesce({main_category_sql(plan)}, told.main_category) AS main_category, told.return_days "
            f"FROM features LEFT JOIN ({text}) AS told USING (customer_id)"
        )
    finally:
        connection.execute("DROP TABLE temp.spine")
