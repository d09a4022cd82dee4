from collections.abc import Callable

import lightgbm as lgb
import numpy as np
import pytest

from models.contributions import ContributionTables

Boosted = Callable[..., tuple[lgb.Booster, np.ndarray]]


@pytest.mark.parametrize("leaves", [2, 5, 8])
@pytest.mark.parametrize("missing", [True, False])
def test_tables_tell_what_lightgbm_tells(boosted: Boosted, leaves: int, missing: bool) -> None:
    booster, matrix = boosted(leaves=leaves, missing=missing, bagging_fraction=0.7, bagging_freq=1)
    tables = ContributionTables.of(booster)
    assert tables is not None
    asked = np.vstack([matrix, np.full(6, np.nan), np.zeros(6), np.full(6, -0.0)])
    told = booster.predict(asked, pred_contrib=True)
    np.testing.assert_allclose(tables.at(asked), told, atol=1e-9, rtol=0)


def test_trees_that_found_nothing_add_their_mean(boosted: Boosted) -> None:
    booster, matrix = boosted(leaves=8, min_child_samples=5000)
    tables = ContributionTables.of(booster)
    assert tables is not None
    told = booster.predict(matrix[:3], pred_contrib=True)
    np.testing.assert_allclose(tables.at(matrix[:3]), told, atol=1e-9, rtol=0)


def test_larger_trees_have_no_tables(boosted: Boosted) -> None:
    assert ContributionTables.of(boosted(leaves=9)[0]) is None
