import numpy as np
import pytest

from models.effect_difference import FEWEST, EffectDifference
from models.effect_shapes import Inputs, Ranks
from models.likelihood import Vector

ROWS = 4_000
FOLD = np.arange(ROWS) % 5
RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(ROWS, 4))
RISK = 0.3 * MATRIX[:, 2] + RNG.normal(size=ROWS)
INPUTS = Inputs(MATRIX, np.column_stack([Ranks().fit(MATRIX).transform(MATRIX), RISK]))
NOISE = RNG.normal(size=ROWS)


def learn(score: Vector, *, trust: Vector | None = None, rows: int = ROWS) -> EffectDifference:
    mine = np.arange(ROWS) < rows
    trust = np.ones(ROWS) if trust is None else trust
    return EffectDifference(seed=0, features=4).fit(INPUTS.rows(mine), score[mine], FOLD[mine], trust[mine])


@pytest.mark.parametrize("truth", [0.3 * MATRIX[:, 0], 0.3 * RISK, 0.5 * (np.abs(MATRIX[:, 1]) > 1)])
def test_a_difference_is_found_along_a_feature_the_outcome_or_a_bend(truth: Vector) -> None:
    learnt = learn(5.0 + truth + NOISE)
    assert learnt.differs_.is_worth_acting_on
    told = learnt.predict(INPUTS)
    assert np.corrcoef(told, truth)[0, 1] > 0.85
    assert told.mean() == pytest.approx(0.0, abs=1e-9)


def test_noise_is_no_difference_and_predicts_exactly_none() -> None:
    learnt = learn(5.0 + NOISE)
    assert not learnt.differs_.is_worth_acting_on
    assert (learnt.predict(INPUTS) == 0).all()


def test_few_rows_are_not_asked() -> None:
    assert learn(MATRIX[:, 0], rows=FEWEST - 1).differs_.p_value == 1.0


def test_rows_that_are_not_trusted_teach_nothing() -> None:
    score, trust = 0.3 * MATRIX[:, 0] + NOISE, np.ones(ROWS)
    trust[::3] = 0.0
    misled = np.where(trust > 0, score, 1e6)
    np.testing.assert_array_equal(
        learn(misled, trust=trust).predict(INPUTS), learn(score, trust=trust).predict(INPUTS)
    )


def test_another_currency_scales_the_difference() -> None:
    score = 0.3 * MATRIX[:, 0] + NOISE
    np.testing.assert_allclose(
        learn(1_000.0 * score).predict(INPUTS), 1_000.0 * learn(score).predict(INPUTS), rtol=1e-3, atol=1.0
    )
