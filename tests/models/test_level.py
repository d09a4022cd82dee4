import json

import numpy as np
import pytest

from models.level import BELIEF, Level
from models.likelihood import Vector

STEP = 28
DAYS = 19_000.0 + STEP * np.arange(26)
"""Of snapshots, two years less a little."""


def fitted(levels: Vector, *, days: Vector = DAYS) -> Level:
    return Level().fit(days, days - days[0] + 60.0, levels, knot=STEP)


def test_a_season_comes_back_a_year_later() -> None:
    season = 0.5 * np.sin(2 * np.pi * DAYS / 364)
    level = fitted(season)
    coming = DAYS[-1] + STEP * np.arange(1, 13)
    told = np.array([level.at(day) for day in coming])
    assert np.abs(told - 0.5 * np.sin(2 * np.pi * coming / 364)).max() < 0.15
    assert np.corrcoef(told, np.sin(2 * np.pi * coming / 364))[0, 1] > 0.98


def test_a_usual_bias_is_corrected() -> None:
    level = fitted(np.full(26, 0.4))
    assert level.usual_ == pytest.approx(0.4)
    assert level.at(DAYS[-1] + STEP) == pytest.approx(0.4, abs=0.02)


def test_noise_is_not_repeated() -> None:
    rng = np.random.default_rng(0)
    levels = [fitted(rng.normal(0, 0.3, 26)) for _ in range(50)]
    assert (np.mean([level.weights_ for level in levels], axis=0) < BELIEF / 2).all()
    told = [level.at(DAYS[-1] + STEP) for level in levels]
    assert np.std(told) < 0.3 / 2


def test_one_snapshot_is_believed_by_half() -> None:
    assert fitted(np.array([0.4]), days=DAYS[:1]).at(DAYS[0] + STEP) == pytest.approx(0.2)


def test_nothing_known_is_no_level() -> None:
    nothing = np.empty(0)
    assert Level().fit(nothing, nothing, nothing, knot=STEP).at(DAYS[0]) == 0


def test_the_first_customers_of_a_shop_tell_nothing_of_its_level() -> None:
    days = DAYS[:6]
    wild = np.array([5.0, 5.0, 0.1, 0.1, 0.1, 0.1])
    ages = days - days[0] + 10.0
    level = Level().fit(days, ages, wild, knot=STEP)
    assert level.usual_ == pytest.approx(_weighted(wild[ages >= 60], days[ages >= 60]))


def _weighted(levels: Vector, days: Vector) -> float:
    weights = 0.5 ** ((days[-1] - days) / 60)
    return float((weights * levels).sum() / weights.sum())


def test_a_level_restored_forecasts_the_same() -> None:
    level = fitted(np.sin(DAYS))
    restored = Level.restore(json.loads(json.dumps(level.state())))
    assert [restored.at(day) for day in DAYS + 300] == [level.at(day) for day in DAYS + 300]
