from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pytest

from features.contract import DAY
from features.horizon import HorizonAdvice, Window, horizon_advice

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def advise(days_by_customer: list[list[int]], *, as_of_day: int) -> HorizonAdvice:
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
    return horizon_advice(connection, as_of=EPOCH + timedelta(days=as_of_day))


def test_pauses_are_counted_by_customer_and_by_length() -> None:
    advice = advise([[0, 10, 20, 120], [0, 40, 40], [130]], as_of_day=131)
    assert advice.gaps == 4
    assert advice.quantiles[0.5] == 10
    assert advice.windows[0] == Window(30, advice.windows[0].wrongly_lost, silent=2, returned=2)
    assert advice.windows[3:] == [Window(days, None, 0, 0) for days in (120, 180, 365)]


def test_what_lies_after_as_of_is_not_seen() -> None:
    assert advise([[0, 10, 500]], as_of_day=500) == advise([[0, 10]], as_of_day=500)


@pytest.mark.parametrize("days", [[], [[3]]])
def test_without_a_pause_there_is_no_advice(days: list[list[int]]) -> None:
    advice = advise(days, as_of_day=9)
    assert (advice.gaps, advice.quantiles, advice.recommended) == (0, {}, None)


def test_silences_that_are_still_open_are_accounted_for() -> None:
    """Pauses are exponential of mean 100 days, and nobody ever leaves: exp(-W / 100) last longer than W."""
    rng = np.random.default_rng(3)
    starts = rng.uniform(0, 400, (3000, 1))
    days = np.ceil(np.cumsum(np.hstack([starts, rng.exponential(100, (3000, 20))]), axis=1))
    advice = advise([list(row[row < 800]) for row in days], as_of_day=800)
    found = [window.wrongly_lost for window in advice.windows]
    np.testing.assert_allclose(found, np.exp(-np.array([30, 60, 90, 120, 180, 365]) / 100), atol=0.02)
    assert advice.recommended == 180
