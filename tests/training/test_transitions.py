from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.batch import workplace
from features.configuration import Configuration
from features.instants import Cutoff
from features.staging import stage
from models.estimator import columns_of
from models.potential import Potential
from models.purchase_forecaster import PurchaseForecaster
from tests.corner_shop import write_corner_shop
from training.train import lesson_of
from training.transitions import Standings

HORIZON, DAYS = 60, 300
END = datetime(2023, 1, 1, tzinfo=UTC) + timedelta(days=DAYS)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corner_shop(tmp_path_factory.mktemp("shop"), customers=300, days=DAYS, horizon_days=HORIZON)


@contextmanager
def taught(file: Path, as_of: datetime | None = None) -> Iterator[tuple[Standings, datetime]]:
    configuration = Configuration.read(file, environ={})
    with workplace(file.parent / "scratch") as connection:
        stage(configuration, connection)
        lesson = lesson_of(configuration, connection, as_of)
        forecaster = PurchaseForecaster(horizon_days=HORIZON).fit(
            *lesson.history.lesson(lesson.as_of, share=1)
        )
        day = float(Cutoff.at(lesson.as_of, "UTC").day)
        potential = Potential().fit(forecaster, {day: lesson.history.cut(lesson.as_of)})
        yield Standings(configuration, lesson.history, forecaster, potential), lesson.as_of


def test_the_present_is_expected_to_go_somewhere(file: Path) -> None:
    with taught(file) as (standings, as_of):
        placement, transitions = standings.learnt(as_of)
        assert transitions is not None
        assert transitions.are_of(placement.policy)
        frame = standings.history.snapshot(as_of)
        columns = columns_of(frame)
        forecasts = dict(standings.forecaster.forecast(columns))
        forecasts["potential_score"] = standings.potential.score(columns, forecasts)
        now = np.array(["high", "low"] * len(frame), dtype=object)[: len(frame)]
        expected = pd.DataFrame(
            transitions.expected(forecasts, now), index=placement.policy.names, columns=placement.policy.names
        )
    assert expected.sum(axis=1)[["high", "low"]].to_numpy() == pytest.approx([len(now[::2]), len(now[1::2])])
    assert expected.loc["high", "high"] > expected.loc["low", "high"]
    assert expected.loc["low", "low"] > expected.loc["high", "low"]


def test_in_a_shop_younger_than_the_horizon_nothing_is_expected(file: Path) -> None:
    with taught(file, as_of=END - timedelta(days=DAYS - HORIZON + 5)) as (standings, as_of):
        placement, transitions = standings.learnt(as_of)
    assert placement.policy.highest == "high"
    assert transitions is None


def test_what_comes_after_teaches_nothing(file: Path, tmp_path: Path) -> None:
    earlier = END - timedelta(days=60)
    orders = pd.read_csv(file.parent / "orders.csv")
    known = orders[pd.to_datetime(orders["ordered_at"], utc=True) < pd.Timestamp(earlier)]
    known.to_csv(tmp_path / "orders.csv", index=False)
    (tmp_path / file.name).write_text(file.read_text())
    states = []
    for shop in (file, tmp_path / file.name):
        with taught(shop, as_of=earlier) as (standings, as_of):
            _, transitions = standings.learnt(as_of)
            assert transitions is not None
            states.append(transitions.state())
    assert states[0] == states[1]
