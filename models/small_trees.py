"""Small boosted trees laid out: their nodes, and what a row adds up to by the way it takes through each.

A tree of 8 leaves has 7 nodes, so that there are at most 128 ways through it: the decisions of all nodes,
those on the way and the others, as bits of one number (after Lucchese and others 2015).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import lightgbm as lgb
import numpy as np

from models.likelihood import Vector

MOST_NODES = 7
"""Of a small tree: its decisions fit a byte."""


@dataclass(frozen=True)
class Node:
    """A split of numbers.

    Attributes
    ----------
    feature
        Its place among the inputs; what is above the threshold goes right.
    children
        Left and right.
    """

    feature: int
    threshold: float
    nan_goes_right: bool
    children: "tuple[Child, Child]"


@dataclass(frozen=True)
class Child:
    """A node, by its number, or a leaf (null) with its value.

    Attributes
    ----------
    rows
        That came there in training.
    """

    rows: float
    value: float = 0.0
    node: int | None = None


@dataclass
class SmallTree:
    """The nodes of a tree, children before parents; none of a tree that is one leaf."""

    nodes: list[Node] = field(default_factory=list)

    @classmethod
    def of(cls, structure: Mapping[str, Any]) -> Self:
        """Read a tree as LightGBM dumps it."""
        tree = cls()
        tree._add(structure)
        return tree

    def _add(self, part: Mapping[str, Any]) -> Child:
        if "split_index" not in part:
            return Child(float(part.get("leaf_count", 0)), float(part["leaf_value"]))
        children = self._add(part["left_child"]), self._add(part["right_child"])
        threshold = float(part["threshold"])
        is_told = part["missing_type"] == "NaN"
        right = not part["default_left"] if is_told else threshold < 0  # what is missing counts as 0
        self.nodes.append(Node(int(part["split_feature"]), threshold, right, children))
        return Child(float(part["internal_count"]), node=len(self.nodes) - 1)

    @property
    def features(self) -> list[int]:
        """The features that it splits by, in order."""
        return sorted({node.feature for node in self.nodes})

    def values(self) -> Vector:
        """Return the value of the leaf by way through, of shape (2 ** nodes,)."""
        ways = np.arange(2 ** len(self.nodes))
        told: list[Vector] = []
        for place, node in enumerate(self.nodes):
            left, right = (child.value if child.node is None else told[child.node] for child in node.children)
            told.append(np.where(ways >> place & 1 == 1, right, left))
        return told[-1]


class SmallTrees:
    """Small trees for one row at a time: LightGBM takes longer to be asked than to answer.

    Parameters
    ----------
    dumped
        The trees, as of `structures`; small ones, as of `are_small`.
    inputs
        How many features there are.
    """

    def __init__(self, dumped: Sequence[Mapping[str, Any]], *, inputs: int) -> None:
        self._leaves = sum(float(one["leaf_value"]) for one in dumped if "split_index" not in one)
        trees = [SmallTree.of(one) for one in dumped if "split_index" in one]
        shape = len(trees), MOST_NODES
        self._splits, self._thresholds = np.zeros(shape, dtype=int), np.full(shape, np.inf)
        self._values = np.zeros((len(trees), 2**MOST_NODES))
        self._starts = np.arange(len(trees)) * 2**MOST_NODES
        for number, tree in enumerate(trees):
            for place, node in enumerate(tree.nodes):
                self._splits[number, place] = node.feature + inputs * node.nan_goes_right
                self._thresholds[number, place] = node.threshold
            values = tree.values()
            self._values[number, : values.size] = values

    @classmethod
    def of(cls, booster: lgb.Booster) -> Self | None:
        """Lay the trees of a booster out; null where they are not small."""
        dumped = structures(booster)
        return cls(dumped, inputs=booster.num_feature()) if are_small(dumped) else None

    def margin(self, row: Vector) -> float:
        """Return what the inputs, of shape (f,), add to the score that the trees started from."""
        missing = np.isnan(row)
        seen = np.concatenate((np.where(missing, -np.inf, row), np.where(missing, np.inf, row)))
        ways = np.packbits(seen[self._splits] > self._thresholds, axis=1, bitorder="little")[:, 0]
        return float(self._values.ravel()[self._starts + ways].sum()) + self._leaves


def structures(booster: lgb.Booster) -> list[Mapping[str, Any]]:
    """Return the trees of a booster as LightGBM dumps them."""
    return [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]


def are_small(dumped: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether all trees have at most `MOST_NODES` nodes, and split numbers only."""
    return all(map(_is_small, dumped))


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
