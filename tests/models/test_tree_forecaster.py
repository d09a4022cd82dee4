import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from models.estimator import columns_of
from models.tree_forecaster import TreeForecaster

Lesson = tuple[pd.DataFrame, pd.DataFrame]


def trees(*, seed: int = 0) -> TreeForecaster:
    return TreeForecaster(horizon_days=60, rounds=30, seed=seed)


@pytest.fixture(scope="module")
def fitted(lesson: Lesson) -> TreeForecaster:
    return trees().fit(*lesson)


@pytest.fixture(scope="module")
def present(lesson: Lesson) -> pd.DataFrame:
    frame, _ = lesson
    return frame[frame["as_of_day"] == frame["as_of_day"].max()]


def test_trees_restored_from_plain_data_forecast_the_same(
    fitted: TreeForecaster, present: pd.DataFrame
) -> None:
    restored = trees().restore(json.loads(json.dumps(fitted.state())))
    pd.testing.assert_frame_equal(restored.predict(present), fitted.predict(present), check_exact=True)


def test_the_same_data_and_seed_give_the_same_state(fitted: TreeForecaster, lesson: Lesson) -> None:
    text = json.dumps(fitted.state())
    assert json.dumps(trees().fit(*lesson).state()) == text
    assert json.dumps(trees(seed=1).fit(*lesson).state()) != text


def test_a_clone_has_the_settings_and_nothing_learnt(fitted: TreeForecaster) -> None:
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    assert copy.get_params() | {"horizon_days": 60, "rounds": 30, "seed": 0} == copy.get_params()
    assert not [name for name in vars(copy) if name.endswith("_")]


def test_forecasts_are_coherent(fitted: TreeForecaster, present: pd.DataFrame) -> None:
    outputs = fitted.predict(present)
    assert (present["spend_mean_order"] == 0).sum() > 20
    assert np.isfinite(outputs.drop(columns="next_order_days").to_numpy()).all()
    assert outputs["churn_risk"].between(0, 1).all()
    assert (outputs["expected_orders"] >= 1 - outputs["churn_risk"]).all()
    assert (outputs[["value_low", "expected_value", "clv"]] >= 0).all(axis=None)
    assert (outputs["value_low"] <= outputs["value_high"]).all()
    assert (outputs["next_order_days"] < 60).eq(outputs["churn_risk"] < 0.5).all()
    assert list(outputs.index) == list(present.index)


def test_the_forecast_is_the_curve_at_the_horizon(fitted: TreeForecaster, present: pd.DataFrame) -> None:
    outputs, curve = fitted.predict(present), fitted.curve(columns_of(present), days=[60])
    at_horizon = np.stack([curve.no_order[0], curve.orders[0], curve.value[0]], axis=1)
    names = ["churn_risk", "expected_orders", "expected_value"]
    np.testing.assert_array_equal(outputs[names], at_horizon)
    long = fitted.predict(present, horizon_days=[60, 200])
    assert list(long.columns) == ["days", *names]
    np.testing.assert_allclose(long.loc[long["days"] == 60, names], at_horizon, rtol=1e-12)
    assert list(long.index) == 2 * list(present.index)


def own_auc(lesson: Lesson, *, shuffle: int | None = None) -> float:
    """Judge what behaviour adds to the process, on the latest snapshot whose labels are known.

    Labels, also those that it is judged by, are shuffled among the customers of a snapshot.
    """
    frame, labels = lesson
    if shuffle is not None:
        rng = np.random.default_rng(shuffle)
        rows = frame.groupby("as_of_day").indices.values()
        labels = labels.iloc[np.concatenate([rng.permutation(each) for each in rows])]
        labels = labels.set_axis(frame.index)
    known = frame["as_of_day"] <= frame["as_of_day"].max() - 60
    judged = frame["as_of_day"] == frame.loc[known, "as_of_day"].max()
    before = frame["as_of_day"] <= frame.loc[known, "as_of_day"].max() - 60
    model = trees().fit(frame[before | judged], labels[before | judged].where(before))
    columns = columns_of(frame[judged])
    own = model.behaviour_.margins(columns, model.process_.describe(columns))["no_order"]
    return float(roc_auc_score(labels.loc[judged, "orders_60"] == 0, own))


def test_behaviour_learns_from_labels_and_nothing_from_shuffled_ones(lesson: Lesson) -> None:
    assert own_auc(lesson) > 0.7
    noise = [own_auc(lesson, shuffle=number) for number in range(3)]  # one alone errs by 0.05
    assert 0.4 < np.mean(noise) < 0.6


def test_labels_do_not_reach_the_process(fitted: TreeForecaster, lesson: Lesson) -> None:
    frame, labels = lesson
    other = trees().fit(frame, labels * 3)
    assert other.process_.state() == fitted.process_.state()


def test_neither_the_calendar_nor_a_label_is_an_input(fitted: TreeForecaster, lesson: Lesson) -> None:
    names = set(fitted.behaviour_.names)
    assert not names & {"as_of_day", *lesson[1]}
    assert {"recency_days", "visit_days_30d", "process_no_order"} <= names


def test_the_shares_of_the_gain_are_one_together(fitted: TreeForecaster) -> None:
    importance = fitted.importance()
    assert importance.sum() == pytest.approx(1)
    assert importance.is_monotonic_decreasing
    assert set(importance.index) == set(fitted.behaviour_.names)


def test_rows_are_forecast_the_same_in_any_order(fitted: TreeForecaster, present: pd.DataFrame) -> None:
    mixed = present.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(
        fitted.predict(mixed).loc[present.index], fitted.predict(present), check_exact=True
    )


def test_the_order_of_the_rows_taught_changes_only_what_is_sampled(
    fitted: TreeForecaster, lesson: Lesson
) -> None:
    order = np.random.default_rng(0).permutation(len(lesson[0]))
    shuffled = trees().fit(*(table.iloc[order] for table in lesson))
    assert shuffled.process_.state() == fitted.process_.state()
    days = lesson[0]["as_of_day"].to_numpy()
    for part, levels in fitted.level_.at(days, knots=8).items():
        near = 0.05 if part == "value" else 1e-9  # of the value, the total that the trees expect is a part
        np.testing.assert_allclose(shuffled.level_.at(days, knots=8)[part], levels, rtol=0, atol=near)


def test_seven_weeks_later_all_is_the_same(
    fitted: TreeForecaster, shop: pd.DataFrame, lesson_of: Callable[..., Lesson], present: pd.DataFrame
) -> None:
    later = trees().fit(*lesson_of(shop, later_days=49))
    moved = present.assign(as_of_day=present["as_of_day"] + 49)
    pd.testing.assert_frame_equal(later.predict(moved), fitted.predict(present), check_exact=True)


def test_another_currency_scales_the_values_and_leaves_the_risks(
    fitted: TreeForecaster, shop: pd.DataFrame, lesson_of: Callable[..., Lesson], present: pd.DataFrame
) -> None:
    yen = trees().fit(*lesson_of(shop.assign(amount=shop["amount"] * 1024)))
    outputs = fitted.predict(present)
    scaled = yen.predict(present.assign(spend_mean_order=present["spend_mean_order"] * 1024))
    money = ["expected_value", "value_low", "value_high", "clv"]
    rest = outputs.columns.difference(money)
    np.testing.assert_allclose(scaled[rest], outputs[rest], rtol=1e-3)
    np.testing.assert_allclose(scaled[money], outputs[money] * 1024, rtol=1e-2, atol=1)
