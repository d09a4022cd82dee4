import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from features.batch import match_refunds, put_on_spine
from features.configuration import Configuration
from features.contract import ORDERS
from features.instants import Cutoff, parse_as_of
from features.live import LiveEngine
from features.plan import FeaturePlan
from features.sources import read_sources
from features.staging import stage
from features.survey import plan_features

RETAIL = Path(__file__).parents[3] / "shared" / "data" / "online_retail_ii"
PLAN = FeaturePlan(horizon_days=90)
NAMES = PLAN.names()
MARCH = Cutoff.at(parse_as_of("2024-03-01"), "UTC")


@pytest.fixture(scope="module")
def shop() -> LiveEngine:
    return LiveEngine(PLAN.sql()["sqlite"])


def order(day: int, amount: int) -> tuple[Any, ...]:
    """A row of the staged orders: a purchase some days before the cutoff."""
    at = MARCH.micros - day * 86_400_000_000
    given = {"customer_id": "a", "ordered_at": at, "amount": amount, "is_return": 0, "ingested_at": at}
    return tuple((given | {"day": MARCH.day - day, "line": day}).get(name) for name in ORDERS.staged)


def orders_all(shop: LiveEngine, *rows: tuple[Any, ...]) -> float | None:
    return dict(zip(NAMES, shop.features({"orders": rows}, "a", MARCH), strict=True))["orders_all"]


def test_one_request_leaves_nothing_behind_for_the_next(shop: LiveEngine) -> None:
    assert orders_all(shop, order(3, 1), order(5, 1)) == 2
    assert orders_all(shop, order(3, 1)) == 1


def test_a_failed_request_leaves_nothing_behind_either(shop: LiveEngine) -> None:
    with pytest.raises(ValueError, match="shorter"):
        shop.features({"orders": [order(3, 1), ("too", "short")]}, "a", MARCH)
    assert orders_all(shop, order(5, 1)) == 1


def test_a_customer_without_any_rows_has_only_the_calendar(shop: LiveEngine) -> None:
    row = dict(zip(NAMES, shop.features({}, "a", MARCH), strict=True))
    known = {name: value for name, value in row.items() if value is not None}
    assert known == {"as_of_month": 3, "as_of_day": MARCH.day}


def test_rules_for_every_column_are_not_too_deep_for_the_parser() -> None:
    columns, rules = (
        ("product_id", "category", "channel", "payment_method"),
        ("POST", "BANK*", "GI*T", "TEST*"),
    )
    exclude = dict.fromkeys(columns, rules)
    plan = FeaturePlan(horizon_days=90, order_columns=columns, mixes={"category": ("tea",)}, exclude=exclude)
    live = LiveEngine(plan.sql()["sqlite"], profile=plan.profile("sqlite"))
    with live.holding({"orders": [order(3, 1)]}, "a", MARCH) as held:
        row = dict(zip(plan.names(), held.features(), strict=True))
        assert (row["orders_all"], held.profile(lost_days=50)) == (1, (None, None))


@pytest.fixture(scope="module")
def retail(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[duckdb.DuckDBPyConnection, FeaturePlan]]:
    """Online Retail II, staged, with the plan that follows from it."""
    if not RETAIL.is_dir():
        pytest.skip(f"the data set is not at {RETAIL}")
    file = tmp_path_factory.mktemp("retail") / "tierwise.toml"
    file.write_text(f"""
        [sources.orders]
        path = "{RETAIL}/*.parquet"
        [sources.orders.columns]
        customer_id = "Customer ID"
        ordered_at = "InvoiceDate"
        order_id = "Invoice"
        product_id = "StockCode"
        quantity = "Quantity"
        unit_price = "Price"
        channel = "Country"
        [sources.orders.exclude]
        product_id = ["POST", "D", "M", "DOT", "CRUK", "BANK *"]
        """)
    configuration = Configuration.read(file, environ={})
    cutoff = Cutoff.at(parse_as_of("2011-09-01"), "UTC")
    with duckdb.connect() as connection:
        stage(configuration, connection)
        yield (
            connection,
            plan_features(connection, read_sources(configuration), horizon_days=90, cutoff=cutoff),
        )


def longest_and_evenly_chosen(connection: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of 1,000 customers: the 100 with most lines, 300 with refunds, 600 others."""
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE chosen AS
        WITH sizes AS (
            SELECT customer_id, count(*) AS lines, max(is_return) AS refunds FROM orders GROUP BY customer_id
        ),
        longest AS (SELECT customer_id FROM sizes ORDER BY lines DESC, customer_id LIMIT 100),
        rest AS (SELECT *, hash(customer_id) AS place FROM sizes ANTI JOIN longest USING (customer_id)),
        refunding AS (SELECT customer_id FROM rest WHERE refunds = 1 ORDER BY place LIMIT 300),
        others AS (SELECT customer_id FROM rest WHERE refunds = 0 ORDER BY place LIMIT 600)
        FROM longest UNION ALL FROM refunding UNION ALL FROM others
    """)
    rows = defaultdict(list)
    listed = ", ".join(ORDERS.staged)
    for row in connection.execute(
        f"SELECT {listed} FROM orders SEMI JOIN chosen USING (customer_id)"
    ).fetchall():
        rows[row[0]].append(row)
    return rows


def test_live_equals_batch_on_a_thousand_real_histories(
    retail: tuple[duckdb.DuckDBPyConnection, FeaturePlan],
) -> None:
    connection, plan = retail
    texts, names = plan.sql(), plan.names()
    cutoff = Cutoff.at(parse_as_of("2011-09-01T11:00"), "UTC")
    histories = longest_and_evenly_chosen(connection)
    match_refunds(connection, texts["duckdb"])
    put_on_spine(connection, "FROM chosen", cutoff)
    batch = {row[0]: row[2:] for row in connection.execute(texts["duckdb"]["features"]).fetchall()}
    assert len(batch) == 1000
    live = LiveEngine(texts["sqlite"])
    for customer, rows in histories.items():
        answer = live.features({"orders": rows}, customer, cutoff)
        for name, one, other in zip(names, answer, batch[customer], strict=True):
            assert alike(one, other), (customer, name, one, other)


def alike(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)


def test_the_sale_that_was_cancelled_within_minutes_is_none(
    retail: tuple[duckdb.DuckDBPyConnection, FeaturePlan],
) -> None:
    connection, plan = retail
    steps = plan.sql()["duckdb"]
    match_refunds(connection, steps)
    put_on_spine(connection, "SELECT '16446' AS customer_id", Cutoff.at(parse_as_of("2011-12-10"), "UTC"))
    row = dict(zip(plan.names(), connection.execute(steps["features"]).fetchall()[0][2:], strict=True))
    assert (row["orders_all"], row["spend_all"]) == (1, 2.9)
