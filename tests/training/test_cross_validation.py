import numpy as np
import pandas as pd
import pytest

from models.labelled_forecaster import LabelledForecaster
from training.cross_validation import BASE_RATE, FOLDS, REPEATS, baselines, out_of_fold, splits

CAME = np.array([1.0] * 10 + [0.0] * 40)


def test_every_row_is_forecast_once_a_repeat_by_what_was_taught_without_it() -> None:
    made = splits(CAME, seed=0)
    assert len(made) == FOLDS * REPEATS
    for repeat in range(REPEATS):
        tested = np.concatenate([test for number, _, test in made if number == repeat])
        assert sorted(tested) == list(range(50))
    for _, taught, tested in made:
        assert not set(taught) & set(tested)
        assert CAME[tested].mean() == pytest.approx(0.2)


def test_rare_outcomes_make_fewer_folds_and_one_alone_none() -> None:
    assert len(splits(np.array([1.0, 1, 0, 0, 0, 0]), seed=0)) == 2 * REPEATS
    assert splits(np.array([1.0, 0, 0, 0]), seed=0) == []


def test_large_tables_are_not_repeated() -> None:
    assert len(splits(np.tile(CAME, 800), seed=0)) == FOLDS


def test_all_models_stand_on_the_same_rows_and_an_outcome_is_no_order() -> None:
    rng = np.random.default_rng(0)
    names = pd.Index([f"c{number}" for number in range(50)], name="customer_id")
    frame = pd.DataFrame({"x": rng.normal(size=50), "town": rng.integers(0, 2, 50) * 1.0}, index=names)
    came, made = pd.Series(CAME, index=names), splits(CAME, seed=0)[:FOLDS]
    recipe = LabelledForecaster(meaning="conversion", categorical=("town",))
    judged = pd.concat(
        [out_of_fold("blend", recipe, frame, came, made), baselines(recipe, frame, came, made)]
    )
    for _, rows in judged.groupby("model"):
        assert sorted(rows["customer_id"]) == sorted(names)
        assert rows["churn_risk"].between(0, 1).all()
        truth = came[rows["customer_id"]].to_numpy()
        assert ((rows["orders"] == 0).to_numpy() == (truth == 1)).all()
    assert judged.loc[judged["model"] == BASE_RATE, "churn_risk"].unique() == pytest.approx(0.2)
