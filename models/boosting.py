"""How small boosted trees are taught, and asked: regularised, repeatable, in one thread."""

from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import lightgbm as lgb
import numpy as np

from models.likelihood import Vector
from models.small_trees import SmallTrees

_small: WeakKeyDictionary[lgb.Booster, SmallTrees | None] = WeakKeyDictionary()


def tree_settings(
    rows: int, *, leaves: int, learning_rate: float, feature_share: float, seed: int
) -> dict[str, Any]:
    """Return settings of LightGBM, but for the objective.

    Parameters
    ----------
    rows
        To learn from; the more, the more of them a leaf holds at least.
    feature_share
        Of the features that each tree may look at.
    seed
        Of the sampling of rows and features.
    """
    return {
        "num_leaves": leaves,
        "learning_rate": learning_rate,
        "min_child_samples": int(np.clip(rows // 300, 20, 200)),
        "feature_fraction": feature_share,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "lambda_l2": 10.0,
        "max_bin": 63,
        "enable_bundle": False,  # the same trees, a quarter sooner
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": 1,
        "verbose": -1,
    }


def matrix_of(columns: Mapping[str, Vector], names: Sequence[str]) -> Vector:
    """Return columns of shape (n,) as inputs of trees, of shape (n, f)."""
    return np.concatenate([columns[name] for name in names]).reshape(len(names), -1).T


def margin(booster: lgb.Booster, matrix: Vector) -> Vector:
    """Return what inputs of shape (n, f) add to the score that trees started from, of shape (n,)."""
    if len(matrix) == 1:
        if booster not in _small:
            _small[booster] = SmallTrees.of(booster)
        trees = _small[booster]
        if trees is not None:
            return np.array([trees.margin(matrix[0])])
    return np.asarray(booster.predict(matrix, raw_score=True, num_threads=1))
