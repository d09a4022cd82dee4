"""What each input adds to the margin of boosted trees, by tables: a small tree has few ways through.

The values are Shapley values along the trees' paths (Lundberg and others 2020, algorithm 2), as LightGBM
computes them row by row. They hang on nothing but the decisions of a tree's nodes, so that a tree of
8 leaves has at most 128 rows of them.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from math import factorial
from typing import Any, Self

import lightgbm as lgb
import numpy as np

from models.likelihood import Vector
from models.small_trees import SmallTree, are_small, structures


class ContributionTables:
    """The tables of all trees of a booster.

    Parameters
    ----------
    dumped
        The trees, as of `models.small_trees.structures`; small ones.
    """

    def __init__(self, dumped: Sequence[Mapping[str, Any]]) -> None:
        self._mean = 0.0
        self._trees: list[tuple[Vector, Vector, Vector, list[int], Vector]] = []
        for structure in dumped:
            tree = SmallTree.of(structure)
            if not tree.nodes:
                self._mean += float(structure["leaf_value"])
                continue
            table, mean = _table(tree)
            self._mean += mean
            splits = np.array([node.feature for node in tree.nodes])
            thresholds = np.array([[node.threshold] for node in tree.nodes])
            nan_right = np.array([[node.nan_goes_right] for node in tree.nodes])
            self._trees.append((splits, thresholds, nan_right, tree.features, table))

    @classmethod
    def of(cls, booster: lgb.Booster) -> Self | None:
        """Make the tables of a booster; null where its trees are not small."""
        dumped = structures(booster)
        return cls(dumped) if are_small(dumped) else None

    def at(self, matrix: Vector) -> Vector:
        """Return what each input of rows of shape (n, f) adds, and last the mean: of shape (n, f + 1)."""
        columns = np.ascontiguousarray(matrix.T)
        missing = np.isnan(columns)
        added = np.zeros((len(columns) + 1, len(matrix)))
        for splits, thresholds, nan_right, features, table in self._trees:
            right = columns[splits] > thresholds
            right |= missing[splits] & nan_right
            way = np.packbits(right, axis=0, bitorder="little")[0]
            added[features] += table[:, way]
        added[-1] = self._mean
        return added.T


def _table(tree: SmallTree) -> tuple[Vector, float]:
    """Return the values by feature and way through, of shape (f, 2 ** nodes), and the mean."""
    features, ways = tree.features, np.arange(2 ** len(tree.nodes))
    known = np.arange(2 ** len(features))[:, None]
    told: list[Vector] = []
    for place, node in enumerate(tree.nodes):
        left, right = (
            np.full((1, 1), child.value) if child.node is None else told[child.node]
            for child in node.children
        )
        rows = [child.rows for child in node.children]
        mean = (rows[0] * left + rows[1] * right) / sum(rows)
        goes_right = (ways >> place & 1)[None, :] == 1
        is_known = known >> features.index(node.feature) & 1 == 1
        told.append(np.where(is_known, np.where(goes_right, right, left), mean))
    expected = np.broadcast_to(told[-1], (known.size, ways.size))
    return _weights(len(features)) @ expected, float(expected[0, 0])


@cache
def _weights(features: int) -> Vector:
    """Return Shapley's weights of what is expected given each set of known features, of shape (f, 2 ** f)."""
    sets = np.arange(2**features)
    sizes = np.array([one.bit_count() for one in range(sets.size)])
    weights = np.zeros((features, sets.size))
    for place in range(features):
        without = sets[sets >> place & 1 == 0]
        parts = [
            factorial(size) * factorial(features - size - 1) / factorial(features) for size in sizes[without]
        ]
        weights[place, without] = -np.array(parts)
        weights[place, without | 1 << place] = parts
    return weights
