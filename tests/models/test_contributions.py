import lightgbm as lgb
import numpy as np
import pytest

from models.contributions import ContributionTables


def boosted(
    *, leaves: int, missing: bool = True, rows: int = 2000, **settings: object
) -> tuple[lgb.Booster, np.ndarray]:
    rng = np.random.default_rng(0)
    matrix = np.round(rng.normal(size=(rows, 6)), 1)
    came = (rng.random(rows) < 1 / (1 + np.exp(-matrix[:, 0] * matrix[:, 1] - matrix[:, 2]))).astype(float)
    if missing:
        matrix[rng.random(matrix.shape) < 0.2] = np.nan
    given = {"objective": "binary", "num_leaves": leaves, "num_threads": 1, "verbose": -1} | settings
    return lgb.train(given, lgb.Dataset(matrix, came), 30), matrix


@pytest.mark.parametrize("leaves", [2, 5, 8])
@pytest.mark.parametrize("missing", [True, False])
def test_tables_tell_what_lightgbm_tells(leaves: int, missing: bool) -> None:
    booster, matrix = boosted(leaves=leaves, missing=missing, bagging_fraction=0.7, bagging_freq=1)
    assert ContributionTables.fits(booster)
    asked = np.vstack([matrix, np.full(6, np.nan), np.zeros(6), np.full(6, -0.0)])
    told = booster.predict(asked, pred_contrib=True)
    np.testing.assert_allclose(ContributionTables(booster).at(asked), told, atol=1e-9, rtol=0)


def test_trees_that_found_nothing_add_their_mean() -> None:
    booster, matrix = boosted(leaves=8, min_child_samples=5000)
    told = booster.predict(matrix[:3], pred_contrib=True)
    np.testing.assert_allclose(ContributionTables(booster).at(matrix[:3]), told, atol=1e-9, rtol=0)


def test_larger_trees_and_codes_have_no_tables() -> None:
    assert not ContributionTables.fits(boosted(leaves=9)[0])
    codes = np.arange(200.0)[:, None] % 4
    data = lgb.Dataset(codes, codes[:, 0] % 2, categorical_feature=[0])
    by_code = lgb.train({"objective": "binary", "num_leaves": 4, "verbose": -1}, data, 2)
    assert not ContributionTables.fits(by_code)
    assert not ContributionTables.fits(boosted(leaves=8, zero_as_missing=True)[0])
