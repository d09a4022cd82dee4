"""What one more unit of each limit would be worth: the prices at which an allocation is decided."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from models.relaxation import Relaxation

EXACT = 1e-6
"""Share of the bound by which it may miss the optimum of the linear programme."""
TINY = 1e-9
"""Share of the gain without limits that is as good as nothing."""
MOST_PLANES = 120
CAUTION = 0.7
"""How far the next prices tried stay with the best so far."""
SAMPLE = 10_000
"""Rows at which a large problem is solved first."""


@dataclass(frozen=True)
class ShadowPrices:
    """The dual solution of an allocation's linear programme, and its primal as a mixture of choices.

    Parameters
    ----------
    prices
        (m,) per unit of each limit.
    bound
        What no allocation exceeds.
    mixture
        Weights and prices: if every row took what it chooses at one of these prices, drawn by the weights,
        all limits would hold on average and the gain would be the bound. What is missing to 1 is nothing.
    """

    prices: NDArray[np.float64]
    bound: float
    mixture: Sequence[tuple[float, NDArray[np.float64]]]


@dataclass(frozen=True)
class Plane:
    """A choice as a plane that lies nowhere above the bound: ``gain + prices . (most - used)``.

    Parameters
    ----------
    at
        (m,) the prices at which it was chosen, where it touches the bound.
    height
        The bound there.
    gain, used
        Of the choice.
    """

    at: NDArray[np.float64]
    height: float
    gain: float
    used: NDArray[np.float64]

    @classmethod
    def touching(cls, relaxed: Relaxation, at: NDArray[np.float64]) -> "Plane":
        """Choose at these prices."""
        _, gain, used = relaxed.choose(at)
        return cls(at, gain + float(at @ (relaxed.most - used)), gain, used)


def shadow_prices(relaxed: Relaxation) -> ShadowPrices:
    """Minimise the bound over the prices by cutting planes.

    The lowest point of all planes known is a small linear programme (Kelley 1960, "The cutting-plane method
    for solving convex programs", SIAM Journal 8), solved by HiGHS; its dual is the mixture (Dantzig, Wolfe
    1960, "Decomposition principle for linear programs", Operations Research 8). The next choice is made
    between it and the best prices so far, which spares most detours (Wentges 1997, "Weighted Dantzig-Wolfe
    decomposition for linear mixed-integer programming", ITOR 4). What is worth nothing costs nothing in the
    end: remainders of such steps are left out.
    """
    planes = [Plane.touching(relaxed, at) for at in _first_prices(relaxed)]
    highest = relaxed.highest
    while True:
        best = min(planes, key=lambda plane: plane.height)
        if not best.at.any() and (best.used <= relaxed.most).all():
            return ShadowPrices(best.at, best.height, [(1.0, best.at)])
        scale = max(best.height, TINY * max(plane.gain for plane in planes))
        lowest, below, weights = _lowest(relaxed.most, planes, highest, scale)
        if best.height - below <= EXACT * scale or len(planes) >= MOST_PLANES:
            mixture = [(float(w), plane.at) for w, plane in zip(weights, planes, strict=True) if w > 0.0]
            plain = Plane.touching(relaxed, np.where(lowest > 0.0, best.at, 0.0))
            prices = plain.at if plain.height <= best.height + EXACT * scale else best.at
            return ShadowPrices(prices, min(best.height, plain.height), mixture)
        planes.append(Plane.touching(relaxed, CAUTION * best.at + (1.0 - CAUTION) * lowest))


def _first_prices(relaxed: Relaxation) -> list[NDArray[np.float64]]:
    """Return where to begin: at what solves the problem of every n-th row."""
    if relaxed.rows < 10 * SAMPLE:
        return [np.zeros(len(relaxed.most))]
    solved = shadow_prices(relaxed.thinned(relaxed.rows // SAMPLE))
    return [solved.prices, *(at for _, at in solved.mixture)]


def _lowest(
    most: NDArray[np.float64], planes: Sequence[Plane], highest: NDArray[np.float64], scale: float
) -> tuple[NDArray[np.float64], float, NDArray[np.float64]]:
    """Return the prices at which the highest plane is lowest, its height there, and each plane's weight.

    Prices are counted in the highest that can be, gains in their scale, for the solver's tolerances.
    """
    unit = np.minimum(highest, np.divide(scale, most, where=most > 0.0, out=np.full(len(most), np.inf)))
    slopes = np.array([plane.used for plane in planes]) * unit / scale
    found = linprog(
        np.append(most * unit / scale, 1.0),
        A_ub=-np.column_stack([slopes, np.ones(len(planes))]),
        b_ub=-np.array([plane.gain for plane in planes]) / scale,
        bounds=[(0.0, 1.0)] * len(unit) + [(0.0, None)],
        method="highs",
    )
    weights = -np.asarray(found["ineqlin"]["marginals"])
    return np.asarray(found.x)[:-1] * unit, float(found["fun"]) * scale, weights
