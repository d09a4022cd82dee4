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
    effect = learner.effect(drawn.features)
    assert [each.is_worth_acting_on for each in learner.differs_] == [True, False]
    assert np.abs(effect[:, 0] - drawn.effect[:, 0]).mean() < 0.05
    assert (effect[:, 1] == learner.average_[1]).all()
    assert learner.average_ == pytest.approx([0.35, 0.1], abs=4 * learner.average_se_.max())


def test_the_same_seed_learns_the_same() -> None:
    drawn = log(rows=1_500)
    np.testing.assert_array_equal(*(learn(drawn, seed=7).effect(drawn.features) for _ in range(2)))


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
