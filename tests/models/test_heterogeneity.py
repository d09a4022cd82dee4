import numpy as np
import pytest

from models.effect_shapes import Inputs, RankShape
from models.heterogeneity import Differs
from models.likelihood import Vector

ROWS, BLOCKS = 600, 5


def drawn(seed: int, *, differs: float) -> tuple[Vector, Vector]:
    """Draw features, and scores whose effect grows with the first of them."""
    rng = np.random.default_rng(seed)
    features = rng.uniform(-1, 1, (ROWS, 6))
    return features, 1.0 + differs * features[:, 0] + rng.normal(size=ROWS)


def judged(features: Vector, score: Vector) -> Differs:
    """Predict each block from the earlier ones, and test."""
    block, weight = np.arange(ROWS) % BLOCKS, np.ones(ROWS)
    inputs, predicted = Inputs(features, features), np.zeros(ROWS)
    for number in range(1, BLOCKS):
        earlier, mine = block < number, block == number
        shape = RankShape().fit(inputs.rows(earlier), score[earlier], weight[earlier])
        predicted[mine] = shape.predict(inputs.rows(mine))
    later = block > 0
    return Differs.test(score[later], predicted[later], block[later], weight[later])


def test_where_nothing_differs_it_says_so_as_often_as_it_promises() -> None:
    found = [judged(*drawn(seed, differs=0.0)).is_worth_acting_on for seed in range(400)]
    assert 0.02 <= np.mean(found) <= 0.085


def test_a_clear_difference_is_found_with_a_slope_of_about_1() -> None:
    told = [judged(*drawn(seed, differs=0.7)) for seed in range(20)]
    assert all(each.is_worth_acting_on for each in told)
    assert np.mean([each.slope for each in told]) == pytest.approx(1.0, abs=0.2)


def test_one_block_is_the_least_squares_line_with_the_robust_error() -> None:
    predicted, score = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 1.0, 4.0, 4.0])
    told = Differs.test(score, predicted, np.zeros(4, dtype=int), np.ones(4))
    left = score - 2.5 - 1.2 * (predicted - 1.5)
    assert told.slope == pytest.approx(1.2)
    assert told.slope_se == pytest.approx(np.sqrt((((predicted - 1.5) * left) ** 2).sum()) / 5)


def test_the_blocks_count_together_and_a_contradiction_cancels() -> None:
    predicted, block = np.tile([0.0, 1.0, 2.0, 3.0], 2), np.repeat([0, 1], 4)
    up = np.array([1.0, 1.0, 4.0, 4.0])
    alone = Differs.test(up, predicted[:4], block[:4], np.ones(4))
    both = Differs.test(np.concatenate([up, up]), predicted, block, np.ones(8))
    against = Differs.test(np.concatenate([up, -up]), predicted, block, np.ones(8))
    assert both.p_value < alone.p_value
    assert against.p_value == pytest.approx(0.5)


def test_rows_that_count_for_nothing_change_nothing() -> None:
    features, score = drawn(1, differs=0.7)
    weight, block = np.ones(ROWS), np.zeros(ROWS, dtype=int)
    weight[::2] = 0.0
    odd = slice(1, None, 2)
    whole = Differs.test(score, features[:, 0], block, weight)
    part = Differs.test(score[odd], features[odd, 0], block[odd], weight[odd])
    assert (whole.p_value, whole.slope) == pytest.approx((part.p_value, part.slope))


@pytest.mark.parametrize(
    ("predicted", "weight"), [(np.full(8, 0.3), np.ones(8)), (np.arange(8.0), np.zeros(8))]
)
def test_predictions_that_tell_nobody_apart_find_no_difference(predicted: Vector, weight: Vector) -> None:
    told = Differs.test(np.arange(8.0), predicted, np.zeros(8, dtype=int), weight)
    assert (told.p_value, told.is_worth_acting_on) == (1.0, False)
    assert np.isnan(told.slope)
