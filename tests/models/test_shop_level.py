import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from models.level import Level
from models.likelihood import Vector
from models.shop_level import EVEN, PARTS, ShopLevel, Totals

STEP = 28
DAYS = 19_000.0 + STEP * np.arange(26)
"""Of snapshots, two years less a little."""
NEXT = float(DAYS[-1] + STEP)


def snapshots(said: Vector, came: Vector, *, history_days: float = 60.0) -> list[Any]:
    """Make snapshots of which the process said, and there came, such logs of totals."""
    return [
        SimpleNamespace(
            day=day,
            history_days=day - DAYS[0] + history_days,
            is_known=lambda _: True,
            level=lambda _, off=off: (0.0, 0.0, off),
            total=lambda _, total=total: total,
        )
        for day, total, off in zip(DAYS, came, np.nan_to_num(came - said), strict=False)
    ]


def fitted(said: Vector, came: Vector, *, now: float, **more: float) -> ShopLevel:
    return ShopLevel().fit(snapshots(said, came, **more), (2 * STEP,), said=np.array([now]))


def value_at(level: ShopLevel, day: float) -> float:
    return float(level.at(np.array([day]), knots=1)["value"][0, 0])


def totals(came: list[float], *, knot: float = STEP) -> Totals:
    return Totals(DAYS[: len(came)], np.array(came), 10.0, knot)


def test_the_naive_total_is_that_of_the_same_days_a_year_ago() -> None:
    came = list(np.arange(20.0))
    assert totals(came).naive(DAYS[15]) == pytest.approx(2.0)
    assert totals(came).naive(DAYS[15] + 7) == pytest.approx(2.25)
    assert totals(came).level(DAYS[15]) == pytest.approx(2.0 - 10.0)


def test_without_a_year_it_is_that_of_the_last_window_that_is_over() -> None:
    assert totals([1.0, 2.0, 3.0]).naive(DAYS[2]) == 2.0
    assert totals([1.0, 2.0, 3.0], knot=2 * STEP).naive(DAYS[2]) == 1.0
    assert np.isnan(totals([1.0, 2.0, 3.0]).naive(DAYS[0]))


def test_a_window_longer_than_a_year_looks_as_far_back() -> None:
    assert totals(list(np.arange(26.0)), knot=14 * STEP).naive(DAYS[20]) == pytest.approx(6.0)


def test_totals_of_a_time_when_orders_were_worth_nothing_tell_nothing() -> None:
    assert totals([1.0, float("nan"), float("nan")]).naive(DAYS[3]) == 1.0


def test_a_shop_that_comes_to_the_same_whatever_the_process_says_is_forecast_by_its_totals() -> None:
    said = 10.0 + 0.5 * np.random.default_rng(0).standard_normal(26)
    level = fitted(said, np.full(26, 10.0), now=10.7)
    assert level.lean_ > 0.8
    assert value_at(level, NEXT) == pytest.approx(-0.7, abs=0.15)


def test_a_shop_that_the_process_follows_is_forecast_by_it() -> None:
    said = 10.0 + 0.1 * np.arange(26)
    level = fitted(said, said, now=12.6)
    assert level.lean_ < 0.2
    assert abs(value_at(level, NEXT)) < 0.3


def test_before_anything_was_seen_both_count_evenly() -> None:
    level = fitted(np.array([10.0]), np.array([10.0]), now=10.4)
    assert level.lean_ == EVEN
    assert value_at(level, NEXT) == pytest.approx(-0.2)


def test_no_total_is_believed_of_a_shop_that_had_not_settled() -> None:
    level = fitted(np.array([10.0]), np.array([10.0]), now=12.0, history_days=30.0)
    assert value_at(level, NEXT) == 0.0


def test_only_the_value_leans_on_totals() -> None:
    level = fitted(np.array([10.0]), np.array([10.0]), now=12.0).at(np.array([NEXT]), knots=3)
    assert {part: values.tolist() for part, values in level.items()} == {
        "no_order": [[0.0]] * 3,
        "orders": [[0.0]] * 3,
        "value": [[-1.0]] * 3,
    }


def test_nothing_known_is_no_level() -> None:
    level = ShopLevel().fit([], (2 * STEP,), said=np.zeros(1)).at(np.array([NEXT]), knots=2)
    assert all((level[part] == 0).all() for part in PARTS)


def test_what_a_level_would_have_said_knows_nothing_later() -> None:
    levels = np.random.default_rng(1).normal(0, 0.3, 26)
    ages = DAYS - DAYS[0] + 60.0
    whole = Level().fit(DAYS, ages, levels, knot=STEP).tried_
    for seen in (1, 5, 20):
        earlier = Level().fit(DAYS[:seen], ages[:seen], levels[:seen], knot=STEP)
        assert whole[seen] == pytest.approx(earlier.at(DAYS[seen]))


def test_a_level_restored_forecasts_the_same() -> None:
    came = 10.0 + np.sin(np.arange(26.0))
    came[3] = np.nan
    level = fitted(np.full(26, 10.0), came, now=10.2)
    restored = ShopLevel.restore(json.loads(json.dumps(level.state(), allow_nan=False)))
    assert [value_at(restored, day) for day in DAYS + 400] == [value_at(level, day) for day in DAYS + 400]
