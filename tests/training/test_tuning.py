from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import duckdb
import numpy as np
import pytest
from sklearn.base import clone

from features.instants import parse_as_of
from features.plan import FeaturePlan
from models.tree_forecaster import TreeForecaster
from training import tuning
from training.history import History
from training.holdout import held_out_origins
from training.tuning import Tuning, tune

AS_OF = parse_as_of("2024-09-01")
RECIPE = TreeForecaster(horizon_days=30, clv_days=30, rounds=25)


@pytest.fixture(scope="module")
def history(fill: Callable[..., None]) -> Iterator[History]:
    """Two hundred customers who order now and then for eight months, and half of whom leave."""
    rng = np.random.default_rng(0)
    lines: list[dict[str, Any]] = []
    for customer in range(200):
        days = np.cumsum(1 + rng.exponential(25, rng.geometric(0.08))).astype(int)
        lines += [
            {
                "customer_id": f"{customer}",
                "ordered_at": f"{parse_as_of('2024-01-01') + timedelta(days=int(day)):%Y-%m-%d}",
                "amount": 10.0,
            }
            for day in days[days < 240]
        ]
    plan = FeaturePlan(horizon_days=30)
    with duckdb.connect() as connection:
        fill(connection, plan, orders=lines)
        yield History(connection, plan, "UTC", days=RECIPE.knots)


@pytest.fixture(scope="module")
def tuned(history: History) -> Callable[..., Tuning]:
    """Tune by a clock on which a look takes a second, so that a minute is time for 59 trials."""

    def search(*, minutes: float, as_of: datetime = AS_OF) -> Tuning:
        clock = count()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tuning.time, "monotonic", lambda: float(next(clock)))
            return tune(history, RECIPE, as_of=as_of, minutes=minutes, progress=lambda _: None)

    return search


@pytest.fixture(scope="module")
def untuned(tuned: Callable[..., Tuning]) -> Tuning:
    """What comes out where there is no time for a trial."""
    return tuned(minutes=1 / 60)


def test_the_best_of_all_tried_is_taken_and_told(tuned: Callable[..., Tuning]) -> None:
    found = tuned(minutes=5 / 60)
    assert found.facts["trials"] == 4
    assert found.facts["log_loss"] <= found.facts["log_loss_untuned"]
    assert found.capacity.keys() == {"rounds", "leaves", "learning_rate"}
    assert clone(RECIPE).set_params(**found.capacity).rounds >= 25
    assert tuned(minutes=5 / 60) == found


def test_no_time_changes_nothing(untuned: Tuning) -> None:
    given = {name: RECIPE.get_params()[name] for name in untuned.capacity}
    assert (untuned.capacity, untuned.facts["trials"]) == (given, 0)


def test_the_periods_that_judge_are_not_looked_at(history: History, untuned: Tuning) -> None:
    last = datetime.fromisoformat(max(untuned.facts["origins"]))
    assert last + timedelta(days=30) <= min(held_out_origins(history, AS_OF))


def test_a_history_too_short_is_not_tuned(tuned: Callable[..., Tuning]) -> None:
    assert tuned(minutes=1, as_of=parse_as_of("2024-03-10")).facts == {}
