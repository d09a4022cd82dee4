from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import duckdb
import pytest

from features.errors import InputError
from features.forecast_settings import ForecastSettings
from features.instants import parse_as_of
from features.plan import FeaturePlan
from models.curve import knots
from training.history import History
from training.rolling import judge, rolling_origins, seasonal_total
from training.train import Lesson

FIRST = parse_as_of("2023-01-01")
PLAN = FeaturePlan(horizon_days=90)


def line(customer: str, day: int, amount: float) -> dict[str, Any]:
    when = f"{FIRST + timedelta(days=day):%Y-%m-%dT12:00}"
    return {"customer_id": customer, "ordered_at": when, "amount": amount, "order_id": f"{customer} {day}"}


@pytest.fixture(scope="module")
def history(fill: Callable[..., None]) -> Iterator[History]:
    """One customer from the first day on, another much later."""
    orders = [line("a", 0, 5), line("a", 100, 7), line("a", 520, 11), line("b", 130, 100), line("b", 450, 13)]
    with duckdb.connect() as connection:
        fill(connection, PLAN, orders=orders)
        yield History(connection, PLAN, "UTC", days=knots(90, 365))


@pytest.mark.parametrize(
    ("days", "back"),
    [
        pytest.param(700, [90, 180, 270, 360, 450, 540], id="back-to-back"),
        pytest.param(601, [90, 180, 270, 360, 450, 540], id="back-to-back-just"),
        pytest.param(600, [90, 150, 210, 270, 330, 390], id="closer"),
        pytest.param(449, [90, 120, 150, 180, 210, 240], id="a-month-apart"),
        pytest.param(200, [90, 120], id="few"),
        pytest.param(149, [], id="none"),
    ],
)
def test_six_origins_lie_a_horizon_apart_or_closer_where_history_is_short(
    history: History, days: int, back: list[int]
) -> None:
    as_of = FIRST + timedelta(days=days)
    assert [(as_of - origin).days for origin in rolling_origins(history, as_of)] == back


def test_the_total_is_that_of_last_year_of_the_customers_known_then(history: History) -> None:
    assert seasonal_total(history, FIRST + timedelta(days=364 + 61)) == 7


def test_without_a_year_the_total_is_that_of_the_window_before(history: History) -> None:
    assert seasonal_total(history, FIRST + timedelta(days=200)) == 0
    assert seasonal_total(history, FIRST + timedelta(days=220)) == 0
    assert seasonal_total(history, FIRST + timedelta(days=180)) == 7


def test_a_history_too_short_for_any_origin_is_refused(history: History) -> None:
    lesson = Lesson(history, ForecastSettings(horizon_days=90), FIRST + timedelta(days=149))
    with pytest.raises(
        InputError, match=r"too short for a backtest of 90 days; set a shorter forecast\.horizon"
    ):
        judge(lesson, currency="EUR")
