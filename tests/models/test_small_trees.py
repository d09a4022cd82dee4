from collections.abc import Callable

import lightgbm as lgb
import numpy as np
import pytest

from models.boosting import margin
from models.small_trees import SmallTrees

Boosted = Callable[..., tuple[lgb.Booster, np.ndarray]]


@pytest.mark.parametrize("leaves", [2, 5, 8])
@pytest.mark.parametrize("missing", [True, False])
def test_a_row_adds_up_to_what_lightgbm_says(boosted: Boosted, leaves: int, missing: bool) -> None:
    booster, matrix = boosted(leaves=leaves, missing=missing)
    trees = SmallTrees.of(booster)
    assert trees is not None
    asked = np.vstack([matrix[:200], np.full(6, np.nan), np.zeros(6), np.full(6, -0.0), np.full(6, 1e9)])
    told = booster.predict(asked, raw_score=True)
    np.testing.assert_allclose([trees.margin(row) for row in asked], told, rtol=1e-12, atol=1e-14)


def test_trees_that_found_nothing_add_one_value(boosted: Boosted) -> None:
    booster, matrix = boosted(leaves=8, min_child_samples=5000)
    trees = SmallTrees.of(booster)
    assert trees is not None
    assert trees.margin(matrix[0]) == pytest.approx(booster.predict(matrix[:1], raw_score=True)[0])


@pytest.mark.parametrize("leaves", [8, 31])
def test_one_row_and_many_have_the_same_margin_whatever_the_trees(boosted: Boosted, leaves: int) -> None:
    booster, matrix = boosted(leaves=leaves)
    alone = [margin(booster, matrix[place : place + 1])[0] for place in range(20)]
    np.testing.assert_allclose(alone, margin(booster, matrix[:20]), rtol=1e-12, atol=1e-14)


def test_trees_that_are_larger_or_split_codes_are_not_small(boosted: Boosted) -> None:
    assert SmallTrees.of(boosted(leaves=9)[0]) is None
    codes = np.arange(200.0)[:, None] % 4
    data = lgb.Dataset(codes, codes[:, 0] % 2, categorical_feature=[0])
    by_code = lgb.train({"objective": "binary", "num_leaves": 4, "verbose": -1}, data, 2)
    assert SmallTrees.of(by_code) is None
    assert SmallTrees.of(boosted(leaves=8, zero_as_missing=True)[0]) is None
