import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from features.errors import InputError
from features.plan import FeaturePlan
from models.bundle import Bundle
from models.labelled_forecaster import LabelledForecaster, weigh
from models.margins import LogisticMargin, ridge_logistic

Table = tuple[pd.DataFrame, pd.DataFrame]


def drawn(log_odds: np.ndarray, *, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"came": (rng.random(len(log_odds)) < 1 / (1 + np.exp(-log_odds))).astype(float)})


def linear(rows: int = 900, *, seed: int = 1) -> Table:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"age": rng.normal(40, 10, rows), "town": rng.integers(0, 4, rows).astype(float)})
    odds = 0.1 * (frame["age"] - 40) + np.array([-1.0, 0.0, 0.5, 1.0])[frame["town"].astype(int)]
    return frame, drawn(odds.to_numpy(), seed=seed)


def interacting(rows: int = 1500, *, seed: int = 1) -> Table:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(rows, 4)), columns=["a", "b", "c", "d"])
    return frame, drawn(3 * np.sign(frame["a"] * frame["b"]).to_numpy(), seed=seed)


def halves(table: Table) -> tuple[Table, Table]:
    middle = len(table[0]) // 2
    return (table[0][:middle], table[1][:middle]), (table[0][middle:], table[1][middle:])


def fitted(table: Table, **settings: object) -> LabelledForecaster:
    return LabelledForecaster(categorical=("town",), **settings).fit(*table)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def model() -> LabelledForecaster:
    return fitted(linear())


def test_the_ridge_is_that_of_scikit_learn() -> None:
    frame, labels = linear()
    design = (frame[["age"]].to_numpy() - 40) / 10
    oracle = LogisticRegression(C=0.5).fit(design, labels["came"])
    intercept, weights = ridge_logistic(design, labels["came"].to_numpy(), pull=2.0)
    assert intercept == pytest.approx(oracle.intercept_[0], abs=1e-3)
    assert weights == pytest.approx(oracle.coef_[0], abs=1e-3)


def test_what_is_linear_is_told_by_the_regression(model: LabelledForecaster) -> None:
    assert model.weights_["logistic"] == max(model.weights_.values())
    frame, labels = linear(4000, seed=2)
    forecast = model.predict(frame)
    assert list(forecast) == ["churn_risk"]
    assert roc_auc_score(labels["came"], forecast["churn_risk"]) > 0.74
    assert forecast["churn_risk"].mean() == pytest.approx(labels["came"].mean(), abs=0.04)


def test_what_columns_tell_only_together_is_told_by_deep_trees() -> None:
    learn, test = halves(interacting(3000))
    deep = fitted(learn)
    assert {"middle", "large"} & set(deep.weights_)
    regression = LogisticMargin().fit(
        {n: learn[0][n].to_numpy() for n in learn[0]}, learn[1]["came"].to_numpy(), categorical=()
    )
    alone = roc_auc_score(test[1]["came"], regression.log_odds({n: test[0][n].to_numpy() for n in test[0]}))
    assert roc_auc_score(test[1]["came"], deep.predict(test[0])["churn_risk"]) > alone + 0.3


def test_shuffled_outcomes_are_the_base_rate() -> None:
    frame, labels = linear(2000)
    shuffled = labels.sample(frac=1, random_state=0).reset_index(drop=True)
    learn, test = halves((frame, shuffled))
    told = fitted(learn).predict(test[0])["churn_risk"]
    base = np.full(len(told), learn[1]["came"].mean())
    assert log_loss(test[1]["came"], told) < log_loss(test[1]["came"], base) + 0.01


def test_log_odds_are_the_weighted_sum_of_the_parts(model: LabelledForecaster) -> None:
    frame, _ = linear(seed=3)
    columns = {name: frame[name].to_numpy() for name in frame}
    assert model.logistic_ is not None
    total = model.intercept_ + model.weights_["logistic"] * model.logistic_.log_odds(columns)
    for name, booster in model.boosters_.items():
        total = total + model.weights_[name] * booster.predict(frame.to_numpy(), raw_score=True)
    assert model.log_odds(columns) == pytest.approx(total, abs=1e-9)


def test_the_same_data_and_seed_give_the_same_bundle_which_forecasts_the_same(
    model: LabelledForecaster,
) -> None:
    plan = FeaturePlan(horizon_days=60)
    bundle = Bundle.of(model, plan, training={})
    assert Bundle.of(fitted(linear()), plan, training={}).digest == bundle.digest
    assert Bundle.of(fitted(linear(), seed=1), plan, training={}).digest != bundle.digest
    frame, _ = linear(seed=4)
    pd.testing.assert_frame_equal(bundle.estimator().predict(frame), model.predict(frame), check_exact=True)


def test_what_is_unknown_or_new_is_forecast_between_the_known(model: LabelledForecaster) -> None:
    known = model.predict(pd.DataFrame({"age": 40.0, "town": [0.0, 1.0, 2.0, 3.0]}))["churn_risk"]
    new = model.predict(pd.DataFrame({"age": [40.0, np.nan], "town": [np.nan, np.nan]}))["churn_risk"]
    assert new.between(known.min() - 0.1, known.max() + 0.1).all()


def test_numbers_far_out_are_finite(model: LabelledForecaster) -> None:
    far = model.predict(pd.DataFrame({"age": [1e300, -1e300, 9e10], "town": 0.0}))["churn_risk"]
    assert far.between(0, 1, inclusive="neither").all()


def test_a_conversion_is_a_score_of_0_to_100(model: LabelledForecaster) -> None:
    score = fitted(linear(), meaning="conversion").predict(linear()[0])
    assert list(score) == ["potential_score"]
    chance = model.predict(linear()[0])["churn_risk"].to_numpy()
    assert score["potential_score"].to_numpy() == pytest.approx(100 * chance)


@pytest.mark.parametrize(
    ("frame", "came"),
    [
        pytest.param({"age": [1.0] * 20, "town": [np.nan] * 20}, [1.0] * 5 + [0.0] * 15, id="constant"),
        pytest.param({"age": np.arange(20.0), "town": [0.0] * 20}, [1.0] + [0.0] * 19, id="one-positive"),
    ],
)
def test_without_anything_to_learn_everybody_has_the_base_rate(frame: dict, came: list[float]) -> None:
    model = fitted((pd.DataFrame(frame), pd.DataFrame({"came": came})))
    assert model.weights_ == {}
    told = model.predict(pd.DataFrame(frame))["churn_risk"].to_numpy()
    assert told == pytest.approx((sum(came) + 1) / 22)


def test_ten_rows_give_finite_forecasts() -> None:
    frame, labels = linear(10, seed=5)
    told = fitted((frame, labels)).predict(frame)["churn_risk"]
    assert told.between(0, 1, inclusive="neither").all()


def test_parts_that_add_nothing_have_no_weight() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=2000)
    came = drawn(truth, seed=1)["came"].to_numpy()
    intercept, weights = weigh({"right": truth, "reverse": -truth + rng.normal(size=2000)}, came)
    assert set(weights) == {"right"}
    assert weights["right"] == pytest.approx(1, abs=0.15)
    assert intercept == pytest.approx(0, abs=0.15)


def test_days_are_refused(model: LabelledForecaster) -> None:
    with pytest.raises(InputError, match="ask for no curves in the labelled setting"):
        model.predict(linear()[0], horizon_days=[30])
