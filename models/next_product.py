"""Which product each customer is likely to buy next: again one of their own, or one that goes with it."""

import duckdb
import ibis

from features.instants import Cutoff
from features.plan import FeaturePlan

BOUGHT = "bought"
"""Who bought what, and when, of the orders that are left at the cutoff."""
POPULAR = "popular_products"
"""How many customers bought each product lately."""
LIKENESS = "product_likeness"
"""Which products were bought by the same customers about the same time."""
FOUND = "next_products"
"""What `next_products` returns."""
POPULAR_DAYS = 60
"""Before the cutoff, for which a product's customers are counted."""
TASTE_HALF_DAYS, LIKENESS_HALF_DAYS = 180.0, 90.0
"""An order weighs half as much for its customer, and a pair for its products, after so many days."""
TOGETHER_HALF_DAYS = 30.0
"""Two products of a customer go together half as much if so many days lie between them."""
BASKET = 50
"""Products of a customer, the newest, that teach which go together."""
SHRINKAGE = 1.0
"""Customers' worth of pairs that are missing where products were seldom bought."""
NEIGHBOURS = 20
"""Products that are offered beside one that was bought."""
LIKE_WEIGHT = 0.4
"""What goes with a customer's products counts so much beside these themselves."""
LIVELINESS = 0.3
"""The power of a product's present customers that its worth is multiplied by."""
CROWD = 100_000
"""Customers ranked at a time: their candidates fit into memory."""


def next_products(
    connection: duckdb.DuckDBPyConnection,
    plan: FeaturePlan,
    *,
    cutoff: Cutoff,
    customers: str,
    most: int = 1,
    only_new: bool = False,
) -> duckdb.DuckDBPyRelation:
    """Rank the products that customers are likely to buy in their next order.

    The worth of a product to a customer is its own taste for it, plus `LIKE_WEIGHT` x the taste for other
    products x their likeness to it, times the customers that the product has at present to the power of
    `LIVELINESS`. The taste is the number of orders with the product, each halved every `TASTE_HALF_DAYS`
    (Faggioli, Polato and Aiolli 2020 show how far that alone leads). The likeness is the cosine of two
    products over customers (Sarwar et al. 2001; shrunk towards none), whose products share a weight of 1
    (Deshpande and Karypis 2004), so that neither popular products nor large baskets outweigh the others; a
    purchase is halved every `LIKENESS_HALF_DAYS`, a pair for every `TOGETHER_HALF_DAYS` between the two. The
    constants were chosen on Online Retail II, at origins before April 2011.

    Parameters
    ----------
    connection
        With the staged ``orders`` and their matched refunds; some temporary tables are made.
    plan
        Says which lines are purchases.
    cutoff
        Orders are seen that were placed before it, and refunds and orders that were known by it.
    customers
        The table, view or query in brackets that lists them (``customer_id``, each once).
    most
        Products per customer.
    only_new
        Whether products that the customer bought before are left out.

    Returns
    -------
    One row per customer and product, at most `most` per customer: ``customer_id``, ``product_id``,
    ``score`` (comparable within a customer; the higher the likelier) and ``because``: the product bought
    before that speaks most for it, itself if it is bought again; null for a popular product, which fills the
    list where nothing else speaks. Without any known product no row.
    """
    put_bought(connection, plan, cutoff=cutoff)
    connection.execute(_POPULAR)
    connection.execute(_LIKENESS)
    ((crowds,),) = connection.execute(f"SELECT count(*) // {CROWD} + 1 FROM {customers}").fetchall()
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {FOUND} "
        "(customer_id VARCHAR, product_id VARCHAR, score DOUBLE, because VARCHAR)"
    )
    for crowd in range(crowds):
        connection.execute(
            _RANKED.format(
                mine=f"SELECT customer_id FROM {customers} WHERE hash(customer_id) % {crowds} = {crowd}",
                most=most,
                listed=most + BASKET if only_new else most,
                own="WHERE NOT is_own" if only_new else "",
            )
        )
    return connection.table(FOUND)


def put_bought(connection: duckdb.DuckDBPyConnection, plan: FeaturePlan, *, cutoff: Cutoff) -> None:
    """Make the table ``bought``: one row per customer, product and day of an order that has it left.

    ``age`` is the days from the order to the cutoff. A plan without products makes it empty.
    """
    query = "SELECT '' AS customer_id, '' AS product_id, 0::BIGINT AS day, 0::BIGINT AS age WHERE FALSE"
    if plan.reads_orders and "product_id" in plan.order_columns:
        lines = plan.order_lines()
        known = lines.filter(
            (lines.ordered_at < cutoff.micros)
            & (lines.ingested_at <= cutoff.micros)
            & lines.product_id.notnull()
            & lines.order_day.notnull()
        )
        left = known.group_by("customer_id", "product_id", day=known.order_day).having(
            (known.is_purchase - known.cancels).sum() > 0
        )
        days = left.aggregate(age=cutoff.day - known.order_day.max())
        query = str(ibis.to_sql(days, dialect="duckdb"))
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {BOUGHT} AS {query}")


_POPULAR = f"""
CREATE OR REPLACE TEMP TABLE {POPULAR} AS
SELECT product_id, count(DISTINCT customer_id) FILTER (age <= {POPULAR_DAYS}) AS customers
FROM {BOUGHT} GROUP BY product_id
"""
_LIKENESS = f"""
CREATE OR REPLACE TEMP TABLE {LIKENESS} AS
WITH basket AS (
    SELECT customer_id, product_id, age, 1 / count(*) OVER (PARTITION BY customer_id) AS weight
    FROM (
        SELECT customer_id, product_id, min(age) AS age FROM {BOUGHT} GROUP BY customer_id, product_id
        QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY min(age), product_id) <= {BASKET}
    )
), alone AS (
    SELECT product_id, sum(weight * 0.5 ** (age / {LIKENESS_HALF_DAYS})) AS amount
    FROM basket GROUP BY product_id
), pairs AS (
    SELECT one.product_id AS product_id, other.product_id AS beside,
        sum(one.weight * 0.5 ** (least(one.age, other.age) / {LIKENESS_HALF_DAYS}
            + abs(one.age - other.age) / {TOGETHER_HALF_DAYS})) AS amount
    FROM basket AS one JOIN basket AS other USING (customer_id)
    WHERE one.product_id <> other.product_id GROUP BY ALL
)
SELECT pairs.product_id, beside,
    pairs.amount / (sqrt(one.amount * other.amount) + {SHRINKAGE}) AS likeness
FROM pairs JOIN alone AS one ON one.product_id = pairs.product_id
    JOIN alone AS other ON other.product_id = pairs.beside
QUALIFY row_number() OVER (PARTITION BY pairs.product_id ORDER BY likeness DESC, beside) <= {NEIGHBOURS}
"""
_RANKED = f"""
INSERT INTO {FOUND}
WITH mine AS ({{mine}}), taste AS (
    SELECT customer_id, product_id, sum(0.5 ** (age / {TASTE_HALF_DAYS})) AS taste
    FROM {BOUGHT} JOIN mine USING (customer_id) GROUP BY ALL
), filling AS (
    SELECT product_id, customers / max(customers) OVER () AS share
    FROM (FROM {POPULAR} ORDER BY customers DESC, product_id LIMIT {{listed}})
), reasons AS (
    SELECT customer_id, product_id, taste AS worth, product_id AS because FROM taste
    UNION ALL
    SELECT customer_id, beside, {LIKE_WEIGHT} * taste * likeness, product_id
    FROM taste JOIN {LIKENESS} USING (product_id)
    UNION ALL
    SELECT customer_id, product_id, 1e-9 * share, NULL FROM mine, filling
), worths AS (
    SELECT customer_id, product_id, sum(worth) AS worth, arg_max(because, worth) AS because,
        bool_or(coalesce(because = product_id, FALSE)) AS is_own
    FROM reasons GROUP BY ALL
), scores AS (
    SELECT customer_id, product_id, worth * (customers + 0.5) ** {LIVELINESS} AS score, because
    FROM worths JOIN {POPULAR} USING (product_id) {{own}}
)
SELECT customer_id, product_id, score, because FROM scores
QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY score DESC, product_id) <= {{most}}
ORDER BY customer_id, score DESC, product_id
"""
