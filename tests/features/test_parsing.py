from datetime import datetime
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.contract import Kind
from features.parsing import Cell, identifier, local_day


def read(value: str | None, kind: Kind, type_: str = "VARCHAR", zone: str = "UTC", **written: str) -> object:
    """Read one value, which stands in a column of a DuckDB type, as a kind."""
    connection = duckdb.connect()
    connection.execute(f"SET TimeZone = '{zone}'")
    sql = Cell("the value", type_, time_zone=zone, **written).read_as(kind)
    row = f'SELECT CAST(? AS {type_}) AS "the value"'
    return connection.execute(f"SELECT {sql} FROM ({row})", [value]).fetchall()[0][0]


@pytest.mark.parametrize(
    ("text", "decimal", "expected"),
    [
        ("12.5", ".", 125_000),
        (" -.00005 ", ".", -1),
        ("+1e3", ".", 10_000_000),
        ("1,234,567.89", ".", 12_345_678_900),
        ("12,5", ".", None),
        ("1_000", ".", None),
        ("12,5", ",", 125_000),
        ("1.234,56", ",", 12_345_600),
        ("12.5", ",", None),
        ("£5", ".", None),
        ("NaN", ".", None),
        ("-Infinity", ".", None),
        ("90000000000", ".", 900_000_000_000_000),
        ("-90000000000.01", ".", None),
        ("9" * 30, ".", None),
        ("", ".", None),
    ],
)
def test_money_in_text_is_exact_or_null(text: str, decimal: str, expected: int | None) -> None:
    assert read(text, Kind.MONEY, decimal=decimal) == expected


@pytest.mark.parametrize(
    ("value", "type_", "expected"),
    [
        ("2.675", "DOUBLE", 26_750),
        ("NaN", "DOUBLE", None),
        ("-Infinity", "FLOAT", None),
        ("1e300", "DOUBLE", None),
        ("-9223372036854775808", "BIGINT", None),
        ("7", "UTINYINT", 70_000),
        ("170141183460469231731687303715884105727", "HUGEINT", None),
        ("0.00005", "DECIMAL(38, 20)", 1),
        ("123456789012345678.9", "DECIMAL(38, 2)", None),
        ("true", "BOOLEAN", None),
        (None, "INTEGER", None),
    ],
)
def test_money_in_any_type_is_exact_or_null(value: str | None, type_: str, expected: int | None) -> None:
    assert read(value, Kind.MONEY, type_) == expected


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-900_000_000_000_000, 900_000_000_000_000), min_size=1, max_size=50))
def test_every_ten_thousandth_survives_text_and_double(amounts: list[int]) -> None:
    texts = [f"{'-' * (a < 0)}{abs(a) // 10_000}.{abs(a) % 10_000:04}" for a in amounts]
    connection = duckdb.connect()
    for type_ in ("VARCHAR", "DOUBLE", "DECIMAL(18, 4)"):
        values = f"SELECT CAST(unnest($texts) AS {type_}) AS v"
        sql = f"SELECT {Cell('v', type_).read_as(Kind.MONEY)} FROM ({values})"
        assert [amount for (amount,) in connection.execute(sql, {"texts": texts}).fetchall()] == amounts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2011-07-01T12:00:00Z", "2011-07-01T12:00+00:00"),
        ("2011-07-01 12:00:00+02:00", "2011-07-01T10:00+00:00"),
    ],
)
def test_an_offset_wins_over_the_zone_of_the_source(text: str, expected: str) -> None:
    found = read(text, Kind.TIME, zone="Europe/London")
    assert found == datetime.fromisoformat(expected).timestamp() * 1e6


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2011-07-01 12:00", "Europe/London", "2011-07-01T11:00+00:00"),
        ("2011-12-01 12:00", "Europe/London", "2011-12-01T12:00+00:00"),
        ("2011-07-01", "Asia/Shanghai", "2011-06-30T16:00+00:00"),
        ("2011-10-30 01:30", "Europe/London", "2011-10-30T01:30+00:00"),  # twice: the later
        ("2011-03-27 01:30", "Europe/London", "2011-03-27T01:30+00:00"),  # never: as if still in winter
    ],
)
@pytest.mark.parametrize("type_", ["VARCHAR", "TIMESTAMP", "TIMESTAMP_NS"])
def test_naive_times_are_in_the_zone_of_the_source(text: str, zone: str, expected: str, type_: str) -> None:
    assert read(text, Kind.TIME, type_, zone) == datetime.fromisoformat(expected).timestamp() * 1e6


@pytest.mark.parametrize(
    ("text", "time_format", "expected"),
    [
        ("31/12/2011 23:59", "%d/%m/%Y %H:%M", "2011-12-31T23:59+00:00"),
        ("12/31/11", "%m/%d/%y", "2011-12-31T00:00+00:00"),
        ("2011-07-01 12:00 +0200", "%Y-%m-%d %H:%M %z", "2011-07-01T10:00+00:00"),
        ("31/02/2011", "%d/%m/%Y", None),
        ("2011-12-31", "%d/%m/%Y", None),
    ],
)
def test_a_time_format_is_kept_to(text: str, time_format: str, expected: str | None) -> None:
    found = read(text, Kind.TIME, time_format=time_format)
    assert found == (None if expected is None else datetime.fromisoformat(expected).timestamp() * 1e6)


def test_days_written_as_numbers_are_times_in_their_format() -> None:
    assert read("19970101", Kind.TIME, "INTEGER", time_format="%Y%m%d") == 852_076_800_000_000


@pytest.mark.parametrize(
    "value", ["1899-12-31 23:59:59", "2200-01-01", "infinity", "294247-01-10", "0001-01-01"]
)
@pytest.mark.parametrize("type_", ["VARCHAR", "TIMESTAMP", "TIMESTAMPTZ"])
def test_times_out_of_all_reason_are_null(value: str, type_: str) -> None:
    assert read(value, Kind.TIME, {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}.get(type_, type_)) is None


@pytest.mark.parametrize(
    ("value", "kind", "type_", "expected"),
    [
        ("Yes", Kind.FLAG, "VARCHAR", 1),
        ("f", Kind.FLAG, "VARCHAR", 0),
        ("1.0", Kind.FLAG, "DOUBLE", 1),
        ("maybe", Kind.FLAG, "VARCHAR", None),
        ("true", Kind.FLAG, "BOOLEAN", 1),
        ("1e400", Kind.NUMBER, "VARCHAR", None),
        ("-2.5e-3", Kind.NUMBER, "VARCHAR", -0.0025),
        ("NaN", Kind.NUMBER, "DOUBLE", None),
        ("13085", Kind.TEXT, "DOUBLE", "13085"),
        ("0.5", Kind.TEXT, "DOUBLE", "0.5"),
        ("NaN", Kind.TEXT, "DOUBLE", None),
        ("  ", Kind.TEXT, "VARCHAR", None),
        (" 007 ", Kind.TEXT, "VARCHAR", "007"),
        ("7", Kind.TEXT, "BIGINT", "7"),
        ("b2c6c5b4-0000-4000-8000-000000000000", Kind.TEXT, "UUID", "b2c6c5b4-0000-4000-8000-000000000000"),
    ],
)
def test_flags_numbers_and_texts(value: str, kind: Kind, type_: str, expected: object) -> None:
    assert read(value, kind, type_) == expected


@settings(max_examples=100, deadline=None)
@given(
    st.datetimes(datetime(1950, 1, 1), datetime(2037, 12, 31), timezones=st.just(ZoneInfo("UTC"))),  # noqa: DTZ001
    st.sampled_from(["UTC", "Europe/London", "America/New_York", "Asia/Kolkata", "Pacific/Apia"]),
)
def test_the_local_day_is_that_of_the_zone(moment: datetime, zone: str) -> None:
    instant = round(moment.timestamp()) * 1_000_000
    day = duckdb.execute(f"SELECT {local_day('x', zone)} FROM (SELECT {instant}::BIGINT AS x)").fetchall()[0][
        0
    ]
    local = datetime.fromtimestamp(instant // 1_000_000, ZoneInfo(zone)).date()
    assert day == local.toordinal() - datetime(1970, 1, 1).toordinal()  # noqa: DTZ001


def test_a_name_with_quotes_stays_a_name() -> None:
    assert identifier('a"b') == '"a""b"'
