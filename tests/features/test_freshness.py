from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest

from features.configuration import Configuration
from features.contract import DAY
from features.errors import StaleDataError
from features.freshness import Freshness, freshness
from features.staging import stage

RETAIL = Path(__file__).parents[3] / "shared" / "data" / "online_retail_ii"
SUNDAY = datetime(2023, 1, 1, tzinfo=UTC)
FIRST = 19_358  # its day


def shop(customers_by_day: list[int]) -> duckdb.DuckDBPyConnection:
    """So many customers on each day from a Sunday on, known at once."""
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE orders (customer_id TEXT, ordered_at BIGINT, ingested_at BIGINT, day BIGINT)"
    )
    connection.execute(
        "CREATE TABLE counts AS SELECT unnest(?::BIGINT[]) AS n, ? + unnest(range(?)) AS day",
        [customers_by_day, FIRST, len(customers_by_day)],
    )
    connection.execute(
        f"INSERT INTO orders SELECT unnest(range(n))::TEXT, day * {DAY} + 1, day * {DAY} + 1, day FROM counts"
    )
    return connection


def judge(customers_by_day: list[int], *, later: int = 0, allow_stale: bool = False) -> Freshness | None:
    as_of = SUNDAY + timedelta(days=len(customers_by_day) + later)
    return freshness(shop(customers_by_day), as_of=as_of, time_zone="UTC", allow_stale=allow_stale)


STEADY = [50] * 140


def test_a_day_like_the_others_is_fresh() -> None:
    assert judge(STEADY) is None


def test_a_shop_that_never_closes_misses_a_single_day() -> None:
    with pytest.raises(
        StaleDataError, match=r"2023-05-21: from 2023-05-20 to 2023-05-20 .* 0 customer-days .* 50 are"
    ):
        judge([*STEADY[:-1], 0])


def test_whoever_insists_gets_the_figures() -> None:
    found = judge([*STEADY[:-1], 0], allow_stale=True)
    assert found is not None
    assert (found.customers, found.expected) == (0, 50)
    assert found.probability < 1e-6


def test_a_load_of_a_quarter_of_each_day_is_not_whole() -> None:
    with pytest.raises(StaleDataError, match="--allow-stale"):
        judge([*STEADY[:-5], *[12] * 5])


def test_a_closed_day_of_the_week_is_no_gap() -> None:
    assert judge(([0, 50, 50, 50, 50, 50, 50] * 20)[:-6]) is None  # as_of is a Monday


def test_a_holiday_like_one_before_is_fresh_and_three_days_are_not() -> None:
    before = [*STEADY[:80], 0, *STEADY[81:]]
    judge([*before, 0])
    with pytest.raises(StaleDataError):
        judge([*before, 0, 0, 0])


def test_the_closure_of_last_year_may_come_again() -> None:
    year = [*[50] * 300, *[0] * 10, *[50] * 54]
    assert judge([*year, *[50] * 300, 0, 0, 0, 0, 0]) is not None
    with pytest.raises(StaleDataError):
        judge([*year, *[50] * 200, 0, 0, 0, 0, 0])


def test_data_that_ended_long_ago_is_stale() -> None:
    with pytest.raises(StaleDataError, match="from 2023-05-21 to 2026-02-13"):
        judge(STEADY, later=1000)


@pytest.mark.parametrize("days", [0, 1, 20])
def test_a_young_shop_is_not_judged(days: int) -> None:
    assert judge([50] * days) is None


def test_rows_that_were_not_known_yet_do_not_count() -> None:
    connection = shop(STEADY)
    as_of = SUNDAY + timedelta(days=140)
    connection.execute(f"UPDATE orders SET ingested_at = {FIRST + 141} * {DAY} WHERE day >= {FIRST + 137}")
    with pytest.raises(StaleDataError):
        freshness(connection, as_of=as_of, time_zone="UTC")


@pytest.mark.parametrize("rate", [0.5, 3.0, 30.0])
def test_chance_alone_raises_no_alarm(rate: float) -> None:
    days = [int(n) for n in np.random.default_rng(7).poisson(rate, 500)]
    for end in range(100, 500, 20):
        judge(days[:end])


def test_a_small_shop_is_missed_after_weeks() -> None:
    days = [int(n) for n in np.random.default_rng(7).poisson(2.0, 300)]
    with pytest.raises(StaleDataError):
        judge([*days, *[0] * 20])


def test_a_wholesaler_is_fresh_until_three_trading_days_are_missing(tmp_path: Path) -> None:
    if not RETAIL.is_dir():
        pytest.skip(f"the data set is not at {RETAIL}")
    (tmp_path / "tierwise.toml").write_text(
        f"""[sources.orders]
        path = "{RETAIL}/*.parquet"
        [sources.orders.columns]
        customer_id = "Customer ID"
        ordered_at = "InvoiceDate"
        quantity = "Quantity"
        unit_price = "Price"
        """
    )
    connection = duckdb.connect()
    stage(Configuration.read(tmp_path / "tierwise.toml", environ={}), connection)
    as_of = datetime(2011, 9, 1, tzinfo=UTC)
    freshness(connection, as_of=as_of, time_zone="UTC")
    connection.execute(
        "DELETE FROM orders WHERE day >= 15212"
    )  # 2011-08-26, a Friday; the 29th was a holiday
    with pytest.raises(StaleDataError, match=r"from 2011-08-2\d to 2011-08-31"):
        freshness(connection, as_of=as_of, time_zone="UTC")
