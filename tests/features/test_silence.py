from collections.abc import Sequence
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import silence
from features.contract import DAY
from features.instants import EPOCH
from features.silence import FEWEST_RETURNS, Rhythm, Silences, shop_rhythm, silences_query


def day(number: int) -> datetime:
    return EPOCH + timedelta(days=number)


def shop(days_by_customer: Sequence[Sequence[int]]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE orders (customer_id TEXT, day BIGINT, ordered_at BIGINT, ingested_at BIGINT, "
        "amount BIGINT, is_return BIGINT)"
    )
    connection.execute(
        f"INSERT INTO orders SELECT who, unnest(days), unnest(days) * {DAY}, unnest(days) * {DAY}, 1, 0 FROM "
        "(SELECT unnest(range(len($all))) AS who, unnest($all) AS days)",
        {"all": [[*map(int, days)] for days in days_by_customer]},
    )
    return connection


def regulars(gap: int, *, customers: int = 60, days: int = 1500) -> list[list[int]]:
    """Customers who come every `gap` days, one day sooner or later by turns."""
    return [
        [start + gap * turn + (turn * (start + 1)) % 3 - 1 for turn in range(1, days // gap)]
        for start in range(customers)
    ]


def test_a_silence_ends_with_a_purchase_or_is_still_open_on_the_last_day() -> None:
    silences = Silences.of(shop([[0, 10, 30], [25]]), f"({silences_query(as_of=day(40))})")
    assert list(zip(silences.days, silences.ended, silences.still_open, strict=True)) == [
        (0, 0, 1),
        (5, 0, 1),
        (10, 1, 0),
        (20, 1, 0),
    ]
    np.testing.assert_allclose(silences.outlasted(), [1, 1, 0.5, 0])
    assert silences.outlasted_by(0.5) == 10


def test_the_rhythm_of_a_shop_whose_silences_are_exponential_is_told_right() -> None:
    """Of mean 40 days, and nobody ever leaves: exp(-t / 40) outlast t."""
    rng = np.random.default_rng(3)
    days = np.ceil(np.cumsum(rng.exponential(40, (400, 60)), axis=1) + rng.uniform(0, 100, (400, 1)))
    rhythm = shop_rhythm(shop([list(row[row < 1000]) for row in days]), as_of=day(1000), horizon_days=90)
    assert rhythm.lapsing_days == pytest.approx(40 * np.log(5), rel=0.05)
    assert rhythm.lost_days == pytest.approx(40 * np.log(20), rel=0.05)


def test_a_weekly_shop_has_a_quicker_rhythm_than_a_yearly_one() -> None:
    rhythms = [
        shop_rhythm(shop(regulars(gap)), as_of=day(1500), horizon_days=90) for gap in (7, 30, 120, 365)
    ]
    assert sorted(rhythms, key=lambda rhythm: rhythm.lapsing_days) == rhythms
    assert rhythms[0] == Rhythm(8, 15)
    assert rhythms[-1].lapsing_days in range(364, 369)


def test_with_few_returns_the_rhythm_is_the_horizon() -> None:
    returns = [[100, 120] for _ in range(FEWEST_RETURNS - 1)]
    assert shop_rhythm(shop(returns), as_of=day(400), horizon_days=60) == Rhythm(60, 120)
    assert shop_rhythm(shop([*returns, [0, 20]]), as_of=day(400), horizon_days=60) == Rhythm(20, 27)
    assert shop_rhythm(duckdb.connect(), as_of=day(400), horizon_days=60) == Rhythm(60, 120)


def test_returns_after_years_are_no_rhythm() -> None:
    returns = [[start, start + 900] for start in range(FEWEST_RETURNS + 10)]
    assert shop_rhythm(shop(returns), as_of=day(1000), horizon_days=60) == Rhythm(60, 120)


def test_a_young_shop_has_not_seen_its_long_silences_end() -> None:
    rng = np.random.default_rng(3)
    days = np.ceil(np.cumsum(rng.exponential(40, (400, 9)), axis=1))
    rhythm = shop_rhythm(shop([list(row[row < 100]) for row in days]), as_of=day(100), horizon_days=90)
    assert rhythm == Rhythm(90, 180)


def test_the_rhythm_is_the_same_at_another_time() -> None:
    days = [list(np.cumsum([start, *range(3, 40, 2)])) for start in range(60)]
    later = [[day + 1000 for day in each] for each in days]
    then, now = (
        shop_rhythm(shop(each), as_of=day(until), horizon_days=90)
        for each, until in ((days, 500), (later, 1500))
    )
    assert now == then
    assert now != Rhythm(90, 180)


def test_what_was_not_known_does_not_count() -> None:
    connection = shop(regulars(30))
    before = shop_rhythm(connection, as_of=day(900), horizon_days=90)
    connection.execute(f"DELETE FROM orders WHERE ordered_at >= {900 * DAY}")
    connection.execute(
        f"INSERT INTO orders SELECT customer_id, 899, {899 * DAY}, {900 * DAY} + 1, 1, 0 FROM orders"
    )
    assert shop_rhythm(connection, as_of=day(900), horizon_days=90) == before


def test_a_share_of_the_customers_of_a_large_shop_tells_its_rhythm(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = shop(regulars(30, customers=200))
    whole = shop_rhythm(connection, as_of=day(1500), horizon_days=90)
    monkeypatch.setattr(silence, "MOST_LINES", 2000)
    assert shop_rhythm(connection, as_of=day(1500), horizon_days=90) == whole


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 800), max_size=9), max_size=30), st.integers(7, 365))
def test_nobody_is_lost_before_lapsing(days: list[list[int]], horizon_days: int) -> None:
    rhythm = shop_rhythm(shop(days), as_of=day(801), horizon_days=horizon_days)
    assert 0 < rhythm.lapsing_days < rhythm.lost_days
