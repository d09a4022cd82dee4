import numpy as np
import pytest

from models.effect_shapes import Inputs, Ranks
from models.likelihood import Vector
from models.outcomes import ExpectedOutcome

ROWS = 3_000
RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(ROWS, 3))
INPUTS = Inputs(MATRIX, Ranks().fit(MATRIX).transform(MATRIX))
ARM = RNG.integers(0, 2, ROWS)
FOLD = np.arange(ROWS) % 5


def learn(outcome: Vector, *, arms: int = 2) -> ExpectedOutcome:
    return ExpectedOutcome().fit(INPUTS, outcome, ARM, fold=FOLD, arms=arms, seed=0)


def test_each_arm_has_its_level_and_what_tells_customers_apart_is_learnt_from_both() -> None:
    expected = learn(MATRIX[:, 0] + 0.5 * ARM + 0.3 * RNG.normal(size=ROWS)).expected_
    assert (expected[:, 1] - expected[:, 0]).mean() == pytest.approx(0.5, abs=0.05)
    assert np.corrcoef(expected[:, 0], MATRIX[:, 0])[0, 1] > 0.95


def test_no_row_is_expected_by_its_own_outcome() -> None:
    outcome = MATRIX[:, 0] + RNG.normal(size=ROWS)
    changed = outcome + 1_000.0 * (FOLD == 2)
    np.testing.assert_array_equal(learn(outcome).expected_[FOLD == 2], learn(changed).expected_[FOLD == 2])


def test_chances_stay_near_chances() -> None:
    expected = learn((RNG.random(ROWS) < 0.1 + 0.1 * (MATRIX[:, 1] > 0)).astype(float)).expected_
    assert expected.mean() == pytest.approx(0.15, abs=0.02)
    assert expected.min() > -0.1


def test_other_rows_are_expected_as_those_learnt_from() -> None:
    model = learn(MATRIX[:, 0] + 0.3 * RNG.normal(size=ROWS))
    assert np.corrcoef(model.untreated(INPUTS), model.expected_[:, 0])[0, 1] > 0.99


@pytest.mark.parametrize("level", [0.0, 1.0, 7.0])
def test_an_outcome_that_is_the_same_for_all_is_expected_of_all(level: float) -> None:
    assert learn(np.full(ROWS, level)).expected_ == pytest.approx(np.full((ROWS, 2), level))
