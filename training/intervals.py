"""95% intervals of shares, and of the ratio of two shares."""

import numpy as np

from models.likelihood import Vector

NORMAL_95 = 1.96


def wilson(share: Vector, rows: Vector) -> tuple[Vector, Vector]:
    """Return the lower and upper end of the score interval of a share (Wilson 1927).

    Parameters
    ----------
    share, rows
        The share, and of how many, each of shape (n,); of none the interval is NaN.
    """
    spread = NORMAL_95**2 / np.where(rows > 0, rows, np.nan)
    centre = (share + spread / 2) / (1 + spread)
    half = np.sqrt(spread * share * (1 - share) + spread**2 / 4) / (1 + spread)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def log_ratio(hits: Vector, rows: Vector, *, of_hits: float, of_rows: float) -> tuple[Vector, Vector, Vector]:
    """Return the ratio of each share to another, and the lower and upper end of its interval.

    The interval is that of the logarithm of the ratio (Katz, Baptista, Azen and Pike 1978); where one of
    the two counts is 0, half a hit and half a row are added to both (Walter 1975).

    Parameters
    ----------
    hits, rows
        Of each share, of shape (n,).
    of_hits, of_rows
        Of the share that they are compared with.
    """
    added = np.where((hits == 0) | (of_hits == 0), 0.5, 0.0)
    mine, other = (hits + added) / (rows + added), (of_hits + added) / (of_rows + added)
    variance = (1 - mine) / (hits + added) + (1 - other) / (of_hits + added)
    ratio, factor = mine / other, np.exp(NORMAL_95 * np.sqrt(variance))
    return ratio, ratio / factor, ratio * factor
