"""Where a customer's forecast stands among others', and how far to trust it."""

from collections.abc import Mapping

import numpy as np

from models.likelihood import Vector

GRID = 1001
REGULAR_ORDERS = 3
WELL_KNOWN, HALF_KNOWN = 0.9, 0.5
SKILFUL = 0.05
"""A skill from which a forecast tells clearly more than the rate of the whole shop."""


def quantile_grid(values: Vector) -> list[float]:
    """Return evenly spaced quantiles of the finite values, smallest first; empty without any."""
    finite = values[np.isfinite(values)]
    return [] if finite.size == 0 else np.quantile(finite, np.linspace(0, 1, GRID)).tolist()


def percentile(grid: list[float] | Vector, values: Vector) -> Vector:
    """Return which share of the others lies below each value, 0 to 100; NaN for NaN.

    Parameters
    ----------
    grid
        Quantiles as of `quantile_grid`.
    values
        Of shape (n,).
    """
    below = np.searchsorted(np.asarray(grid), values, side="left") / max(len(grid), 1) * 100.0
    return np.where(np.isnan(values), np.nan, below)


def rank(grid: list[float] | Vector, value: float | None) -> float | None:
    """Return the percentile of one value, as of `percentile`; null without a value, or a grid."""
    return None if value is None or len(grid) == 0 else float(percentile(grid, np.array([value]))[0])


def confidence(
    orders: Vector, tenure_days: Vector, *, horizon_days: int, was_judged: bool, skill: Vector
) -> list[str | None]:
    """Grade each customer by how much the forecast had to go on, and how well such customers were forecast.

    Parameters
    ----------
    orders, tenure_days
        Known orders and days since the first, of shape (n,); NaN without an order.
    was_judged
        Whether the model was judged on a held-out period; one that was not loses a grade.
    skill
        That of `models.skill` for customers with so many orders, of shape (n,); NaN where not known.

    Returns
    -------
    A: at least three orders over at least one horizon; C: a single order; B: between. A grade is lost
    where the skill is below `SKILFUL` or not known, and all where it is below 0: the shop's rate alone
    would have told more. Null for a customer without an order.
    """
    grades = np.where(
        (orders >= REGULAR_ORDERS) & (tenure_days >= horizon_days), 0, np.where(orders > 1, 1, 2)
    )
    lowered = grades + (0 if was_judged else 1) + np.where(skill < 0, 2, np.where(skill >= SKILFUL, 0, 1))
    lowered = np.minimum(lowered, 2)
    return [None if np.isnan(known) else "ABC"[grade] for known, grade in zip(orders, lowered, strict=True)]


def known_share(columns: Mapping[str, Vector], missing: Mapping[str, float]) -> Vector:
    """Return how much of what is usually known is known of each customer, of shape (n,); 0 to 1.

    Parameters
    ----------
    columns
        Features by name, NaN where not known.
    missing
        By feature the share of the training's customers without it: what is rarely known is rarely missed.
    """
    usual = np.array([1.0 - share for share in missing.values()])
    unknown = np.isnan(np.stack([columns[name] for name in missing], axis=1))
    return np.asarray(1.0 - (unknown * usual).sum(axis=1) / max(usual.sum(), 1e-12))


def confidence_by_share(known: Vector, *, was_judged: bool) -> list[str]:
    """Grade the forecasts of a labelled table: A from nine tenths known on, B from half, C below."""
    grades = np.where(known >= WELL_KNOWN, 0, np.where(known >= HALF_KNOWN, 1, 2))
    return ["ABC"[grade] for grade in np.minimum(grades if was_judged else grades + 1, 2)]


def confidence_by_age(
    runs: Vector, age_days: Vector, *, horizon_days: int, was_judged: bool
) -> list[str | None]:
    """Grade the forecasts of contracts: A from an age of one horizon on, and for who has left; C to a third.

    Parameters
    ----------
    runs, age_days
        1 for a contract that runs, 0 for one that has ended, NaN without one (then the grade is null); and
        the days since it began; of shape (n,).
    """
    grades = np.where(age_days >= horizon_days, 0, np.where(age_days >= horizon_days / 3, 1, 2))
    lowered = np.where(runs == 0, 0, np.minimum(grades if was_judged else grades + 1, 2))
    return [None if np.isnan(known) else "ABC"[grade] for known, grade in zip(runs, lowered, strict=True)]
