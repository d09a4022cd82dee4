from collections import Counter
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.configuration import Configuration
from features.contract import DAY, ORDERS
from features.errors import InputError
from features.quality import Counts, DataQuality
from features.staging import stage

RETAIL = Path(__file__).parents[3] / "shared" / "data" / "online_retail_ii"
HEADER = "customer_id,ordered_at,amount\n"


def staged(folder: Path, text: str, **files: str | bytes) -> tuple[duckdb.DuckDBPyConnection, DataQuality]:
    """Write text files (a name's ``_`` is its dot) and a configuration, and stage them."""
    for name, content in files.items():
        raw = content if isinstance(content, bytes) else content.encode()
        (folder / name.replace("_", ".")).write_bytes(raw)
    (folder / "tierwise.toml").write_text(text)
    connection = duckdb.connect()
    return connection, stage(Configuration.read(folder / "tierwise.toml", environ={}), connection)


def orders(connection: duckdb.DuckDBPyConnection, *columns: str) -> list[tuple]:
    return connection.execute(f"SELECT {', '.join(columns)} FROM orders ORDER BY line").fetchall()


def quarantined(folder: Path, table: str = "orders") -> list[dict]:
    return pq.read_table(folder / ".tierwise" / "quarantine" / f"{table}.parquet").to_pylist()


CSV = '[sources.orders]\npath = "o*.csv"\n'


def test_a_text_file_becomes_the_staged_columns_of_the_contract(tmp_path: Path) -> None:
    lines = HEADER + "a,1970-01-02 00:00:01,2.5\nb,1969-12-31 23:59:59,-0.00005\n"
    connection, quality = staged(tmp_path, CSV, o_csv=lines)
    described = [name for name, *_ in connection.execute("DESCRIBE orders").fetchall()]
    assert described == list(ORDERS.staged)
    assert orders(connection, "customer_id", "ordered_at", "ingested_at", "amount", "is_return", "day") == [
        ("a", DAY + 1_000_000, DAY + 1_000_000, 25_000, 0, 1),
        ("b", -1_000_000, -1_000_000, -1, 1, -1),
    ]
    assert quality.counts == {"orders": Counts(rows_in=2, used=2, quarantined=0, merged=0)}


def test_unusable_rows_are_kept_with_their_reason(tmp_path: Path) -> None:
    lines = (
        "customer_id,ordered_at,amount,reason\na,2011-01-01,1,x\n ,2011-01-01,1,x\na,2011-31-01,1,x\na,,1,x\n"
        "a,9999-01-01,1,x\na,2011-01-01,NaN,x\na,2011-01-01,1e12,x\na,2011-01-01,,x\nlonely\n"
    )
    _, quality = staged(tmp_path, CSV, o_csv=lines)
    assert quality.counts["orders"] == Counts(rows_in=9, used=1, quarantined=8, merged=0)
    rows = quarantined(tmp_path)
    assert [(row["row"], row["reason"]) for row in sorted(rows, key=lambda row: row["row"])] == [
        (2, "customer_id is missing"),
        (3, "ordered_at is not a time between 1900 and 2200"),
        (4, "ordered_at is missing"),
        (5, "ordered_at is not a time between 1900 and 2200"),
        (6, "amount is not a number of at most 90 billion"),
        (7, "amount is not a number of at most 90 billion"),
        (8, "amount is missing"),
        (10, "the line cannot be split into columns: missing columns"),
    ]
    assert {row["reason (source)"] for row in rows} == {"x", None}
    assert [row["line"] for row in rows if row["line"]] == ["lonely"]
    assert {row["file"] for row in rows} == {str(tmp_path / "o.csv")}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 3)), max_size=6), min_size=1, max_size=3
    )
)
def test_a_row_counts_as_often_as_in_the_file_in_which_it_is_most_frequent(
    tmp_path_factory: pytest.TempPathFactory, deliveries: list[list[tuple[str, int]]]
) -> None:
    folder = tmp_path_factory.mktemp("deliveries")
    files = {
        f"o{n}_csv": HEADER + "z,2011-01-01,1\n" + "".join(f"{who},2011-01-0{day},1\n" for who, day in rows)
        for n, rows in enumerate(deliveries)
    }
    connection, quality = staged(folder, CSV, **files)
    expected: Counter = Counter({("z", 1): 1})
    for rows in deliveries:
        expected |= Counter(rows)
    first = 14_975  # 2011-01-01
    assert Counter(orders(connection, "customer_id", f"day - {first} + 1")) == expected
    counts = quality.counts["orders"]
    assert (counts.used, counts.rows_in) == (expected.total(), sum(len(rows) + 1 for rows in deliveries))


def test_a_missing_column_is_told_with_its_nearest_and_the_key_to_set(tmp_path: Path) -> None:
    message = (
        r"o\.csv has no column 'customer_id'; did you mean 'customerid'\?; name it with sources\.orders\.c"
    )
    with pytest.raises(InputError, match=message):
        staged(tmp_path, CSV, o_csv="customerid,ordered_at,amount\n")


def test_no_row_is_lost_of_a_year_delivered_twice(tmp_path: Path) -> None:
    if not RETAIL.is_dir():
        pytest.skip(f"the data set is not at {RETAIL}")
    text = f"""
        [sources.orders]
        path = "{RETAIL}/*.parquet"
        time_zone = "Europe/London"
        [sources.orders.columns]
        customer_id = "Customer ID"
        ordered_at = "InvoiceDate"
        order_id = "Invoice"
        product_id = "StockCode"
        category = "Description"
        quantity = "Quantity"
        unit_price = "Price"
        channel = "Country"
        """
    connection, quality = staged(tmp_path, text)
    source = f"read_parquet('{RETAIL}/*.parquet', filename = true)"
    later = "count(*) FILTER (filename LIKE '%2011%')"
    listed = 'Invoice, StockCode, Description, Quantity, InvoiceDate, Price, "Customer ID", Country'
    expected = connection.execute(
        f"SELECT sum(least(a, b))::BIGINT FROM (SELECT {listed}, {later} AS b, count(*) - b AS a "
        f"FROM {source} GROUP BY ALL) "
        'WHERE "Customer ID" IS NOT NULL'
    ).fetchall()[0][0]
    merged = 1_067_370 - 243_007 - quality.counts["orders"].used
    assert quality.counts["orders"] == Counts(1_067_370, 1_067_370 - 243_007 - expected, 243_007, expected)
    assert merged == expected
