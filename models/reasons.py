"""Reasons: what moved each forecast of a customer most, theme by theme, as compact text.

The text is JSON: by target a list of feature, value, effect and, where a value has one, the word for it.
It is kept like this and put into words where it is read.
"""

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from features.attributes import Attribute
from features.contract import Kind
from models.estimator import Columns, ForecastEstimator
from models.explanation import EXPECTED_VALUE, PURCHASE_RHYTHM, Explanation
from models.likelihood import Vector
from models.wording import OWN, message

MOST, MOST_OF_VALUE = 3, 2
"""Reasons of a chance, and of the expected value."""
LEAST_EFFECT = 0.01
"""In log-odds or logs: a change of about 1% is worth no word."""
LOOSE = ("attributes", OWN)
"""Themes whose features have nothing in common."""
CHUNK_ROWS = 5_000
"""Customers explained at once by one thread."""
TEXT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Reasons(NamedTuple):
    """The themes that moved one forecast of n customers most, the strongest first; each of shape (n, k).

    Attributes
    ----------
    features
        The place of the feature that moved it most, and in the same direction as its theme.
    values
        Of that feature.
    effects
        Of the whole theme.
    """

    features: Vector
    values: Vector
    effects: Vector


def strongest(explanation: Explanation, place: int, *, most: int) -> Reasons:
    """Choose the themes that moved the target at a place most, and in each the feature that tells of it.

    Of a loose theme every feature stands for itself.
    """
    target, effects = explanation.targets[place], explanation.effects[place]
    themes: dict[str, list[int]] = {}
    for number, name in enumerate(explanation.names):
        theme = message(name, target).theme
        themes.setdefault(name if theme in LOOSE else theme, []).append(number)
    sums = np.stack([effects[:, members].sum(axis=1) for members in themes.values()], axis=1)
    chosen = np.argsort(-np.abs(sums), axis=1, kind="stable")[:, :most]
    leading = np.stack(
        [
            np.take(members, np.argmax(effects[:, members] * np.where(total < 0, -1.0, 1.0)[:, None], axis=1))
            for members, total in zip(themes.values(), sums.T, strict=True)
        ],
        axis=1,
    )
    features = np.take_along_axis(leading, chosen, axis=1)
    return Reasons(
        features,
        np.take_along_axis(explanation.values[place], features, axis=1),
        np.take_along_axis(sums, chosen, axis=1),
    )


class ReasonWriter:
    """Writes the reasons of an estimator's forecasts.

    Parameters
    ----------
    estimator
        The fitted estimator.
    attributes
        Those of the feature plan, whose codes have words.
    """

    def __init__(self, estimator: ForecastEstimator, attributes: Sequence[Attribute] = ()) -> None:
        self._estimator = estimator
        self._words: dict[str, Sequence[Any]] = {
            each.feature: each.values if each.kind is Kind.TEXT else (False, True)
            for each in attributes
            if each.kind in {Kind.TEXT, Kind.FLAG}
        }

    def write(self, columns: Columns) -> list[str]:
        """Write the reasons of each customer, from features by name, each of shape (n,)."""
        rows = len(next(iter(columns.values())))
        if rows <= CHUNK_ROWS:
            return self._written(columns) if rows else []
        chunks = [
            {name: values[start : start + CHUNK_ROWS] for name, values in columns.items()}
            for start in range(0, rows, CHUNK_ROWS)
        ]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return [text for texts in pool.map(self._written, chunks) for text in texts]

    def _written(self, columns: Columns) -> list[str]:
        explanation = self._estimator.explain(columns)
        beside = _beside(columns)
        told = {
            target: self._told(explanation.names, strongest(explanation, place, most=_most(target)), beside)
            for place, target in enumerate(explanation.targets)
        }
        rows = range(explanation.base.shape[1])
        return [TEXT.encode({target: lists[row] for target, lists in told.items()}) for row in rows]

    def _told(self, names: Sequence[str], reasons: Reasons, beside: list[list[int]]) -> list[list[list[Any]]]:
        rounded = reasons._replace(effects=np.round(reasons.effects, 4))
        rows = zip(*(part.tolist() for part in rounded), strict=True)
        return [
            [
                self._one(names[feature], value, effect, also)
                for feature, value, effect in zip(*row, strict=True)
                if abs(effect) >= LEAST_EFFECT
            ]
            for row, also in zip(rows, beside, strict=True)
        ]

    def _one(self, name: str, value: float, effect: float, beside: list[int]) -> list[Any]:
        if value != value:  # noqa: PLR0124 - NaN
            return [name, None, effect]
        if name == PURCHASE_RHYTHM:
            return [name, float(f"{value:.9g}"), effect, beside]
        words = self._words.get(name)
        whole = int(value) if value.is_integer() else float(f"{value:.9g}")
        return [name, whole, effect, *([] if words is None else [words[int(value)]])]


def _beside(columns: Columns) -> list[list[int]]:
    """Return what is said of each customer's purchase rhythm: orders so far, and days since the last."""
    rows = len(next(iter(columns.values())))
    nothing = np.zeros(rows)
    parts = [columns.get(name, nothing) for name in ("orders_all", "recency_days")]
    told: list[list[int]] = np.array(parts).T.astype(int).tolist()
    return told


def _most(target: str) -> int:
    return MOST_OF_VALUE if target == EXPECTED_VALUE else MOST
