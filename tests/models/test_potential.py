import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from models.baselines import OwnRate
from models.estimator import CALENDAR, Columns, columns_of
from models.first_order import FirstOrder
from models.potential import Potential, implied
from models.spread import ValueSpread
from models.tree_forecaster import TreeForecaster

Lesson = tuple[pd.DataFrame, pd.DataFrame]
DAYS = 60


def cuts_of(orders: pd.DataFrame, frame: pd.DataFrame) -> dict[float, float]:
    """The 80% quantile of what customers spent in the sixty days before a snapshot, by its day."""
    cuts = {}
    for day in frame["as_of_day"].unique():
        at = int(day) - 19_000
        known = orders[orders["day"] < at]
        spent = known[known["day"] >= at - DAYS].groupby("customer")["amount"].sum()
        cuts[float(day)] = float(np.quantile(spent.reindex(known["customer"].unique(), fill_value=0), 0.8))
    return cuts


@pytest.fixture(scope="module")
def cuts(shop: pd.DataFrame, lesson: Lesson) -> dict[float, float]:
    return cuts_of(shop, lesson[0])


@pytest.fixture(scope="module")
def forecaster(lesson: Lesson) -> TreeForecaster:
    return TreeForecaster(horizon_days=DAYS, rounds=30).fit(*lesson)


@pytest.fixture(scope="module")
def potential(forecaster: TreeForecaster, cuts: dict[float, float]) -> Potential:
    return Potential().fit(forecaster, cuts)


@pytest.fixture(scope="module")
def present(lesson: Lesson) -> Columns:
    frame, _ = lesson
    return columns_of(frame[frame["as_of_day"] == frame["as_of_day"].max()])


def test_trees_correct_what_the_forecast_implies(
    potential: Potential, forecaster: TreeForecaster, present: Columns
) -> None:
    outputs = forecaster.forecast(present)
    score, plain = potential.score(present, outputs), potential.alone().score(present, outputs)
    assert ((score >= 0) & (score <= 100)).all()
    assert potential.booster_ is not None
    assert 0.8 < np.corrcoef(score, plain)[0, 1] < 1
    chance = potential.spread_.reaching(potential.cut_, outputs["churn_risk"], outputs["expected_value"])
    np.testing.assert_allclose(plain, 100 * np.clip(chance, 1e-4, 1 - 1e-4))


def test_a_higher_cut_point_is_harder_to_reach(
    potential: Potential, forecaster: TreeForecaster, present: Columns
) -> None:
    outputs = forecaster.forecast(present)
    near, far = (potential.score(present, outputs, cut=potential.cut_ * part) for part in (0.5, 2.0))
    np.testing.assert_array_equal(
        potential.score(present, outputs, cut=potential.cut_), potential.score(present, outputs)
    )
    assert (near >= far).all()
    assert near.mean() > 1.3 * far.mean()


@pytest.mark.parametrize(
    ("cut", "above"), [pytest.param(1e9, False, id="nobody"), pytest.param(1e-4, True, id="everybody")]
)
def test_a_cut_point_that_nobody_reaches_or_every_buyer(
    cut: float, above: bool, lesson: Lesson, forecaster: TreeForecaster, present: Columns
) -> None:
    days = lesson[0]["as_of_day"].unique()
    fitted = Potential().fit(forecaster, dict.fromkeys(map(float, days), cut))
    outputs = forecaster.forecast(present)
    score = fitted.score(present, outputs)
    if above:
        buys = 100 * (1 - outputs["churn_risk"]) * (outputs["expected_value"] > 0)
        assert np.abs(score - buys).mean() < 8
    else:
        assert fitted.booster_ is None
        assert score.max() < 0.1


def test_labels_that_are_not_known_teach_nothing(
    lesson: Lesson, lesson_of: Callable[..., Lesson], shop: pd.DataFrame, cuts: dict[float, float]
) -> None:
    frame, labels = lesson_of(shop[shop["day"] < 690])
    kept = labels[f"value_{DAYS}"].isna()
    assert kept.any()
    again = TreeForecaster(horizon_days=DAYS, rounds=30).fit(frame, labels)
    told = Potential().fit(again, cuts).state()
    first = Potential().fit(TreeForecaster(horizon_days=DAYS, rounds=30).fit(*lesson), cuts).state()
    assert json.dumps(told) == json.dumps(first)


def test_a_shop_with_a_single_snapshot_has_the_forecast_alone(
    lesson: Lesson, present: Columns, cuts: dict[float, float]
) -> None:
    frame, labels = lesson
    now = frame["as_of_day"] == frame["as_of_day"].max()
    forecaster = TreeForecaster(horizon_days=DAYS).fit(frame[now], labels[now])
    fitted = Potential().fit(forecaster, {max(cuts): cuts[max(cuts)]})
    assert fitted.booster_ is None
    outputs = forecaster.forecast(present)
    np.testing.assert_array_equal(fitted.score(present, outputs), fitted.alone().score(present, outputs))


def test_a_rule_implies_a_potential_as_well(
    lesson: Lesson, present: Columns, cuts: dict[float, float]
) -> None:
    rule = OwnRate(horizon_days=DAYS).fit(*lesson)
    score = Potential().fit(rule, cuts).score(present, rule.forecast(present))
    assert ((score > 0) & (score < 100)).all()


def test_a_hurdle_implies_its_own_tail() -> None:
    no_order, expected = np.array([0.5, 0.2]), np.array([50.0, 80.0])
    odds = implied(ValueSpread(), no_order, expected, 100.0)
    tail = (1 - no_order) * np.exp(-100.0 / (expected / (1 - no_order)))
    np.testing.assert_allclose(1 / (1 + np.exp(-odds)), tail, rtol=0.01)


def prospects(snapshots: int = 6, each: int = 400, seed: int = 0) -> tuple[Columns, np.ndarray]:
    """Prospects of snapshots thirty days apart, likelier to buy the more they visit; some not known."""
    rng = np.random.default_rng(seed)
    rows = snapshots * each
    visits = rng.poisson(2.0, rows).astype(float)
    came = (rng.random(rows) < 0.04 * (1 + visits)).astype(float)
    columns = {
        "as_of_day": np.repeat(19_000.0 + 30 * np.arange(snapshots), each),
        "visit_30d": visits,
        "visit_days_since": np.where(visits > 0, rng.integers(1, 30, rows), np.nan),
        "orders_all": np.full(rows, np.nan),
    }
    return columns, came


def test_the_chance_of_a_first_order_is_calibrated() -> None:
    columns, came = prospects()
    first = FirstOrder().fit(columns, came, horizon_days=60)
    assert first is not None
    assert first.auc_ is not None
    assert 0.6 < first.auc_ < 0.8
    new, _ = prospects(each=2000, seed=1)
    chance, known = first.chance(new), new["visit_30d"] > 0
    assert np.isnan(chance[~known]).all()
    for visits in (1, 3, 5):
        here = new["visit_30d"] == visits
        assert chance[here].mean() == pytest.approx(0.04 * (1 + visits), abs=0.035)


def test_a_last_snapshot_of_whom_nothing_is_known_judges_nothing() -> None:
    columns, came = prospects()
    day = columns[CALENDAR]
    unknown = {"visit_days_since": np.where(day == day.max(), np.nan, columns["visit_days_since"])}
    first = FirstOrder().fit({**columns, **unknown}, came, horizon_days=60)
    assert first is not None
    assert first.auc_ is not None


def test_few_first_orders_teach_nothing() -> None:
    columns, came = prospects()
    few = came * (np.cumsum(came) <= 49)
    assert FirstOrder().fit(columns, few, horizon_days=60) is None
    assert FirstOrder().fit(columns, came * 0, horizon_days=60) is None


def test_first_orders_that_nothing_tells_of_teach_nothing() -> None:
    columns, came = prospects()
    shuffled = np.random.default_rng(3).permutation(came)
    first = FirstOrder().fit(columns, shuffled, horizon_days=60)
    if first is not None:
        assert first.chance(columns)[columns["visit_30d"] > 0].std() < 0.03


def test_everybody_is_scored_in_their_places(
    forecaster: TreeForecaster, cuts: dict[float, float], present: Columns
) -> None:
    fitted = Potential().fit(forecaster, cuts)
    told, came = prospects()
    fitted.first_order_ = FirstOrder().fit(told, came, horizon_days=DAYS)
    rows = len(present["orders_all"])
    mixed = {name: np.concatenate([values, np.full(3, np.nan)]) for name, values in present.items()}
    mixed |= {
        name: np.concatenate([np.zeros(rows), [2.0, 2.0, np.nan]])
        for name in ("visit_30d", "visit_days_since")
    }
    restored = Potential.restore(json.loads(json.dumps(fitted.state())))
    outputs = forecaster.forecast(present)
    score = restored.score(mixed, outputs)
    np.testing.assert_array_equal(score[:rows], fitted.score(present, outputs))
    assert 0 < score[rows] == score[rows + 1] < 100
    assert np.isnan(score[-1])
