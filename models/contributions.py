"""What each input adds to the margin of boosted trees, by tables: a small tree has few ways through.

The values are Shapley values along the trees' paths (Lundberg and others 2020, algorithm 2), as LightGBM
computes them row by row. They hang on nothing but the decisions of a tree's nodes, so that a tree of
8 leaves has at most 128 rows of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from math import factorial
from typing import Any, Self

import lightgbm as lgb
import numpy as np

from models.likelihood import Vector

MOST_NODES = 7
"""Of a tree with a table: it has 2 ** nodes columns."""


@dataclass(frozen=True)
class _Node:
    """A split; its children are the numbers of nodes, or leaves' values."""

    feature: int
    threshold: float
    nan_goes_right: bool
    children: "tuple[_Child, _Child]"


@dataclass(frozen=True)
class _Child:
    rows: float
    value: float = 0.0
    node: int | None = None


@dataclass
class _Tree:
    """The nodes of a tree, children before parents."""

    nodes: list[_Node] = field(default_factory=list)

    @classmethod
    def of(cls, structure: Mapping[str, Any]) -> Self:
        tree = cls()
        tree._add(structure)
        return tree

    def _add(self, part: Mapping[str, Any]) -> _Child:
        if "split_index" not in part:
            return _Child(float(part.get("leaf_count", 0)), float(part["leaf_value"]))
        children = self._add(part["left_child"]), self._add(part["right_child"])
        threshold = float(part["threshold"])
        is_told = part["missing_type"] == "NaN"
        right = not part["default_left"] if is_told else threshold < 0  # what is missing counts as 0
        self.nodes.append(_Node(int(part["split_feature"]), threshold, right, children))
        return _Child(float(part["internal_count"]), node=len(self.nodes) - 1)

    @property
    def features(self) -> list[int]:
        return sorted({node.feature for node in self.nodes})

    def table(self) -> tuple[Vector, float]:
        """Return the values by feature and way through, of shape (f, 2 ** nodes), and the mean."""
        features, ways = self.features, np.arange(2 ** len(self.nodes))
        known = np.arange(2 ** len(features))[:, None]
        told: list[Vector] = []
        for place, node in enumerate(self.nodes):
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


class ContributionTables:
    """The tables of all trees of a booster.

    Parameters
    ----------
    booster
        Of numeric inputs and trees of at most `MOST_NODES` nodes, as of `fits`.
    """

    def __init__(self, booster: lgb.Booster) -> None:
        self._mean = 0.0
        self._trees: list[tuple[Vector, Vector, Vector, list[int], Vector]] = []
        for structure in _structures(booster):
            tree = _Tree.of(structure)
            if not tree.nodes:
                self._mean += float(structure["leaf_value"])
                continue
            table, mean = tree.table()
            self._mean += mean
            splits = np.array([node.feature for node in tree.nodes])
            thresholds = np.array([[node.threshold] for node in tree.nodes])
            nan_right = np.array([[node.nan_goes_right] for node in tree.nodes])
            self._trees.append((splits, thresholds, nan_right, tree.features, table))

    @staticmethod
    def fits(booster: lgb.Booster) -> bool:
        """Tell whether all trees are small enough, and split numbers only."""
        return all(_is_small(structure) for structure in _structures(booster))

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


def _structures(booster: lgb.Booster) -> list[Mapping[str, Any]]:
    return [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]


def _is_small(structure: Mapping[str, Any]) -> bool:
    parts, nodes = [structure], 0
    while parts:
        part = parts.pop()
        if "split_index" in part:
            nodes += 1
            if part["decision_type"] != "<=" or part["missing_type"] == "Zero":
                return False
            parts += [part["left_child"], part["right_child"]]
    return nodes <= MOST_NODES


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
