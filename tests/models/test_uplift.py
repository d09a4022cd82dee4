from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from features.errors import InputError
from models.likelihood import Vector
from models.uplift import Arms, UpliftLearner


class Log(NamedTuple):
    features: pd.DataFrame
    outcome: Vector
    arm: Arms
    propensity: Vector
    effect: Vector


def log(*, rows: int = 6_000, differs: float = 0.3, seed: int = 0) -> Log:
    """Draw assignments: arm 1 adds 0.2 to a chance, `differs` more where `a` is positive; arm 2 0.1."""
    rng = np.random.default_rng(seed)
    features = pd.DataFrame({"a": rng.normal(size=rows), "b": rng.normal(size=rows)})
    features.loc[rng.random(rows) < 0.1, "b"] = np.nan
    effect = np.stack([0.2 + differs * (features["a"] > 0), np.full(rows, 0.1)], axis=1)
    chances = np.array([0.2, 0.5, 0.3])
    arm = rng.choice(3, size=rows, p=chances)
    chance = 0.2 + np.concatenate([np.zeros((rows, 1)), effect], axis=1)[np.arange(rows), arm]
    outcome = (rng.random(rows) < chance).astype(float)
    return Log(features, outcome, arm, np.tile(chances, (rows, 1)), effect)


def learn(drawn: Log, *, seed: int = 0) -> UpliftLearner:
    return UpliftLearner(seed=seed).fit(drawn.features, drawn.outcome, drawn.arm, drawn.propensity)


def test_an_effect_that_differs_is_found_where_it_does_and_another_is_the_same_for_all() -> None:
    drawn = log()
    learner = learn(drawn)
    effect = learner.told(drawn.features).effect
    assert [each.is_worth_acting_on for each in learner.differs_] == [True, False]
    assert np.abs(effect[:, 0] - drawn.effect[:, 0]).mean() < 0.05
    assert (effect[:, 1] == learner.average_[1]).all()
    assert learner.average_ == pytest.approx([0.35, 0.1], abs=4 * learner.average_se_.max())


def test_the_same_seed_learns_the_same() -> None:
    drawn = log(rows=1_500)
    np.testing.assert_array_equal(*(learn(drawn, seed=7).told(drawn.features).effect for _ in range(2)))


def test_chances_of_what_was_done_say_as_much_as_those_of_every_arm() -> None:
    drawn = log(rows=1_500)
    done = drawn._replace(propensity=drawn.propensity[np.arange(1_500), drawn.arm])
    np.testing.assert_allclose(learn(done).average_, learn(drawn).average_)


def test_an_arm_that_was_never_taken_is_an_error_that_names_it() -> None:
    drawn = log(rows=600)
    with pytest.raises(InputError, match="of 600 none was given nothing"):
        learn(drawn._replace(arm=np.maximum(drawn.arm, 1)))


def test_a_propensity_of_nought_is_an_error() -> None:
    drawn = log(rows=600)
    drawn.propensity[3, drawn.arm[3]] = 0.0
    with pytest.raises(InputError, match="not above 0 in 1 of 600 rows"):
        learn(drawn)


def test_money_is_learnt_in_its_own_units_whatever_the_currency() -> None:
    drawn = log(rows=3_000)
    spend = drawn.outcome * np.random.default_rng(1).gamma(2.0, 15.0, 3_000)
    pounds, yen = (learn(drawn._replace(outcome=rate * spend)) for rate in (1.0, 200.0))
    assert pounds.average_ == pytest.approx([30 * 0.35, 30 * 0.1], abs=4 * pounds.average_se_.max())
    assert yen.average_ == pytest.approx(200 * pounds.average_, rel=1e-3)
    assert [each.is_worth_acting_on for each in yen.differs_] == [True, False]


def test_customers_to_whom_an_arm_was_closed_teach_nothing_of_it() -> None:
    drawn = log(rows=3_000)
    arm, propensity = drawn.arm.copy(), drawn.propensity.copy()
    closed = np.arange(3_000) >= 2_000
    arm[closed], propensity[closed] = np.minimum(arm[closed], 1), [0.5, 0.5, 0.0]
    outcome = drawn.outcome + 50.0 * closed
    learner = learn(drawn._replace(outcome=outcome, arm=arm, propensity=propensity))
    assert learner.average_[1] == pytest.approx(0.1, abs=4 * learner.average_se_[1])
    assert learner.average_se_[1] > 0


def test_the_interval_of_the_average_covers_the_truth() -> None:
    covered = 0
    for seed in range(25):
        learner = learn(log(rows=300, differs=0.0, seed=seed))
        covered += np.sum(np.abs(learner.average_ - [0.2, 0.1]) < 1.96 * learner.average_se_)
    assert covered / 50 >= 0.86


def test_scores_are_those_of_the_formula_and_right_on_average_whatever_was_expected() -> None:
    drawn = log(rows=3_000)
    learner = learn(drawn)
    expected = learner.outcome_.expected_
    of_arm = [
        expected[:, k] + (drawn.arm == k) * (drawn.outcome - expected[:, k]) / drawn.propensity[:, k]
        for k in range(3)
    ]
    score = of_arm[1] - of_arm[0]
    assert learner.average_[0] == pytest.approx(score.mean())
    assert learner.average_se_[0] == pytest.approx(score.std(ddof=1) / np.sqrt(3_000))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_where_nothing_ever_differs_the_effect_is_nought(value: float) -> None:
    drawn = log(rows=1_000)
    features = drawn.features.assign(never=np.nan, always=1.0)
    learner = learn(drawn._replace(features=features, outcome=np.full(1_000, value)))
    assert learner.told(features).effect == pytest.approx(np.zeros((1_000, 2)), abs=1e-9)
    assert not any(each.is_worth_acting_on for each in learner.differs_)


def test_columns_are_found_by_their_names() -> None:
    drawn = log(rows=3_000)
    learner = learn(drawn)
    np.testing.assert_array_equal(
        learner.told(drawn.features[["b", "a"]]).effect, learner.told(drawn.features).effect
    )
