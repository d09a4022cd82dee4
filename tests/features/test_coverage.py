from dataclasses import replace

import duckdb
import pytest

from features.attributes import Attribute
from features.contract import Kind
from features.coverage import lacking
from features.plan import FeaturePlan

PLAN = FeaturePlan(
    horizon_days=90,
    order_columns=("order_id", "product_id"),
    interaction_kinds=("visit",),
    attributes=(Attribute("region", Kind.TEXT, ("north",), fixed=True),),
)


@pytest.fixture
def tables() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE orders AS SELECT 'a' AS order_id, 'p' AS product_id UNION ALL SELECT NULL, NULL; "
        "CREATE TABLE interactions (kind VARCHAR); CREATE TABLE customers (region VARCHAR)"
    )
    return connection


def test_tables_that_hold_what_the_plan_reads_lack_nothing(tables: duckdb.DuckDBPyConnection) -> None:
    assert lacking(tables, PLAN) is None


@pytest.mark.parametrize(
    ("change", "lacks"),
    [
        ("DROP TABLE interactions", "the table interactions"),
        ("DROP TABLE customers", "the table customers"),
        ("ALTER TABLE customers RENAME COLUMN region TO area", "the text column customers.region"),
        ("ALTER TABLE customers ALTER region TYPE DOUBLE", "the text column customers.region"),
        ("UPDATE orders SET product_id = NULL", "the column orders.product_id"),
    ],
)
def test_what_no_source_gives_any_more_is_named(
    tables: duckdb.DuckDBPyConnection, change: str, lacks: str
) -> None:
    tables.execute(change)
    assert lacking(tables, PLAN) == lacks


def test_a_plan_that_reads_orders_alone_needs_no_other_table(tables: duckdb.DuckDBPyConnection) -> None:
    tables.execute("DROP TABLE interactions; DROP TABLE customers")
    assert lacking(tables, replace(PLAN, interaction_kinds=(), attributes=())) is None
