"""Every kind of source gives the same orders."""

import gzip
import sqlite3
from collections.abc import Callable
from pathlib import Path

import duckdb
import psycopg
import pytest

from features.configuration import Configuration
from features.errors import InputError
from features.extracts import CHUNK
from features.quality import Counts
from features.staging import stage

ROWS = "('张三', TIMESTAMP '2011-07-01 12:00:00', 2.5), ('Zoë', TIMESTAMP '2011-12-01 12:00:00', -1)"
VALUES = f"SELECT * FROM (VALUES {ROWS}) AS t(customer_id, ordered_at, amount)"
TEXT = "customer_id,ordered_at,amount\n张三,2011-07-01 12:00:00,2.5\nZoë,2011-12-01 12:00:00,-1\n"
NOON = [("张三", 1_309_521_600_000_000, 25_000), ("Zoë", 1_322_740_800_000_000, -10_000)]


def read(folder: Path, source: str, connection: duckdb.DuckDBPyConnection | None = None) -> list[tuple]:
    connection = connection or duckdb.connect()
    (folder / "tierwise.toml").write_text(f"[sources.orders]\n{source}")
    stage(Configuration.read(folder / "tierwise.toml", environ={}), connection)
    return connection.execute("SELECT customer_id, ordered_at, amount FROM orders ORDER BY line").fetchall()


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    duckdb.execute(f"COPY ({VALUES}) TO '{tmp_path}/o.parquet'")
    assert read(tmp_path, 'path = "o.parquet"') == NOON


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("compress", [False, True])
def test_text_files_come_in_any_encoding(tmp_path: Path, encoding: str, compress: bool) -> None:
    raw = TEXT.encode(encoding)
    (tmp_path / ("o.csv.gz" if compress else "o.csv")).write_bytes(gzip.compress(raw) if compress else raw)
    named = encoding.removesuffix("-sig")
    assert read(tmp_path, f'path = "o.csv*"\nencoding = "{named}"') == NOON


def test_latin_1_is_read(tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_bytes(TEXT.replace("张三", "Ærø").encode("latin-1"))
    assert [who for who, *_ in read(tmp_path, 'path = "o.csv"\nencoding = "iso-8859-1"')] == ["Ærø", "Zoë"]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
@pytest.mark.parametrize("before", [0, CHUNK - 3])
def test_a_byte_outside_the_encoding_is_named(tmp_path: Path, encoding: str, before: int) -> None:
    start = f"customer_id,ordered_at,amount\n{'x' * before},2011-01-01,1\n".encode()
    (tmp_path / "o.csv").write_bytes(start + b"\xff\xff,2011-01-01,1\n")
    with pytest.raises(
        InputError, match=rf"o\.csv: byte {len(start):,} is not {encoding}; name the file's encoding"
    ):
        read(tmp_path, f'path = "o.csv"\nencoding = "{encoding}"')


def test_a_query_reads_files_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text(TEXT)
    connection = duckdb.connect()
    assert read(tmp_path, "query = \"SELECT * FROM read_csv('o.csv');\"", connection) == NOON
    assert connection.execute("SELECT current_setting('file_search_path')").fetchall() == [("",)]


def test_a_query_that_fails_is_told_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"^sources\.orders\.query fails: Catalog Error: [^\n]*missing[^\n]*$"
    ):
        read(tmp_path, 'query = "SELECT * FROM missing"')


def test_a_sqlite_table_is_read_whatever_types_its_values_have(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as shop:
        shop.execute("CREATE TABLE sales (customer_id TEXT, ordered_at TIMESTAMP, amount REAL)")
        shop.execute(
            "INSERT INTO sales VALUES ('张三', '2011-07-01 12:00:00', 2.5), ('Zoë', '2011-12-01 12:00', '-1')"
        )
        shop.execute("INSERT INTO sales VALUES ('x', '2011-07-01 12:00:00', 'free')")
    shop.close()
    assert read(tmp_path, 'url = "sqlite:///shop.db"\ntable = "sales"') == NOON


def test_a_postgresql_view_is_streamed(tmp_path: Path, postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as shop:
        shop.execute("CREATE SCHEMA web")
        shop.execute(
            "CREATE TABLE web.sales (customer_id text, ordered_at timestamptz, amount numeric(12, 2), "
            "paid boolean, shipped timestamp, due date, note jsonb, pieces int)"
        )
        shop.execute(
            "INSERT INTO web.sales VALUES ('张三', '2011-07-01 14:00:00+02', 2.50, true, '2011-07-01', "
            "'2011-07-01', '{}', 1), ('Zoë', '2011-12-01 12:00:00+00', -1, null, null, null, null, null)"
        )
        shop.execute('CREATE VIEW web."Order Lines" AS SELECT * FROM web.sales')
    assert read(tmp_path, f'url = "{postgres_url}"\ntable = "web.Order Lines"') == NOON
    with pytest.raises(InputError, match=r"has no table 'web\.Sales'; did you mean 'sales'"):
        read(tmp_path, f'url = "{postgres_url}"\ntable = "web.Sales"')


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('path = "no/*.csv"', r"sources\.orders\.path = 'no/\*\.csv': no file matches .*/no/\*\.csv"),
        ('path = "tierwise.toml"', r"tierwise\.toml is neither text .* nor \.parquet"),
        ('path = "cut.parquet"', r"sources\.orders: .*cut\.parquet cannot be read \(.*\); write it again"),
        (
            'path = "rotten.parquet"',
            r"sources\.orders: .*rotten\.parquet cannot be read \(.*\); write it again",
        ),
        ('path = "*.[cp][sa]*"', "matches both text and Parquet files"),
        ('path = "empty.csv"', r"empty\.csv"),
        ('path = "head.csv"', r"sources\.orders has no rows"),
        ('path = "a.csv"\nurl = "x"', "needs exactly one of path, url"),
        ('url = "sqlite:///x.db"', "needs url and table together"),
        ('url = "sqlite:///x.db"\ntable = "t"', r"there is no SQLite file .*x\.db"),
        ('url = "shop"\ntable = "t"', "a database url reads like"),
        (
            'url = "postgresql://me:secret@127.0.0.1:1/x"\ntable = "t"',
            r"me:\*\*\*@127\.0\.0\.1.* cannot be read",
        ),
        ('url = "oracle://me:secret@h/x"\ntable = "t"', r"me:\*\*\*@h.* cannot be read"),
        ('path = "a.csv"\nencoding = "klingon"', "encoding = 'klingon' is not an encoding"),
        ('path = "a.csv"\ntime_zone = "Mars"', "time_zone = 'Mars' is not a time zone"),
        ('path = "head.csv"\ntime_format = "%Q"', r"time_format = '%Q'"),
        (
            'path = "head.csv"\ncolumns.amont = "x"',
            r"sources\.orders\.columns\.amont .* did you mean 'amount'",
        ),
        ('path = "head.csv"\ncolumns.cost = "x"', r"has no column 'x'.*sources\.orders\.columns\.cost"),
        ('path = "head.csv"\nexclude.product = ["x"]', "no text column of orders: did you mean 'product_id'"),
    ],
)
def test_a_source_that_cannot_be_read_is_told_with_its_remedy(
    tmp_path: Path, source: str, message: str
) -> None:
    duckdb.execute(f"COPY ({VALUES}) TO '{tmp_path}/whole.parquet'")
    whole = (tmp_path / "whole.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "rotten.parquet").write_bytes(whole[:4] + b"\0" * 40 + whole[44:])
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "head.csv").write_text("customer_id,ordered_at,amount\n")
    with pytest.raises(InputError, match=message):
        read(tmp_path, source)


def test_files_of_one_glob_may_differ_in_columns(staged: Callable) -> None:
    connection, quality = staged(
        '[sources.orders]\npath = "o*.csv"',
        o1_csv="amount,customer_id,ordered_at,cost\n1,a,2011-01-01,5\n",
        o2_csv="customer_id;ordered_at;amount\nb;2011-02-01;2\n",
    )
    found = connection.execute("SELECT customer_id, amount, cost FROM orders ORDER BY line").fetchall()
    assert found == [("a", 10_000, 50_000), ("b", 20_000, None)]
    assert quality.counts["orders"] == Counts(2, 2, 0, 0)


def test_nothing_is_fetched_from_the_network(staged: Callable) -> None:
    connection, _ = staged('[sources.orders]\npath = "o.csv"', o_csv=TEXT)
    settings = ("autoinstall_known_extensions", "autoload_known_extensions")
    assert connection.execute(
        "SELECT " + ", ".join(f"current_setting('{s}')" for s in settings)
    ).fetchall() == [(False, False)]
