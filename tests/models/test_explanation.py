import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from models.baselines import OwnRate
from models.estimator import Columns, ForecastEstimator, columns_of
from models.explanation import PURCHASE_RHYTHM
from models.labelled_forecaster import LabelledForecaster
from models.purchase_forecaster import PurchaseForecaster
from models.tree_forecaster import TreeForecaster

Lesson = tuple[pd.DataFrame, pd.DataFrame]
HORIZON = 60


@pytest.fixture(scope="module")
def trees(lesson: Lesson) -> TreeForecaster:
    return TreeForecaster(horizon_days=HORIZON, rounds=30).fit(*lesson)


@pytest.fixture(scope="module")
def thousand(lesson: Lesson) -> Columns:
    """A thousand customers of the present; some of them stand in it several times, as they were earlier."""
    frame, _ = lesson
    columns = columns_of(frame.sample(1000, random_state=0, replace=True))
    return {**columns, "as_of_day": np.full(1000, frame["as_of_day"].max())}


def customers(columns: Columns, rows: slice) -> Columns:
    return {name: values[rows] for name, values in columns.items()}


def scores(estimator: ForecastEstimator, columns: Columns) -> np.ndarray:
    told = estimator.forecast(columns)
    return np.array([logit(told["churn_risk"]), np.log(told["expected_value"])])


def test_base_and_effects_add_up_to_the_final_forecasts(trees: TreeForecaster, thousand: Columns) -> None:
    explanation = trees.explain(thousand)
    assert explanation.targets == ("churn_risk", "expected_value")
    np.testing.assert_allclose(explanation.score, scores(trees, thousand), atol=1e-6, rtol=0)


def test_a_customer_alone_is_explained_as_among_all(trees: TreeForecaster, thousand: Columns) -> None:
    together = trees.explain(thousand)
    for place in range(0, 1000, 50):
        alone = trees.explain(customers(thousand, slice(place, place + 1)))
        np.testing.assert_allclose(alone.effects[:, 0], together.effects[:, place], atol=1e-9)
        np.testing.assert_allclose(alone.base[:, 0], together.base[:, place], atol=1e-9)


def test_effects_move_a_forecast_from_what_is_usual(trees: TreeForecaster, lesson: Lesson) -> None:
    frame, _ = lesson
    present = trees.explain(columns_of(frame[frame["as_of_day"] == frame["as_of_day"].max()]))
    assert (present.base[0] > present.base[0].max() - 1e-9).mean() > 0.8
    own = present.effects[:, :, present.names.index(PURCHASE_RHYTHM)].mean(axis=1)
    assert (np.abs(own) < np.abs(present.effects[:, :, -1]).mean(axis=1)).all()


def test_what_speaks_for_coming_back_lowers_the_risk(trees: TreeForecaster, thousand: Columns) -> None:
    explanation = trees.explain(thousand)
    risk = explanation.effects[0]
    visits, rhythm = (explanation.names.index(name) for name in ("visit_days_30d", PURCHASE_RHYTHM))
    often = thousand["visit_days_30d"] == 30
    assert risk[often, visits].mean() < 0 < risk[thousand["visit_days_30d"] == 0, visits].mean()
    alone = np.array(explanation.values)[0, :, rhythm]
    assert np.corrcoef(alone, risk[:, rhythm])[0, 1] > 0.7


def test_what_the_trees_are_told_of_the_process_belongs_to_the_process(
    trees: TreeForecaster, thousand: Columns
) -> None:
    names = trees.explain(customers(thousand, slice(0, 1))).names
    assert names[-1] == PURCHASE_RHYTHM
    assert not [name for name in names if name.startswith("process_")]


@pytest.mark.parametrize("kind", [OwnRate, PurchaseForecaster])
def test_a_rule_is_one_effect(kind: type[ForecastEstimator], lesson: Lesson, thousand: Columns) -> None:
    rule = kind(horizon_days=HORIZON).fit(*lesson)
    explanation = rule.explain(thousand)
    assert explanation.names == (PURCHASE_RHYTHM,)
    told = rule.forecast(thousand)
    np.testing.assert_allclose(explanation.score[0], logit(told["churn_risk"].clip(1e-6, 1 - 1e-6)))
    np.testing.assert_allclose(explanation.score[1], np.log(told["expected_value"].clip(0.01)))
    frame, _ = lesson
    present = rule.explain(columns_of(frame[frame["as_of_day"] == frame["as_of_day"].max()]))
    np.testing.assert_allclose(present.effects.mean(axis=1), 0, atol=1e-9)


@pytest.mark.parametrize("kind", [TreeForecaster, PurchaseForecaster, OwnRate])
def test_a_restored_forecaster_explains_the_same(
    kind: type[ForecastEstimator], trees: TreeForecaster, lesson: Lesson, thousand: Columns
) -> None:
    fitted = trees if kind is TreeForecaster else kind(horizon_days=HORIZON).fit(*lesson)
    restored = kind(horizon_days=HORIZON).restore(json.loads(json.dumps(fitted.state())))
    one, other = fitted.explain(thousand), restored.explain(thousand)
    assert one.names == other.names
    np.testing.assert_array_equal(one.effects, other.effects)
    np.testing.assert_array_equal(one.base, other.base)
    np.testing.assert_array_equal(
        fitted.skill_.at(thousand["orders_all"]), restored.skill_.at(thousand["orders_all"])
    )


@pytest.fixture(scope="module")
def members() -> tuple[pd.DataFrame, pd.DataFrame]:
    """A thousand members: the more visits the fewer leave, and more of those in town 1; some is not known."""
    rng = np.random.default_rng(0)
    visits, town = rng.poisson(4, 1000).astype(float), rng.integers(0, 2, 1000).astype(float)
    left = rng.random(1000) < 1 / (1 + np.exp(0.8 * (visits - 3) - 1.5 * town))
    frame = pd.DataFrame({"customer_visits": visits, "customer_town": town, "customer_same": 1.0})
    frame.loc[::7, "customer_visits"] = np.nan
    return frame, pd.DataFrame({"came": left.astype(float)})


@pytest.mark.parametrize("meaning", ["churn", "conversion"])
def test_a_labelled_table_is_explained_by_the_sum_of_its_parts(
    members: tuple[pd.DataFrame, pd.DataFrame], meaning: str
) -> None:
    frame, labels = members
    model = LabelledForecaster(meaning=meaning, categorical=("customer_town",)).fit(frame, labels)
    columns = columns_of(frame)
    explanation = model.explain(columns)
    assert explanation.targets == ("churn_risk" if meaning == "churn" else "potential_score",)
    np.testing.assert_allclose(explanation.score[0], model.log_odds(columns), atol=1e-6, rtol=0)
    visits, town = (
        explanation.effects[0, :, explanation.names.index(f"customer_{what}")] for what in ("visits", "town")
    )
    assert visits[columns["customer_visits"] >= 6].max() < 0 < visits[columns["customer_visits"] <= 2].min()
    assert town[columns["customer_town"] == 1].min() > 0 > town[columns["customer_town"] == 0].max()
    restored = LabelledForecaster(meaning=meaning, categorical=("customer_town",))
    restored.restore(json.loads(json.dumps(model.state())))
    np.testing.assert_array_equal(restored.explain(columns).effects, explanation.effects)


def test_partial_dependence_is_the_mean_forecast_with_one_value_for_everybody(
    trees: TreeForecaster, lesson: Lesson
) -> None:
    frame, _ = lesson
    present = frame[frame["as_of_day"] == frame["as_of_day"].max()]
    table = trees.partial_dependence(present, "visit_days_30d")
    assert table["churn_risk"].iloc[-1] < table["churn_risk"].iloc[0]
    for row in table.iloc[[0, 9, 18]].itertuples():
        told = trees.predict(present.assign(visit_days_30d=row.value))
        assert (row.churn_risk, row.expected_value) == pytest.approx(
            (told["churn_risk"].mean(), told["expected_value"].mean())
        )


def test_trees_know_how_well_they_forecast_whom_they_had_not_seen(trees: TreeForecaster) -> None:
    skill = trees.skill_.at(np.array([1.0, 6.0]))
    assert ((skill > -1) & (skill < 1)).all()
    assert skill.max() > 0.05
