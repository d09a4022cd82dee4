import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit
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
    return frame[frame["snapshot"] == 0].drop(columns="snapshot")


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
    assert np.isfinite(outputs.to_numpy()).all()
    assert outputs["churn_risk"].between(0, 1).all()
    assert (outputs["expected_orders"] >= 1 - outputs["churn_risk"]).all()
    assert (outputs[["expected_value", "clv"]] >= 0).all(axis=None)
    assert list(outputs.index) == list(present.index)


def held_out_auc(lesson: Lesson, *, shuffle: int | None = None) -> float:
    """Judge the trees' own part of the risk, taken back out of the mean, on rows they were not taught."""
    frame, labels = lesson
    known = np.flatnonzero(labels["orders"].notna())
    if shuffle is not None:
        labels = labels.copy()
        labels.iloc[known] = labels.iloc[np.random.default_rng(shuffle).permutation(known)].to_numpy()
    is_judged = np.zeros(len(frame), dtype=bool)
    is_judged[known[1::2]] = True
    model = trees().fit(frame, labels.where(pd.Series(~is_judged)))
    judged = frame[is_judged].drop(columns="snapshot")
    process = model.process_.forecast(columns_of(judged))["churn_risk"]
    own = 2 * logit(model.predict(judged)["churn_risk"]) - logit(process)
    return float(roc_auc_score(labels["orders"][is_judged] == 0, own))


def test_trees_learn_from_labels_and_nothing_from_shuffled_ones(lesson: Lesson) -> None:
    assert held_out_auc(lesson) > 0.65
    noise = [held_out_auc(lesson, shuffle=number) for number in range(6)]  # one alone errs by 0.03
    assert 0.45 < np.mean(noise) < 0.55


def test_labels_do_not_reach_the_process(fitted: TreeForecaster, lesson: Lesson) -> None:
    frame, labels = lesson
    other = trees().fit(frame, labels * 3)
    assert other.process_.state() == fitted.process_.state()


@pytest.mark.parametrize(("oldest", "is_input"), [(484, False), (485, True)])
def test_the_month_is_an_input_once_a_year_and_two_horizons_are_known(
    lesson: Lesson, oldest: int, is_input: bool
) -> None:
    frame, labels = lesson
    frame = frame.copy()
    frame.loc[frame.index[-1], "tenure_days"] = oldest
    model = trees().set_params(rounds=1).fit(frame, labels)
    assert ("as_of_month" in model.feature_names_) == is_input
    assert "recency_days" in model.feature_names_


def test_no_label_of_the_frame_itself_is_an_input(fitted: TreeForecaster) -> None:
    assert not {"snapshot", "orders", "value"} & set(fitted.feature_names_)
