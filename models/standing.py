"""Where a customer's forecast stands among others', and how far to trust it."""

import numpy as np

from models.likelihood import Vector

GRID = 1001
REGULAR_ORDERS = 3


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


def confidence(
    orders: Vector, tenure_days: Vector, *, horizon_days: int, was_judged: bool
) -> list[str | None]:
    """Grade how much the forecast of each customer had to go on.

    Parameters
    ----------
    orders, tenure_days
        Known orders and days since the first, of shape (n,); NaN without an order.
    was_judged
        Whether the model was judged on a held-out period; one that was not loses a grade.

    Returns
    -------
    A: at least three orders over at least one horizon; C: a single order; B: between; null for a
    customer without an order.
    """
    grades = np.where(
        (orders >= REGULAR_ORDERS) & (tenure_days >= horizon_days), 0, np.where(orders > 1, 1, 2)
    )
    lowered = np.minimum(grades if was_judged else grades + 1, 2)
    return [None if np.isnan(known) else "ABC"[grade] for known, grade in zip(orders, lowered, strict=True)]
