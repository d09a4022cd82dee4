import numpy as np
import pytest
from sklearn.linear_model import Ridge

from models.effect_shapes import SHARES, Inputs, Ranks, RankShape, TreeShape
from models.likelihood import Vector


def inputs(matrix: Vector) -> Inputs:
    return Inputs(matrix, Ranks().fit(matrix).transform(matrix))


def test_ranks_go_from_minus_1_to_1_and_ties_stand_in_their_middle() -> None:
    flag = np.repeat([0.0, 1.0], [300, 100])
    number = np.arange(400.0) ** 3
    ranks = Ranks().fit(np.stack([flag, number], axis=1))
    told = ranks.transform(np.array([[0.0, 0.0], [1.0, 399.0**3], [1.0, 1e12], [0.0, -5.0]]))
    assert told[:, 0] == pytest.approx([-0.25, 0.75, 0.75, -0.25], abs=0.02)
    assert told[:, 1] == pytest.approx([-1, 1, 1, -1])


def test_a_missing_feature_is_in_the_middle_and_marked_and_one_never_known_says_nothing() -> None:
    matrix = np.array([[1.0, np.nan, 1.0], [np.nan, np.nan, 2.0], [3.0, np.nan, 3.0]])
    told = Ranks().fit(matrix).transform(matrix)
    assert told[1].tolist() == [0.0, 0.0, 0.0, 1.0]
    assert (told[:, 1] == 0).all()
    assert told[[0, 2], 3].tolist() == [0.0, 0.0]


def test_weights_are_those_of_a_ridge_of_the_likeliest_strength() -> None:
    rng = np.random.default_rng(0)
    design = rng.normal(size=(400, 3))
    target = 2.0 + design @ [0.3, 0.0, -0.2] + rng.normal(size=400)
    shape = RankShape().fit(Inputs(design, design), target, np.ones(400))
    apart, left = design - design.mean(axis=0), target - target.mean()
    scaled, noise = apart / apart.std(axis=0), left.var()

    def likelihood(share: float) -> float:
        spread = noise * (np.eye(400) + share * scaled @ scaled.T)
        return float(np.linalg.slogdet(spread)[1] + left @ np.linalg.solve(spread, left))

    ridge = Ridge(alpha=1.0 / min(SHARES, key=likelihood), fit_intercept=False).fit(scaled, left)
    assert shape.weights_ == pytest.approx(ridge.coef_ / apart.std(axis=0), rel=1e-6)
    assert shape.level_ == pytest.approx(target.mean())


def test_what_is_noise_is_shrunk_away_and_a_block_of_its_own_keeps_what_is_not() -> None:
    rng = np.random.default_rng(1)
    design = rng.normal(size=(2_000, 60))
    target = 0.3 * design[:, -1] + rng.normal(size=2_000)
    apart = RankShape(first_of_last=59).fit(Inputs(design, design), target, np.ones(2_000))
    shared = RankShape().fit(Inputs(design, design), target, np.ones(2_000))
    assert np.abs(apart.weights_[:-1]).max() < np.abs(shared.weights_[:-1]).max() / 2
    assert apart.weights_[-1] == pytest.approx(0.3, abs=0.06)


def test_a_row_of_weight_2_counts_as_two_rows() -> None:
    rng = np.random.default_rng(2)
    design, target = rng.normal(size=(50, 2)), rng.normal(size=50)
    twice = RankShape().fit(Inputs(design, design), target, np.append(np.ones(49), 2.0))
    again = np.append(np.arange(50), 49)
    doubled = RankShape().fit(Inputs(design[again], design[again]), target[again], np.ones(51))
    assert twice.level_ == pytest.approx(doubled.level_)
    assert twice.weights_ == pytest.approx(doubled.weights_, rel=0.1)


@pytest.mark.parametrize("target", [np.zeros(40), np.full(40, 3.0)])
def test_where_all_is_alike_everybody_gets_the_mean(target: Vector) -> None:
    matrix = np.stack([np.arange(40.0), np.ones(40)], axis=1)
    for shape in (RankShape(), TreeShape(seed=0)):
        told = shape.fit(inputs(matrix), target, np.ones(40)).predict(inputs(matrix))
        assert told == pytest.approx(target)


def test_trees_see_what_a_sum_cannot() -> None:
    rng = np.random.default_rng(3)
    matrix = rng.uniform(-1, 1, (4_000, 2))
    target = np.abs(matrix[:, 0]) + 0.1 * rng.normal(size=4_000)
    told = [
        np.corrcoef(shape.fit(inputs(matrix), target, np.ones(4_000)).predict(inputs(matrix)), target)[0, 1]
        for shape in (RankShape(), TreeShape(seed=0))
    ]
    assert told[0] < 0.1
    assert told[1] > 0.8
